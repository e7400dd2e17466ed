//! The view, kept so that a start need not read the whole log again. Only a cache: sealed under the key of in-flight
//! files, so that nobody opens a gate by editing it, and ignored when it does not open, is of another version of this
//! program, or does not fit the line of the log that it ends with.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::view::View;
use super::{Engine, EngineError};
use crate::audit::read::entries;
use crate::config::Settings;
use crate::domain::digest::Digest;
use crate::durable;
use crate::state::keys::KeyRing;

/// The file, in the state folder.
const FILE: &str = "view.cache";
/// Raised when a view of an earlier release can't be read as one of this; the package's version counts too.
const FORMAT: &str = concat!("view 7, bewaard ", env!("CARGO_PKG_VERSION"));
/// Entries beyond the cache before it is written again: reading so many is quicker than noticed.
const STRIDE: u64 = 2_000;

#[derive(Serialize, Deserialize)]
struct Cached {
    /// SHA-256 of the last line that the view was derived from.
    last_line: Digest,
    view: View,
}

/// The kept view, where there is one that fits the log.
pub(super) fn read(settings: &Settings, keys: &KeyRing) -> Option<View> {
    let sealed = fs::read(settings.state.join(FILE)).ok()?;
    let plain = keys.open_sealed(&sealed, FORMAT.as_bytes()).ok()?;
    let cached: Cached = serde_json::from_slice(plain.bytes()).ok()?;
    (last_line(&settings.log, cached.view.size)? == cached.last_line).then_some(cached.view)
}

/// The digest of the line of the entry before `size`.
fn last_line(log: &Path, size: u64) -> Option<Digest> {
    let (_, _, line) = entries(log, size.checked_sub(1)?).ok()?.next()?.ok()?;
    Some(Digest::of(line.as_bytes()))
}

impl Engine {
    /// Keeps the view when it has come far enough beyond the one that is kept. A cache that can't be written is
    /// nobody's loss: the next start reads on from the older one.
    pub(super) fn keep_view(&mut self) {
        if self.view.size < self.kept_view + STRIDE {
            return;
        }
        match self.write_view() {
            Ok(()) => self.kept_view = self.view.size,
            Err(error) => tracing::debug!(%error, "the view was not kept"),
        }
    }

    fn write_view(&self) -> Result<(), EngineError> {
        let settings = &self.loaded.settings;
        let Some(last_line) = last_line(&settings.log, self.view.size) else { return Ok(()) };
        let plain = serde_json::to_vec(&Cached { last_line, view: self.view.clone() })?;
        let sealed = self.ring()?.seal(&plain, FORMAT.as_bytes())?;
        let path = settings.state.join(FILE);
        durable::replace(&path, &sealed, durable::PRIVATE, &settings.state).map_err(|cause| EngineError::Io {
            doing: "keep the view in",
            path,
            cause,
        })
    }
}

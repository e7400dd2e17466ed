//! The stop that always works: a command, a file, a signal. Only a person ends it.
//!
//! Whoever can write to the state folder can stop purging, also when the log can't be written: `touch STATE/pause`.
//! A run that sees the file, or gets SIGUSR1, stops between two batches and puts the pause into the log.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::survey::Progress;
use super::{Engine, EngineError};
use crate::audit::entry::{Body, By};
use crate::durable;

/// The file, in the state folder.
const FILE: &str = "pause";

impl Engine {
    fn pause_file(&self) -> PathBuf {
        self.loaded.settings.state.join(FILE)
    }

    /// Whether purging is paused: by an entry, or by a file that no run has seen yet.
    pub fn is_paused(&self) -> bool {
        self.view.paused.is_some() || self.pause_file().exists()
    }

    /// Pauses everything. False: it was paused already.
    pub fn pause(&mut self, reason: &str) -> Result<bool, EngineError> {
        self.catch_up()?;
        let anew = self.view.paused.is_none();
        // The file first: it stops a run also where the log can't be written, and one that is reading looks at nothing
        // else.
        let (path, state) = (self.pause_file(), &self.loaded.settings.state);
        durable::replace(&path, b"", durable::PRIVATE, state).map_err(failed("write", path))?;
        if anew {
            self.record_pause("paused", self.by.clone(), reason)?;
        }
        Ok(anew)
    }

    /// Ends the pause. False: nothing was paused.
    pub fn end_pause(&mut self, reason: &str) -> Result<bool, EngineError> {
        self.catch_up()?;
        if !self.is_paused() {
            return Ok(false);
        }
        if self.view.paused.is_some() {
            self.record_pause("resumed", self.by.clone(), reason)?;
        }
        let path = self.pause_file();
        durable::remove(&path).map_err(failed("remove", path))?;
        Ok(true)
    }

    /// Asked between two batches: whether it is paused. What came by file or signal is put into the log.
    pub(super) fn heed_pause(&mut self, progress: &dyn Progress) -> Result<bool, EngineError> {
        self.catch_up()?;
        if self.view.paused.is_some() {
            return Ok(true);
        }
        let path = self.pause_file();
        let by_file = match fs::metadata(&path) {
            Ok(about) => Some(about.uid()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("look at", path)(error)),
        };
        match by_file {
            Some(uid) => {
                self.record_pause("paused", By { uid, actor: None }, "by the file `pause` in the state folder")?;
            }
            None if progress.pause() => self.record_pause("paused", self.by.clone(), "by a signal")?,
            None => return Ok(false),
        }
        Ok(true)
    }

    fn record_pause(&mut self, change: &str, by: By, reason: &str) -> Result<(), EngineError> {
        let note = self.keep_note(reason)?;
        self.record(&[Body::PauseChanged { change: change.into(), by, note }])
    }

    /// Progress that also stops a reading run when a pause is asked for.
    pub(super) fn braked<'p>(&self, progress: &'p dyn Progress) -> Braked<'p> {
        Braked { inner: progress, file: self.pause_file() }
    }
}

fn failed(doing: &'static str, path: PathBuf) -> impl FnOnce(io::Error) -> EngineError {
    move |cause| EngineError::Io { doing, path, cause }
}

/// Stops when somebody asks to stop or to pause.
pub(super) struct Braked<'p> {
    inner: &'p dyn Progress,
    file: PathBuf,
}

impl Progress for Braked<'_> {
    fn at(&self, what: &str, done: u64, of: u64) {
        self.inner.at(what, done, of);
    }
    fn say(&self, text: &str) {
        self.inner.say(text);
    }
    fn stop(&self) -> bool {
        self.inner.stop() || self.inner.pause() || self.file.exists()
    }
    fn pause(&self) -> bool {
        self.inner.pause()
    }
}

//! `bewaard log continue --lost-head`: a successor log, after this one was lost, cut or put back.

use std::path::Path;

use super::super::out::Out;
use super::super::{Ended, Failure, exit, load};
use crate::engine::Engine;
use crate::report::json::SCHEMA;

pub(super) fn run(config: &Path, lost_head: bool, reason: &str, out: Out) -> Ended {
    if !lost_head {
        return Err(Failure::new(exit::USAGE, "say why a successor is needed: --lost-head"));
    }
    let loaded = load(config, out)?;
    let had_key = !loaded.settings.keys.is_empty();
    let done = Engine::continue_log(&loaded, reason)?;
    let written = if had_key { Some(super::super::init::replace_keys(&loaded.files, &done.verifier)?) } else { None };
    if out.json {
        out.value(&serde_json::json!({
            "schema": SCHEMA, "before": done.before, "kept_in": done.kept_in, "origin": done.origin,
            "key": done.verifier, "holds": done.holds, "open": done.open,
        }))?;
        return Ok(exit::DONE);
    }
    out.line(format!("the log {} ended; what was left of it is kept in {}", done.before, done.kept_in.display()))?;
    out.line(format!("its successor is {}, signed by {}", done.origin, done.verifier))?;
    if let Some(file) = written {
        out.line(format!("the key in {} is the new one now; keep the old one with the old log", file.display()))?;
    }
    out.line(format!(
        "carried over: {} holds, {} open batches; every rule waits for a new approval",
        done.holds, done.open
    ))?;
    Ok(exit::DONE)
}

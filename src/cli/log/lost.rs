//! `bewaard log continue --lost-head`: a successor log, after this one was lost, cut, put back or forked.

use std::path::Path;

use super::super::out::Out;
use super::super::{Ended, Failure, exit, load};
use crate::config::Loaded;
use crate::domain::shell;
use crate::engine::Engine;
use crate::engine::continuing::Why;
use crate::report::json::SCHEMA;
use crate::report::words::count;

pub(super) fn run(config: &Path, lost_head: bool, without_holds: bool, reason: &str, out: Out) -> Ended {
    if !lost_head {
        return Err(Failure::new(exit::USAGE, "say why a successor is needed: --lost-head"));
    }
    successor(&load(config, out)?, Why::LostHead, without_holds, reason, out)
}

/// Begins a successor log and tells of it.
pub(in crate::cli) fn successor(loaded: &Loaded, why: Why, without_holds: bool, reason: &str, out: Out) -> Ended {
    let had_key = !loaded.settings.keys.is_empty();
    let done = Engine::continue_log(loaded, why, without_holds, reason)?;
    let written = if had_key { Some(super::super::init::replace_keys(&loaded.files, &done.verifier)?) } else { None };
    if out.json {
        out.value(&serde_json::json!({
            "schema": SCHEMA, "before": done.before, "kept_in": done.kept_in, "origin": done.origin,
            "key": done.verifier, "holds": done.holds, "open": done.open, "left_open": done.left_open,
            "lost": done.lost, "trouble": done.trouble,
        }))?;
        return Ok(if done.trouble.is_empty() { exit::DONE } else { exit::FAILED });
    }
    let ended = match why {
        Why::LostHead => format!("the log {} ended", done.before),
        Why::Copied => format!("the log {} goes on on its own machine", done.before),
    };
    match &done.kept_in {
        Some(folder) => out.line(format!("{ended}; what is here of it is kept in {}", folder.display()))?,
        None => out.line(format!("{ended}; nothing of it is here"))?,
    }
    for path in &done.outside {
        out.line(format!("the outside head of it is kept in {}", shell::path(path)))?;
    }
    out.line(format!("its successor is {}, signed by {}", done.origin, done.verifier))?;
    if let Some(file) = written {
        out.line(format!("the key in {} is the new one now; keep the old one with the old log", file.display()))?;
    }
    let (holds, open) = (count(done.holds, "hold", "holds"), count(done.open, "open batch", "open batches"));
    out.line(format!("carried over: {holds}, {open}; every rule waits for a new approval"))?;
    if done.left_open > 0 {
        let open = count(done.left_open, "open batch stays", "open batches stay");
        out.line(format!("{open} with the first machine, which settles them"))?;
    }
    for lost in &done.lost {
        out.remark(format!("bewaard: {lost}"))?;
    }
    for trouble in &done.trouble {
        out.remark(format!("bewaard: {trouble}"))?;
    }
    Ok(if done.trouble.is_empty() { exit::DONE } else { exit::FAILED })
}

//! `bewaard init`: the log and its keys, once.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::args::Init;
use super::out::Out;
use super::{Ended, Failure, exit, load};
use crate::engine::Engine;
use crate::engine::host::Initialised;

pub(super) fn run(config: &Path, wish: &Init, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let done = Engine::init(&loaded)?;
    let (log, state) = (loaded.settings.log.clone(), loaded.settings.state.clone());
    let keys_known = !loaded.settings.keys.is_empty();
    let known_keys = loaded.settings.keys.clone();
    let mut engine = Engine::open(loaded)?;
    engine.note_policy()?;
    engine.publish()?;
    let verifier = engine.view().verifier.clone();
    let mut written = false;
    if wish.write && !keys_known {
        add_key(config, &verifier)?;
        written = true;
    }
    if out.json {
        out.value(&serde_json::json!({
            "schema": crate::report::json::SCHEMA,
            "new": done == Initialised::New,
            "log": log, "state": state, "key": verifier, "written": written,
        }))?;
        return Ok(exit::DONE);
    }
    out.line(match done {
        Initialised::New => format!("made the log in {} and its keys in {}", log.display(), state.display()),
        Initialised::AlreadyThere => format!("nothing to do: the log in {} is in order", log.display()),
    })?;
    out.line(format!("its public key: {verifier}"))?;
    if written {
        out.line(format!("added to {}", config.display()))?;
    } else if keys_known && !known_keys.contains(&verifier) {
        out.remark("warning: the policy names another key under [log]: is it the policy of another log?")?;
    } else if !keys_known {
        out.line("put it under [log] as `key`, or run `bewaard init --write`: then a changed key is found")?;
    }
    out.line("next: `bewaard check`, then `bewaard plan`")?;
    Ok(exit::DONE)
}

/// Adds `key = "..."` to the policy's `[log]` table, and changes nothing else.
pub(super) fn add_key(config: &Path, verifier: &str) -> Result<(), Failure> {
    let line = format!("key = \"{verifier}\"");
    let added = rewrite(config, |lines| match lines.iter().position(|line| line.trim_start().starts_with("[log]")) {
        Some(at) => lines.insert(at + 1, line.clone()),
        None => lines.extend([String::new(), "[log]".into(), line.clone()]),
    });
    added.map_err(|failure| failure.because(format!("the log is made; put this line under [log] yourself: {line}")))
}

/// After a rotation the policy names both keys: the old one signed the change to the new one.
pub(super) fn add_key_line(config: &Path, old: &str, new: &str) -> Result<(), Failure> {
    let (quoted, both) = (format!("\"{old}\""), format!("\"{old}\", \"{new}\""));
    rewrite(config, |lines| {
        let Some(line) = lines.iter_mut().find(|line| line.contains(&quoted)) else { return };
        let in_list = line.contains('[');
        *line = line.replace(&quoted, &if in_list { both } else { format!("[{both}]") });
    })
}

/// After a successor log began, its key takes the place of the old ones.
pub(super) fn replace_keys(config: &Path, new: &str) -> Result<(), Failure> {
    rewrite(config, |lines| {
        let is_key = |line: &&mut String| line.trim_start().starts_with("key") && line.contains('+');
        if let Some(line) = lines.iter_mut().find(is_key) {
            *line = format!("key = \"{new}\"");
        }
    })
}

fn rewrite(config: &Path, change: impl FnOnce(&mut Vec<String>)) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(exit::FAILED, format!("cannot add the key to {}: {error}", config.display()))
    };
    let text = std::fs::read_to_string(config).map_err(failed)?;
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    change(&mut lines);
    let mut text = lines.join(newline);
    text.push_str(newline);
    if toml::from_str::<toml::Table>(text.trim_start_matches('\u{feff}')).is_err() {
        return Err(Failure::new(
            exit::FAILED,
            format!("cannot add the key to {}: it would be no TOML", config.display()),
        ));
    }
    let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mode = std::fs::metadata(config).map_err(failed)?.mode() & 0o777;
    crate::durable::replace(config, text.as_bytes(), mode, folder).map_err(failed)
}

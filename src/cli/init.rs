//! `bewaard init`: the log and its keys, once.

use std::path::{Path, PathBuf};

use super::args::Init;
use super::out::Out;
use super::{Ended, Failure, exit, load, tell_trouble};
use crate::config::Loaded;
use crate::config::edit::Edit;
use crate::engine::Engine;
use crate::engine::host::Initialised;

pub(super) fn run(config: &Path, wish: &Init, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let done = Engine::init(&loaded)?;
    let (log, state) = (loaded.settings.log.clone(), loaded.settings.state.clone());
    let keys_known = !loaded.settings.keys.is_empty();
    let known_keys = loaded.settings.keys.clone();
    let files = loaded.files.clone();
    let mut engine = Engine::open(loaded)?;
    engine.sure()?;
    engine.note_policy()?;
    engine.republish()?;
    let code = tell_trouble(&engine, out)?;
    let verifier = engine.view().verifier.clone();
    let written = if wish.write && !keys_known { Some(add_key(&files, &verifier)?) } else { None };
    if out.json {
        out.value(&serde_json::json!({
            "schema": crate::report::json::SCHEMA,
            "new": done == Initialised::New,
            "log": log, "state": state, "key": verifier, "written": written.is_some(),
        }))?;
        return Ok(code);
    }
    out.line(match done {
        Initialised::New => format!("made the log in {} and its keys in {}", log.display(), state.display()),
        Initialised::AlreadyThere => format!("nothing to do: the log in {} is in order", log.display()),
    })?;
    out.line(format!("its public key: {verifier}"))?;
    if let Some(file) = written {
        out.line(format!("added to {}", file.display()))?;
    } else if keys_known && !known_keys.contains(&verifier) {
        out.remark("warning: the policy names another key under [log]: is it the policy of another log?")?;
    } else if !keys_known {
        let by_hand = edit_of(&files, std::slice::from_ref(&verifier))?;
        out.line(format!("run `bewaard init --write`, or {by_hand}; then a changed key is found"))?;
    }
    out.line("next: `bewaard check`, then `bewaard plan`")?;
    Ok(code)
}

/// Makes this the log's key in the policy, in whichever file and form `log` is written.
fn add_key(files: &[PathBuf], verifier: &str) -> Result<PathBuf, Failure> {
    let edit = edit_of(files, &[verifier.to_string()])?;
    write(&edit, "the log is made")?;
    Ok(edit.file)
}

/// After a rotation the policy names both keys: the old one signed the change to the new one.
pub(super) fn add_key_line(loaded: &Loaded, new: &str) -> Result<PathBuf, Failure> {
    let mut keys = loaded.settings.keys.clone();
    if !keys.iter().any(|key| key == new) {
        keys.push(new.into());
    }
    let edit = edit_of(&loaded.files, &keys)?;
    write(&edit, "the key is replaced")?;
    Ok(edit.file)
}

/// After a successor log began, its key takes the place of the old ones.
pub(super) fn replace_keys(files: &[PathBuf], new: &str) -> Result<PathBuf, Failure> {
    let edit = edit_of(files, &[new.to_string()])?;
    write(&edit, "the new log is made")?;
    Ok(edit.file)
}

fn edit_of(files: &[PathBuf], keys: &[String]) -> Result<Edit, Failure> {
    let by_hand = || format!("put this under [log] of the policy yourself: key = {keys:?}");
    Edit::log_keys(files, keys).map_err(|error| {
        let text = error.to_string();
        Failure::caused(exit::FAILED, text, error).because(by_hand())
    })
}

fn write(edit: &Edit, done: &str) -> Result<(), Failure> {
    edit.write().map_err(|error| {
        let text = error.to_string();
        Failure::caused(exit::FAILED, text, error).because(format!("{done}; {edit}"))
    })
}

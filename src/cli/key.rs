//! `bewaard key`: the key that signs the log.

use std::path::Path;

use super::args::{Key, KeyCommand};
use super::out::Out;
use super::{Ended, exit, load, publish};
use crate::audit::export::{openssl_key, signify_key};
use crate::engine::Engine;
use crate::report::json::SCHEMA;

pub(super) fn run(config: &Path, wish: &Key, out: Out) -> Ended {
    let mut engine = Engine::open(load(config, out)?)?;
    engine.log()?;
    match &wish.command {
        KeyCommand::Show => show(engine, out),
        KeyCommand::Rotate { reason } => rotate(engine, reason, out),
    }
}

fn show(mut engine: Engine, out: Out) -> Ended {
    let key = engine.log()?.verifier().clone();
    if out.json {
        out.value(&serde_json::json!({
            "schema": SCHEMA, "vkey": key.to_string(), "pem": openssl_key(&key), "signify": signify_key(&key),
        }))?;
        return Ok(exit::DONE);
    }
    out.line(format!("C2SP signed note:\n{key}\n"))?;
    out.line(format!("openssl (SubjectPublicKeyInfo, PEM):\n{}\n", openssl_key(&key).trim_end()))?;
    out.line(format!("signify and minisign:\n{}", signify_key(&key).trim_end()))?;
    Ok(exit::DONE)
}

fn rotate(mut engine: Engine, reason: &str, out: Out) -> Ended {
    let _lock = engine.take_run_lock()?;
    let in_policy = !engine.loaded.settings.keys.is_empty();
    let (old, new) = engine.rotate_signing_key(reason)?;
    let code = publish(&mut engine, out)?;
    let written = if in_policy { Some(super::init::add_key_line(&engine.loaded, &new)?) } else { None };
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "old": old, "new": new, "written": in_policy }))?;
        return Ok(code);
    }
    out.line(format!("the log is signed by a new key from here on: {new}"))?;
    if let Some(file) = written {
        out.line(format!("added to {}; the old key stays there, for it signed the change", file.display()))?;
    }
    Ok(code)
}

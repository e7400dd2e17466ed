//! `bewaard key`: the key that signs the log.

use std::path::Path;

use super::args::{Key, KeyCommand};
use super::out::Out;
use super::{Ended, exit, load};
use crate::engine::Engine;
use crate::report::json::SCHEMA;

pub(super) fn run(config: &Path, wish: &Key, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let mut engine = Engine::open(loaded)?;
    engine.log()?;
    match &wish.command {
        KeyCommand::Show => show(&engine, out),
        KeyCommand::Rotate { reason } => rotate(engine, config, reason, out),
    }
}

fn show(engine: &Engine, out: Out) -> Ended {
    let forms = todo_forms();
    if out.json {
        out.value(&serde_json::json!({
            "schema": SCHEMA, "vkey": forms.vkey, "pem": forms.pem, "signify": forms.signify, "minisign": forms.minisign,
        }))?;
        return Ok(exit::DONE);
    }
    out.line(format!("C2SP signed note:\n{}\n", forms.vkey))?;
    out.line(format!("openssl (SPKI, PEM):\n{}\n", forms.pem.trim_end()))?;
    out.line(format!("signify:\n{}\n", forms.signify.trim_end()))?;
    out.line(format!("minisign:\n{}", forms.minisign.trim_end()))?;
    Ok(exit::DONE)
}

fn rotate(mut engine: Engine, config: &Path, reason: &str, out: Out) -> Ended {
    let _lock = engine.take_run_lock()?;
    let in_policy = !engine.loaded.settings.keys.is_empty();
    let (old, new) = engine.rotate_signing_key(reason)?;
    engine.publish()?;
    if in_policy {
        super::init::add_key_line(config, &old, &new)?;
    }
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "old": old, "new": new, "written": in_policy }))?;
        return Ok(exit::DONE);
    }
    out.line(format!("the log is signed by a new key from here on: {new}"))?;
    if in_policy {
        out.line(format!("added to {}; the old key stays there, for it signed the change", config.display()))?;
    }
    Ok(exit::DONE)
}

struct F {
    vkey: String,
    pem: String,
    signify: String,
    minisign: String,
}
fn todo_forms() -> F {
    F { vkey: String::new(), pem: String::new(), signify: String::new(), minisign: String::new() }
}

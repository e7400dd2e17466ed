//! `bewaard log checkpoint`: the newest signed head, and its forms for programs that are not ours.

use std::path::{Path, PathBuf};

use super::super::out::Out;
use super::super::{Ended, Failure, exit, load};
use crate::audit::export::export;
use crate::audit::note::{Note, VerifierKey};
use crate::audit::publish;
use crate::durable;
use crate::report::json::SCHEMA;
use crate::state::keys::KeyRing;

pub(super) fn run(config: &Path, target: Option<&PathBuf>, out: Out) -> Ended {
    let settings = load(config, out)?.settings;
    let text = publish::checkpoint(&settings.log).map_err(|error| {
        Failure::caused(exit::FAILED, format!("there is no published checkpoint in {}", settings.log.display()), error)
    })?;
    let broken = |error| Failure::caused(exit::UNVERIFIED, "the published checkpoint does not hold", error);
    let note = Note::read(&text).map_err(broken)?;
    let checkpoint = note.checkpoint().map_err(broken)?;
    let Some(folder) = target else {
        if out.json {
            out.value(&serde_json::json!({
                "schema": SCHEMA, "origin": checkpoint.origin, "size": checkpoint.size,
                "root": checkpoint.root.to_string(), "note": text,
            }))?;
        } else {
            out.exact(text.trim_end())?;
        }
        return Ok(exit::DONE);
    };
    let ring = KeyRing::open(&settings.state.join("keys"), settings.wrap.as_ref()).ok();
    let signer = ring.and_then(|ring| ring.signer().ok());
    let key = match (settings.keys.last(), &signer) {
        (Some(key), _) => VerifierKey::parse(key).map_err(broken)?,
        (None, Some(signer)) => signer.verifier().clone(),
        (None, None) => return Err(Failure::new(exit::FAILED, "no public key is known: put it under [log] as `key`")),
    };
    let failed = |path: &Path, error| Failure::caused(exit::FAILED, format!("cannot write {}", path.display()), error);
    durable::folder(folder, false).map_err(|error| failed(folder, error))?;
    let mut names = Vec::new();
    for file in export(&note, &key, signer.as_ref()).map_err(broken)? {
        let path = folder.join(file.name);
        durable::replace(&path, &file.bytes, durable::PUBLIC, folder).map_err(|error| failed(&path, error))?;
        names.push(path.display().to_string());
    }
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "files": names }))?;
        return Ok(exit::DONE);
    }
    for name in &names {
        out.line(name)?;
    }
    out.line(format!(
        "\nin {}, check it without us:\n  \
         openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in checkpoint.body -sigfile checkpoint.raw\n  \
         signify-openbsd -V -p key.pub -m checkpoint.body\n  \
         minisign -V -p key.pub -m checkpoint.body",
        folder.display()
    ))?;
    Ok(exit::DONE)
}

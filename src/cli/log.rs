//! `bewaard log`: shown, verified, proved. All but proving a record and continuing needs no system and no state.

mod checkpoint;
#[cfg(feature = "systems")]
mod lost;
mod prove;
#[cfg(feature = "systems")]
mod record;
mod show;
mod verify;

#[cfg(feature = "systems")]
pub(super) use lost::successor as begin_successor;

use std::path::Path;

use super::args::{Log, LogCommand};
use super::out::Out;
use super::{Ended, Failure, exit, load};
use crate::audit::read::ReadFault;
use crate::config::Settings;

pub(super) fn run(config: &Path, wish: &Log, out: Out) -> Ended {
    match &wish.command {
        LogCommand::Show { from, last, kind, rule } => {
            let filter = show::Filter { from: *from, last: *last, kind: kind.as_deref(), rule: rule.as_deref() };
            show::run(config, &filter, out)
        }
        LogCommand::Path => {
            let path = load(config, out)?.settings.log;
            if out.json {
                out.value(&serde_json::json!({ "schema": crate::report::json::SCHEMA, "path": path }))?;
            } else {
                out.exact(path.display().to_string())?;
            }
            Ok(exit::DONE)
        }
        LogCommand::Verify { proof: Some(proof), key, .. } => verify::proof(config, proof, key, out),
        LogCommand::Verify { dir, key, against, proof: None } => verify::run(config, dir.as_ref(), key, against, out),
        LogCommand::Prove { entry, rule, output } => {
            let wish = prove::Wish { entry: *entry, rule: rule.as_deref(), output: output.as_ref() };
            prove::run(config, &wish, out)
        }
        LogCommand::Checkpoint { export } => checkpoint::run(config, export.as_ref(), out),
        #[cfg(feature = "systems")]
        LogCommand::Continue { lost_head, without_holds, reason } => {
            lost::run(config, *lost_head, *without_holds, reason, out)
        }
        #[cfg(not(feature = "systems"))]
        LogCommand::Continue { .. } => {
            Err(Failure::new(exit::USAGE, "this is the auditor's build: it reads logs and writes none"))
        }
    }
}

/// Why the log can't be read. Where `init` never ran there is none to be alarmed about, and where it did something is gone.
fn unread(settings: &Settings, error: ReadFault) -> Failure {
    let missing = matches!(&error, ReadFault::Io { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound);
    if missing && !settings.state.join("last-head").exists() {
        let text = format!("there is no log yet in {}: run `bewaard init` once", settings.log.display());
        return Failure::new(exit::FAILED, text);
    }
    let failure = Failure::caused(exit::UNVERIFIED, "cannot read the log", error);
    if missing { Failure { explain: Some(crate::codes::LOG_MISSING), ..failure } } else { failure }
}

//! `bewaard log`: shown, verified, proved. All but proving a record and continuing needs no system and no state.

mod show;

use std::path::Path;

use super::args::{Log, LogCommand};
use super::out::Out;
use super::{Ended, Failure, exit, load};

pub(super) fn run(config: &Path, wish: &Log, out: Out) -> Ended {
    match &wish.command {
        LogCommand::Show { from, last, kind, rule } => {
            let filter = show::Filter { from: *from, last: *last, kind: kind.as_deref(), rule: rule.as_deref() };
            show::run(config, &filter, out)
        }
        LogCommand::Path => {
            out.line(load(config, out)?.settings.log.display().to_string())?;
            Ok(exit::DONE)
        }
        _ => Err(Failure::new(exit::FAILED, "not yet")),
    }
}

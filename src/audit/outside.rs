//! Outside heads: the newest head on other paths, the only witness of a log that was put back or copied.

use std::io;
use std::path::{Path, PathBuf};

use super::fault::LogFault;
use super::heads::{self, Head};
use super::log::Log;
use super::publish::tile_reader;
use super::{regular, tree};
use crate::{codes, durable};

/// What stands at one outside target.
#[derive(Debug)]
pub struct Seen {
    /// The target.
    pub path: PathBuf,
    /// Its head; `None` where there is none (yet), or none that can be read.
    pub head: Option<Head>,
}

/// Reads every target. One that can't be read says nothing: publishing tells of it.
pub fn read(targets: &[PathBuf]) -> Vec<Seen> {
    let head = |path: &Path| Head::read(&regular::text(path).ok()?).ok();
    targets.iter().map(|path| Seen { path: path.clone(), head: head(path) }).collect()
}

/// What an outside head says against this log, if one does. They must have been read before the log was.
pub fn contradiction(log: &Log, seen: &[Seen]) -> Result<Option<LogFault>, LogFault> {
    for Seen { path, head } in seen {
        let Some(old) = head else { continue };
        if let Some(text) = disagreement(&log.paths().folder, old, log.head())? {
            return Ok(Some(LogFault::broken(codes::OUTSIDE_DIFFERS, path, text)));
        }
    }
    Ok(None)
}

/// Brings one outside target up to the head.
pub(super) fn publish(folder: &Path, target: &Path, head: &Head) -> Result<(), LogFault> {
    let unreachable = |cause| LogFault::Outside { path: target.to_path_buf(), cause };
    let foreign = || {
        unreachable(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file there is no head of a log, and is not written over",
        ))
    };
    match regular::text(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(foreign()),
        Err(error) => return Err(unreachable(error)),
        Ok(text) if text == head.note.encode() => return Ok(()),
        Ok(text) if text.is_empty() => {}
        Ok(text) => {
            let old = Head::read(&text).map_err(|_| foreign())?;
            if let Some(text) = disagreement(folder, &old, head)? {
                return Err(LogFault::broken(codes::OUTSIDE_DIFFERS, target, text));
            }
        }
    }
    let scratch = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    durable::replace(target, head.note.encode().as_bytes(), durable::PUBLIC, scratch).map_err(unreachable)
}

/// Why an outside head may not be replaced by a newer one; `None` if it may.
fn disagreement(folder: &Path, old: &Head, head: &Head) -> Result<Option<String>, LogFault> {
    let (was, is) = (&old.checkpoint, &head.checkpoint);
    if was.origin != is.origin {
        return Ok(Some(format!("the outside head is of another log, `{}`", was.origin)));
    }
    if was.size > is.size {
        let text = format!(
            "the outside head knows {} entries, and this log has {}: it was cut, or an older one was put back",
            was.size, is.size
        );
        return Ok(Some(text));
    }
    if heads::contains(folder, old).map_err(LogFault::io("read", &folder.join(heads::FILE)))? {
        return Ok(None);
    }
    let proof = tree::consistency_proof(was.size, is.size, tile_reader(folder, is.size));
    let proved = proof.is_ok_and(|proof| tree::verify_consistency(was.size, &was.root, is.size, &is.root, &proof));
    let text =
        format!("the outside head, of {} entries, is no beginning of this log: there are two histories", was.size);
    Ok((!proved).then_some(text))
}

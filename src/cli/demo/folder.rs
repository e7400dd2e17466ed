//! The demo's own folder: emptied only when everything in it, at any depth, is what the demo makes.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::super::{Failure, exit};
use crate::audit::tile::Tile;
use crate::durable;
use crate::report::words::safe;

/// The file by which the demo knows its own folder.
const MARKER: &str = ".bewaard-demo";
const MARK: &str = "Made by `bewaard demo`, which may empty this folder.\n";

/// Folders that the demo, and commands with its policy, make. In all patterns `#` is a number, `%` is hexadecimal and
/// `@` is letters, digits and hyphens.
const FOLDERS: &[&str] = &["state", "state/keys", "state/notes", "state/inflight", "state/plans", "log.tmp", "attack"];
/// Folders that hold a whole log.
const LOGS: &[&str] =
    &["log", "log.ended-#", "log.tmp/new-%", "attack/flip", "attack/cut", "attack/resign", "attack/yesterday"];
/// Files that are never without their own name.
const FILES: &[&str] = &[
    MARKER,
    "bewaard.toml",
    "tests.toml",
    "webshop.db",
    "webshop.db-@",
    "crm.db",
    "crm.db-@",
    "state/append.lock",
    "state/frontier.json",
    "state/holds.lock",
    "state/last-head",
    "state/pause",
    "state/publish.lock",
    "state/publishing-from",
    "state/run.lock",
    "state/torn-#-Q#.jsonl-#-%",
    "state/torn-heads-#-%",
    "state/view.cache",
    "state/keys/current.json",
    "state/keys/wrap.key",
    "state/keys/@.wrapped",
    "state/notes/%.json",
    "state/inflight/batch-%",
    "state/inflight/batch-%.xid",
    "state/plans/%.json",
    "state/plans/%.set",
    "state/plans/.spool-%",
    "log.tmp/#",
    "log.tmp/checkpoint",
    "log.tmp/#-Q#.jsonl",
];

/// An absent or empty folder, or the demo's own with nothing foreign in it; made empty but for its marker.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf, Failure> {
    let failed = |error: io::Error| Failure::new(exit::FAILED, format!("cannot use {}: {error}", folder.display()));
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => durable::folder(folder, false).map_err(failed)?,
        about => {
            about.map_err(failed).and_then(|about| usable(folder, &about))?;
            let found = own(folder)?;
            // The deepest first: a folder is empty when its turn comes. No link is followed, for there is none.
            for (name, is_folder) in found.iter().rev().filter(|(name, _)| name != MARKER) {
                let path = folder.join(name);
                if *is_folder { fs::remove_dir(&path) } else { durable::remove(&path) }.map_err(failed)?;
            }
        }
    }
    let folder = fs::canonicalize(folder).map_err(failed)?;
    let marker = folder.join(MARKER);
    if !marker.exists() {
        durable::create(&marker, MARK.as_bytes(), durable::PUBLIC).map_err(failed)?;
    }
    Ok(folder)
}

fn refuse(why: impl AsRef<str>) -> Failure {
    let why = why.as_ref();
    let text = format!("{why}; nothing was touched: choose an absent or empty folder with `bewaard demo --dir DIR`");
    Failure::new(exit::USAGE, text)
}

/// Whether it is a folder, and ours.
fn usable(folder: &Path, about: &Metadata) -> Result<(), Failure> {
    let shown = folder.display();
    if about.is_symlink() {
        return Err(refuse(format!("{shown} is a symbolic link, and the demo follows none")));
    }
    if !about.is_dir() {
        return Err(refuse(format!("{shown} is no folder")));
    }
    if about.uid() != geteuid().as_raw() {
        return Err(refuse(format!("{shown} belongs to another user")));
    }
    Ok(())
}

/// Everything in the folder, those above before those below, if all of it is the demo's.
fn own(folder: &Path) -> Result<Vec<(String, bool)>, Failure> {
    let mut found = Vec::new();
    list(folder, "", &mut found)?;
    if found.is_empty() {
        return Ok(found);
    }
    let marked = fs::read(folder.join(MARKER)).is_ok_and(|text| text == MARK.as_bytes());
    if !marked {
        return Err(refuse(format!("{} holds files, and the demo's marker `{MARKER}` is not there", folder.display())));
    }
    Ok(found)
}

fn list(folder: &Path, below: &str, found: &mut Vec<(String, bool)>) -> Result<(), Failure> {
    let at = folder.join(below);
    let failed = |error: io::Error| Failure::new(exit::FAILED, format!("cannot look at {}: {error}", at.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(&at).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name());
    }
    names.sort();
    for name in names {
        let about = fs::symlink_metadata(at.join(&name)).map_err(failed)?;
        let path = path_of(below, &name);
        if let Some(what) = foreign(path.as_deref(), &about) {
            let shown = path_of(below, OsStr::new(&safe(&name.to_string_lossy()))).unwrap_or_default();
            return Err(refuse(format!("{} holds `{shown}`, {what}", folder.display())));
        }
        let Some(path) = path else { continue };
        found.push((path.clone(), about.is_dir()));
        if about.is_dir() {
            list(folder, &path, found)?;
        }
    }
    Ok(())
}

fn path_of(below: &str, name: &OsStr) -> Option<String> {
    let name = name.to_str()?;
    Some(if below.is_empty() { name.into() } else { format!("{below}/{name}") })
}

/// Why something is not the demo's; `None` if it is. A path that is no UTF-8 never is.
fn foreign(path: Option<&str>, about: &Metadata) -> Option<&'static str> {
    if about.is_symlink() {
        return Some("a symbolic link, and the demo makes none");
    }
    if about.uid() != geteuid().as_raw() {
        return Some("which belongs to another user");
    }
    let ours = match path {
        Some(path) if about.is_dir() => is_own_folder(path),
        Some(path) if about.is_file() => is_own_file(path),
        _ => return Some("which is not the demo's"),
    };
    (!ours).then_some("which is not the demo's")
}

fn is_own_folder(path: &str) -> bool {
    let in_log = |rest: &str| match rest {
        "" | "/journal" | "/tile" => true,
        // A folder of tiles is one that some tile lies in.
        rest => rest
            .strip_prefix('/')
            .is_some_and(|rest| ["000", "1"].iter().any(|tile| Tile::from_path(&format!("{rest}/{tile}")).is_some())),
    };
    FOLDERS.iter().any(|own| rest(own, path) == Some("")) || LOGS.iter().any(|log| rest(log, path).is_some_and(in_log))
}

fn is_own_file(path: &str) -> bool {
    let in_log = |rest: &str| match rest.strip_prefix('/') {
        Some("heads" | "checkpoint") => true,
        Some(name) => self::rest("journal/#-Q#.jsonl", name) == Some("") || Tile::from_path(name).is_some(),
        None => false,
    };
    // A file that is being written stands beside its place as NAME.PID.new.
    FILES
        .iter()
        .any(|own| rest(own, path).is_some_and(|rest| rest.is_empty() || self::rest(".#.new", rest) == Some("")))
        || LOGS.iter().any(|log| rest(log, path).is_some_and(in_log))
}

/// What follows a pattern in a path; `None` if the path does not begin so.
fn rest<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let mut left = path;
    for sign in pattern.chars() {
        let fits = |c: char| match sign {
            '#' => c.is_ascii_digit(),
            '%' => c.is_ascii_digit() || ('a'..='f').contains(&c),
            '@' => c.is_ascii_alphanumeric() || c == '-',
            _ => false,
        };
        let wild = matches!(sign, '#' | '%' | '@');
        let after = if wild { left.trim_start_matches(fits) } else { left.strip_prefix(sign)? };
        if after.len() == left.len() {
            return None;
        }
        left = after;
    }
    Some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_exact() {
        for path in [
            "webshop.db-wal",
            "bewaard.toml.4711.new",
            "state/keys/log-2026-Q4-c5c3ce60.wrapped",
            "state/torn-2026-Q4.jsonl-1234-0a1b2c3d",
            "state/inflight/batch-5b7c1f2a9d3e4f60.xid",
            "log/journal/2026-Q4.jsonl",
            "log/tile/0/x001/234",
            "log/tile/entries/000.p/17",
            "attack/flip/heads",
            "log.ended-1/checkpoint",
            "log.tmp/new-0123456789abcdef/heads",
        ] {
            assert!(is_own_file(path), "{path}");
        }
        for path in [
            "mine.txt",
            "state/mine.txt",
            "webshop.db.bak",
            "bewaard.toml~",
            "bewaard.toml.new",
            "state/keys/x.wrapped/y",
            "log/journal/2026-Q4.jsonl~",
            "log/tile/0/000.txt",
            "log/mine",
            "attack/mine/heads",
            "state/notes/letter.json",
        ] {
            assert!(!is_own_file(path), "{path}");
        }
        for path in ["state", "log", "log/tile/0", "log/tile/entries/x001", "log/tile/0/000.p", "log.tmp"] {
            assert!(is_own_folder(path), "{path}");
        }
        for path in ["mine", "state/mine", "log/tile/mine", "log/journal/mine", "attack/mine", "states"] {
            assert!(!is_own_folder(path), "{path}");
        }
    }
}

//! What a command did to the files of a folder, in order, as `strace` saw it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, said};

/// One thing that was done to a file or folder. Paths are those of the moment.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Opened with the wish to make it; whether it was to be emptied.
    Create { path: PathBuf, empty: bool },
    /// A folder was made.
    Mkdir(PathBuf),
    /// Bytes at a place; without a place at the end.
    Write { path: PathBuf, at: Option<usize>, bytes: Vec<u8> },
    /// The length was set.
    Truncate { path: PathBuf, length: usize },
    /// Another name.
    Rename(PathBuf, PathBuf),
    /// A name that went.
    Remove(PathBuf),
    /// What was written, or a folder's names, put on the disk.
    Sync(PathBuf),
}

/// Whether this machine lets us trace; else the reason, which the test prints.
pub(crate) fn missing() -> Option<String> {
    let output = match Command::new("strace").args(["-o", "/dev/null", "true"]).output() {
        Ok(output) => output,
        Err(error) => return Some(format!("strace: {error}")),
    };
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).trim().to_string())
}

/// Runs a command of the bench to its good end, and gives what it did below the bench's folder.
pub(crate) fn traced(bench: &Bench, args: &[&str]) -> Vec<Act> {
    let folder = tempfile::tempdir().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-ff", "-ttt", "-y", "-xx", "-s", "16777216", "-o"]).arg(folder.path().join("t")).args([
        "-e",
        "trace=openat,creat,open,mkdir,mkdirat,rmdir,write,writev,pwrite64,pwritev,copy_file_range,sendfile,rename,\
         renameat,renameat2,unlink,unlinkat,link,linkat,fsync,fdatasync,sync_file_range,ftruncate,truncate",
    ]);
    said(&bench.under(strace, args).output().unwrap()).ends(0);
    // One file for each thread, so that no line is broken by another; the time of each call gives the order.
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        lines.extend(
            text.lines().filter_map(|line| line.split_once(' ')).map(|(at, call)| (at.to_string(), call.to_string())),
        );
    }
    lines.sort_by(|one, other| one.0.cmp(&other.0));
    let root = bench.file(".").canonicalize().unwrap();
    lines.iter().filter_map(|(_, call)| act(call, &root)).collect()
}

/// Paths and strings of a call, in order, decoded.
fn texts(call: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = call;
    while let Some(start) = rest.find(['<', '"']) {
        let close = if rest.as_bytes()[start] == b'<' { '>' } else { '"' };
        let inner = &rest[start + 1..];
        let Some(end) = inner.find(close) else { break };
        let pieces = inner[..end].split("\\x").skip(1);
        found.push(pieces.map(|two| u8::from_str_radix(&two[..2], 16).unwrap()).collect());
        rest = &inner[end + 1..];
    }
    found
}

fn act(call: &str, root: &Path) -> Option<Act> {
    let (name, args) = call.split_once('(')?;
    let (before, result) = args.rsplit_once(" = ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    // A file without a name is lost at the kill in any case.
    if call.contains("O_TMPFILE") || call.contains("(deleted)") {
        return None;
    }
    let mut texts = texts(call);
    let path = |bytes: &Vec<u8>| PathBuf::from(OsString::from_vec(bytes.clone()));
    let ours = |path: PathBuf| path.starts_with(root).then_some(path);
    let number = |from_end: usize| -> usize {
        let args = before.trim_end().trim_end_matches(')');
        args.rsplit(", ").nth(from_end).unwrap().parse().unwrap()
    };
    match name {
        "open" | "openat" => {
            let path = ours(path(texts.last()?))?;
            call.contains("O_CREAT").then(|| Act::Create { path, empty: call.contains("O_TRUNC") })
        }
        "mkdir" | "mkdirat" => ours(path(texts.last()?)).map(Act::Mkdir),
        "write" | "pwrite64" => {
            let path = ours(path(&texts[0]))?;
            let mut bytes = texts.swap_remove(1);
            bytes.truncate(result.trim().parse().unwrap());
            Some(Act::Write { path, at: (name == "pwrite64").then(|| number(0)), bytes })
        }
        "ftruncate" => Some(Act::Truncate { path: ours(path(&texts[0]))?, length: number(0) }),
        "rename" | "renameat" | "renameat2" => {
            let names: Vec<PathBuf> = texts.iter().map(path).filter(|path| path.starts_with(root)).collect();
            let [from, to] = <[PathBuf; 2]>::try_from(names).ok()?;
            Some(Act::Rename(from, to))
        }
        "unlink" | "unlinkat" | "rmdir" => ours(path(texts.last()?)).map(Act::Remove),
        "fsync" | "fdatasync" => ours(path(&texts[0])).map(Act::Sync),
        _ => {
            let touches = texts.iter().map(path).any(|path| path.starts_with(root));
            assert!(!touches, "the disk of this test has no `{name}` yet");
            None
        }
    }
}

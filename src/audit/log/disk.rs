//! What the writer does to files, with the places where the kill tests end it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use chrono::{DateTime, Utc};
use rustix::fs::{FallocateFlags, fallocate};

use super::{Keyed, LogPaths, writer_key};
use crate::audit::entry::{Body, Group, segment_of};
use crate::audit::fault::LogFault;
use crate::audit::heads::{self, Head};
use crate::audit::journal::{self, Segment};
use crate::audit::load;
use crate::audit::note::{Checkpoint, Note, Signer};
use crate::audit::publish;
use crate::audit::tile::MAX_ENTRY;
use crate::audit::tree::{Frontier, leaf_hash};
use crate::crash_point;
use crate::domain::digest::{Digest, MacKey};
use crate::durable;

/// The signing key that one of these entries passes on to.
pub(super) fn rotation(bodies: &[Body]) -> Option<String> {
    bodies.iter().find_map(|body| match body {
        Body::KeyChanged { id, .. } if load::is_rotation(body) => Some(id.clone()),
        _ => None,
    })
}

/// Bytes of a line that holds an outcome, roughly.
const LINE: usize = 384;

/// The canonical lines of a group, and their leaves.
pub(super) fn lines(
    groups: &[Keyed<'_>],
    mut index: u64,
    segment: &str,
    now: DateTime<Utc>,
    writer: &MacKey,
) -> Result<(Vec<u8>, Vec<Digest>), LogFault> {
    let count: usize = groups.iter().map(|(bodies, _)| bodies.len()).sum();
    let (mut bytes, mut leaves) = (Vec::with_capacity(count * LINE), Vec::with_capacity(count));
    for (bodies, key) in groups {
        let group = Group::new(now, segment, key).map_err(LogFault::Entry)?;
        for body in *bodies {
            let start = bytes.len();
            group.push(&mut bytes, index, body, Some(writer)).map_err(LogFault::Entry)?;
            let line = &bytes[start..];
            if line.len() > MAX_ENTRY {
                return Err(LogFault::TooLong { kind: body.kind(), bytes: line.len() });
            }
            leaves.push(leaf_hash(line));
            bytes.push(b'\n');
            index += 1;
        }
    }
    Ok((bytes, leaves))
}

pub(super) fn append_bytes(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    crash_point!("append-write");
    #[cfg(feature = "crash-points")]
    let bytes = {
        let (half, rest) = bytes.split_at(bytes.len() / 2);
        file.write_all(half)?;
        crash_point!("append-half");
        rest
    };
    file.write_all(bytes)?;
    crash_point!("append-fsync");
    file.sync_data()?;
    crash_point!("append-done");
    Ok(())
}

pub(super) fn sign_head(origin: String, frontier: &Frontier, signers: &[&Signer]) -> Head {
    let checkpoint = Checkpoint { origin, size: frontier.size(), root: frontier.root() };
    let note = Note::sign(checkpoint.text(), signers);
    Head { checkpoint, note }
}

/// The first lines of a new segment appear whole: an empty file never stands in the journal.
pub(super) fn begin_segment(path: &Path, bytes: &[u8], scratch: &Path) -> Result<(), LogFault> {
    crash_point!("segment-begin");
    durable::folder(scratch, true).map_err(LogFault::io("make the folder", scratch))?;
    durable::replace(path, bytes, durable::PUBLIC, scratch).map_err(LogFault::io("write", path))?;
    crash_point!("segment-begun");
    Ok(())
}

pub(super) fn append_head(paths: &LogPaths, head: &Head, line: &str) -> Result<(), LogFault> {
    let path = paths.folder.join(heads::FILE);
    let mut file = durable::appender(&path, durable::PUBLIC).map_err(LogFault::io("open", &path))?;
    crash_point!("head-append");
    file.write_all(format!("{line}\n").as_bytes()).map_err(LogFault::io("append to", &path))?;
    crash_point!("head-fsync");
    file.sync_data().map_err(LogFault::io("sync", &path))?;
    crash_point!("last-head");
    write_last_head(paths, head)
}

pub(super) fn write_last_head(paths: &LogPaths, head: &Head) -> Result<(), LogFault> {
    let scratch = paths.last_head.parent().unwrap_or(&paths.side);
    durable::replace(&paths.last_head, head.note.encode().as_bytes(), durable::PUBLIC, scratch)
        .map_err(LogFault::io("write", &paths.last_head))?;
    crash_point!("last-head-done");
    Ok(())
}

pub(super) fn make_folders(paths: &LogPaths) -> Result<(), LogFault> {
    let parents = [paths.last_head.parent(), paths.append_lock.parent(), paths.folder.parent()];
    for folder in parents.into_iter().flatten().chain([paths.side.as_path(), &paths.scratch()]) {
        if !folder.as_os_str().is_empty() {
            durable::folder(folder, true).map_err(LogFault::io("make the folder", folder))?;
        }
    }
    Ok(())
}

/// Builds a new log aside and moves it into its place whole.
pub(super) fn build(
    paths: &LogPaths,
    signer: &Signer,
    origin: &str,
    first: &[Body],
    key_id: &str,
    now: DateTime<Utc>,
) -> Result<(), LogFault> {
    let made = paths.scratch().join(format!("new-{}", hex::encode(crate::random::bytes::<8>())));
    let journal = made.join(journal::FOLDER);
    durable::folder(&journal, true).map_err(LogFault::io("make the folder", &journal))?;
    let name = segment_of(now);
    let (bytes, leaves) = lines(&[(first, key_id)], 0, &name, now, &writer_key(signer, origin))?;
    let path = Segment::of(&made, &name).path;
    durable::create(&path, &bytes, durable::PUBLIC).map_err(LogFault::io("write", &path))?;
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.push(leaf);
    }
    let head = sign_head(origin.into(), &frontier, &[signer]);
    let path = made.join(heads::FILE);
    let seals = matches!(first.first(), Some(Body::Init { heads: Some(_), .. }));
    let line = head.line(seals.then_some((signer, &[])));
    durable::create(&path, format!("{line}\n").as_bytes(), durable::PUBLIC).map_err(LogFault::io("write", &path))?;
    publish::first(&made, &paths.scratch(), &head)?;
    crash_point!("create-place");
    durable::place_folder(&made, &paths.folder).map_err(LogFault::io("put in place", &paths.folder))?;
    crash_point!("create-last-head");
    write_last_head(paths, &head)
}

/// Waits for a lock on a file; it ends when the file is dropped, and with the process.
pub(in crate::audit) fn lock(path: &Path) -> Result<File, LogFault> {
    durable::lock(path).map_err(LogFault::io("take the lock", path))
}

pub(super) fn keep_room(file: &File, length: u64, bytes: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::KEEP_SIZE, length, bytes.max(1)) {
        // A file system that can't reserve must at least have the room now.
        Err(rustix::io::Errno::OPNOTSUPP) => {
            let room = rustix::fs::fstatvfs(file)?;
            let free = room.f_bavail.saturating_mul(room.f_frsize);
            if free > bytes { Ok(()) } else { Err(io::Error::from(io::ErrorKind::StorageFull)) }
        }
        result => Ok(result?),
    }
}

//! Opening the log for writing: the tail against the heads, and what may be cut from it.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::entry::{Body, Entry, is_marked_by};
use super::fault::LogFault;
use super::heads::{self, Head};
use super::journal::{self, End, Piece, Reader, Segment};
use super::log::{LogPaths, Signers, Stamp};
use super::note::Signer;
use super::regular;
use super::tree::{Frontier, leaf_hash};
use crate::codes;
use crate::domain::digest::{Digest, MacKey};
use crate::durable;

/// What the writer knows of the log.
#[derive(Debug)]
pub(super) struct State {
    /// The frontier at the newest head.
    pub(super) sealed: Frontier,
    /// The frontier over all whole lines.
    pub(super) frontier: Frontier,
    /// The newest head.
    pub(super) head: Head,
    /// Its line in `heads`.
    pub(super) line: Vec<u8>,
    /// Whether each line of `heads` is sealed to the one before it.
    pub(super) seals: bool,
    /// The newest segment.
    pub(super) segment: Segment,
    /// A signing key that an entry behind the newest head passes on to.
    pub(super) pending: Option<String>,
    journal: Stamp,
    heads: Stamp,
}

impl State {
    pub(super) fn stamp_journal(&mut self) -> io::Result<()> {
        self.journal = Stamp::of(&self.segment.path)?;
        Ok(())
    }

    pub(super) fn stamp_heads(&mut self, paths: &LogPaths) -> io::Result<()> {
        self.heads = Stamp::of(&paths.folder.join(heads::FILE))?;
        Ok(())
    }
}

/// Whether an entry passes the signing on to another key.
pub(super) fn is_rotation(body: &Body) -> bool {
    matches!(body, Body::KeyChanged { purpose, change, .. } if purpose == "signing" && change == "replaced")
}

/// Whether nobody wrote since this state was read.
pub(super) fn is_unchanged(paths: &LogPaths, state: &State) -> io::Result<bool> {
    let newest = journal::segments(&paths.folder)?.pop();
    Ok(newest.as_ref() == Some(&state.segment)
        && Stamp::of(&state.segment.path)? == state.journal
        && Stamp::of(&paths.folder.join(heads::FILE))? == state.heads)
}

/// Reads the log's tail from `start`, a frontier that is not trusted: what it leads to must be what the newest head
/// signed, else everything is read. The append lock is held.
pub(super) fn load(paths: &LogPaths, signers: &Signers, start: Option<Frontier>) -> Result<State, LogFault> {
    let newest = newest_head(paths)?;
    let seals = check_start(paths, newest.sealed)?;
    check_head(paths, signers, &newest)?;
    let Newest { head, line, torn, .. } = newest;
    check_last_head(paths, &head)?;
    if let Some((offset, path)) = torn {
        cut(paths, &path, offset)?;
    }
    let start = start.filter(|start| start.size() <= head.checkpoint.size);
    let mut scan = match start {
        Some(start) => scan(paths, signers, &head, start)?,
        None => None,
    };
    if scan.is_none() {
        scan = self::scan(paths, signers, &head, Frontier::default())?;
    }
    let Some(scan) = scan else { return Err(mismatch(paths, &head)) };
    if let Some((path, offset)) = &scan.torn {
        cut(paths, path, *offset)?;
    }
    let segment = journal::segments(&paths.folder).map_err(LogFault::io("read the folder", &paths.folder))?.pop();
    let Some(segment) = segment else { return Err(mismatch(paths, &head)) };
    let Scan { sealed, frontier, pending, .. } = scan;
    let (journal, heads) = (Stamp::default(), Stamp::default());
    let mut state = State { sealed, frontier, head, line, seals, segment, pending, journal, heads };
    state.stamp_journal().and_then(|()| state.stamp_heads(paths)).map_err(LogFault::io("look at", &paths.folder))?;
    Ok(state)
}

fn mismatch(paths: &LogPaths, head: &Head) -> LogFault {
    let size = head.checkpoint.size;
    let text = format!(
        "the journal does not hold the {size} entries that the newest head signed: lines were altered or are missing; \
         `bewaard log verify` says which"
    );
    LogFault::broken(codes::LOG_ALTERED, &paths.folder.join(journal::FOLDER), text)
}

type Torn = Option<(u64, std::path::PathBuf)>;

/// The end of `heads`.
pub(super) struct Newest {
    /// The newest whole head.
    pub(super) head: Head,
    /// Its line.
    line: Vec<u8>,
    /// The line before it.
    before: Vec<u8>,
    /// Whether it is sealed to that line.
    sealed: bool,
    /// Where a torn line after it begins.
    torn: Torn,
}

/// Looks at the first entry, which says whether heads are sealed, and for files that no writer leaves. Gives whether
/// heads are sealed.
fn check_start(paths: &LogPaths, is_sealed: bool) -> Result<bool, LogFault> {
    let folder = paths.folder.join(journal::FOLDER);
    let segments = journal::segments(&paths.folder).map_err(LogFault::io("read the folder", &folder))?;
    for segment in &segments {
        if fs::metadata(&segment.path).is_ok_and(|about| about.len() == 0) {
            let text = "an empty file in the journal, which no writer leaves: put it back, or remove it if it was never written";
            return Err(LogFault::broken(codes::FOREIGN_FILE, &segment.path, text));
        }
    }
    let mut reader = Reader::from(&paths.folder, 0).map_err(LogFault::io("read", &folder))?;
    let first = match &mut reader {
        Some(reader) => reader.read().map_err(LogFault::io("read", &folder))?,
        None => None,
    };
    let Some(piece) = first else {
        let text = "the journal is empty: put it back from a backup";
        return Err(LogFault::broken(codes::LOG_ALTERED, &folder, text));
    };
    let entry = read_line(&piece, 0)?;
    let Body::Init { heads, .. } = entry.body else {
        return Err(LogFault::broken(codes::ENTRY_ORDER, &piece.segment.path, "the first entry does not begin a log"));
    };
    if heads.is_some() != is_sealed {
        let text = "the last line is not sealed to the line before it as this log wants it: it was altered";
        return Err(LogFault::broken(codes::HEADS_DAMAGED, &paths.folder.join(heads::FILE), text));
    }
    Ok(is_sealed)
}

/// The newest whole head, and where a torn line after it begins.
pub(super) fn newest_head(paths: &LogPaths) -> Result<Newest, LogFault> {
    let path = paths.folder.join(heads::FILE);
    let tail = heads::tail(&paths.folder).map_err(LogFault::io("read", &path))?;
    let Some(newest) = tail.newest else {
        return Err(LogFault::broken(
            codes::HEADS_DAMAGED,
            &path,
            "there is no signed head: the log was cut or damaged",
        ));
    };
    let (head, sealed) = Head::from_line(&newest).map_err(|_| {
        LogFault::broken(codes::HEADS_DAMAGED, &path, "the last line is no signed head: it was altered")
    })?;
    let torn = (tail.torn > 0).then_some((tail.whole, path));
    Ok(Newest { head, line: newest, before: tail.before, sealed, torn })
}

fn check_head(paths: &LogPaths, signers: &Signers, newest: &Newest) -> Result<(), LogFault> {
    let head = &newest.head;
    let path = paths.folder.join(heads::FILE);
    if head.checkpoint.origin != signers.current.verifier().name() {
        let text = format!("it is the log `{}`, and the signing key is of another", head.checkpoint.origin);
        return Err(LogFault::broken(codes::LOG_KEY, &path, text));
    }
    let keys: Vec<_> = [&signers.current].into_iter().chain(&signers.staged).map(Signer::verifier).collect();
    head.note.verify(&keys).map_err(|bad| {
        let text = format!("the newest head is not signed by the key in keys/: {bad}");
        LogFault::broken(codes::LOG_KEY, &path, text)
    })?;
    if !head.note.is_signed_last_by(&keys) {
        let text = "the newest head passes the signing on to a key that is not in keys/: put keys/ back from a backup";
        return Err(LogFault::broken(codes::LOG_KEY, &path, text));
    }
    // What we write next is sealed to this line.
    if head.is_sealed(&newest.line, &newest.before, &keys) == Some(false) {
        let text = "the last line's seal to the line before it does not fit: one of them was altered";
        return Err(LogFault::broken(codes::HEADS_DAMAGED, &path, text));
    }
    Ok(())
}

fn check_last_head(paths: &LogPaths, head: &Head) -> Result<(), LogFault> {
    let path = &paths.last_head;
    let broken = |code, text: String| LogFault::broken(code, path, text);
    let text = match regular::text(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = "the last head is lost: without it nobody here knows whether the log was cut; \
                        verify against an outside head, then `bewaard log continue --lost-head`";
            return Err(broken(codes::LAST_HEAD_LOST, text.into()));
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        text => text.map_err(LogFault::io("read", path))?,
    };
    let last = Head::read(&text).map_err(|_| {
        broken(codes::LAST_HEAD_LOST, "the last head is damaged; verify against an outside head".into())
    })?;
    let (known, found) = (last.checkpoint.size, head.checkpoint.size);
    if last.checkpoint.origin != head.checkpoint.origin {
        let text = format!("the last head is of another log, `{}`", last.checkpoint.origin);
        return Err(broken(codes::LOG_FORKED, text));
    }
    if known > found {
        let text = format!(
            "the log was cut or an older one put back: its newest head has {found} entries, and {known} were signed"
        );
        return Err(broken(codes::LOG_CUT, text));
    }
    let folder = &paths.folder;
    if last != *head && !heads::contains(folder, &last).map_err(LogFault::io("read", folder))? {
        return Err(broken(
            codes::LOG_FORKED,
            format!("the last head, of {known} entries, is not among the log's heads"),
        ));
    }
    Ok(())
}

struct Scan {
    sealed: Frontier,
    frontier: Frontier,
    pending: Option<String>,
    torn: Option<(std::path::PathBuf, u64)>,
}

/// Reads on from a frontier. `None` if the root at the head's size is not the one that it signed.
fn scan(paths: &LogPaths, signers: &Signers, head: &Head, start: Frontier) -> Result<Option<Scan>, LogFault> {
    let folder = paths.folder.join(journal::FOLDER);
    let sealed_size = head.checkpoint.size;
    let reader = Reader::from(&paths.folder, start.size()).map_err(LogFault::io("read", &folder))?;
    let Some(mut reader) = reader else { return Ok(None) };
    let mut frontier = start;
    let fits = |frontier: &Frontier| frontier.root() == head.checkpoint.root;
    let mut sealed = (frontier.size() == sealed_size && fits(&frontier)).then(|| frontier.clone());
    let (mut pending, mut torn, writers) = (None, None, signers.writers());
    while let Some(piece) = reader.read().map_err(LogFault::io("read", &folder))? {
        if sealed.is_none() && frontier.size() >= sealed_size {
            return Ok(None);
        }
        if sealed.is_some() && is_torn(&piece) {
            torn = Some((piece.segment.path.clone(), piece.offset));
            break;
        }
        if piece.end == End::Torn {
            return Ok(None);
        }
        if sealed.is_some() {
            let entry = check_line(&piece, frontier.size(), &writers)?;
            if let (true, Body::KeyChanged { id, .. }) = (is_rotation(&entry.body), entry.body) {
                pending = Some(id);
            }
        }
        frontier.push(leaf_hash(piece.bytes));
        if frontier.size() == sealed_size && fits(&frontier) {
            sealed = Some(frontier.clone());
        }
    }
    Ok(sealed.map(|sealed| Scan { sealed, frontier, pending, torn }))
}

/// A line that a crash cut off: without an end, or with the zeros that a power cut leaves. Only the last file has one.
fn is_torn(piece: &Piece<'_>) -> bool {
    piece.last && (piece.end == End::Torn || piece.bytes.contains(&0))
}

/// A whole line behind the newest head is an entry that was not yet sealed, or it does not belong there.
fn check_line(piece: &Piece<'_>, index: u64, writers: &[MacKey]) -> Result<Entry, LogFault> {
    let entry = read_line(piece, index)?;
    if !is_marked_by(std::str::from_utf8(piece.bytes).unwrap_or_default(), writers) {
        let text = format!("entry {index}, behind the newest head, was not written with this log's key");
        return Err(LogFault::broken(codes::ENTRY_FORGED, &piece.segment.path, text));
    }
    Ok(entry)
}

/// The entry that a whole line is.
fn read_line(piece: &Piece<'_>, index: u64) -> Result<Entry, LogFault> {
    let line = std::str::from_utf8(piece.bytes).unwrap_or_default();
    let entry = Entry::read(line).ok().filter(|entry| entry.index == index && entry.segment == piece.segment.name);
    entry.ok_or_else(|| {
        let text = format!("where entry {index} must stand is a line that is not that entry");
        LogFault::broken(codes::ENTRY_DAMAGED, &piece.segment.path, text)
    })
}

/// Moves what stands from an offset on to the side folder.
fn cut(paths: &LogPaths, path: &Path, offset: u64) -> Result<(), LogFault> {
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(LogFault::io("open", path))?;
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_to_end(&mut rest)).map_err(LogFault::io("read", path))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = format!("torn-{name}-{offset}-{}", hex::encode(crate::random::bytes::<4>()));
    let aside = paths.side.join(aside);
    durable::create(&aside, &rest, durable::PRIVATE).map_err(LogFault::io("write", &aside))?;
    if offset == 0 {
        // Nothing is left of it, and an empty file does not belong there.
        return durable::remove(path).map_err(LogFault::io("remove", path));
    }
    file.set_len(offset).and_then(|()| file.sync_all()).map_err(LogFault::io("cut", path))
}

/// Whether a log was made and only its last head was not yet written: `init` was cut off there.
pub(super) fn only_last_head_is_missing(paths: &LogPaths) -> bool {
    let heads = regular::text(&paths.folder.join(heads::FILE)).unwrap_or_default();
    !paths.last_head.exists() && heads.lines().count() == 1
}

/// The frontier's cache: it saves reading the whole journal, and may be lost or wrong.
#[derive(Serialize, Deserialize)]
struct Cache {
    size: u64,
    nodes: Vec<Digest>,
}

const CACHE: &str = "frontier.json";

pub(super) fn cached(paths: &LogPaths) -> Option<Frontier> {
    let bytes = fs::read(paths.side.join(CACHE)).ok()?;
    let Cache { size, nodes } = serde_json::from_slice(&bytes).ok()?;
    Frontier::from_nodes(size, nodes)
}

pub(super) fn keep(paths: &LogPaths, frontier: &Frontier) -> Result<(), LogFault> {
    let cache = Cache { size: frontier.size(), nodes: frontier.nodes().to_vec() };
    let bytes = serde_json::to_vec(&cache).map_err(LogFault::Entry)?;
    let path = paths.side.join(CACHE);
    durable::replace(&path, &bytes, durable::PRIVATE, &paths.side).map_err(LogFault::io("write", &path))
}

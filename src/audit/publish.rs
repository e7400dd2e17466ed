//! Publishing: tiles, bundles of entries and `checkpoint`, made from the journal; then the outside heads.
//!
//! First the tiles, then the checkpoint that promises them, then the partial tiles that it no longer needs go. All
//! of it can be lost and made again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::fault::LogFault;
use super::heads::Head;
use super::journal::{self, Reader};
use super::load;
use super::log::{Log, lock};
use super::outside;
use super::regular;
use super::tile::{self, Kind, Tile, WIDTH};
use super::tree::{self, Frontier, leaf_hash};
use crate::codes;
use crate::crash_point;
use crate::domain::digest::Digest;
use crate::durable::{self, Many};

/// The published head, below the log's folder.
pub const CHECKPOINT: &str = "checkpoint";
/// In the side folder while a publication runs: the size from which it may leave partial tiles.
const MARK: &str = "publishing-from";
/// Tiles written between two waits for the disk; each is an open file.
const GROUP: usize = 128;

impl Log {
    /// Publishes the newest sealed head, here and at each outside target. An outside head that is larger, or that is
    /// no beginning of this log, is never written over.
    pub fn publish(&mut self) -> Result<(), LogFault> {
        let publishing = lock(&self.paths.side.join("publish.lock"))?;
        // Only now: who published while we waited for the lock may have published more than we knew.
        drop(self.enter()?);
        let head = self.state.head.clone();
        let folder = self.paths.folder.clone();
        let known = self.known(&head)?;
        let mark = self.paths.side.join(MARK);
        let unfinished = fs::read_to_string(&mark).ok().and_then(|size| size.parse().ok());
        if known.as_ref() != Some(&head) || unfinished.is_some() {
            let from = known.map_or(0, |known| known.checkpoint.size);
            let tidy_from = unfinished.map_or(from, |size: u64| size.min(from));
            self.mark(tidy_from)?;
            self.publish_tiles(from, &head)?;
            crash_point!("publish-checkpoint");
            let path = folder.join(CHECKPOINT);
            durable::replace(&path, head.note.encode().as_bytes(), durable::PUBLIC, &self.paths.scratch())
                .map_err(LogFault::io("write", &path))?;
            crash_point!("publish-tidy");
            let size = head.checkpoint.size;
            tidy(&folder, tidy_from, size).map_err(LogFault::io("tidy up", &folder.join(tile::FOLDER)))?;
            load::keep(&self.paths, &self.state.sealed)?;
            durable::remove(&mark).map_err(LogFault::io("remove", &mark))?;
        }
        crash_point!("publish-outside");
        let told: Vec<_> = self.paths.outside.iter().map(|target| outside::publish(&folder, target, &head)).collect();
        drop(publishing);
        told.into_iter().collect()
    }

    /// Makes what is published anew from the journal: tiles and checkpoint that were altered or removed.
    pub fn republish(&mut self) -> Result<(), LogFault> {
        let publishing = lock(&self.paths.side.join("publish.lock"))?;
        drop(self.enter()?);
        let head = self.state.head.clone();
        // All of it may be of another size: what is left of that is looked for from the beginning.
        self.known(&head)?;
        self.mark(0)?;
        self.publish_tiles(0, &head)?;
        let (path, scratch) = (self.paths.folder.join(CHECKPOINT), self.paths.scratch());
        if fs::symlink_metadata(&path).is_ok_and(|about| !about.is_file()) {
            return Err(LogFault::broken(codes::FOREIGN_FILE, &path, "it is no regular file: remove it"));
        }
        durable::replace(&path, head.note.encode().as_bytes(), durable::PUBLIC, &scratch)
            .map_err(LogFault::io("write", &path))?;
        drop(publishing);
        self.publish()
    }

    /// Says from which size on partial tiles may be left, until all is published.
    fn mark(&self, from: u64) -> Result<(), LogFault> {
        let mark = self.paths.side.join(MARK);
        durable::replace(&mark, from.to_string().as_bytes(), durable::PRIVATE, &self.paths.side)
            .map_err(LogFault::io("write", &mark))
    }

    /// The head that was published last; if it knows more than the newest head, the log was cut.
    fn known(&self, head: &Head) -> Result<Option<Head>, LogFault> {
        let path = self.paths.folder.join(CHECKPOINT);
        let known = self.published().map_err(LogFault::io("read", &path))?;
        match known.as_ref().filter(|known| known.checkpoint.size > head.checkpoint.size) {
            Some(known) => {
                let size = known.checkpoint.size;
                let text = format!("{size} entries were published, and the log's newest head has fewer: it was cut");
                Err(LogFault::broken(codes::LOG_CUT, &path, text))
            }
            None => Ok(known),
        }
    }

    /// The head that was published last. One that we did not sign counts as none, and is written over.
    fn published(&self) -> io::Result<Option<Head>> {
        match regular::text(&self.paths.folder.join(CHECKPOINT)) {
            Ok(text) => Ok(Head::read(&text).ok().filter(|head| {
                head.note.verify(&[self.verifier()]).is_ok() && head.checkpoint.origin == self.origin()
            })),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the tiles that are full with the newest head, while more is being written: they need not be waited for at the
    /// end. Nothing promises them yet, and what is lost of them is made again.
    pub fn publish_ahead(&mut self) -> Result<(), LogFault> {
        let head = self.state.head.clone();
        let (folder, scratch) = (&self.paths.folder, self.paths.scratch());
        let open = match self.open.take() {
            Some(open) => Some(open),
            None => self
                .published()
                .map_err(LogFault::io("read", &folder.join(CHECKPOINT)))?
                .and_then(|known| Builder::resume(folder, &scratch, known.checkpoint.size))
                .map(|builder| builder.open),
        };
        let Some(open) = open.filter(|open| open.size <= head.checkpoint.size) else { return Ok(()) };
        if open.size / WIDTH == head.checkpoint.size / WIDTH {
            self.open = Some(open);
            return Ok(());
        }
        durable::folder(&scratch, true).map_err(LogFault::io("make the folder", &scratch))?;
        let Some(Builder { open, files, .. }) = Builder::with(folder, &scratch, open).fill(&head)? else {
            return Ok(());
        };
        let placed = files.finish();
        crash_point!("published-ahead");
        placed.map_err(LogFault::io("write tiles in", &folder.join(tile::FOLDER)))?;
        self.open = Some(open);
        Ok(())
    }

    /// Writes the tiles from a published size on; all of them if what was published does not lead to the head.
    fn publish_tiles(&mut self, from: u64, head: &Head) -> Result<(), LogFault> {
        let scratch = self.paths.scratch();
        durable::folder(&scratch, true).map_err(LogFault::io("make the folder", &scratch))?;
        let ahead = self.open.take().filter(|open| (from..=head.checkpoint.size).contains(&open.size) && from > 0);
        let folder = &self.paths.folder;
        let begun = match ahead {
            Some(open) => Some(Builder::with(folder, &scratch, open)),
            None if from > 0 => Builder::resume(folder, &scratch, from),
            None => None,
        };
        if let Some(builder) = begun
            && let Some(builder) = builder.fill(head)?
        {
            let open = builder.finish()?;
            if stored_root(folder, head.checkpoint.size) == Some(head.checkpoint.root) {
                self.open = Some(open);
                return Ok(());
            }
        }
        let builder = Builder::new(folder, &scratch).fill(head)?;
        let Some(builder) = builder.filter(|builder| builder.root() == head.checkpoint.root) else {
            let text =
                "the journal does not give the root that the newest head signed: `bewaard log verify` says where";
            return Err(LogFault::broken(codes::LOG_ALTERED, &folder.join(journal::FOLDER), text));
        };
        self.open = Some(builder.finish()?);
        Ok(())
    }
}

/// The text of the published checkpoint.
pub fn checkpoint(folder: &Path) -> io::Result<String> {
    regular::text(&folder.join(CHECKPOINT))
}

/// Publishes the first head of a log that is being made in `folder`: there is never a log without a checkpoint.
pub(super) fn first(folder: &Path, scratch: &Path, head: &Head) -> Result<(), LogFault> {
    if let Some(builder) = Builder::new(folder, scratch).fill(head)? {
        builder.finish()?;
    }
    let path = folder.join(CHECKPOINT);
    durable::replace(&path, head.note.encode().as_bytes(), durable::PUBLIC, scratch)
        .map_err(LogFault::io("write", &path))
}

/// Reads a tile's hashes; `None` if it is not there or not whole.
pub(super) fn load_tile(folder: &Path, tile: &Tile) -> Option<Vec<Digest>> {
    let bytes = regular::bytes(&folder.join(tile.path())).ok()?;
    tile::hashes(&bytes).filter(|hashes| hashes.len() as u64 == tile.width)
}

/// Reads hashes from the tiles of a tree of this size.
pub(super) fn tile_reader(folder: &Path, size: u64) -> impl FnMut(u8, u64) -> Result<Digest, PathBuf> + '_ {
    let mut kept: BTreeMap<Tile, Vec<Digest>> = BTreeMap::new();
    let missing = |tile: &Tile| PathBuf::from(tile.path());
    move |level, place| {
        let mut load = |tile: &Tile| {
            if let Some(hashes) = kept.get(tile) {
                return Ok(hashes.clone());
            }
            let hashes = load_tile(folder, tile).ok_or_else(|| missing(tile))?;
            kept.insert(*tile, hashes.clone());
            Ok(hashes)
        };
        tile::read_hash(size, level, place, &mut load, missing)
    }
}

/// The root that the tiles on the disk give for a size.
fn stored_root(folder: &Path, size: u64) -> Option<Digest> {
    tree::range_root(0, size, &mut tile_reader(folder, size)).ok()
}

/// What is not yet in a full tile.
#[derive(Debug, Default)]
pub(super) struct Open {
    size: u64,
    bundle: Vec<u8>,
    levels: Vec<Vec<Digest>>,
}

/// Builds tiles, level by level, from entries in order.
#[derive(Debug)]
struct Builder<'a> {
    folder: &'a Path,
    open: Open,
    files: Many,
}

impl<'a> Builder<'a> {
    fn new(folder: &'a Path, scratch: &Path) -> Self {
        Self::with(folder, scratch, Open::default())
    }

    fn with(folder: &'a Path, scratch: &Path, open: Open) -> Self {
        Self { folder, open, files: Many::new(scratch, durable::PUBLIC) }
    }

    /// Goes on from the partial tiles of a published size.
    fn resume(folder: &'a Path, scratch: &Path, size: u64) -> Option<Self> {
        let mut open = Open { size, ..Open::default() };
        if let Some(tile) = Tile::of_tree(Kind::Entries, size / WIDTH, size) {
            open.bundle = regular::bytes(&folder.join(tile.path())).ok()?;
        }
        for level in 0..tile::LEVELS {
            let reached = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
            let partial = Tile::of_tree(Kind::Hashes(level), reached / WIDTH, size);
            open.levels.push(match partial {
                Some(tile) => load_tile(folder, &tile)?,
                None => Vec::new(),
            });
        }
        let bundle: Vec<_> = tile::entries(&open.bundle)?.iter().map(|entry| leaf_hash(entry)).collect();
        (open.levels.first() == Some(&bundle)).then(|| Self::with(folder, scratch, open))
    }

    /// Reads the journal up to the head, writing tiles as they fill. `None` if the journal ends before.
    fn fill(mut self, head: &Head) -> Result<Option<Self>, LogFault> {
        let path = self.folder.join(journal::FOLDER);
        let reader = Reader::from(self.folder, self.open.size).map_err(LogFault::io("read", &path))?;
        let Some(mut reader) = reader else { return Ok(None) };
        while self.open.size < head.checkpoint.size {
            let Some(piece) = reader.read().map_err(LogFault::io("read", &path))? else { return Ok(None) };
            if !tile::push_entry(&mut self.open.bundle, piece.bytes) {
                return Ok(None);
            }
            self.push(leaf_hash(piece.bytes))?;
        }
        Ok(Some(self))
    }

    fn push(&mut self, leaf: Digest) -> Result<(), LogFault> {
        self.open.size += 1;
        let mut node = leaf;
        for level in 0..tile::LEVELS {
            if self.open.levels.len() <= usize::from(level) {
                self.open.levels.push(Vec::new());
            }
            let hashes = &mut self.open.levels[usize::from(level)];
            hashes.push(node);
            if (hashes.len() as u64) < WIDTH {
                return Ok(());
            }
            let place = (self.open.size >> (8 * u32::from(level))) / WIDTH - 1;
            node = tile::root(hashes);
            let bytes = tile::bytes(hashes);
            hashes.clear();
            self.write(&Tile { kind: Kind::Hashes(level), place, width: WIDTH }, &bytes)?;
            if level == 0 {
                let mut bundle = std::mem::take(&mut self.open.bundle);
                self.write(&Tile { kind: Kind::Entries, place, width: WIDTH }, &bundle)?;
                bundle.clear();
                self.open.bundle = bundle;
            }
        }
        Ok(())
    }

    /// The root over all entries so far.
    fn root(&self) -> Digest {
        let mut nodes = Vec::new();
        for mut hashes in self.open.levels.iter().rev().map(Vec::as_slice) {
            while let Some(log) = hashes.len().checked_ilog2() {
                let (tree, rest) = hashes.split_at(1 << log);
                nodes.push(tile::root(tree));
                hashes = rest;
            }
        }
        Frontier::from_nodes(self.open.size, nodes).unwrap_or_default().root()
    }

    /// Writes what is left as partial tiles. All of it is on the disk when this returns.
    fn finish(mut self) -> Result<Open, LogFault> {
        let open = std::mem::take(&mut self.open);
        let size = open.size;
        if let Some(tile) = Tile::of_tree(Kind::Entries, size / WIDTH, size) {
            self.write(&tile, &open.bundle)?;
        }
        for (level, hashes) in (0..).zip(&open.levels) {
            let reached = size >> (8 * u32::from(level));
            if let Some(tile) = Tile::of_tree(Kind::Hashes(level), reached / WIDTH, size) {
                self.write(&tile, &tile::bytes(hashes))?;
            }
        }
        crash_point!("publish-tiles");
        let written = self.files.finish();
        crash_point!("publish-tiles-done");
        written.map_err(LogFault::io("write tiles in", &self.folder.join(tile::FOLDER))).map(|()| open)
    }

    fn write(&mut self, tile: &Tile, bytes: &[u8]) -> Result<(), LogFault> {
        let path = self.folder.join(tile.path());
        if regular::bytes(&path).is_ok_and(|there| there == bytes) {
            // Who wrote it may have been killed before its name was on the disk.
            self.files.is_there(&path);
            return Ok(());
        }
        let mut written = self.files.write(path, bytes);
        if written.is_ok() && self.files.waiting() >= GROUP {
            crash_point!("publish-tiles");
            written = self.files.place();
            crash_point!("publish-tiles-done");
        }
        written.map_err(LogFault::io("write tiles in", &self.folder.join(tile::FOLDER)))
    }
}

/// Removes partial tiles that a tree of this size no longer needs, where an earlier publication from `from` on can
/// have left them.
fn tidy(folder: &Path, from: u64, size: u64) -> io::Result<()> {
    let kinds = (0..tile::LEVELS).map(Kind::Hashes).chain([Kind::Entries]);
    for kind in kinds {
        let level = if let Kind::Hashes(level) = kind { level } else { 0 };
        let shift = 8 * u32::from(level);
        // A publication that a crash cut off may have left partial tiles anywhere between the two sizes.
        for place in (from >> shift) / WIDTH..=(size >> shift) / WIDTH {
            let partial = folder.join(Tile { kind, place, width: 1 }.path());
            let Some(partials) = partial.parent() else { continue };
            let wanted = Tile::of_tree(kind, place, size).filter(|tile| tile.width < WIDTH);
            tidy_one(partials, wanted.map(|tile| folder.join(tile.path())).as_deref())?;
        }
    }
    Ok(())
}

fn tidy_one(partials: &Path, wanted: Option<&Path>) -> io::Result<()> {
    let items = match fs::read_dir(partials) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        items => items?,
    };
    for item in items {
        let path = item?.path();
        if Some(path.as_path()) != wanted {
            durable::remove(&path)?;
        }
    }
    if wanted.is_none() { fs::remove_dir(partials) } else { Ok(()) }
}

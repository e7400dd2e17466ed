//! Tiles and bundles of entries: each that is there must be what the journal gives, and none of a published
//! checkpoint may be missing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Faults;
use crate::audit::regular;
use crate::audit::tile::{self, Kind, LEVELS, Tile, WIDTH};
use crate::codes;
use crate::domain::digest::Digest;

/// One level while it fills.
#[derive(Debug, Default)]
struct Row {
    place: u64,
    width: u64,
    bytes: Vec<u8>,
    /// Widths of the partial tiles on the disk at this place.
    partials: Option<Vec<u64>>,
}

/// Compares tiles while the entries go by.
#[derive(Debug)]
pub(super) struct Tiles {
    folder: PathBuf,
    published: u64,
    levels: Vec<Row>,
    bundle: Row,
    /// Required tiles that are not there: a fault, unless a writer published meanwhile.
    pub(super) missing: Vec<String>,
    /// Tiles that the published checkpoint does not need.
    pub(super) spare: u64,
}

impl Tiles {
    pub(super) fn new(folder: &Path, published: u64) -> Self {
        let levels = (0..LEVELS).map(|_| Row::default()).collect();
        let bundle = Row::default();
        Self { folder: folder.into(), published, levels, bundle, missing: Vec::new(), spare: 0 }
    }

    /// An entry, and the roots that are complete with it: of itself, of the 256 that it ends, of the 65,536.
    pub(super) fn push(&mut self, tops: &[Option<Digest>], entry: &[u8], faults: &mut Faults) {
        let mut bundle = std::mem::take(&mut self.bundle);
        // An entry too long for a bundle is a fault of its line.
        tile::push_entry(&mut bundle.bytes, entry);
        self.grow(Kind::Entries, &mut bundle, faults);
        self.bundle = bundle;
        for (level, node) in (0..LEVELS).zip(tops.iter().map_while(|top| *top)) {
            let mut row = std::mem::take(&mut self.levels[usize::from(level)]);
            row.bytes.extend_from_slice(&node.0);
            self.grow(Kind::Hashes(level), &mut row, faults);
            self.levels[usize::from(level)] = row;
        }
    }

    /// One more on this row: is there a tile of exactly this width?
    fn grow(&mut self, kind: Kind, row: &mut Row, faults: &mut Faults) {
        row.width += 1;
        let tile = Tile { kind, place: row.place, width: row.width };
        let partials = row.partials.get_or_insert_with(|| partials(&self.folder, &tile));
        let needed = Tile::of_tree(kind, row.place, self.published) == Some(tile);
        if needed || row.width == WIDTH || partials.contains(&row.width) {
            self.compare(&tile, &row.bytes, needed, faults);
        }
        if row.width == WIDTH {
            row.bytes.clear();
            *row = Row { place: row.place + 1, bytes: std::mem::take(&mut row.bytes), ..Row::default() };
        }
    }

    fn compare(&mut self, tile: &Tile, expected: &[u8], needed: bool, faults: &mut Faults) {
        let path = tile.path();
        match regular::bytes(&self.folder.join(&path)) {
            Ok(bytes) if bytes == expected => self.spare += u64::from(!needed && tile.width < WIDTH),
            Ok(_) => faults.add(codes::TILE_DAMAGED, path, "the tile is not what the journal gives"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if needed {
                    self.missing.push(path);
                }
            }
            Err(error) => faults.add(codes::LOG_UNREADABLE, path, format!("can't be read: {}", error.kind())),
        }
    }
}

fn partials(folder: &Path, tile: &Tile) -> Vec<u64> {
    let partial = folder.join(Tile { width: 1, ..*tile }.path());
    let items = partial.parent().and_then(|parent| fs::read_dir(parent).ok()).into_iter().flatten().flatten();
    items.filter_map(|item| item.file_name().to_str()?.parse().ok()).collect()
}

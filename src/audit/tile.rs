//! Where tiles lie and what bytes they have (C2SP tlog-tiles), and the hashes read back from them.
//!
//! A full tile holds 256 hashes of 32 bytes, a full bundle 256 entries, each after its length as two bytes,
//! big-endian. A partial one holds fewer and says so in its name.

use std::fmt::Write as _;

use super::tree::node_hash;
use crate::domain::digest::Digest;

/// Hashes in a full tile, and entries in a full bundle.
pub const WIDTH: u64 = 256;
/// The longest entry that a bundle can hold.
pub const MAX_ENTRY: usize = 65_535;
/// The folder of tiles.
pub const FOLDER: &str = "tile";
/// Levels of tiles that a tree of at most 2^64 leaves has.
pub const LEVELS: u8 = 8;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Hashes of this level: each stands for 256 to the power of it entries.
    Hashes(u8),
    /// The entries themselves.
    Entries,
}

/// One tile, or one bundle of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// What it holds.
    pub kind: Kind,
    /// Its place on its level, from 0.
    pub place: u64,
    /// How many it holds: 1 to 256.
    pub width: u64,
}

impl Tile {
    /// The tile at this place in a tree of this size, or `None` where the tree does not reach it.
    pub fn of_tree(kind: Kind, place: u64, size: u64) -> Option<Self> {
        let level = if let Kind::Hashes(level) = kind { level } else { 0 };
        let count = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        let width = count.saturating_sub(place.checked_mul(WIDTH)?).min(WIDTH);
        (width > 0).then_some(Self { kind, place, width })
    }

    /// Its path below the log's folder, such as `tile/0/x001/234.p/5`.
    pub fn path(&self) -> String {
        let mut path = match self.kind {
            Kind::Hashes(level) => format!("{FOLDER}/{level}/"),
            Kind::Entries => format!("{FOLDER}/entries/"),
        };
        let mut groups = vec![self.place % 1000];
        let mut rest = self.place / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        while let Some(group) = groups.pop() {
            // Writing to a String can't fail.
            let _ = if groups.is_empty() { write!(path, "{group:03}") } else { write!(path, "x{group:03}/") };
        }
        if self.width < WIDTH {
            let _ = write!(path, ".p/{}", self.width);
        }
        path
    }

    /// Reads a path; only the one that [`Tile::path`] gives is accepted.
    pub fn from_path(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(FOLDER)?.strip_prefix('/')?;
        let (level, rest) = rest.split_once('/')?;
        let kind = match level {
            "entries" => Kind::Entries,
            level => Kind::Hashes(level.parse().ok().filter(|level| *level < LEVELS)?),
        };
        let (groups, width) = match rest.split_once(".p/") {
            Some((groups, width)) => (groups, width.parse().ok().filter(|width| (1..WIDTH).contains(width))?),
            None => (rest, WIDTH),
        };
        let mut place: u64 = 0;
        for group in groups.split('/') {
            let digits: u64 = group.trim_start_matches('x').parse().ok()?;
            place = place.checked_mul(1000)?.checked_add(digits)?;
        }
        let tile = Self { kind, place, width };
        (tile.path() == path).then_some(tile)
    }
}

/// Appends an entry to a bundle; false if it is too long for one.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(length) = u16::try_from(entry.len()) else { return false };
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    true
}

/// The entries of a bundle's bytes; `None` if they are no whole entries.
pub fn entries(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bundle.split_first_chunk::<2>() {
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bundle = rest;
    }
    bundle.is_empty().then_some(entries)
}

/// The hashes of a tile's bytes; `None` if they are no whole hashes.
pub fn hashes(bytes: &[u8]) -> Option<Vec<Digest>> {
    let (chunks, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| chunks.iter().copied().map(Digest).collect())
}

/// The bytes of a tile.
pub fn bytes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The root of a full tile's hashes: the one hash that stands for it a level higher.
pub fn root(hashes: &[Digest]) -> Digest {
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        let wide = level.len().div_ceil(2);
        for at in 0..wide {
            let pair = (level[2 * at], level.get(2 * at + 1));
            level[at] = pair.1.map_or(pair.0, |right| node_hash(&pair.0, right));
        }
        level.truncate(wide);
    }
    level.first().copied().unwrap_or_else(super::tree::empty_root)
}

/// Reads the hash of one complete subtree from the tiles of a tree of `size` leaves. `load` gives a tile's bytes.
pub fn read_hash<E>(
    size: u64,
    level: u8,
    place: u64,
    load: &mut impl FnMut(&Tile) -> Result<Vec<Digest>, E>,
    missing: impl Fn(&Tile) -> E,
) -> Result<Digest, E> {
    let (high, low) = (level / 8, level % 8);
    let first = place << low;
    let kind = Kind::Hashes(high);
    let tile = Tile::of_tree(kind, first / WIDTH, size).unwrap_or(Tile { kind, place: first / WIDTH, width: WIDTH });
    let hashes = load(&tile)?;
    // Inside a tile every subtree is folded from the tile's own hashes.
    let from = usize::try_from(first % WIDTH).unwrap_or(usize::MAX);
    hashes.get(from..from.saturating_add(1 << low)).map(root).ok_or_else(|| missing(&tile))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let path = |kind, place, width| Tile { kind, place, width }.path();
        assert_eq!(path(Kind::Hashes(0), 0, 256), "tile/0/000");
        assert_eq!(path(Kind::Hashes(1), 67, 5), "tile/1/067.p/5");
        assert_eq!(path(Kind::Entries, 1_234_067, 256), "tile/entries/x001/x234/067");
        assert_eq!(path(Kind::Hashes(3), 1000, 255), "tile/3/x001/000.p/255");
    }

    #[test]
    fn only_the_one_path_of_a_tile_reads_back() {
        for place in [0, 1, 255, 999, 1000, 123_456, 1_234_067, u64::MAX / 256] {
            for kind in [Kind::Hashes(0), Kind::Hashes(2), Kind::Entries] {
                for width in [1, 17, 255, 256] {
                    let tile = Tile { kind, place, width };
                    assert_eq!(Tile::from_path(&tile.path()), Some(tile));
                }
            }
        }
        for path in [
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/00/001",
            "tile/8/000",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/05",
            "tile/0/001/002",
            "tile/0/x001",
            "tile/+1/001",
            "tile/0/+01",
            "tile/data/001",
            "tile/0/001.p",
            "tile/0/xx01/001",
            "/tile/0/001",
            "tile/0/001/",
        ] {
            assert_eq!(Tile::from_path(path), None, "{path}");
        }
    }

    #[test]
    fn a_tree_has_the_tiles_that_it_needs() {
        let tile = |level, place, size| Tile::of_tree(Kind::Hashes(level), place, size).map(|tile| tile.width);
        assert_eq!(tile(0, 0, 0), None);
        assert_eq!(tile(0, 0, 5), Some(5));
        assert_eq!(tile(0, 1, 257), Some(1));
        assert_eq!(tile(1, 0, 255), None);
        assert_eq!(tile(1, 0, 70_000), Some(256));
        assert_eq!(tile(1, 1, 70_000), Some(17));
        assert_eq!(tile(2, 0, 70_000), Some(1));
        assert_eq!(tile(7, 0, u64::MAX), Some(255));
    }
}

//! What lies in the folder: a file that does not belong there is a fault.

use std::fs;
use std::io;
use std::path::Path;

use super::{Faults, heads};
use crate::audit::tile::{self, Kind, Tile, WIDTH};
use crate::codes;

/// The segments of the journal, in order.
pub(super) const JOURNAL: &str = "journal";
/// The published head.
pub(super) const CHECKPOINT: &str = "checkpoint";

/// Looks at the folder and gives the names of the segments. Tiles are looked at by [`tiles`].
pub(super) fn look(folder: &Path, faults: &mut Faults) -> Vec<String> {
    let mut segments = Vec::new();
    list(folder, "", faults, &mut |name, is_folder, faults| match (name, is_folder) {
        (JOURNAL | tile::FOLDER, true) | (heads::FILE | CHECKPOINT, false) => {}
        _ => foreign(name, faults),
    });
    if !folder.join(JOURNAL).is_dir() {
        faults.add(codes::LOG_MISSING, JOURNAL, "there is no journal: this folder holds no log");
        return segments;
    }
    list(folder, JOURNAL, faults, &mut |path, is_folder, faults| {
        let name = path.rsplit('/').next().and_then(|name| name.strip_suffix(".jsonl")).filter(|name| is_segment(name));
        match name.filter(|_| !is_folder) {
            Some(name) => segments.push(name.to_string()),
            None => foreign(path, faults),
        }
    });
    segments.sort();
    segments
}

fn is_segment(name: &str) -> bool {
    let Some((year, quarter)) = name.split_once("-Q") else { return false };
    year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()) && matches!(quarter, "1" | "2" | "3" | "4")
}

pub(super) fn foreign(path: &str, faults: &mut Faults) {
    faults.add(codes::FOREIGN_FILE, path, "does not belong in the folder of a log");
}

/// Looks at every name below `tile/`. Gives the tiles that stand for entries beyond `lines`, each with how many entries
/// it takes: a writer may have made them meanwhile, and else they do not belong there.
pub(super) fn tiles(folder: &Path, lines: u64, faults: &mut Faults) -> Vec<(String, u64)> {
    let mut beyond = Vec::new();
    if folder.join(tile::FOLDER).is_dir() {
        tile_folder(folder, tile::FOLDER, lines, &mut beyond, faults);
    }
    beyond
}

fn tile_folder(folder: &Path, below: &str, lines: u64, beyond: &mut Vec<(String, u64)>, faults: &mut Faults) {
    let mut folders = Vec::new();
    list(folder, below, faults, &mut |path, is_folder, faults| match Tile::from_path(path).as_ref().map(reaches) {
        _ if is_folder => folders.push(path.to_string()),
        Some(reach) if reach <= lines => {}
        Some(reach) => beyond.push((path.to_string(), reach)),
        None => foreign(path, faults),
    });
    for path in folders {
        // A folder is one that some tile lies in: the level, thousands of places, or the partial tiles of a place.
        let probes = [format!("{path}/000"), format!("{path}/1")];
        let tile = probes.iter().find_map(|probe| Tile::from_path(probe));
        match tile.map(|tile| reaches(&Tile { width: 1, ..tile })) {
            Some(reach) if reach <= lines.max(1) => tile_folder(folder, &path, lines, beyond, faults),
            Some(reach) => beyond.push((path, reach)),
            None => foreign(&path, faults),
        }
    }
}

/// How many entries there must be for this tile.
fn reaches(tile: &Tile) -> u64 {
    let level = if let Kind::Hashes(level) = tile.kind { level } else { 0 };
    let wide = u128::from(tile.place) * u128::from(WIDTH) + u128::from(tile.width);
    u64::try_from(wide << (8 * u32::from(level))).unwrap_or(u64::MAX)
}

/// Every name in a folder, as a path below the log's folder. What is neither file nor folder does not belong.
fn list(folder: &Path, below: &str, faults: &mut Faults, each: &mut impl FnMut(&str, bool, &mut Faults)) {
    let unreadable =
        |faults: &mut Faults, kind| faults.add(codes::LOG_UNREADABLE, below, format!("can't be read: {kind}"));
    let items = match fs::read_dir(folder.join(below)) {
        Ok(items) => items,
        // A writer tidied it up since its name was read; a tile that is needed is missed elsewhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound && below.starts_with(tile::FOLDER) => return,
        Err(error) => return unreadable(faults, error.kind()),
    };
    for item in items {
        let item = match item {
            Ok(item) => item,
            Err(error) => return unreadable(faults, error.kind()),
        };
        let name = item.file_name();
        let shown = name.to_string_lossy();
        let path = if below.is_empty() { shown.to_string() } else { format!("{below}/{shown}") };
        match item.file_type() {
            Ok(kind) if name.to_str().is_some() && (kind.is_file() || kind.is_dir()) => {
                each(&path, kind.is_dir(), faults);
            }
            _ => foreign(&path, faults),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_tiles_that_a_writer_tidied_up_meanwhile_is_no_fault_and_any_other_is() {
        let folder = tempfile::tempdir().unwrap();
        for (below, sound) in [("tile/0/000.p", true), ("tile/entries/x001/000.p", true), ("journal", false)] {
            let mut faults = Faults::default();
            list(folder.path(), below, &mut faults, &mut |path, _, _| panic!("{path} is there"));
            assert_eq!(faults.list.is_empty(), sound, "{below}");
        }
    }
}

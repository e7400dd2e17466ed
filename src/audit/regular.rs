//! Opening files that somebody else may have had in hand: a pipe or a device in the place of a file is refused, and
//! never waited for.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Longer than any head.
const MOST: u64 = 64 * 1024;
/// As long as a bundle of 256 of the longest entries, the longest tile of all (C2SP tlog-tiles).
const TILE: u64 = 256 * (2 + 65_535);

fn open_with(path: &Path, more: OFlags) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | more;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok(file)
}

/// Opens a file of the log. A link is refused: what it leads to does not belong to the log.
pub(super) fn open(path: &Path) -> io::Result<File> {
    open_with(path, OFlags::NOFOLLOW)
}

/// The bytes of a tile or a checkpoint. One that is longer than any of them is cut there, and so is not what it should be.
pub(super) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len().min(TILE);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    file.take(TILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The bytes of a short file elsewhere, such as a head.
pub(super) fn short(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_with(path, OFlags::empty())?.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a short file elsewhere.
pub(super) fn text(path: &Path) -> io::Result<String> {
    String::from_utf8(short(path)?).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

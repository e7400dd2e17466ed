//! Reading entries for people and for the engine. It checks form, not signatures: that is [`super::verify`].

use std::io;
use std::path::{Path, PathBuf};

use super::entry::{BadEntry, Entry};
use super::journal::{self, End, Reader};

/// Why the next entry can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// The file can't be read.
    #[error("cannot read the log in {}", .path.display())]
    Io {
        /// The log's folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A line is no entry.
    #[error("line {index} of the log is damaged ({})", .path.display())]
    Damaged {
        /// Which entry should stand there.
        index: u64,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: BadEntry,
    },
}

/// The entries from an index on, each with its line. A torn last line ends them.
pub fn entries(folder: &Path, from: u64) -> Result<Entries, ReadFault> {
    let failed = |cause| ReadFault::Io { path: folder.to_path_buf(), cause };
    let reader = if folder.join(journal::FOLDER).is_dir() {
        Reader::from(folder, from).map_err(failed)?
    } else {
        return Err(failed(io::Error::from(io::ErrorKind::NotFound)));
    };
    Ok(Entries { folder: folder.to_path_buf(), reader, next: from })
}

/// See [`entries`].
#[derive(Debug)]
pub struct Entries {
    folder: PathBuf,
    reader: Option<Reader>,
    next: u64,
}

impl Entries {
    fn read(&mut self) -> Result<Option<(u64, Entry, String)>, ReadFault> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let piece = reader.read().map_err(|cause| ReadFault::Io { path: self.folder.clone(), cause })?;
        let Some(piece) = piece.filter(|piece| piece.end == End::Whole) else { return Ok(None) };
        let index = self.next;
        let damaged = |cause| ReadFault::Damaged { index, path: piece.segment.path.clone(), cause };
        let line = std::str::from_utf8(piece.bytes).map_err(|_| damaged(BadEntry::Shape))?;
        let entry = Entry::read(line).map_err(damaged)?;
        if entry.index != index {
            return Err(damaged(BadEntry::Shape));
        }
        self.next += 1;
        Ok(Some((index, entry, line.to_string())))
    }
}

impl Iterator for Entries {
    type Item = Result<(u64, Entry, String), ReadFault>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if !matches!(read, Ok(Some(_))) {
            self.reader = None;
        }
        read.transpose()
    }
}

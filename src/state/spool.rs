//! A plan's set on disk: sorted 16-byte commitments, made and asked in flat memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use crate::domain::digest::Digest;
use crate::durable;

/// One commitment.
pub type Mark = [u8; 16];

/// Marks held in memory before they are spilled: 1 MiB.
const IN_MEMORY: usize = 65_536;
/// Marks that are read together when one is asked for; the first of each such block is kept in memory.
const BLOCK: usize = 256;

/// Collects marks in any order and writes them sorted, each once.
#[derive(Debug)]
pub struct SpoolWriter {
    memory: Vec<Mark>,
    runs: Vec<File>,
}

/// A sorted set that was written.
#[derive(Debug)]
pub struct Spool {
    file: File,
    len: u64,
    /// The first mark of each block, from the first question on.
    firsts: std::sync::OnceLock<Vec<Mark>>,
}

/// What a finished spool is.
#[derive(Debug)]
pub struct Finished {
    /// The digest of the sorted marks.
    pub digest: Digest,
    /// How many.
    pub len: u64,
    sorted: File,
}

impl Default for SpoolWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl SpoolWriter {
    /// An empty set.
    pub fn new() -> Self {
        Self { memory: Vec::new(), runs: Vec::new() }
    }

    /// Adds a mark. `scratch` takes what memory does not hold.
    pub fn add(&mut self, mark: Mark, scratch: &Path) -> io::Result<()> {
        self.memory.push(mark);
        if self.memory.len() >= IN_MEMORY { self.spill(scratch) } else { Ok(()) }
    }

    fn spill(&mut self, scratch: &Path) -> io::Result<()> {
        self.memory.sort_unstable();
        let mut out = BufWriter::new(unnamed(scratch)?);
        for mark in &self.memory {
            out.write_all(mark)?;
        }
        self.memory.clear();
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(file);
        Ok(())
    }

    /// Sorts and counts. The set lies in an unnamed file until [`Finished::keep`] gives it a name.
    pub fn finish(mut self, scratch: &Path) -> io::Result<Finished> {
        self.memory.sort_unstable();
        let mut sources: Vec<Box<dyn Iterator<Item = io::Result<Mark>>>> = Vec::new();
        for run in self.runs {
            sources.push(Box::new(marks_of(BufReader::new(run))));
        }
        sources.push(Box::new(self.memory.into_iter().map(Ok)));

        let mut heap = BinaryHeap::new();
        for (place, source) in sources.iter_mut().enumerate() {
            if let Some(mark) = source.next().transpose()? {
                heap.push(Reverse((mark, place)));
            }
        }
        let mut out = BufWriter::new(unnamed(scratch)?);
        let (mut hash, mut len, mut last) = (Context::new(&SHA256), 0u64, None);
        while let Some(Reverse((mark, place))) = heap.pop() {
            if last != Some(mark) {
                out.write_all(&mark)?;
                hash.update(&mark);
                len += 1;
                last = Some(mark);
            }
            if let Some(next) = sources.get_mut(place).and_then(Iterator::next).transpose()? {
                heap.push(Reverse((next, place)));
            }
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(hash.finish().as_ref());
        let sorted = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Finished { digest: Digest(digest), len, sorted })
    }
}

impl Finished {
    /// Gives the set its place. An identical set may be there already.
    pub fn keep(mut self, path: &Path, scratch: &Path) -> io::Result<Spool> {
        if !path.exists() {
            self.sorted.rewind()?;
            durable::replace_from(path, &mut self.sorted, durable::PRIVATE, scratch)?;
        }
        Ok(Spool::over(self.sorted, self.len))
    }

    /// The set without a place: for previews.
    pub fn anonymous(self) -> Spool {
        Spool::over(self.sorted, self.len)
    }
}

impl Spool {
    /// Opens a kept set and checks that it is the one with this digest.
    pub fn open(path: &Path, digest: &Digest) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut hash = Context::new(&SHA256);
        let mut buffer = vec![0; 65_536];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(buffer.get(..read).unwrap_or_default());
        }
        if hash.finish().as_ref() != digest.0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the plan's set is not the one that was made"));
        }
        let len = file.metadata()?.len() / 16;
        Ok(Self::over(file, len))
    }

    /// How many marks.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn over(file: File, len: u64) -> Self {
        Self { file, len, firsts: std::sync::OnceLock::new() }
    }

    /// Whether the mark is in the set: one block is read from the disk.
    pub fn contains(&self, mark: &Mark) -> io::Result<bool> {
        let firsts = if let Some(firsts) = self.firsts.get() {
            firsts
        } else {
            let found = self.first_of_each_block()?;
            self.firsts.get_or_init(|| found)
        };
        let Some(block) = firsts.partition_point(|first| first <= mark).checked_sub(1) else { return Ok(false) };
        let from = (block * BLOCK) as u64;
        let many = usize::try_from(self.len - from).map_or(BLOCK, |left| left.min(BLOCK));
        let mut bytes = [0; BLOCK * 16];
        let bytes = bytes.get_mut(..many * 16).unwrap_or_default();
        self.file.read_exact_at(bytes, from * 16)?;
        let (marks, _) = bytes.as_chunks::<16>();
        Ok(marks.binary_search(mark).is_ok())
    }

    fn first_of_each_block(&self) -> io::Result<Vec<Mark>> {
        let places = (0..self.len).step_by(BLOCK);
        let first = |place| {
            let mut mark = [0; 16];
            self.file.read_exact_at(&mut mark, place * 16).map(|()| mark)
        };
        places.map(first).collect()
    }

    /// The marks, sorted.
    pub fn marks(&self) -> io::Result<impl Iterator<Item = io::Result<Mark>>> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(marks_of(BufReader::new(file)))
    }

    /// Marks that only this set has, and marks that only the other has.
    pub fn difference(&self, other: &Self) -> io::Result<(u64, u64)> {
        let (mut mine, mut theirs) = (self.marks()?, other.marks()?);
        let (mut a, mut b) = (mine.next().transpose()?, theirs.next().transpose()?);
        let (mut only_mine, mut only_theirs) = (0, 0);
        loop {
            match (a, b) {
                (None, None) => return Ok((only_mine, only_theirs)),
                (Some(x), Some(y)) if x == y => {
                    a = mine.next().transpose()?;
                    b = theirs.next().transpose()?;
                }
                (Some(x), y) if y.is_none_or(|y| x < y) => {
                    only_mine += 1;
                    a = mine.next().transpose()?;
                }
                _ => {
                    only_theirs += 1;
                    b = theirs.next().transpose()?;
                }
            }
        }
    }
}

fn marks_of(mut from: impl Read) -> impl Iterator<Item = io::Result<Mark>> {
    std::iter::from_fn(move || {
        let mut mark = [0; 16];
        match from.read_exact(&mut mark) {
            Ok(()) => Some(Ok(mark)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => Some(Err(error)),
        }
    })
}

/// A file without a name: the kernel removes it however the process ends.
pub(super) fn unnamed(folder: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    use rustix::io::Errno;
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match openat(CWD, folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(File::from(file)),
        // A file system without unnamed files: a name for a moment.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
            let path = folder.join(format!(".spool-{}", hex::encode(crate::random::bytes::<8>())));
            let file = File::options().read(true).write(true).create_new(true).open(&path)?;
            durable::remove(&path)?;
            Ok(file)
        }
        Err(error) => Err(error.into()),
    }
}

/// Where a plan's set lies.
pub fn set_path(state: &Path, plan: &crate::domain::id::PlanId) -> PathBuf {
    state.join("plans").join(format!("{plan}.set"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(n: u64) -> Mark {
        let mut mark = [0; 16];
        mark[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        mark
    }

    #[test]
    fn a_set_is_the_same_in_any_order_and_size() {
        let folder = tempfile::tempdir().unwrap();
        let many = 200_000;
        let write = |order: &mut dyn Iterator<Item = u64>| {
            let mut writer = SpoolWriter::new();
            for n in order {
                writer.add(mark(n), folder.path()).unwrap();
            }
            writer.finish(folder.path()).unwrap()
        };
        let forth = write(&mut (0..many));
        let back = write(&mut (0..many).rev().chain(0..10));
        assert_eq!((forth.digest, forth.len), (back.digest, many));
        let path = folder.path().join("a.set");
        let digest = forth.digest;
        forth.keep(&path, folder.path()).unwrap();
        let spool = Spool::open(&path, &digest).unwrap();
        assert!((0..many).step_by(7).all(|n| spool.contains(&mark(n)).unwrap()));
        assert!((many..many + 1000).all(|n| !spool.contains(&mark(n)).unwrap()));
        assert!(!spool.contains(&[0xff; 16]).unwrap());
        assert!(Spool::open(&path, &Digest([0; 32])).is_err());
        let other = write(&mut (5..many + 2)).anonymous();
        assert_eq!(spool.difference(&other).unwrap(), (5, 2));
    }
}

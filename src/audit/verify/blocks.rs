//! The journal in blocks of lines with their leaves: one thread reads, hashes and reads plain outcomes ahead of the one that
//! holds the lines against each other, the heads and the tiles. A block is bounded, and so is how many of them wait.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::mpsc::SyncSender;

use super::lines::{Brief, Line, Shared};
use crate::audit::regular;
use crate::audit::tile::MAX_ENTRY;
use crate::audit::tree::leaf_hash;
use crate::domain::digest::Digest;

/// Bytes of a block, but for the rest of its last line.
const BLOCK: usize = 128 * 1024;
/// Blocks that wait.
pub(super) const AHEAD: usize = 2;

/// Lines of one segment, in their order.
#[derive(Debug, Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    lines: Vec<Ended>,
    shared: Vec<Shared>,
}

/// A line of a block.
#[derive(Debug)]
struct Ended {
    to: usize,
    whole: bool,
    leaf: Digest,
    /// Where it is a plain outcome.
    brief: Option<Brief>,
}

/// A line of a block, looked at.
pub(super) struct Seen<'a> {
    /// Without its newline.
    pub(super) bytes: &'a [u8],
    /// Whether it has one.
    pub(super) whole: bool,
    pub(super) leaf: Digest,
    /// What it says, where it is a plain outcome; else it was not read.
    pub(super) line: Option<Line<'a>>,
}

impl Block {
    pub(super) fn lines(&self) -> impl Iterator<Item = Seen<'_>> {
        let mut from = 0;
        self.lines.iter().map(move |Ended { to, whole, leaf, brief }| {
            let bytes = self.bytes.get(from..*to).unwrap_or_default();
            from = to + usize::from(*whole);
            let line = brief.as_ref().and_then(|brief| brief.line(&self.shared));
            Seen { bytes, whole: *whole, leaf: *leaf, line }
        })
    }

    /// Reads on; false at the end of the file. What is longer than an entry can be comes in pieces.
    fn fill(&mut self, input: &mut impl BufRead) -> io::Result<bool> {
        let most = MAX_ENTRY as u64 + 1;
        while self.bytes.len() < BLOCK {
            let from = self.bytes.len();
            if input.take(most).read_until(b'\n', &mut self.bytes)? == 0 {
                return Ok(false);
            }
            let whole = self.bytes.last() == Some(&b'\n');
            let to = self.bytes.len() - usize::from(whole);
            let line = self.bytes.get(from..to).unwrap_or_default();
            let (leaf, brief) = (leaf_hash(line), Brief::of(line, &mut self.shared));
            self.lines.push(Ended { to, whole, leaf, brief });
        }
        Ok(true)
    }
}

/// What is sent of the segment with this number: a block, `None` at its end, or why it can't be read.
pub(super) type Sent = (usize, io::Result<Option<Block>>);

/// Sends the blocks of these files, until nobody takes them any more.
pub(super) fn send(folder: &Path, files: &[String], to: &SyncSender<Sent>) {
    for (number, file) in files.iter().enumerate() {
        if send_one(number, &folder.join(file), to).is_none() {
            return;
        }
    }
}

/// `None` once nobody takes them.
fn send_one(number: usize, path: &Path, to: &SyncSender<Sent>) -> Option<()> {
    let mut input = match regular::open(path) {
        Ok(file) => BufReader::with_capacity(BLOCK, file),
        Err(error) => return to.send((number, Err(error))).ok(),
    };
    loop {
        let mut block = Block { bytes: Vec::with_capacity(BLOCK + 1024), ..Block::default() };
        let more = block.fill(&mut input);
        if !block.lines.is_empty() {
            to.send((number, Ok(Some(block)))).ok()?;
        }
        match more {
            Ok(true) => {}
            Ok(false) => return to.send((number, Ok(None))).ok(),
            Err(error) => return to.send((number, Err(error))).ok(),
        }
    }
}

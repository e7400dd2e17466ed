//! The one pass over the journal: every entry, every head at its size, every tile as it fills.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::batches::Batches;
use super::blocks::{self, Block, Seen};
use super::heads::{self, HeadLine, HeadLines, KeyChain, SignedLine};
use super::lines::{self, Say};
use super::tiles::Tiles;
use super::walk;
use super::{Faults, Options, Report};
use crate::audit::entry::Body;
use crate::audit::note::{BadNote, Checkpoint, Note, VerifierKey};
use crate::audit::regular;
use crate::audit::tile::LEVELS;
use crate::audit::tree::Frontier;
use crate::codes;
use crate::domain::outcome::Outcome;

/// Clocks of one machine may step back a little.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// A head that is still to be reached.
#[derive(Debug)]
pub(super) struct NextHead {
    pub(super) signed: SignedLine,
    pub(super) line: u64,
}

/// A checkpoint from outside.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) name: String,
    pub(super) note: Note,
    pub(super) checkpoint: Checkpoint,
    /// Whether its root is the journal's at its size; `None` until that is reached.
    pub(super) fits: Option<bool>,
}

/// All that is known while the entries go by.
pub(super) struct Pass<'a> {
    pub(super) folder: &'a Path,
    pub(super) options: &'a Options,
    pub(super) faults: Faults,
    pub(super) told: Vec<String>,
    pub(super) published: Option<Vec<u8>>,
    pub(super) published_size: Option<u64>,
    pub(super) heads: Option<HeadLines>,
    pub(super) next: Option<NextHead>,
    pub(super) head_count: u64,
    pub(super) newest: Option<Checkpoint>,
    pub(super) altered: bool,
    pub(super) seals: bool,
    pub(super) sealed_unsigned: bool,
    pub(super) outside: Vec<Outside>,
    pub(super) chain: Option<KeyChain>,
    pub(super) frontier: Frontier,
    pub(super) tiles: Tiles,
    pub(super) drift: i128,
    pub(super) counts: BTreeMap<String, u64>,
    /// Entries of the kind `outcome`.
    pub(super) outcomes: u64,
    pub(super) batches: Batches,
    pub(super) latest: Option<(u64, DateTime<Utc>)>,
    pub(super) backwards: u64,
}

impl<'a> Pass<'a> {
    /// Reads what must be read before the journal, so that a writer at work is always ahead of us: the outside heads
    /// (the caller did), then the checkpoint, then the heads.
    pub(super) fn new(folder: &'a Path, options: &'a Options) -> Self {
        let mut faults = Faults::default();
        let published = match regular::bytes(&folder.join(walk::CHECKPOINT)) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                faults.add(codes::LOG_UNREADABLE, walk::CHECKPOINT, format!("can't be read: {}", error.kind()));
                None
            }
        };
        let checkpoint = published.as_deref().and_then(read_note).map(|(_, checkpoint)| checkpoint);
        let heads = match HeadLines::open(folder) {
            Ok(heads) => Some(heads),
            Err(error) => {
                faults.add(codes::HEADS_DAMAGED, heads::FILE, format!("there are no signed heads: {}", error.kind()));
                None
            }
        };
        let published_size = checkpoint.map(|checkpoint| checkpoint.size);
        let tiles = Tiles::new(folder, published_size.unwrap_or(0));
        let mut pass = Self {
            folder,
            options,
            faults,
            told: Vec::new(),
            published,
            published_size,
            heads,
            next: None,
            head_count: 0,
            newest: None,
            altered: false,
            seals: false,
            sealed_unsigned: false,
            outside: Vec::new(),
            chain: None,
            frontier: Frontier::default(),
            tiles,
            drift: 0,
            counts: BTreeMap::new(),
            outcomes: 0,
            batches: Batches::default(),
            latest: None,
            backwards: 0,
        };
        pass.read_outside();
        pass.next_head();
        pass
    }

    /// Goes through the journal and gives the answer.
    pub(super) fn run(mut self) -> Report {
        let segments = walk::look(self.folder, &mut self.faults);
        self.compare_outside();
        let files: Vec<String> = segments.iter().map(|name| format!("{}/{name}.jsonl", walk::JOURNAL)).collect();
        std::thread::scope(|scope| {
            let (to, from) = std::sync::mpsc::sync_channel(blocks::AHEAD);
            let (folder, of) = (self.folder, &files);
            scope.spawn(move || blocks::send(folder, of, &to));
            let mut empty = true;
            for (number, block) in from {
                let (Some(file), Some(name)) = (files.get(number), segments.get(number)) else { break };
                match block {
                    Ok(Some(block)) => {
                        empty = false;
                        if !self.block(file, name, number + 1 == files.len(), &block) {
                            break;
                        }
                    }
                    Ok(None) => {
                        if std::mem::replace(&mut empty, true) {
                            let text = "is empty: no writer leaves an empty file in the journal";
                            self.faults.add(codes::FOREIGN_FILE, file, text);
                        }
                    }
                    Err(error) => {
                        empty = true;
                        self.faults.add(codes::LOG_UNREADABLE, file, format!("can't be read: {}", error.kind()));
                    }
                }
            }
        });
        self.finish()
    }

    fn read_outside(&mut self) {
        for against in &self.options.against {
            let Some((note, checkpoint)) = read_note(&against.note) else {
                self.faults.add(codes::OUTSIDE_DIFFERS, &against.name, "is no signed checkpoint");
                continue;
            };
            self.outside.push(Outside { name: against.name.clone(), note, checkpoint, fits: None });
        }
    }

    /// Reads on to the next whole head.
    fn next_head(&mut self) {
        self.next = None;
        while let Some(heads) = &mut self.heads {
            let line = heads.read();
            let number = heads.number();
            match line {
                Ok(Some(HeadLine::Head(signed))) => {
                    let size = signed.checkpoint.size;
                    let grows = self.newest.as_ref().is_none_or(|newest| newest.size < size);
                    if grows && size > 0 {
                        self.next = Some(NextHead { signed: *signed, line: number });
                        return;
                    }
                    let text = format!("line {number} is a head of {size} entries after one of as many or more");
                    self.faults.add(codes::HEADS_DAMAGED, heads::FILE, text);
                }
                Ok(Some(HeadLine::Damaged)) => {
                    self.faults.add(codes::HEADS_DAMAGED, heads::FILE, format!("line {number} is no signed head"));
                }
                Ok(Some(HeadLine::Torn)) => self.told.push("the last line of heads is torn: a crash cut it off".into()),
                Ok(None) => self.heads = None,
                Err(error) => {
                    self.faults.add(codes::LOG_UNREADABLE, heads::FILE, format!("can't be read: {}", error.kind()));
                    self.heads = None;
                }
            }
        }
    }

    /// False where the last line of all is torn.
    fn block(&mut self, file: &str, name: &str, last: bool, block: &Block) -> bool {
        for seen in block.lines() {
            if self.next.is_none() && last && (!seen.whole || seen.bytes.contains(&0)) {
                self.told.push(format!(
                    "the last line of {file} is torn: a crash or a power cut ended it, or it is being written"
                ));
                return false;
            }
            self.line(file, name, seen);
        }
        true
    }

    fn line(&mut self, file: &str, segment: &str, seen: Seen<'_>) {
        let position = self.frontier.size();
        let Seen { bytes, whole, leaf, line } = seen;
        match line.map_or_else(|| lines::read(bytes), Ok) {
            Ok(line) if whole => {
                let drift = i128::from(line.index) - i128::from(position);
                if drift != self.drift {
                    self.drift = drift;
                    let text = format!("where entry {position} must stand is entry {}", line.index);
                    self.faults.add(codes::ENTRY_ORDER, file, text);
                }
                if line.segment != segment {
                    let text = format!("entry {position} says that it belongs to segment {}", line.segment);
                    self.faults.add(codes::ENTRY_ORDER, file, text);
                }
                self.time(position, line.time);
                self.say(file, position, line.say);
            }
            Ok(_) => self.faults.add(codes::ENTRY_DAMAGED, file, format!("the line of entry {position} has no end")),
            Err(bad) => self.faults.add(codes::ENTRY_DAMAGED, file, format!("at entry {position}: {bad}")),
        }
        let mut tops = [None; LEVELS as usize];
        self.frontier.grow(leaf, |level, node| {
            if level % 8 == 0
                && let Some(top) = tops.get_mut(level / 8)
            {
                *top = Some(*node);
            }
        });
        self.tiles.push(&tops, bytes, &mut self.faults);
        self.reach();
    }

    fn time(&mut self, index: u64, time: DateTime<Utc>) {
        match self.latest {
            Some((_, latest)) if time >= latest => self.latest = Some((index, time)),
            None => self.latest = Some((index, time)),
            Some((before, latest)) if time + TOLERANCE < latest => {
                self.backwards += 1;
                if self.backwards == 1 {
                    let minutes = (latest - time).num_minutes();
                    self.told.push(format!(
                        "entry {index} is dated {minutes} minutes before entry {before}: the machine's time went back"
                    ));
                }
            }
            Some(_) => {}
        }
    }

    fn say(&mut self, file: &str, index: u64, say: Say<'_>) {
        match &say {
            Say::Outcome { .. } => self.outcomes += 1,
            Say::Body(body) => *self.counts.entry(body.kind()).or_default() += 1,
        }
        let fits = match say {
            Say::Outcome { batch, part, record, result } => self.batches.outcome(index, batch, (record, part), result),
            Say::Body(body) => match *body {
                Body::Outcome { batch, part, record, result, .. } => {
                    self.batches.outcome(index, batch.as_str(), (record, part.as_str()), result)
                }
                Body::BatchIntended { batch, count, .. } => self.batches.intend(batch.as_str(), index, count),
                Body::UndoIntended { undo, count, .. } => self.batches.intend(undo.as_str(), index, count),
                // As final as an outcome, whatever the word for it is.
                Body::Restored { undo, part, record, .. } => {
                    self.batches.outcome(index, undo.as_str(), (record, part.as_str()), Outcome::Unknown)
                }
                Body::Settled { batch, count, .. } => self.batches.settle(index, batch.as_str(), count),
                body => {
                    self.keys(file, index, &body);
                    Ok(())
                }
            },
        };
        if let Err(text) = fits {
            self.faults.add(codes::BATCH_OUTCOMES, file, text);
        }
    }

    /// Init names the first key, KeyChanged each later one.
    fn keys(&mut self, file: &str, index: u64, body: &Body) {
        match body {
            Body::Init { origin, verifier, heads, .. } if index == 0 => match VerifierKey::parse(verifier) {
                Ok(key) if key.name() == origin => {
                    self.seals = heads.is_some();
                    self.chain = Some(KeyChain::new(key));
                }
                Ok(_) => self.faults.add(codes::LOG_KEY, file, "the first entry's key bears another name than the log"),
                Err(bad) => self.faults.add(codes::KEY_DAMAGED, file, format!("the first entry's key is {bad}")),
            },
            Body::Init { .. } => {
                self.faults.add(codes::ENTRY_ORDER, file, format!("entry {index} begins a log in the middle of one"));
            }
            Body::KeyChanged { purpose, id, change, proof, .. } if purpose == "signing" && change == "replaced" => {
                let passed = self.chain.as_mut().map(|chain| chain.pass_on(id, proof.as_deref()));
                if let Some(Err(text)) = passed {
                    self.faults.add(codes::KEY_CHANGE, file, format!("entry {index}: {text}"));
                }
            }
            _ => {}
        }
        if index == 0 && !matches!(body, Body::Init { .. }) {
            self.faults.add(codes::ENTRY_ORDER, file, "the first entry does not begin a log");
        }
    }

    /// Compares what was signed for the size that is reached now.
    fn reach(&mut self) {
        self.compare_outside();
        let size = self.frontier.size();
        while let Some(head) = self.next.take_if(|head| head.signed.checkpoint.size <= size) {
            self.head(&head);
            self.head_count += 1;
            self.newest = Some(head.signed.checkpoint);
            self.next_head();
        }
    }

    fn compare_outside(&mut self) {
        let size = self.frontier.size();
        for outside in self.outside.iter_mut().filter(|outside| outside.checkpoint.size == size) {
            outside.fits = Some(outside.checkpoint.root == self.frontier.root());
        }
    }

    fn head(&mut self, head: &NextHead) {
        let NextHead { signed, line } = head;
        let (note, checkpoint) = (&signed.note, &signed.checkpoint);
        let size = checkpoint.size;
        if self.published.as_deref() == Some(note.encode().as_bytes()) {
            self.published = None;
        }
        if checkpoint.root != self.frontier.root() && !self.altered {
            self.altered = true;
            let from = self.newest.as_ref().map_or(0, |newest| newest.size);
            let text = format!(
                "entries 0 to {} do not give the root that the head in line {line} signed; up to entry {from} they did, so \
                 an entry behind it was altered, moved, added or removed (every later head fails with it)",
                size - 1
            );
            self.faults.add(codes::LOG_ALTERED, walk::JOURNAL, text);
        }
        let Some(chain) = &mut self.chain else {
            if !std::mem::replace(&mut self.sealed_unsigned, true) {
                self.faults.add(
                    codes::LOG_KEY,
                    heads::FILE,
                    "no key to check the heads with: the first entry names none",
                );
            }
            return;
        };
        let origin = chain.keys().first().map_or("", VerifierKey::name);
        if checkpoint.origin != origin {
            let text = format!("line {line} is a head of another log, `{}`", checkpoint.origin);
            return self.faults.add(codes::HEADS_DAMAGED, heads::FILE, text);
        }
        if signed.seal.is_some() != self.seals || (self.seals && !chain.is_sealed(signed)) {
            let text = format!("line {line} is not sealed to the line before it: one was removed, added or altered");
            self.faults.add(codes::HEADS_DAMAGED, heads::FILE, text);
        }
        match chain.check(note) {
            Ok(()) => {}
            Err(BadNote::UnknownKey) => {
                let text = format!("line {line} is not signed by the key that is in force there");
                self.faults.add(codes::LOG_KEY, heads::FILE, text);
            }
            Err(bad) => self.faults.add(codes::HEADS_DAMAGED, heads::FILE, format!("line {line}: {bad}")),
        }
    }
}

pub(super) fn read_note(bytes: &[u8]) -> Option<(Note, Checkpoint)> {
    let note = Note::read(std::str::from_utf8(bytes).ok()?).ok()?;
    let checkpoint = note.checkpoint().ok()?;
    Some((note, checkpoint))
}

/// Reads what stands in a file, for [`super::Against`].
pub(super) fn file_bytes(path: &Path) -> io::Result<Vec<u8>> {
    regular::short(path)
}

//! Verification of a log by nothing but its files and a public key. It repairs nothing and writes nothing.
//!
//! It shares with the writer only [`super::entry`], [`super::tree`], [`super::tile`] and [`super::note`]; all else is
//! read and worked out again here, in one pass and in flat memory.

mod batches;
mod blocks;
mod finish;
mod heads;
mod lines;
mod pass;
mod tiles;
mod walk;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::codes::Code;
use crate::domain::digest::Digest;

/// Faults of one kind that are listed; the rest is counted.
const LISTED: u64 = 10;

/// Where the trusted public key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// From the policy, the command line, or paper.
    Given(Vec<String>),
    /// From the machine that writes the log: who owns the machine owns the key.
    Machine(Vec<String>),
    /// From the log itself: this finds damage, and not a log that was signed again.
    Log,
}

/// A checkpoint from outside the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Against {
    /// What it is called in the answer: a path, or "the last head".
    pub name: String,
    /// Its bytes.
    pub note: Vec<u8>,
}

impl Against {
    /// Reads a checkpoint from a file, named after its path.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(Self { name: path.display().to_string(), note: pass::file_bytes(path)? })
    }
}

/// What to verify with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The trusted keys.
    pub keys: Keys,
    /// Checkpoints from outside; they must be read before the verification begins.
    pub against: Vec<Against>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What `bewaard explain` says of it.
    pub code: &'static Code,
    /// The file, below the log's folder, or the name of what was compared.
    pub file: String,
    /// What is wrong.
    pub text: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The log's name.
    pub origin: String,
    /// The sealed entries: those below the newest head.
    pub size: u64,
    /// Their root.
    pub root: Digest,
    /// The public key that signs the newest head.
    pub key: Option<String>,
    /// Signed heads.
    pub heads: u64,
    /// Entries by kind, sealed or not.
    pub counts: BTreeMap<String, u64>,
    /// Outside checkpoints that agree.
    pub agreed: Vec<String>,
    /// What a reader should know, and what is no fault.
    pub told: Vec<String>,
    /// What must not be. Empty means: verified.
    pub faults: Vec<Fault>,
}

impl Report {
    /// Whether everything verified.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// The answer in one sentence.
    pub fn sentence(&self) -> String {
        let size = self.size;
        if !self.is_sound() {
            return format!("NOT verified: {} found", plural(self.faults.len() as u64, "fault", "faults"));
        }
        let entries = plural(size, "entry", "entries");
        if self.agreed.is_empty() {
            format!("verified: {entries}, complete as far as this folder knows")
        } else {
            format!("verified: {entries}, in agreement with {}", self.agreed.join(", "))
        }
    }
}

fn plural(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// Collects faults, and only counts those of a kind that many were found of.
#[derive(Debug, Default)]
struct Faults {
    list: Vec<Fault>,
    seen: BTreeMap<&'static str, (u64, &'static str)>,
}

impl Faults {
    fn add(&mut self, code: &'static Code, file: impl Into<String>, text: impl Into<String>) {
        let seen = self.seen.entry(code.id).or_insert((0, code.title));
        seen.0 += 1;
        if seen.0 <= LISTED {
            self.list.push(Fault { code, file: file.into(), text: text.into() });
        }
    }

    fn finish(self, told: &mut Vec<String>) -> Vec<Fault> {
        for (id, (count, title)) in self.seen {
            if count > LISTED {
                told.push(format!("{} more faults of kind {id} are not listed: {title}", count - LISTED));
            }
        }
        self.list
    }
}

/// Verifies the log in a folder. Whatever goes wrong is a fault in the report.
pub fn verify(folder: &Path, options: &Options) -> Report {
    pass::Pass::new(folder, options).run()
}

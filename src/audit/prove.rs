//! Proofs for a stranger: that one entry is in the log (C2SP tlog-proof), and that a log only grew.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::note::{BadNote, Checkpoint, Note, VerifierKey};
use super::publish::{self, CHECKPOINT, tile_reader};
use super::tree::{self, leaf_hash};
use crate::codes::{self, Code};
use crate::domain::digest::Digest;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Why there is no proof, or why it does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ProofFault {
    /// The published checkpoint can't be read.
    #[error("nothing is published in {}: `bewaard init` publishes the newest head", .path.display())]
    NotPublished {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The entry is newer than the published checkpoint.
    #[error("entry {index} is not below the published checkpoint of {size} entries: publish first (`bewaard init`)")]
    TooNew {
        /// The entry.
        index: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// A tile is missing or damaged.
    #[error("the tile {} is missing or damaged: `bewaard log verify`, then `bewaard init`", .0.display())]
    Tile(PathBuf),
    /// The tiles do not lead to the checkpoint.
    #[error("the tiles do not lead to the checkpoint's root: `bewaard log verify` says why")]
    Tiles,
    /// The text is no proof.
    #[error("this is not a proof in the form {HEADER}")]
    Form,
    /// The signed checkpoint in it is none, or not by this key.
    #[error("the proof's checkpoint does not hold: {0}")]
    Note(BadNote),
    /// The entry and the hashes do not lead to the checkpoint's root.
    #[error("the entry and the proof's hashes do not lead to the checkpoint's root: one of them was altered")]
    Root,
}

impl ProofFault {
    /// What `bewaard explain` says of it.
    pub fn code(&self) -> &'static Code {
        match self {
            Self::NotPublished { .. } | Self::TooNew { .. } | Self::Tile(_) => codes::TILE_MISSING,
            Self::Tiles => codes::TILE_DAMAGED,
            Self::Form | Self::Note(_) | Self::Root => codes::PROOF_INVALID,
        }
    }
}

/// The proof that one entry is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The entry's place.
    pub index: u64,
    /// The siblings from the leaf up.
    pub hashes: Vec<Digest>,
    /// The signed checkpoint.
    pub note: Note,
}

/// Proves that an entry is in the published checkpoint. `line` is the entry's line; the proof is checked before it is
/// given.
pub fn prove(folder: &Path, index: u64, line: &[u8]) -> Result<Proof, ProofFault> {
    let text = publish::checkpoint(folder)
        .map_err(|cause| ProofFault::NotPublished { path: folder.join(CHECKPOINT), cause })?;
    let note = Note::read(&text).map_err(ProofFault::Note)?;
    let checkpoint = note.checkpoint().map_err(ProofFault::Note)?;
    let size = checkpoint.size;
    if index >= size {
        return Err(ProofFault::TooNew { index, size });
    }
    let hashes = tree::inclusion_proof(index, size, tile_reader(folder, size)).map_err(ProofFault::Tile)?;
    if !tree::verify_inclusion(&leaf_hash(line), index, size, &hashes, &checkpoint.root) {
        return Err(ProofFault::Tiles);
    }
    Ok(Proof { index, hashes, note })
}

impl Proof {
    /// The proof's text, for a file named `*.tlog-proof`.
    pub fn encode(&self) -> String {
        let hashes: String = self.hashes.iter().map(|hash| STANDARD.encode(hash.0) + "\n").collect();
        format!("{HEADER}\nindex {}\n{hashes}\n{}", self.index, self.note.encode())
    }

    /// Reads a proof's text. An `extra` line, which other programs may add, is not looked at.
    pub fn read(text: &str) -> Result<Self, ProofFault> {
        let rest = text.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('\n')).ok_or(ProofFault::Form)?;
        let (head, note) = rest.split_once("\n\n").ok_or(ProofFault::Form)?;
        let mut lines = head.split('\n').skip_while(|line| line.starts_with("extra "));
        let number = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(ProofFault::Form)?;
        let index: u64 = number.parse().map_err(|_| ProofFault::Form)?;
        let hashes = lines.map(read_hash).collect::<Option<Vec<_>>>().filter(|hashes| hashes.len() < 64);
        let note = Note::read(note).map_err(ProofFault::Note)?;
        match hashes {
            Some(hashes) if index.to_string() == number => Ok(Self { index, hashes, note }),
            _ => Err(ProofFault::Form),
        }
    }

    /// Whether this entry's line is in the log that one of these keys signed. Gives the checkpoint that says so.
    pub fn verify(&self, line: &[u8], keys: &[&VerifierKey]) -> Result<Checkpoint, ProofFault> {
        let checkpoint = self.note.checkpoint().map_err(ProofFault::Note)?;
        let signed = self.note.verify(keys).map_err(ProofFault::Note)?;
        if !signed.iter().any(|key| key.name() == checkpoint.origin) {
            return Err(ProofFault::Note(BadNote::UnknownKey));
        }
        let (size, root) = (checkpoint.size, &checkpoint.root);
        let holds = tree::verify_inclusion(&leaf_hash(line), self.index, size, &self.hashes, root);
        if holds { Ok(checkpoint) } else { Err(ProofFault::Root) }
    }
}

fn read_hash(line: &str) -> Option<Digest> {
    Some(Digest(STANDARD.decode(line).ok()?.try_into().ok()?))
}

/// The hashes that show that the log at `new` entries begins with the log at `old` entries, from the published tiles.
/// [`tree::verify_consistency`] checks them against the two roots.
pub fn prove_growth(folder: &Path, old: &Checkpoint, new: &Checkpoint) -> Result<Vec<Digest>, ProofFault> {
    let hashes =
        tree::consistency_proof(old.size, new.size, tile_reader(folder, new.size)).map_err(ProofFault::Tile)?;
    let holds = tree::verify_consistency(old.size, &old.root, new.size, &new.root, &hashes);
    if holds { Ok(hashes) } else { Err(ProofFault::Root) }
}

//! The file `heads`, line by line: form, growth, signatures, and the passing on of the key.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::audit::note::{BadNote, Checkpoint, Note, VerifierKey, heads_line_text, key_change_text};
use crate::audit::regular;

/// The file's name.
pub(super) const FILE: &str = "heads";
/// Longer than any head's line.
const MAX_LINE: u64 = 16 * 1024;

/// A line of `heads`.
#[derive(Debug)]
pub(super) enum HeadLine {
    Head(Box<SignedLine>),
    /// Not a head.
    Damaged,
    /// The last line, without an end.
    Torn,
}

/// A head, and what binds it to the line before it.
#[derive(Debug)]
pub(super) struct SignedLine {
    pub(super) note: Note,
    pub(super) checkpoint: Checkpoint,
    /// The signature over this line and the one before, where there is one.
    pub(super) seal: Option<Vec<u8>>,
    /// The line before, without its newline.
    pub(super) before: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    note: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    seal: Option<String>,
}

/// Reads `heads` as long as it is when this is made: what a writer adds later is not looked at.
#[derive(Debug)]
pub(super) struct HeadLines {
    file: io::Take<BufReader<File>>,
    number: u64,
    before: Vec<u8>,
}

impl HeadLines {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let file = regular::open(&folder.join(FILE))?;
        let length = file.metadata()?.len();
        Ok(Self { file: BufReader::new(file).take(length), number: 0, before: Vec::new() })
    }

    /// The number of the line read last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn read(&mut self) -> io::Result<Option<HeadLine>> {
        let mut line = Vec::new();
        let read = self.file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? as u64;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(match line.pop() {
            Some(b'\n') if line.contains(&0) && self.file.fill_buf()?.is_empty() => HeadLine::Torn,
            Some(b'\n') => {
                let before = std::mem::replace(&mut self.before, line.clone());
                read_head(&line, before).map_or(HeadLine::Damaged, |head| HeadLine::Head(Box::new(head)))
            }
            _ if read == MAX_LINE => HeadLine::Damaged,
            _ => HeadLine::Torn,
        }))
    }
}

/// A head's line is `{"note":"..."}` or `{"note":"...","seal":"..."}`, with no byte to spare.
fn read_head(line: &[u8], before: Vec<u8>) -> Option<SignedLine> {
    let fields: Fields = serde_json::from_slice(line).ok()?;
    if serde_json::to_vec(&fields).ok()? != line {
        return None;
    }
    let seal = match &fields.seal {
        Some(seal) => Some(STANDARD.decode(seal).ok()?),
        None => None,
    };
    let note = Note::read(&fields.note).ok()?;
    let checkpoint = note.checkpoint().ok()?;
    // No extension lines: they would say something that nobody here looks at.
    (checkpoint.text() == note.text).then_some(SignedLine { note, checkpoint, seal, before })
}

/// Which key signs, from the first on.
#[derive(Debug)]
pub(super) struct KeyChain {
    keys: Vec<VerifierKey>,
    next: Option<VerifierKey>,
}

impl KeyChain {
    pub(super) fn new(first: VerifierKey) -> Self {
        Self { keys: vec![first], next: None }
    }

    /// Every key that ever signed, the newest last.
    pub(super) fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// An entry names the next key. It counts from the head over this entry on.
    pub(super) fn pass_on(&mut self, id: &str, proof: Option<&str>) -> Result<(), String> {
        let Some(old) = self.keys.last().filter(|_| self.next.is_none()) else {
            return Err("the signing key changes twice between two heads".into());
        };
        let new = VerifierKey::parse(id).map_err(|bad| format!("the new signing key is {bad}"))?;
        let proof = proof.and_then(|proof| STANDARD.decode(proof).ok()).unwrap_or_default();
        if new.name() != old.name() || !new.verify(key_change_text(old.name(), old, &new).as_bytes(), &proof) {
            return Err("the new signing key's own signature is missing or does not fit".into());
        }
        self.next = Some(new);
        Ok(())
    }

    /// Whether the key in force signed this line together with the line before it.
    pub(super) fn is_sealed(&self, line: &SignedLine) -> bool {
        let (Some(key), Some(seal)) = (self.keys.last(), &line.seal) else { return false };
        key.verify(heads_line_text(key.name(), &line.before, &line.note.encode()).as_bytes(), seal)
    }

    /// Checks a head's signatures: exactly the key in force, and with it the next, where an entry names one.
    pub(super) fn check(&mut self, note: &Note) -> Result<(), BadNote> {
        let expected: Vec<_> = self.keys.last().into_iter().chain(&self.next).collect();
        let signed = note.verify(&expected)?;
        if signed.len() != expected.len() {
            return Err(BadNote::UnknownKey);
        }
        if note.signatures.len() != expected.len() {
            // A line that is not looked at is a place to hide in.
            return Err(BadNote::Form);
        }
        self.keys.extend(self.next.take());
        Ok(())
    }
}

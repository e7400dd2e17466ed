//! Notes: the free texts and names that never enter the log.
//!
//! An entry holds SHA-256 over 32 random bytes and the text; the bytes and the text lie here, deletable, so that a
//! reason can be proved while the note lives and is gone when it is removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::digest::Digest;
use crate::{durable, random};

/// The folder of notes.
#[derive(Debug, Clone)]
pub struct Notes(PathBuf);

/// One note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// 32 random bytes, hexadecimal.
    pub salt: String,
    /// What was said.
    pub text: String,
}

impl Note {
    /// The digest that the entry holds.
    pub fn digest(&self) -> Option<Digest> {
        let mut bytes = hex::decode(&self.salt).ok()?;
        bytes.extend_from_slice(self.text.as_bytes());
        Some(Digest::of(&bytes))
    }
}

impl Notes {
    /// The notes of a state folder.
    pub fn new(state: &Path) -> Self {
        Self(state.join("notes"))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join(format!("{digest}.json"))
    }

    /// Keeps a text and gives the digest for its entry. On the disk before the entry is.
    pub fn keep(&self, text: &str) -> io::Result<Digest> {
        let salt: [u8; 32] = random::bytes();
        let note = Note { salt: hex::encode(salt), text: text.to_string() };
        let digest = note.digest().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        durable::folder(&self.0, true)?;
        durable::create(&self.path(&digest), &serde_json::to_vec(&note)?, durable::PRIVATE)?;
        Ok(digest)
    }

    /// The text of an entry's note; `None` when it is gone or was altered.
    pub fn text(&self, digest: &Digest) -> Option<String> {
        let note: Note = serde_json::from_slice(&fs::read(self.path(digest)).ok()?).ok()?;
        (note.digest() == Some(*digest)).then_some(note.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_found_by_its_digest_until_it_is_altered() {
        let folder = tempfile::tempdir().unwrap();
        let notes = Notes::new(folder.path());
        let (one, two) = (notes.keep("looked at with Jan").unwrap(), notes.keep("looked at with Jan").unwrap());
        assert_ne!(one, two, "the same reason twice is two digests");
        assert_eq!(notes.text(&one).as_deref(), Some("looked at with Jan"));
        let altered = Note { salt: "00".repeat(32), text: "other".into() };
        durable::replace(&notes.path(&one), &serde_json::to_vec(&altered).unwrap(), 0o600, folder.path()).unwrap();
        assert_eq!(notes.text(&one), None);
    }
}

//! What a key is for, and its name.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::key_fault::KeyFault;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Commitments to records in the log, one key for each segment.
    Log,
    /// Commitments of holds.
    Holds,
    /// Commitments of plans.
    Plan,
    /// Fingerprints of records.
    Fingerprint,
    /// Pseudonyms.
    Pseudonym,
    /// What is sealed in in-flight files.
    Inflight,
    /// What one run keeps so that it can be undone: a key for each run, until its day.
    Quarantine,
}

impl Purpose {
    /// Every purpose that has a key in force from the start.
    pub const ALL: [Self; 6] = [Self::Log, Self::Holds, Self::Plan, Self::Fingerprint, Self::Pseudonym, Self::Inflight];

    /// Its word, as KeyChanged entries have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Holds => "holds",
            Self::Plan => "plan",
            Self::Fingerprint => "fingerprint",
            Self::Pseudonym => "pseudonym",
            Self::Inflight => "inflight",
            Self::Quarantine => "quarantine",
        }
    }
}

/// A key's id, such as `log-2026-Q4-1a2b3c4d`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl KeyId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segment of a log key.
    pub fn segment(&self) -> Option<&str> {
        self.0.strip_prefix("log-").and_then(|rest| rest.get(..7))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}
impl TryFrom<String> for KeyId {
    type Error = KeyFault;
    fn try_from(text: String) -> Result<Self, KeyFault> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if fits { Ok(Self(text)) } else { Err(KeyFault::Id) }
    }
}

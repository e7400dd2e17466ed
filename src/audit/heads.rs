//! The signed heads beside the journal: `heads`, one line `{"note":"..."}` for each batch.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::journal::{End, Lines};
use super::note::{BadNote, Checkpoint, Note, Signer, VerifierKey, heads_line_text};
use super::regular;

/// The file, below the log's folder.
pub const FILE: &str = "heads";
/// Longer than any head's line.
const MAX_LINE: u64 = 16 * 1024;

/// One signed head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The signed note.
    pub note: Note,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    note: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    seal: Option<String>,
}

impl Head {
    /// Reads a note's bytes. Its signatures are not looked at.
    pub fn read(note: &str) -> Result<Self, BadNote> {
        let note = Note::read(note)?;
        Ok(Self { checkpoint: note.checkpoint()?, note })
    }

    /// Reads a line of `heads`, and whether it is sealed to the line before it; only the bytes that [`Head::line`]
    /// writes are accepted.
    pub fn from_line(line: &[u8]) -> Result<(Self, bool), BadNote> {
        let text: Line = serde_json::from_slice(line).map_err(|_| BadNote::Form)?;
        let head = Self::read(&text.note)?;
        let sealed = text.seal.is_some();
        if head.line_with(text.seal).as_bytes() == line { Ok((head, sealed)) } else { Err(BadNote::Form) }
    }

    /// The line in `heads`, without its newline. Where the log wants it, it is signed together with the line before.
    pub fn line(&self, sealed_to: Option<(&Signer, &[u8])>) -> String {
        let seal = sealed_to.map(|(signer, before)| {
            let text = heads_line_text(&self.checkpoint.origin, before, &self.note.encode());
            STANDARD.encode(signer.sign(text.as_bytes()))
        });
        self.line_with(seal)
    }

    /// Whether a line of this head was sealed to the line before it by the key that signed it first; `None` where it
    /// bears no seal, or that key is none of these.
    pub fn is_sealed(&self, line: &[u8], before: &[u8], keys: &[&VerifierKey]) -> Option<bool> {
        let seal = serde_json::from_slice::<Line>(line).ok()?.seal?;
        let signed = self.note.signatures.first()?;
        let key = keys.iter().find(|key| key.name() == signed.name && key.id() == signed.id)?;
        let text = heads_line_text(&self.checkpoint.origin, before, &self.note.encode());
        Some(STANDARD.decode(seal).is_ok_and(|seal| key.verify(text.as_bytes(), &seal)))
    }

    fn line_with(&self, seal: Option<String>) -> String {
        let note = serde_json::Value::String(self.note.encode());
        match seal.map(serde_json::Value::String) {
            Some(seal) => format!("{{\"note\":{note},\"seal\":{seal}}}"),
            None => format!("{{\"note\":{note}}}"),
        }
    }
}

/// The end of `heads`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// The newest whole head's line.
    pub newest: Option<Vec<u8>>,
    /// The line before it; empty before the first.
    pub before: Vec<u8>,
    /// The offset at which the whole lines end.
    pub whole: u64,
    /// Bytes of a torn line after them.
    pub torn: u64,
}

/// Reads the end of `heads`; a file that is not there has none.
pub fn tail(folder: &Path) -> io::Result<Tail> {
    let mut file = match regular::open(&folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Tail::default()),
        file => file?,
    };
    let length = file.metadata()?.len();
    let from = length.saturating_sub(3 * MAX_LINE);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(length - from).read_to_end(&mut bytes)?;
    let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
        return Ok(Tail { torn: length, ..Tail::default() });
    };
    let begin = |end: usize| bytes[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (mut start, mut end) = (begin(end), end);
    if bytes[start..end].contains(&0) && start > 0 {
        // A power cut can leave the end of a line and zeros in the place of what is before it.
        end = start - 1;
        start = begin(end);
    }
    let whole = from + end as u64 + 1;
    let before = start.checked_sub(1).map(|end| bytes[begin(end)..end].to_vec()).unwrap_or_default();
    Ok(Tail { newest: Some(bytes[start..end].to_vec()), before, whole, torn: length - whole })
}

/// Whether this head stands among the whole lines, looked for from the end.
pub fn contains(folder: &Path, head: &Head) -> io::Result<bool> {
    let line = head.line(None);
    let stem = [line.trim_end_matches('}'), ","].concat();
    let is = |found: &[u8]| found == line.as_bytes() || found.starts_with(stem.as_bytes());
    let path = folder.join(FILE);
    let length = fs::metadata(&path)?.len();
    // It is nearly always one of the last; only if it is not, all are read.
    for from in [length.saturating_sub(2 * MAX_LINE), 0] {
        let mut lines = Lines::open(&path, from)?;
        while let Some((found, end)) = lines.read()? {
            if end == End::Whole && is(found) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

//! Editing a JSON document in place: what is not edited keeps its bytes, so that no order of members, no number and no
//! space is harmed.

use std::ops::Range;

use serde::de::IgnoredAny;

use super::{MemberEdit, RecipeFault, Step, decimal, truth};
use crate::domain::value::Scalar;

/// Deeper documents are refused.
const MAX_DEPTH: usize = 128;

/// Edits the members that the path leads to; `None` when nothing changes.
pub(super) fn edit(bytes: &[u8], path: &[Step], member: &MemberEdit<'_>) -> Result<Option<Vec<u8>>, RecipeFault> {
    // The grammar is settled here; the scan below only has to find its way.
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|_| RecipeFault::NotJson)?;
    std::str::from_utf8(bytes).map_err(|_| RecipeFault::NotJson)?;
    let mut scan = Scan { bytes, at: 0, member, edits: Vec::new() };
    scan.value((!path.is_empty()).then_some(path), 0)?;
    if scan.edits.is_empty() {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for (span, text) in scan.edits {
        out.extend_from_slice(bytes.get(from..span.start).unwrap_or_default());
        out.extend_from_slice(text.as_bytes());
        from = span.end;
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    Ok(Some(out))
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    member: &'a MemberEdit<'a>,
    edits: Vec<(Range<usize>, String)>,
}

impl Scan<'_> {
    /// Walks over one value. `path` is the rest of the way to what is sought; `None`: it is not in here.
    fn value(&mut self, path: Option<&[Step]>, depth: usize) -> Result<(), RecipeFault> {
        if depth > MAX_DEPTH {
            return Err(RecipeFault::NotJson);
        }
        self.space();
        let start = self.at;
        let inside = path.filter(|steps| !steps.is_empty());
        match self.peek() {
            Some(b'{') => self.members(inside, depth)?,
            Some(b'[') => self.elements(inside, depth)?,
            Some(b'"') => self.string(),
            _ => self.word(),
        }
        if path.is_some_and(<[Step]>::is_empty) {
            self.found(start..self.at)?;
        }
        Ok(())
    }

    fn members(&mut self, path: Option<&[Step]>, depth: usize) -> Result<(), RecipeFault> {
        self.at += 1;
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                self.at += 1;
                return Ok(());
            }
            let start = self.at;
            self.string();
            let name = start..self.at;
            self.space();
            self.at += 1; // the colon
            let inside = path.and_then(<[Step]>::split_first).and_then(|(step, rest)| {
                let fits = match step {
                    Step::All => true,
                    Step::Index(_) => false,
                    Step::Name(wanted) => self.text(name).is_some_and(|text| text == *wanted),
                };
                fits.then_some(rest)
            });
            self.value(inside, depth + 1)?;
            self.comma();
        }
    }

    fn elements(&mut self, path: Option<&[Step]>, depth: usize) -> Result<(), RecipeFault> {
        self.at += 1;
        let mut place = 0u64;
        loop {
            self.space();
            if matches!(self.peek(), None | Some(b']')) {
                self.at += 1;
                return Ok(());
            }
            let inside = path.and_then(<[Step]>::split_first).and_then(|(step, rest)| {
                matches!(step, Step::All).then_some(rest).or_else(|| (*step == Step::Index(place)).then_some(rest))
            });
            self.value(inside, depth + 1)?;
            self.comma();
            place += 1;
        }
    }

    fn found(&mut self, span: Range<usize>) -> Result<(), RecipeFault> {
        let raw = self.bytes.get(span.clone()).unwrap_or_default();
        let value = self.scalar(raw, span.clone());
        let after = (self.member)(&value)?;
        if after != value {
            self.edits.push((span, write(&after, raw)?));
        }
        Ok(())
    }

    /// An object or an array is bytes: a recipe may replace it and can't read it.
    fn scalar(&self, raw: &[u8], span: Range<usize>) -> Scalar {
        let word = || String::from_utf8_lossy(raw).into_owned();
        match raw.first() {
            Some(b'n') => Scalar::Null,
            Some(b't' | b'f') => Scalar::Typed { ty: "boolean".into(), text: word() },
            Some(b'"') => self.text(span).map_or_else(|| Scalar::Bytes(raw.to_vec()), Scalar::Text),
            Some(b'{' | b'[') | None => Scalar::Bytes(raw.to_vec()),
            Some(_) => match (word().parse(), word().parse()) {
                (Ok(number), _) => Scalar::Int(number),
                (_, Ok(number)) => Scalar::UInt(number),
                _ => Scalar::Typed { ty: "number".into(), text: word() },
            },
        }
    }

    fn text(&self, span: Range<usize>) -> Option<String> {
        serde_json::from_slice(self.bytes.get(span)?).ok()
    }
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
    fn comma(&mut self) {
        self.space();
        if self.peek() == Some(b',') {
            self.at += 1;
        }
    }
    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return;
            }
        }
    }
    fn word(&mut self) {
        while matches!(self.peek(), Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.')) {
            self.at += 1;
        }
    }
}

/// A member as JSON; of the kind that it had, where the text allows it.
fn write(value: &Scalar, before: &[u8]) -> Result<String, RecipeFault> {
    let text = match value {
        Scalar::Null => return Ok("null".into()),
        Scalar::Text(text) | Scalar::Typed { text, .. } => text,
        Scalar::Int(_) | Scalar::UInt(_) | Scalar::Real(_) | Scalar::Bytes(_) => return Err(RecipeFault::Kind),
    };
    let same_kind = match before.first() {
        Some(b't' | b'f') => truth(text).map(|truth| truth.to_string()),
        Some(b'0'..=b'9' | b'-') => decimal(text),
        _ => None,
    };
    match same_kind {
        Some(word) => Ok(word),
        None => serde_json::to_string(text).map_err(|_| RecipeFault::NotJson),
    }
}

//! One line: is it a canonical entry, and what does the verification need of it?

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use crate::audit::entry::{BadEntry, Body, Entry, moment, plain};
use crate::domain::digest::Digest;
use crate::domain::outcome::Outcome;

/// What a line says, as far as the verification asks.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) index: u64,
    pub(super) segment: Cow<'a, str>,
    pub(super) time: DateTime<Utc>,
    pub(super) say: Say<'a>,
}

#[derive(Debug)]
pub(super) enum Say<'a> {
    /// By far the most lines are outcomes.
    Outcome { batch: &'a str, part: &'a str, record: Digest, result: Outcome },
    /// Everything else.
    Body(Box<Body>),
}

/// A plain outcome, without what it has from the line before.
#[derive(Debug)]
pub(super) struct Brief {
    index: u64,
    record: Digest,
    result: Outcome,
    /// Its place among what neighbours share.
    shared: usize,
}

/// What plain outcomes that stand together share.
#[derive(Debug)]
pub(super) struct Shared {
    batch: String,
    part: String,
    segment: String,
    written: String,
    time: DateTime<Utc>,
}

impl Brief {
    /// Reads an outcome whose every byte is as we would write it; anything else goes the long way.
    pub(super) fn of(line: &[u8], shared: &mut Vec<Shared>) -> Option<Self> {
        let line = plain(line)?;
        let is_same = |last: &Shared| {
            let last = [&last.batch, &last.part, &last.segment, &last.written].map(String::as_bytes);
            last == [line.batch, line.part, line.segment, line.time]
        };
        if !shared.last().is_some_and(is_same) {
            let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(String::from);
            let (batch, part, segment) = (text(line.batch)?, text(line.part)?, text(line.segment)?);
            let (written, time) = (text(line.time)?, moment(line.time)?);
            shared.push(Shared { batch, part, segment, written, time });
        }
        Some(Self { index: line.index, record: line.record, result: line.result, shared: shared.len() - 1 })
    }

    /// With what it shares, the line.
    pub(super) fn line<'a>(&self, shared: &'a [Shared]) -> Option<Line<'a>> {
        let Shared { batch, part, segment, time, .. } = shared.get(self.shared)?;
        let say = Say::Outcome { batch, part, record: self.record, result: self.result };
        Some(Line { index: self.index, segment: Cow::Borrowed(segment), time: *time, say })
    }
}

/// Reads a line of any kind.
pub(super) fn read(bytes: &[u8]) -> Result<Line<'static>, BadEntry> {
    let text = std::str::from_utf8(bytes).map_err(|_| BadEntry::Shape)?;
    let Entry { index, segment, time, body, .. } = Entry::read(text)?;
    Ok(Line { index, segment: segment.into(), time, say: Say::Body(Box::new(body)) })
}

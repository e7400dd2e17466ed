//! One line: is it a canonical entry, and what does the verification need of it?

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::audit::entry::{BadEntry, Body, Entry, FORMAT};
use crate::domain::digest::Digest;
use crate::domain::id::{BatchId, PartId, RuleId};
use crate::domain::outcome::Outcome;

/// What a line says, as far as the verification asks.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) index: u64,
    pub(super) segment: String,
    pub(super) time: DateTime<Utc>,
    pub(super) say: Say,
}

#[derive(Debug)]
pub(super) enum Say {
    /// By far the most lines are outcomes.
    Outcome { batch: String, part: String, record: Digest, result: Outcome },
    /// Everything else.
    Body(Box<Body>),
}

/// The fields of an outcome in canonical order. Written again, it must give the same bytes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutcomeLine<'a> {
    batch: &'a str,
    #[serde(borrow, default, skip_serializing_if = "BTreeMap::is_empty")]
    children: BTreeMap<&'a str, u64>,
    index: u64,
    key: &'a str,
    kind: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<&'a str>,
    part: &'a str,
    record: &'a str,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    recovered: bool,
    result: Outcome,
    rule: &'a str,
    segment: &'a str,
    time: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<&'a str>,
    v: u32,
}

/// Reads lines, quickly where they are plain outcomes.
#[derive(Debug, Default)]
pub(super) struct LineReader {
    buffer: Vec<u8>,
    time: Option<(String, DateTime<Utc>)>,
}

impl LineReader {
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Line, BadEntry> {
        if let Some(line) = self.outcome(bytes) {
            return Ok(line);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| BadEntry::Shape)?;
        let Entry { index, segment, time, body, .. } = Entry::read(text)?;
        let say = match body {
            Body::Outcome { batch, part, record, result, .. } => {
                Say::Outcome { batch: batch.into(), part: part.into(), record, result }
            }
            body => Say::Body(Box::new(body)),
        };
        Ok(Line { index, segment, time, say })
    }

    /// An outcome whose every byte is as we would write it; anything else goes the long way.
    fn outcome(&mut self, bytes: &[u8]) -> Option<Line> {
        let line: OutcomeLine<'_> = serde_json::from_slice(bytes).ok()?;
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, &line).ok()?;
        if self.buffer != bytes || line.kind != "outcome" || line.v != FORMAT {
            return None;
        }
        let time = match &self.time {
            Some((text, time)) if text == line.time => *time,
            _ => {
                let time = line.time.strip_suffix('Z').and(DateTime::parse_from_rfc3339(line.time).ok())?.to_utc();
                self.time = Some((line.time.into(), time));
                time
            }
        };
        if line.until.is_some_and(|day| NaiveDate::parse_from_str(day, "%Y-%m-%d").is_err()) {
            return None;
        }
        BatchId::try_from(line.batch.to_string()).ok()?;
        RuleId::new(line.rule).ok()?;
        PartId::new(line.part).ok()?;
        let record = Digest::try_from(line.record.to_string()).ok()?;
        let say = Say::Outcome { batch: line.batch.into(), part: line.part.into(), record, result: line.result };
        Some(Line { index: line.index, segment: line.segment.into(), time, say })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_of_today_take_the_fast_way_and_altered_ones_do_not() {
        let plain = "{\"batch\":\"batch-0101010101010101\",\"children\":{\"orders\":3},\"index\":6,\"key\":\"log-1\",\
                     \"kind\":\"outcome\",\"mac\":\"AAAA\",\"part\":\"record\",\"record\":\"RECORD\",\"result\":\"erased\",\
                     \"rule\":\"old\",\"segment\":\"2026-Q4\",\"time\":\"2026-11-27T10:00:00Z\",\"until\":\"2026-12-04\",\"v\":1}"
            .replace("RECORD", &Digest([7; 32]).to_string());
        let fast = |line: &str| LineReader::default().outcome(line.as_bytes()).is_some();
        assert!(fast(&plain));
        assert!(fast(&plain.replace("\"until\":\"2026-12-04\",", "")));
        assert!(fast(&plain.replace("\"mac\":\"AAAA\",", "")));
        for altered in [
            plain.replace("2026-12-04", "2026-13-04"),
            plain.replace(",\"v\"", ", \"v\""),
            plain.replace("erased", "gone"),
        ] {
            assert!(!fast(&altered), "{altered}");
        }
    }
}

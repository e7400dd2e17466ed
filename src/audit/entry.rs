//! What the log records: entries and their byte form. `body` has every kind.
//!
//! An entry is one line of canonical JSON (keys sorted, no spaces, no floats, integers below 2^53; conformant to
//! RFC 8785). The *bytes* of the line, without the newline, are the leaf of the tree; no verifier re-encodes them.
//! No entry names a person, and none holds free text: references are keyed commitments, and texts stand in `notes/`
//! with only their salted digest here.

mod body;
mod group;
mod plain;

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

pub use self::body::{Body, By, Method, Window};
pub use self::group::Group;
pub use self::plain::{Plain, moment, plain};
use crate::domain::digest::{Digest, MacKey, push_hex};
use crate::domain::id::{PartId, RuleId};

/// The version of the entry format that this program writes.
pub const FORMAT: u32 = 1;
/// What `heads` of [`Body::Init`] says where each line of `heads` is signed together with the line before it.
pub const SEALED: &str = "sealed";

/// An entry as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log, from 0.
    pub index: u64,
    /// When it was written, to the second.
    pub time: DateTime<Utc>,
    /// Its segment: the quarter of `time`, such as `2026-Q4`.
    pub segment: String,
    /// The id of the commitment key in force (see `keys/`).
    pub key: String,
    /// What it says.
    pub body: Body,
}

/// The entry as it stands in the line; `index` is first read by people and `v` by programs.
#[derive(Serialize, Deserialize)]
struct Envelope {
    index: u64,
    key: String,
    segment: String,
    time: String,
    v: u32,
}

/// Why a line is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// Not a JSON object with the fields of every entry.
    #[error("the line is no entry")]
    Shape,
    /// Its bytes are not canonical: it was written by something else.
    #[error("the line is not in canonical form")]
    NotCanonical,
    /// A time that is none.
    #[error("the entry's time is no UTC time")]
    Time,
    /// A version that this program knows, with a kind that it knows, in a shape that it does not.
    #[error("an entry of kind `{0}` lacks what its kind must have")]
    Kind(String),
}

/// The key of a writer's mark.
const MARK: &str = "mac";

/// The hexadecimal digits of a writer's mark, over a line in parts: enough for lines of which each try is seen.
fn mark(writer: &MacKey, line: &[&[u8]]) -> [u8; 16] {
    let digest = writer.mac_of(line);
    let mut digits = Vec::with_capacity(64);
    push_hex(&mut digits, &digest.0);
    digits.first_chunk().copied().unwrap_or_default()
}

fn mark_of(line: &str, writer: &MacKey) -> String {
    mark(writer, &[line.as_bytes()]).map(char::from).iter().collect()
}

/// Whether a canonical line bears the mark of one of these writers.
pub fn is_marked_by(line: &str, writers: &[MacKey]) -> bool {
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(line) else { return false };
    let mark = value.as_object_mut().and_then(|all| all.remove(MARK));
    let (Some(mark), Ok(bare)) = (mark, serde_json::to_string(&value)) else { return false };
    // By their digests: a comparison that ends at the first other byte tells who watches it what the mark must be.
    let found = mark.as_str().map(|mark| Digest::of(mark.as_bytes()));
    writers.iter().any(|writer| found == Some(Digest::of(mark_of(&bare, writer).as_bytes())))
}

/// The segment of a moment: its quarter in UTC.
pub fn segment_of(time: DateTime<Utc>) -> String {
    format!("{}-Q{}", time.year(), time.month0() / 3 + 1)
}

impl Entry {
    /// The canonical line, without the newline.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&self.value()?)
    }

    /// The canonical line with the mark of its writer, by which a line that no head has signed yet is known as ours.
    pub fn marked_line(&self, writer: &MacKey) -> Result<String, serde_json::Error> {
        let mut value = self.value()?;
        let mark = mark_of(&serde_json::to_string(&value)?, writer);
        if let Some(all) = value.as_object_mut() {
            all.insert(MARK.into(), mark.into());
        }
        serde_json::to_string(&value)
    }

    fn value(&self) -> Result<serde_json::Value, serde_json::Error> {
        let mut value = serde_json::to_value(&self.body)?;
        let envelope = serde_json::to_value(Envelope {
            index: self.index,
            key: self.key.clone(),
            segment: self.segment.clone(),
            time: self.time.to_rfc3339_opts(SecondsFormat::Secs, true),
            v: FORMAT,
        })?;
        if let (Some(all), serde_json::Value::Object(envelope)) = (value.as_object_mut(), envelope) {
            // `key` of the envelope never collides: no body has a field of that name (a test holds it).
            all.extend(envelope);
        }
        Ok(value)
    }

    /// Reads a line, without its newline. The bytes must be canonical.
    pub fn read(line: &str) -> Result<Self, BadEntry> {
        match plain(line.as_bytes()).and_then(|line| Self::of_plain(&line)) {
            Some(entry) => Ok(entry),
            None => Self::read_any(line),
        }
    }

    fn of_plain(line: &Plain<'_>) -> Option<Self> {
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(String::from);
        let children = match line.children {
            [] => BTreeMap::new(),
            children => serde_json::from_slice(children).ok()?,
        };
        let body = Body::Outcome {
            batch: text(line.batch)?.try_into().ok()?,
            rule: RuleId::new(text(line.rule)?).ok()?,
            part: PartId::new(text(line.part)?).ok()?,
            record: line.record,
            result: line.result,
            children,
            pending: None,
            recovered: line.recovered,
            until: line.until,
        };
        let (index, time) = (line.index, moment(line.time)?);
        Some(Self { index, time, segment: text(line.segment)?, key: text(line.key)?, body })
    }

    /// Reads a line of any kind.
    fn read_any(line: &str) -> Result<Self, BadEntry> {
        let value: serde_json::Value = serde_json::from_str(line).map_err(|_| BadEntry::Shape)?;
        if serde_json::to_string(&value).ok().as_deref() != Some(line) {
            return Err(BadEntry::NotCanonical);
        }
        let envelope = Envelope::deserialize(&value).map_err(|_| BadEntry::Shape)?;
        let kind = value.get("kind").and_then(serde_json::Value::as_str).ok_or(BadEntry::Shape)?.to_string();
        let time = DateTime::parse_from_rfc3339(&envelope.time).map_err(|_| BadEntry::Time)?;
        if !envelope.time.ends_with('Z') {
            return Err(BadEntry::Time);
        }
        let body = match Body::deserialize(value) {
            Ok(body) => body,
            Err(_) if envelope.v == FORMAT && Body::is_known(&kind) => return Err(BadEntry::Kind(kind)),
            Err(_) => Body::Unknown(kind),
        };
        Ok(Self {
            index: envelope.index,
            time: time.with_timezone(&Utc),
            segment: envelope.segment,
            key: envelope.key,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{BatchId, RunId};
    use crate::domain::outcome::{Outcome, Restored};

    fn entry(body: Body) -> Entry {
        let time = DateTime::parse_from_rfc3339("2026-11-23T02:30:11Z").unwrap().with_timezone(&Utc);
        Entry { index: 613, time, segment: segment_of(time), key: "log-1".into(), body }
    }

    #[test]
    fn a_line_is_canonical_and_reads_back() {
        let outcome = entry(Body::Outcome {
            batch: BatchId::from_random([1; 8]),
            rule: RuleId::new("old").unwrap(),
            part: PartId::record(),
            record: Digest([7; 32]),
            result: Outcome::Erased,
            children: [("orders".to_string(), 3)].into(),
            pending: None,
            recovered: false,
            until: None,
        });
        let line = outcome.line().unwrap();
        assert_eq!(
            line,
            format!(
                "{{\"batch\":\"batch-0101010101010101\",\"children\":{{\"orders\":3}},\"index\":613,\"key\":\"log-1\",\
                 \"kind\":\"outcome\",\"part\":\"record\",\"record\":\"{}\",\"result\":\"erased\",\"rule\":\"old\",\
                 \"segment\":\"2026-Q4\",\"time\":\"2026-11-23T02:30:11Z\",\"v\":1}}",
                "07".repeat(32)
            )
        );
        assert_eq!(Entry::read(&line), Ok(outcome));
        assert_eq!(Entry::read(&line.replace(':', ": ")), Err(BadEntry::NotCanonical));
        assert_eq!(Entry::read(&line.replace("\"rule\":\"old\",", "")), Err(BadEntry::Kind("outcome".into())));
        assert_eq!(Entry::read("{}"), Err(BadEntry::Shape));
    }

    #[test]
    fn a_later_kind_is_told_and_no_fault() {
        let line = "{\"index\":1,\"key\":\"k\",\"kind\":\"witnessed\",\"more\":1,\"segment\":\"2027-Q1\",\
                    \"time\":\"2027-01-01T00:00:00Z\",\"v\":2}";
        assert_eq!(Entry::read(line).map(|entry| entry.body), Ok(Body::Unknown("witnessed".into())));
    }

    #[test]
    fn the_lines_of_an_undo_are_canonical() {
        let undo = BatchId::from_random([1; 8]);
        let (rule, part, record) = (RuleId::new("old").unwrap(), PartId::record(), Digest([7; 32]));
        let result = Restored::AlreadyThere;
        let restored = entry(Body::Restored { undo, rule, part, record, result, left: 0, recovered: false });
        let line = restored.line().unwrap();
        assert_eq!(
            line,
            format!(
                "{{\"index\":613,\"key\":\"log-1\",\"kind\":\"restored\",\"part\":\"record\",\"record\":\"{}\",\
                 \"result\":\"already-there\",\"rule\":\"old\",\"segment\":\"2026-Q4\",\
                 \"time\":\"2026-11-23T02:30:11Z\",\"undo\":\"batch-0101010101010101\",\"v\":1}}",
                "07".repeat(32)
            )
        );
        assert_eq!(Entry::read(&line), Ok(restored));
    }

    #[test]
    fn the_lines_of_an_intended_undo_and_of_a_replaced_key_are_canonical() {
        let by = By { uid: 998, actor: None };
        let intended = entry(Body::UndoIntended {
            undo: BatchId::from_random([1; 8]),
            run: RunId::from_random([2; 8]),
            batch: BatchId::from_random([3; 8]),
            rule: RuleId::new("old").unwrap(),
            count: 2,
            file: Digest([7; 32]),
            by: by.clone(),
            note: Digest([8; 32]),
        });
        let replaced = entry(Body::KeyChanged {
            purpose: "signing".into(),
            id: "K".into(),
            change: "replaced".into(),
            proof: Some("P".into()),
            by: Some(by),
            note: Some(Digest([8; 32])),
        });
        let (note, end) = ("08".repeat(32), "\"segment\":\"2026-Q4\",\"time\":\"2026-11-23T02:30:11Z\"");
        let lines = [
            format!(
                "{{\"batch\":\"batch-0303030303030303\",\"by\":{{\"uid\":998}},\"count\":2,\"file\":\"{}\",\"index\":613,\
                 \"key\":\"log-1\",\"kind\":\"undo-intended\",\"note\":\"{note}\",\"rule\":\"old\",\
                 \"run\":\"run-0202020202020202\",{end},\"undo\":\"batch-0101010101010101\",\"v\":1}}",
                "07".repeat(32)
            ),
            format!(
                "{{\"by\":{{\"uid\":998}},\"change\":\"replaced\",\"id\":\"K\",\"index\":613,\"key\":\"log-1\",\
                 \"kind\":\"key-changed\",\"note\":\"{note}\",\"proof\":\"P\",\"purpose\":\"signing\",{end},\"v\":1}}"
            ),
        ];
        for (entry, line) in [intended, replaced].into_iter().zip(lines) {
            assert_eq!(entry.line().unwrap(), line);
            assert_eq!(Entry::read(&line), Ok(entry));
        }
    }

    #[test]
    fn segments_are_quarters() {
        for (time, segment) in [("2026-01-01T00:00:00Z", "2026-Q1"), ("2026-12-31T23:59:59Z", "2026-Q4")] {
            assert_eq!(segment_of(time.parse().unwrap()), segment);
        }
    }
}

//! The lines of one group: what they share is put in its form once, and outcomes, of which there are millions, are
//! written without a tree of values. A line is, byte for byte, what [`Entry::line`] and [`Entry::marked_line`] give.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::body::Body;
use super::{Entry, FORMAT, mark};
use crate::domain::digest::{MacKey, push_hex};

/// Writes the entries of one group.
#[derive(Debug)]
pub struct Group<'a> {
    time: DateTime<Utc>,
    segment: &'a str,
    key: &'a str,
    /// An outcome's bytes behind its index, up to where the mark belongs.
    head: Vec<u8>,
    /// An outcome's bytes behind its rule, up to its day.
    tail: Vec<u8>,
}

impl<'a> Group<'a> {
    /// A group that is written now, in this segment, under this commitment key.
    pub fn new(time: DateTime<Utc>, segment: &'a str, key: &'a str) -> serde_json::Result<Self> {
        let (mut head, mut tail) = (b",\"key\":".to_vec(), b",\"segment\":".to_vec());
        json(&mut head, key)?;
        head.extend_from_slice(b",\"kind\":\"outcome\"");
        json(&mut tail, segment)?;
        tail.extend_from_slice(b",\"time\":");
        json(&mut tail, &time.to_rfc3339_opts(SecondsFormat::Secs, true))?;
        Ok(Self { time, segment, key, head, tail })
    }

    /// Appends the line of one entry, without a newline; with the mark of its writer where there is one.
    pub fn push(&self, out: &mut Vec<u8>, index: u64, body: &Body, writer: Option<&MacKey>) -> serde_json::Result<()> {
        if matches!(body, Body::Outcome { .. }) {
            return self.outcome(out, index, body, writer);
        }
        let (segment, key) = (self.segment.into(), self.key.into());
        let entry = Entry { index, time: self.time, segment, key, body: body.clone() };
        let line = match writer {
            Some(writer) => entry.marked_line(writer)?,
            None => entry.line()?,
        };
        out.extend_from_slice(line.as_bytes());
        Ok(())
    }

    /// The fields in the order of their names. The mark is made over the line without it.
    fn outcome(&self, out: &mut Vec<u8>, index: u64, body: &Body, writer: Option<&MacKey>) -> serde_json::Result<()> {
        let Body::Outcome { batch, rule, part, record, result, children, pending, recovered, until } = body else {
            return Ok(());
        };
        let start = out.len();
        field(out, "{\"batch\":", batch.as_str())?;
        if !children.is_empty() {
            out.extend_from_slice(b",\"children\":");
            json(out, children)?;
        }
        out.extend_from_slice(b",\"index\":");
        json(out, &index)?;
        out.extend_from_slice(&self.head);
        let marked_from = out.len();
        if writer.is_some() {
            // Its own place; the digits come when the rest of the line is there.
            out.extend_from_slice(b",\"mac\":\"................\"");
        }
        let marked_to = out.len();
        field(out, ",\"part\":", part.as_str())?;
        if let Some(pending) = pending {
            out.extend_from_slice(b",\"pending\":");
            json(out, &serde_json::to_value(pending)?)?;
        }
        out.extend_from_slice(b",\"record\":\"");
        push_hex(out, &record.0);
        out.push(b'"');
        if *recovered {
            out.extend_from_slice(b",\"recovered\":true");
        }
        field(out, ",\"result\":", result.word())?;
        field(out, ",\"rule\":", rule.as_str())?;
        out.extend_from_slice(&self.tail);
        if let Some(until) = until {
            out.extend_from_slice(b",\"until\":");
            json(out, until)?;
        }
        out.extend_from_slice(b",\"v\":");
        json(out, &FORMAT)?;
        out.push(b'}');
        let Some(writer) = writer else { return Ok(()) };
        let mark = mark(writer, &[&out[start..marked_from], &out[marked_to..]]);
        out[marked_to - 1 - mark.len()..marked_to - 1].copy_from_slice(&mark);
        Ok(())
    }
}

/// Appends a value as serde_json writes it; a map's keys must be in their order already.
fn json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> serde_json::Result<()> {
    serde_json::to_writer(out, value)
}

fn field(out: &mut Vec<u8>, name: &str, text: &str) -> serde_json::Result<()> {
    out.extend_from_slice(name.as_bytes());
    json(out, text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::NaiveDate;
    use proptest::prelude::*;

    use super::super::{is_marked_by, segment_of};
    use super::*;
    use crate::domain::digest::Digest;
    use crate::domain::id::{BatchId, PartId, RuleId};
    use crate::domain::outcome::{Outcome, Pending};

    fn name() -> impl Strategy<Value = String> {
        "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?"
    }

    fn day() -> impl Strategy<Value = NaiveDate> {
        (-400_000i32..4_000_000).prop_map(|days| NaiveDate::from_num_days_from_ce_opt(days).unwrap())
    }

    fn outcome() -> impl Strategy<Value = Body> {
        let children = proptest::collection::btree_map(any::<String>(), any::<u64>(), 0..4);
        let pending =
            proptest::option::of((any::<String>(), day(), day()).prop_map(|(handle, look_again, final_by)| Pending {
                handle,
                look_again,
                final_by,
            }));
        let ids = (any::<[u8; 8]>(), name(), name(), any::<[u8; 32]>());
        let more = (0..Outcome::ALL.len(), any::<bool>(), proptest::option::of(day()));
        (ids, children, pending, more).prop_map(|((batch, rule, part, record), children, pending, more)| {
            Body::Outcome {
                batch: BatchId::from_random(batch),
                rule: RuleId::new(rule).unwrap(),
                part: PartId::new(part).unwrap(),
                record: Digest(record),
                result: Outcome::ALL[more.0],
                children,
                pending,
                recovered: more.1,
                until: more.2,
            }
        })
    }

    fn kept() -> impl Strategy<Value = Body> {
        (any::<String>(), any::<String>(), any::<String>(), proptest::option::of(any::<String>())).prop_map(
            |(purpose, id, change, proof)| Body::KeyChanged { purpose, id, change, proof, by: None, note: None },
        )
    }

    proptest! {
        #[test]
        fn a_line_of_a_group_is_the_line_of_its_entry(
            bodies in proptest::collection::vec(prop_oneof![4 => outcome(), 1 => kept()], 1..6),
            key in any::<String>(),
            (from, seconds) in (0u64..1 << 53, 0i64..8_000_000_000),
        ) {
            let time = DateTime::from_timestamp(seconds, 987_654_321).unwrap();
            let segment = segment_of(time);
            let group = Group::new(time, &segment, &key).unwrap();
            let writer = MacKey::new(&[7; 32]);
            let (mut bare, mut marked) = (Vec::new(), Vec::new());
            for (index, body) in (from..).zip(&bodies) {
                let entry = Entry { index, time, segment: segment.clone(), key: key.clone(), body: body.clone() };
                let (bare_from, marked_from) = (bare.len(), marked.len());
                group.push(&mut bare, index, body, None).unwrap();
                prop_assert_eq!(std::str::from_utf8(&bare[bare_from..]).unwrap(), entry.line().unwrap());
                group.push(&mut marked, index, body, Some(&writer)).unwrap();
                let line = std::str::from_utf8(&marked[marked_from..]).unwrap();
                prop_assert_eq!(line, entry.marked_line(&writer).unwrap());
                prop_assert!(is_marked_by(line, std::slice::from_ref(&writer)));
                prop_assert_eq!(Entry::read(line).map(|entry| entry.body), Ok(body.clone()));
            }
        }
    }

    #[test]
    fn a_table_with_any_name_is_written_as_json_has_it() {
        let time = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let children = BTreeMap::from([("a\"b\\\n\u{1}é\u{2028}".to_string(), 1), (String::new(), u64::MAX)]);
        let body = Body::Outcome {
            batch: BatchId::from_random([1; 8]),
            rule: RuleId::new("old").unwrap(),
            part: PartId::record(),
            record: Digest([0xa5; 32]),
            result: Outcome::Erased,
            children,
            pending: None,
            recovered: false,
            until: None,
        };
        let mut line = Vec::new();
        Group::new(time, "2023-Q4", "log-1").unwrap().push(&mut line, 6, &body, None).unwrap();
        let line = String::from_utf8(line).unwrap();
        assert!(
            line.contains("\"children\":{\"\":18446744073709551615,\"a\\\"b\\\\\\n\\u0001é\u{2028}\":1}"),
            "{line}"
        );
        assert_eq!(Entry::read(&line).map(|entry| entry.body), Ok(body));
    }
}

//! Reading a plain outcome without a tree of values: by far the most lines are such. A line is taken only where every
//! byte is as [`super::Group`] writes it, printable ASCII without anything that JSON would have to escape; what is not
//! taken goes the general way, and what is taken would come to the same there.

use chrono::{DateTime, NaiveDate, Utc};

use crate::domain::digest::Digest;
use crate::domain::id;
use crate::domain::outcome::Outcome;

/// What the line of an outcome says.
#[derive(Debug, PartialEq, Eq)]
pub struct Plain<'a> {
    /// Its place in the log.
    pub index: u64,
    /// When it was written, as the line has it.
    pub time: &'a [u8],
    /// Its segment.
    pub segment: &'a [u8],
    /// The id of the commitment key.
    pub key: &'a [u8],
    /// The batch.
    pub batch: &'a [u8],
    /// The rule.
    pub rule: &'a [u8],
    /// The part.
    pub part: &'a [u8],
    /// The record's commitment.
    pub record: Digest,
    /// What became of it.
    pub result: Outcome,
    /// Child rows by table, as a JSON object; empty where there are none.
    pub children: &'a [u8],
    /// Whether it was settled after a crash.
    pub recovered: bool,
    /// The day until which it is in quarantine.
    pub until: Option<NaiveDate>,
}

/// Reads the line of an outcome; `None` where anything in it is unusual.
pub fn plain(line: &[u8]) -> Option<Plain<'_>> {
    let mut at = At(line);
    at.over(b"{\"batch\":\"")?;
    let batch = at.text()?;
    let children = if at.over(b",\"children\":").is_some() { at.children()? } else { b"" };
    at.over(b",\"index\":")?;
    let index = at.number()?;
    at.over(b",\"key\":\"")?;
    let key = at.text()?;
    at.over(b",\"kind\":\"outcome\"")?;
    if at.over(b",\"mac\":\"").is_some() {
        at.text()?;
    }
    at.over(b",\"part\":\"")?;
    let part = at.text()?;
    at.over(b",\"record\":\"")?;
    let record = at.digest()?;
    let recovered = at.over(b",\"recovered\":true").is_some();
    at.over(b",\"result\":\"")?;
    let result = Outcome::of_word(at.text()?)?;
    at.over(b",\"rule\":\"")?;
    let rule = at.text()?;
    at.over(b",\"segment\":\"")?;
    let segment = at.text()?;
    at.over(b",\"time\":\"")?;
    let time = at.text()?;
    let until = if at.over(b",\"until\":\"").is_some() { Some(day(at.text()?)?) } else { None };
    at.over(b",\"v\":1}")?;
    let sound = at.0.is_empty() && id::is_batch(batch) && id::is_name(rule) && id::is_name(part);
    let line = Plain { index, time, segment, key, batch, rule, part, record, result, children, recovered, until };
    sound.then_some(line)
}

/// A moment in the one form that is written: `2026-11-23T02:30:11Z`.
pub fn moment(text: &[u8]) -> Option<DateTime<Utc>> {
    let (date, time) = text.strip_suffix(b"Z")?.split_at_checked(10)?;
    let time = time.strip_prefix(b"T")?;
    let [h, m, s] = numbers(time, b':', [2, 2, 2])?;
    Some(day(date)?.and_hms_opt(h, m, s)?.and_utc())
}

fn day(text: &[u8]) -> Option<NaiveDate> {
    let [y, m, d] = numbers(text, b'-', [4, 2, 2])?;
    NaiveDate::from_ymd_opt(i32::try_from(y).ok()?, m, d)
}

/// Three numbers of so many digits, with this between them.
fn numbers(text: &[u8], between: u8, digits: [usize; 3]) -> Option<[u32; 3]> {
    let mut rest = text;
    let mut found = [0; 3];
    for (place, (number, digits)) in found.iter_mut().zip(digits).enumerate() {
        if place > 0 {
            rest = rest.strip_prefix(&[between])?;
        }
        let (these, behind) = rest.split_at_checked(digits)?;
        for digit in these {
            *number = *number * 10 + u32::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        }
        rest = behind;
    }
    rest.is_empty().then_some(found)
}

/// What is left of a line.
struct At<'a>(&'a [u8]);

impl<'a> At<'a> {
    fn over(&mut self, literal: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(literal)?;
        Some(())
    }

    /// Printable ASCII up to a quote, and over it. A backslash is not taken.
    fn text(&mut self) -> Option<&'a [u8]> {
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        let length = self.0.iter().position(|byte| !plain(byte))?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest.strip_prefix(b"\"")?;
        Some(text)
    }

    /// A number without leading zeros that fits.
    fn number(&mut self) -> Option<u64> {
        let length = self.0.iter().position(|byte| !byte.is_ascii_digit())?;
        let (digits, rest) = self.0.split_at_checked(length)?;
        let written = matches!((digits, length), ([b'0'], _) | ([b'1'..=b'9', ..], 1..=19));
        self.0 = rest;
        written.then(|| digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
    }

    /// A digest in lower case, and over the quote behind it.
    fn digest(&mut self) -> Option<Digest> {
        let (digits, rest) = self.0.split_first_chunk::<64>()?;
        self.0 = rest.strip_prefix(b"\"")?;
        let (pairs, _) = digits.as_chunks::<2>();
        let mut bytes = [0; 32];
        let mut odd = 0;
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
            odd |= high | low;
            *byte = high << 4 | low & 15;
        }
        (odd < 16).then_some(Digest(bytes))
    }

    /// Tables and counts, the tables in their order and each once.
    fn children(&mut self) -> Option<&'a [u8]> {
        let begin = self.0;
        self.over(b"{\"")?;
        let mut before = None;
        loop {
            let table = self.text()?;
            if before.is_some_and(|before| before >= table) {
                return None;
            }
            before = Some(table);
            self.over(b":")?;
            self.number()?;
            if self.over(b",\"").is_none() {
                break;
            }
        }
        self.over(b"}")?;
        begin.get(..begin.len() - self.0.len())
    }
}

/// The value of each hexadecimal digit in lower case; 255 for any other byte.
const DIGITS: [u8; 256] = {
    let mut digits = [255; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Entry, Group};
    use super::*;
    use crate::audit::entry::Body;
    use crate::domain::digest::MacKey;
    use crate::domain::id::{BatchId, PartId, RuleId};

    fn body() -> impl Strategy<Value = Body> {
        let children = proptest::collection::btree_map("[a-z_ .]{0,6}|\\PC{0,4}", any::<u64>(), 0..4);
        let until =
            proptest::option::of((0i32..4_000_000).prop_map(|day| NaiveDate::from_num_days_from_ce_opt(day).unwrap()));
        (any::<[u8; 8]>(), any::<[u8; 32]>(), 0..Outcome::ALL.len(), children, any::<bool>(), until).prop_map(
            |(batch, record, result, children, recovered, until)| Body::Outcome {
                batch: BatchId::from_random(batch),
                rule: RuleId::new("old-orders").unwrap(),
                part: PartId::record(),
                record: Digest(record),
                result: Outcome::ALL[result],
                children,
                pending: None,
                recovered,
                until,
            },
        )
    }

    fn line(body: &Body, index: u64, seconds: i64, writer: Option<&MacKey>) -> String {
        let time = DateTime::from_timestamp(seconds, 0).unwrap();
        let mut line = Vec::new();
        Group::new(time, "2026-Q4", "log-1").unwrap().push(&mut line, index, body, writer).unwrap();
        String::from_utf8(line).unwrap()
    }

    /// What is taken is what the general way reads.
    fn agrees(line: &str) -> Result<bool, TestCaseError> {
        let fast = plain(line.as_bytes()).and_then(|line| Entry::of_plain(&line));
        if let Some(entry) = &fast {
            let read = Entry::read_any(line);
            prop_assert_eq!(read.as_ref(), Ok(entry), "{}", line);
        }
        Ok(fast.is_some())
    }

    proptest! {
        #[test]
        fn a_line_is_taken_as_the_general_way_reads_it(
            body in body(), index in any::<u64>(), seconds in 0i64..20_000_000_000, marked in any::<bool>(),
        ) {
            let writer = marked.then(|| MacKey::new(&[7; 32]));
            agrees(&line(&body, index, seconds, writer.as_ref()))?;
        }

        #[test]
        fn an_altered_line_is_taken_only_where_the_general_way_reads_the_same(
            body in body(), place in any::<prop::sample::Index>(), with in "[ -~]{0,2}|\\PC", over in 0usize..3,
        ) {
            let mut line = line(&body, 6, 1_800_000_000, None);
            let at = place.index(line.len());
            let to = (at + over).min(line.len());
            if line.is_char_boundary(at) && line.is_char_boundary(to) {
                line.replace_range(at..to, &with);
                agrees(&line)?;
            }
        }
    }

    #[test]
    fn outcomes_of_today_are_taken_and_altered_ones_are_not() {
        let plain = "{\"batch\":\"batch-0101010101010101\",\"children\":{\"order_lines\":9,\"orders\":3},\"index\":6,\
                     \"key\":\"log-1\",\"kind\":\"outcome\",\"mac\":\"AAAA\",\"part\":\"record\",\"record\":\"RECORD\",\
                     \"recovered\":true,\"result\":\"erased\",\"rule\":\"old\",\"segment\":\"2026-Q4\",\
                     \"time\":\"2026-11-27T10:00:00Z\",\"until\":\"2026-12-04\",\"v\":1}"
            .replace("RECORD", &Digest([0xa7; 32]).to_string());
        let fast = |line: &str| agrees(line).unwrap();
        assert!(fast(&plain));
        for left_out in ["\"until\":\"2026-12-04\",", "\"mac\":\"AAAA\",", "\"recovered\":true,"] {
            assert!(fast(&plain.replace(left_out, "")), "{left_out}");
        }
        for (word, other) in [
            ("2026-12-04", "2026-13-04"),
            ("2026-12-04", "2026-12-4"),
            ("10:00:00Z", "24:00:00Z"),
            ("10:00:00Z", "10:00:00+00:00"),
            (",\"v\"", ", \"v\""),
            ("\"v\":1", "\"v\":2"),
            ("erased", "gone"),
            ("true", "false"),
            ("a7a7", "A7a7"),
            ("a7a7", "g7a7"),
            ("\"index\":6", "\"index\":06"),
            ("\"index\":6", "\"index\":-6"),
            ("\"index\":6", "\"index\":6.0"),
            ("AAAA", "A\\u0041AA"),
            ("batch-01", "batch-0g"),
            ("\"old\"", "\"-old\""),
            ("order_lines", "payments"),
            ("order_lines", "orders"),
            ("\"orders\":3", "\"orders\":3,"),
        ] {
            let altered = plain.replacen(word, other, 1);
            assert!(altered != plain && !fast(&altered), "{altered}");
        }
    }
}

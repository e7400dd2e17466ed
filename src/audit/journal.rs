//! The journal: `journal/<segment>.jsonl`, one canonical line per entry. It is the truth; all else is made from it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::regular;
use super::tile::MAX_ENTRY;

/// The folder of segments, below the log's folder.
pub const FOLDER: &str = "journal";

/// One segment's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its name, such as `2026-Q4`.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
}

impl Segment {
    /// A segment of the log in this folder.
    pub fn of(folder: &Path, name: &str) -> Self {
        Self { name: name.into(), path: folder.join(FOLDER).join(format!("{name}.jsonl")) }
    }
}

/// Whether a text is the name of a segment: `YYYY-Q1` to `YYYY-Q4`.
pub fn is_segment(name: &str) -> bool {
    matches!(name.as_bytes(), [a, b, c, d, b'-', b'Q', b'1'..=b'4'] if [a, b, c, d].iter().all(|b| b.is_ascii_digit()))
}

/// The segments of a log, in order.
pub fn segments(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for item in fs::read_dir(folder.join(FOLDER))? {
        let name = item?.file_name();
        if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".jsonl")).filter(|name| is_segment(name)) {
            found.push(Segment::of(folder, name));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The index that a line gives itself.
pub fn index_of(line: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Place {
        index: u64,
    }
    serde_json::from_slice::<Place>(line).ok().map(|place| place.index)
}

/// Where a line ends a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In a newline.
    Whole,
    /// In the file's end: it was torn, or is being written.
    Torn,
}

/// Reads lines one by one, in flat memory.
#[derive(Debug)]
pub struct Lines {
    file: BufReader<File>,
    at: u64,
    line: Vec<u8>,
}

impl Lines {
    /// Opens a file at an offset where a line begins.
    pub fn open(path: &Path, at: u64) -> io::Result<Self> {
        let mut file = regular::open(path)?;
        file.seek(SeekFrom::Start(at))?;
        Ok(Self { file: BufReader::with_capacity(256 * 1024, file), at, line: Vec::new() })
    }

    /// The offset of the next line.
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// Whether the file ends here.
    pub fn is_done(&mut self) -> io::Result<bool> {
        Ok(self.file.fill_buf()?.is_empty())
    }

    /// The next line without its newline. What is longer than an entry can be comes in pieces that are no entries.
    pub fn read(&mut self) -> io::Result<Option<(&[u8], End)>> {
        self.line.clear();
        let most = MAX_ENTRY as u64 + 1;
        let read = io::Read::take(&mut self.file, most).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        self.at += read as u64;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            return Ok(Some((&self.line, End::Whole)));
        }
        let end = if read as u64 == most { End::Whole } else { End::Torn };
        Ok(Some((&self.line, end)))
    }
}

/// A line of a [`Reader`].
#[derive(Debug)]
pub struct Piece<'a> {
    /// The segment that it stands in.
    pub segment: &'a Segment,
    /// Whether that is the last segment.
    pub last: bool,
    /// Where it begins.
    pub offset: u64,
    /// Its bytes, without the newline.
    pub bytes: &'a [u8],
    /// How it ends.
    pub end: End,
}

/// Reads the lines of all segments in order, in flat memory.
#[derive(Debug)]
pub struct Reader {
    segments: Vec<Segment>,
    segment: usize,
    lines: Option<Lines>,
}

impl Reader {
    /// Begins at an entry, or at the end where it is the next to come. `None` if the entry before it is not there.
    pub fn from(folder: &Path, index: u64) -> io::Result<Option<Self>> {
        let segments = segments(folder)?;
        let Some(before) = index.checked_sub(1) else {
            return Ok(Some(Self { segments, segment: 0, lines: None }));
        };
        let Some(place) = find(&segments, before)? else { return Ok(None) };
        let mut lines = Lines::open(&segments[place.segment].path, place.offset)?;
        lines.read()?;
        Ok(Some(Self { segments, segment: place.segment, lines: Some(lines) }))
    }

    /// The next line.
    pub fn read(&mut self) -> io::Result<Option<Piece<'_>>> {
        loop {
            let Some(segment) = self.segments.get(self.segment) else { return Ok(None) };
            let lines = match &mut self.lines {
                Some(lines) => lines,
                None => self.lines.insert(Lines::open(&segment.path, 0)?),
            };
            if !lines.is_done()? {
                break;
            }
            self.lines = None;
            self.segment += 1;
        }
        let last = self.segment + 1 == self.segments.len();
        let (Some(segment), Some(lines)) = (self.segments.get(self.segment), &mut self.lines) else { return Ok(None) };
        let offset = lines.offset();
        Ok(lines.read()?.map(|(bytes, end)| Piece { segment, last, offset, bytes, end }))
    }
}

/// Where the line of an entry begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The segment's number in [`segments`].
    pub segment: usize,
    /// The offset in its file.
    pub offset: u64,
}

/// Finds the line of an entry without reading what lies before it: `None` if it is not there yet.
pub fn find(segments: &[Segment], index: u64) -> io::Result<Option<Place>> {
    for (segment, Segment { path, .. }) in segments.iter().enumerate().rev() {
        match line_after(path, 0)? {
            Some((_, first)) if first <= index => {
                let offset = find_in(path, index)?;
                return Ok(offset.map(|offset| Place { segment, offset }));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Halves the file until the line is found.
fn find_in(path: &Path, index: u64) -> io::Result<Option<u64>> {
    let (mut low, mut high) = (0, fs::metadata(path)?.len());
    // The line that is sought begins in low..high, if it is there.
    while high - low > 64 * 1024 {
        let middle = low + (high - low) / 2;
        match line_after(path, middle)? {
            Some((offset, found)) if found <= index && offset < high => low = offset,
            _ => high = middle,
        }
    }
    let mut lines = Lines::open(path, low)?;
    loop {
        let offset = lines.offset();
        match lines.read()? {
            Some((line, End::Whole)) if index_of(line) == Some(index) => return Ok(Some(offset)),
            Some((line, End::Whole)) if index_of(line).is_some_and(|found| found < index) => {}
            _ => return Ok(None),
        }
    }
}

/// The first whole line that begins at or after an offset, and its index.
fn line_after(path: &Path, offset: u64) -> io::Result<Option<(u64, u64)>> {
    let mut lines = Lines::open(path, offset.saturating_sub(1))?;
    if offset > 0 && lines.read()?.is_none() {
        return Ok(None);
    }
    let at = lines.offset();
    Ok(match lines.read()? {
        Some((line, End::Whole)) => index_of(line).map(|index| (at, index)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_in_any_segment_without_reading_all() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        let mut index = 0;
        for (name, count) in [("2026-Q3", 4000), ("2026-Q4", 1), ("2027-Q1", 2500)] {
            let lines: String = (0..count)
                .map(|n| {
                    let line = format!(
                        "{{\"children\":{{\"index\":7}},\"index\":{index},\"x\":\"{}\"}}\n",
                        "y".repeat(n % 90)
                    );
                    index += 1;
                    line
                })
                .collect();
            crate::durable::create(&Segment::of(folder.path(), name).path, lines.as_bytes(), 0o644).unwrap();
        }
        let segments = segments(folder.path()).unwrap();
        assert_eq!(segments.len(), 3);
        for wanted in (0..index).step_by(37).chain([3999, 4000, 4001, index - 1]) {
            let place = find(&segments, wanted).unwrap().unwrap();
            let mut lines = Lines::open(&segments[place.segment].path, place.offset).unwrap();
            assert_eq!(index_of(lines.read().unwrap().unwrap().0), Some(wanted));
        }
        assert_eq!(find(&segments, index).unwrap(), None);
        assert_eq!(find(&[], 0).unwrap(), None);
    }

    #[test]
    fn segments_have_names() {
        assert!(is_segment("2026-Q4") && is_segment("0001-Q1"));
        assert!(!is_segment("2026-Q5") && !is_segment("2026-Q0") && !is_segment("26-Q1") && !is_segment("2026-Q4x"));
    }
}

//! The records of a plan that was just made, for the run that carries it out at once: in the order in which they were
//! found, in flat memory, in a file without a name under a key that nobody but this process ever has. What is left of it
//! after a kill is nothing.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::Path;

use chrono::{Datelike, NaiveDate};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce};
use zeroize::Zeroizing;

use super::aead::cipher;
use super::spool::unnamed;
use crate::domain::decide::Fingerprint;
use crate::domain::value::{Key, Scalar};

/// Bytes that are sealed together.
const CHUNK: usize = 256 * 1024;

/// A record that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its key.
    pub key: Key,
    /// As it was found.
    pub fingerprint: Fingerprint,
    /// The parts that are due, by their place in the rule.
    pub parts: Vec<usize>,
    /// Since when, by its oldest part.
    pub since: NaiveDate,
}

/// Takes records in.
pub struct ItemsWriter {
    file: File,
    key: LessSafeKey,
    open: Zeroizing<Vec<u8>>,
    chunks: u64,
}

/// Gives them back in the same order.
pub struct Items {
    file: BufReader<File>,
    key: LessSafeKey,
    plain: Zeroizing<Vec<u8>>,
    at: usize,
    chunk: u64,
}

impl std::fmt::Debug for Items {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Items(..)")
    }
}

impl ItemsWriter {
    /// Nothing yet; the file lies in `scratch`.
    pub fn new(scratch: &Path) -> io::Result<Self> {
        let key = Zeroizing::new(crate::random::bytes::<32>());
        let key = cipher(&key).map_err(|_| io::Error::other("no cipher"))?;
        Ok(Self { file: unnamed(scratch)?, key, open: Zeroizing::new(Vec::with_capacity(CHUNK + 1024)), chunks: 0 })
    }

    /// Adds a record.
    pub fn add(&mut self, due: &Due) -> io::Result<()> {
        write_due(&mut self.open, due);
        if self.open.len() >= CHUNK { self.seal() } else { Ok(()) }
    }

    fn seal(&mut self) -> io::Result<()> {
        let mut bytes = std::mem::replace(&mut self.open, Zeroizing::new(Vec::with_capacity(CHUNK + 1024)));
        self.key
            .seal_in_place_append_tag(nonce(self.chunks), Aad::empty(), &mut *bytes)
            .map_err(|_| io::Error::other("a chunk could not be sealed"))?;
        self.chunks += 1;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.file.write_all(&length.to_be_bytes())?;
        self.file.write_all(&bytes)
    }

    /// All of them, from the first.
    pub fn finish(mut self) -> io::Result<Items> {
        if !self.open.is_empty() {
            self.seal()?;
        }
        self.file.rewind()?;
        let plain = Zeroizing::new(Vec::new());
        Ok(Items { file: BufReader::new(self.file), key: self.key, plain, at: 0, chunk: 0 })
    }
}

impl Items {
    fn take(&mut self) -> io::Result<Option<Due>> {
        if self.at >= self.plain.len() && !self.open()? {
            return Ok(None);
        }
        let mut rest = self.plain.get(self.at..).unwrap_or_default();
        let before = rest.len();
        let due = read_due(&mut rest).ok_or_else(damaged)?;
        self.at += before - rest.len();
        Ok(Some(due))
    }

    fn open(&mut self) -> io::Result<bool> {
        let mut length = [0; 4];
        match self.file.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        let mut bytes = Zeroizing::new(vec![0; u32::from_be_bytes(length) as usize]);
        self.file.read_exact(&mut bytes)?;
        let opened = self.key.open_in_place(nonce(self.chunk), Aad::empty(), &mut bytes).map(|plain| plain.len());
        let plain = opened.map_err(|_| damaged())?;
        bytes.truncate(plain);
        (self.plain, self.at, self.chunk) = (bytes, 0, self.chunk + 1);
        Ok(true)
    }
}

impl Iterator for Items {
    type Item = io::Result<Due>;

    fn next(&mut self) -> Option<Self::Item> {
        self.take().transpose()
    }
}

/// A key is used for one file only, so the chunk's number is never used twice.
fn nonce(chunk: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - 8..].copy_from_slice(&chunk.to_be_bytes());
    debug_assert_eq!(CHACHA20_POLY1305.nonce_len(), NONCE_LEN);
    Nonce::assume_unique_for_key(bytes)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what was written of the plan's records is not what is read")
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn write_due(out: &mut Vec<u8>, due: &Due) {
    out.extend_from_slice(&due.since.num_days_from_ce().to_be_bytes());
    out.extend_from_slice(&due.fingerprint.0);
    out.extend_from_slice(&(due.parts.len() as u64).to_be_bytes());
    for part in &due.parts {
        out.extend_from_slice(&(*part as u64).to_be_bytes());
    }
    out.extend_from_slice(&(due.key.0.len() as u64).to_be_bytes());
    for part in &due.key.0 {
        match part {
            Scalar::Null => out.push(b'n'),
            Scalar::Int(number) => {
                out.push(b'i');
                out.extend_from_slice(&number.to_be_bytes());
            }
            Scalar::UInt(number) => {
                out.push(b'u');
                out.extend_from_slice(&number.to_be_bytes());
            }
            Scalar::Real(bits) => {
                out.push(b'r');
                out.extend_from_slice(&bits.to_be_bytes());
            }
            Scalar::Text(text) => {
                out.push(b't');
                write_bytes(out, text.as_bytes());
            }
            Scalar::Bytes(bytes) => {
                out.push(b'b');
                write_bytes(out, bytes);
            }
            Scalar::Typed { ty, text } => {
                out.push(b'y');
                write_bytes(out, ty.as_bytes());
                write_bytes(out, text.as_bytes());
            }
        }
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*bytes)
}

fn take_number(from: &mut &[u8]) -> Option<usize> {
    usize::try_from(u64::from_be_bytes(take(from)?)).ok()
}

fn take_bytes(from: &mut &[u8]) -> Option<Vec<u8>> {
    let length = take_number(from)?;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(bytes.to_vec())
}

fn take_text(from: &mut &[u8]) -> Option<String> {
    String::from_utf8(take_bytes(from)?).ok()
}

fn read_due(from: &mut &[u8]) -> Option<Due> {
    let since = NaiveDate::from_num_days_from_ce_opt(i32::from_be_bytes(take(from)?))?;
    let fingerprint = Fingerprint(take(from)?);
    let parts = (0..take_number(from)?).map(|_| take_number(from)).collect::<Option<Vec<usize>>>()?;
    let scalar = |from: &mut &[u8]| {
        Some(match take::<1>(from)?[0] {
            b'n' => Scalar::Null,
            b'i' => Scalar::Int(i64::from_be_bytes(take(from)?)),
            b'u' => Scalar::UInt(u64::from_be_bytes(take(from)?)),
            b'r' => Scalar::Real(u64::from_be_bytes(take(from)?)),
            b't' => Scalar::Text(take_text(from)?),
            b'b' => Scalar::Bytes(take_bytes(from)?),
            b'y' => Scalar::Typed { ty: take_text(from)?, text: take_text(from)? },
            _ => return None,
        })
    };
    let key = (0..take_number(from)?).map(|_| scalar(from)).collect::<Option<Vec<Scalar>>>()?;
    Some(Due { key: Key(key), fingerprint, parts, since })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(number: i64) -> Due {
        let key = Key(vec![
            Scalar::Int(number),
            Scalar::UInt(u64::MAX),
            Scalar::Text("é".repeat(usize::try_from(number % 40).unwrap())),
            Scalar::Bytes(vec![0, 255]),
            Scalar::Typed { ty: "uuid".into(), text: String::new() },
            Scalar::Null,
            Scalar::Real(1.5f64.to_bits()),
        ]);
        let since = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap() + chrono::Days::new(number.unsigned_abs());
        Due { key, fingerprint: Fingerprint([7; 16]), parts: vec![0, 3], since }
    }

    #[test]
    fn records_come_back_as_they_went_in_and_none_can_be_read_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ItemsWriter::new(folder.path()).unwrap();
        for number in 0..20_000 {
            writer.add(&due(number)).unwrap();
        }
        assert!(writer.chunks > 3, "they fill several chunks");
        let mut items = writer.finish().unwrap();
        let mut bytes = Vec::new();
        items.file.get_mut().read_to_end(&mut bytes).unwrap();
        assert!(!bytes.windows(16).any(|found| found == [7; 16]), "a fingerprint stands in the file");
        items.file.get_mut().rewind().unwrap();
        for number in 0..20_000 {
            assert_eq!(items.next().unwrap().unwrap(), due(number));
        }
        assert!(items.next().is_none());
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "the file has a name");
    }

    #[test]
    fn no_records_are_no_records_and_an_altered_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ItemsWriter::new(folder.path()).unwrap().finish().unwrap().next().is_none());
        let mut writer = ItemsWriter::new(folder.path()).unwrap();
        writer.add(&due(1)).unwrap();
        let mut items = writer.finish().unwrap();
        let file = items.file.get_mut();
        file.seek(io::SeekFrom::Start(9)).unwrap();
        file.write_all(b"x").unwrap();
        file.rewind().unwrap();
        assert!(items.next().unwrap().is_err());
    }
}

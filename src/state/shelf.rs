//! Pieces that are put away for a while and taken back one by one, so that they need no memory: in a file without a name,
//! under a key that nobody but this process ever has. What is left of it after a kill is nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ring::aead::LessSafeKey;
use zeroize::Zeroizing;

use super::aead::{cipher, decrypt, encrypt};
use super::spool::unnamed;
use crate::secret::Secret;

/// The pieces.
pub struct Shelf {
    file: File,
    key: LessSafeKey,
    end: u64,
}

/// Where a piece lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelved {
    at: u64,
    length: usize,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shelf({} bytes)", self.end)
    }
}

impl Shelf {
    /// Nothing yet; the file lies in `scratch`.
    pub fn new(scratch: &Path) -> io::Result<Self> {
        let key = Zeroizing::new(crate::random::bytes::<32>());
        let key = cipher(&key).map_err(|_| io::Error::other("no cipher"))?;
        Ok(Self { file: unnamed(scratch)?, key, end: 0 })
    }

    /// Puts a piece away.
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<Shelved> {
        let sealed = encrypt(&self.key, &self.end.to_be_bytes(), bytes);
        let sealed = sealed.map_err(|_| io::Error::other("a piece could not be sealed"))?;
        self.file.write_all_at(&sealed, self.end)?;
        let place = Shelved { at: self.end, length: sealed.len() };
        self.end += sealed.len() as u64;
        Ok(place)
    }

    /// Takes a piece back.
    pub fn get(&self, place: Shelved) -> io::Result<Secret> {
        let mut sealed = vec![0; place.length];
        self.file.read_exact_at(&mut sealed, place.at)?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "what was put away is not what is read");
        decrypt(&self.key, &place.at.to_be_bytes(), &sealed).ok_or_else(damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_in_any_order_and_none_can_be_read_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::new(folder.path()).unwrap();
        let pieces: Vec<Vec<u8>> = (0..50u8).map(|number| vec![number; usize::from(number) * 100]).collect();
        let places: Vec<Shelved> = pieces.iter().map(|piece| shelf.put(piece).unwrap()).collect();
        for (piece, place) in pieces.iter().zip(&places).rev() {
            assert_eq!(shelf.get(*place).unwrap().bytes(), piece.as_slice());
        }
        let mut bytes = vec![0; usize::try_from(shelf.end).unwrap()];
        shelf.file.read_exact_at(&mut bytes, 0).unwrap();
        assert!(!bytes.windows(16).any(|found| found == [7; 16]), "a piece stands in the file");
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "the file has a name");
        shelf.file.write_all_at(&[1; 40], places[9].at).unwrap();
        assert!(shelf.get(places[9]).is_err(), "an altered piece is refused");
    }
}

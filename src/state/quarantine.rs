//! The quarantine: what a run took, sealed, for as long as it may be undone.
//!
//! `quarantine/RUN/BATCH` holds one sealed blob for each slot, under a random key of its own; `quarantine/RUN/BATCH.keys`
//! holds these keys in slots of one size, each wrapped under the run's key, which lies among the other keys and is made
//! from nothing. Slot 0 says what the batch is about and names nobody. Destroying the run's key closes everything;
//! overwriting one slot closes one record.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::aead::{cipher, decrypt, encrypt};
use crate::domain::id::{BatchId, RunId};
use crate::durable;
use crate::secret::Secret;

/// The first bytes of the data.
const DATA: &[u8] = b"bewaard-quarantine-1\n";
/// The first bytes of the keys.
const KEYS: &[u8] = b"bewaard-quarantine-keys-1\n";
/// A nonce, a key and a tag.
const SLOT: usize = 12 + 32 + 16;

/// Why a quarantine can't be read.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineFault {
    /// It can't be read or written.
    #[error("cannot use {}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It is not what was written, or its key is another.
    #[error("{} can't be opened", .0.display())]
    Sealed(PathBuf),
}

/// The folder of all runs that can still be undone.
#[derive(Debug, Clone)]
pub struct Quarantine(PathBuf);

impl Quarantine {
    /// That of a state folder.
    pub fn new(state: &Path) -> Self {
        Self(state.join("quarantine"))
    }

    fn run(&self, run: &RunId) -> PathBuf {
        self.0.join(run.as_str())
    }

    fn data(&self, run: &RunId, batch: &BatchId) -> PathBuf {
        self.run(run).join(batch.as_str())
    }

    fn keys(&self, run: &RunId, batch: &BatchId) -> PathBuf {
        self.run(run).join(format!("{batch}.keys"))
    }

    /// Keeps a batch, in place of what an earlier attempt at it kept; on the disk when this returns.
    pub fn write(&self, run: &RunId, batch: &BatchId, key: &[u8; 32], slots: &[Zeroizing<Vec<u8>>]) -> io::Result<()> {
        let sealing = |_| io::Error::other("sealing failed");
        let run_key = cipher(key).map_err(sealing)?;
        let (mut data, mut keys) = (DATA.to_vec(), KEYS.to_vec());
        for (place, plain) in slots.iter().enumerate() {
            let own = Zeroizing::new(crate::random::bytes::<32>());
            let place = name(run, batch, place);
            let sealed = encrypt(&cipher(&own).map_err(sealing)?, &place, plain).map_err(sealing)?;
            let length = u32::try_from(sealed.len()).map_err(|_| io::Error::other("a record is too large to keep"))?;
            data.extend_from_slice(&length.to_be_bytes());
            data.extend_from_slice(&sealed);
            keys.extend(encrypt(&run_key, &place, own.as_slice()).map_err(sealing)?);
        }
        let folder = self.run(run);
        durable::folder(&folder, true)?;
        // Data and keys of two attempts never lie side by side: without its keys a batch is not kept.
        durable::remove(&self.keys(run, batch))?;
        durable::replace(&self.data(run, batch), &data, durable::PRIVATE, &folder)?;
        durable::replace(&self.keys(run, batch), &keys, durable::PRIVATE, &folder)
    }

    /// Every slot of a batch, opened; `None` where it was forgotten. `None` in all where there is no such batch.
    pub fn read(
        &self,
        run: &RunId,
        batch: &BatchId,
        key: &[u8; 32],
    ) -> Result<Option<Vec<Option<Secret>>>, QuarantineFault> {
        let (path, keys_path) = (self.data(run, batch), self.keys(run, batch));
        let (Some(data), Some(keys)) = (read(&path)?, read(&keys_path)?) else { return Ok(None) };
        let unreadable = || QuarantineFault::Sealed(path.clone());
        let run_key = cipher(key).map_err(|_| unreadable())?;
        let mut data = data.strip_prefix(DATA).ok_or_else(unreadable)?;
        let keys = keys.strip_prefix(KEYS).filter(|keys| keys.len() % SLOT == 0).ok_or_else(unreadable)?;
        let mut out = Vec::new();
        for (place, wrapped) in keys.chunks(SLOT).enumerate() {
            let (length, rest) = data.split_first_chunk::<4>().ok_or_else(unreadable)?;
            let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| unreadable())?;
            let (sealed, rest) = rest.split_at_checked(length).ok_or_else(unreadable)?;
            data = rest;
            if wrapped.iter().all(|byte| *byte == 0) {
                out.push(None);
                continue;
            }
            let place = name(run, batch, place);
            let own = decrypt(&run_key, &place, wrapped).ok_or_else(unreadable)?;
            let own: [u8; 32] = own.bytes().try_into().map_err(|_| unreadable())?;
            let own = cipher(&Zeroizing::new(own)).map_err(|_| unreadable())?;
            out.push(Some(decrypt(&own, &place, sealed).ok_or_else(unreadable)?));
        }
        Ok(Some(out))
    }

    /// Destroys the key of one slot: what it held is closed for ever, the others are not touched.
    pub fn forget(&self, run: &RunId, batch: &BatchId, slot: usize) -> Result<(), QuarantineFault> {
        let path = self.keys(run, batch);
        let at = u64::try_from(KEYS.len() + slot * SLOT).unwrap_or(u64::MAX);
        durable::overwrite(&path, at, &[0; SLOT]).map_err(|cause| QuarantineFault::Io { path, cause })
    }

    /// Removes a batch of which nothing went.
    pub fn drop_batch(&self, run: &RunId, batch: &BatchId) -> Result<(), QuarantineFault> {
        for path in [self.keys(run, batch), self.data(run, batch)] {
            durable::remove(&path).map_err(|cause| QuarantineFault::Io { path, cause })?;
        }
        Ok(())
    }

    /// Removes a run's folder.
    pub fn drop_run(&self, run: &RunId) -> Result<(), QuarantineFault> {
        let path = self.run(run);
        durable::remove_folder(&path).map_err(|cause| QuarantineFault::Io { path, cause })
    }

    /// The runs that have a folder.
    pub fn runs(&self) -> Result<Vec<RunId>, QuarantineFault> {
        self.names(&self.0, |name| RunId::try_from(name).ok())
    }

    /// The batches of a run.
    pub fn batches(&self, run: &RunId) -> Result<Vec<BatchId>, QuarantineFault> {
        self.names(&self.run(run), |name| BatchId::try_from(name).ok())
    }

    fn names<T: Ord>(&self, folder: &Path, read: impl Fn(String) -> Option<T>) -> Result<Vec<T>, QuarantineFault> {
        let failed = |cause| QuarantineFault::Io { path: folder.to_path_buf(), cause };
        let names = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            names => names.map_err(failed)?,
        };
        let mut out = Vec::new();
        for found in names {
            out.extend(read(found.map_err(failed)?.file_name().to_string_lossy().into_owned()));
        }
        out.sort();
        Ok(out)
    }
}

/// What binds sealed bytes to their place.
fn name(run: &RunId, batch: &BatchId, slot: usize) -> Vec<u8> {
    format!("{run}/{batch}/{slot}").into_bytes()
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, QuarantineFault> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(QuarantineFault::Io { path: path.to_path_buf(), cause }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> (tempfile::TempDir, Quarantine, RunId, BatchId) {
        let place = tempfile::tempdir().unwrap();
        let quarantine = Quarantine::new(place.path());
        let (run, batch) = (RunId::from_random([1; 8]), BatchId::from_random([2; 8]));
        let slots: Vec<_> =
            ["about", "jan@canary.example", "piet"].map(|text| Zeroizing::new(text.as_bytes().to_vec())).into();
        quarantine.write(&run, &batch, &[7; 32], &slots).unwrap();
        (place, quarantine, run, batch)
    }

    fn texts(slots: Vec<Option<Secret>>) -> Vec<Option<String>> {
        slots.into_iter().map(|slot| slot.map(|secret| secret.text().unwrap().to_string())).collect()
    }

    #[test]
    fn what_is_kept_comes_back_and_one_slot_can_be_forgotten() {
        let (_place, quarantine, run, batch) = kept();
        assert_eq!(quarantine.runs().unwrap(), std::slice::from_ref(&run));
        assert_eq!(quarantine.batches(&run).unwrap(), std::slice::from_ref(&batch));
        let all = texts(quarantine.read(&run, &batch, &[7; 32]).unwrap().unwrap());
        assert_eq!(all[1].as_deref(), Some("jan@canary.example"));
        quarantine.forget(&run, &batch, 1).unwrap();
        let left = texts(quarantine.read(&run, &batch, &[7; 32]).unwrap().unwrap());
        assert_eq!(left, [Some("about".into()), None, Some("piet".into())]);
        quarantine.drop_run(&run).unwrap();
        assert!(quarantine.runs().unwrap().is_empty());
        assert!(quarantine.read(&run, &batch, &[7; 32]).unwrap().is_none());
    }

    #[test]
    fn without_its_key_or_in_another_place_nothing_opens_and_nothing_lies_open() {
        let (place, quarantine, run, batch) = kept();
        assert!(quarantine.read(&run, &batch, &[8; 32]).is_err());
        for file in fs::read_dir(place.path().join("quarantine").join(run.as_str())).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"canary"));
        }
        let other = BatchId::from_random([3; 8]);
        let folder = quarantine.run(&run);
        fs::copy(folder.join(batch.as_str()), folder.join(other.as_str())).unwrap();
        fs::copy(folder.join(format!("{batch}.keys")), folder.join(format!("{other}.keys"))).unwrap();
        assert!(quarantine.read(&run, &other, &[7; 32]).is_err(), "it is bound to its batch");
    }
}

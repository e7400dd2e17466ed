//! In-flight files: which records a batch is about to erase, sealed, so that a crash can be settled to the record.
//!
//! `inflight/BATCH` is on the disk before the batch's intent is, and the intent names its SHA-256. `inflight/BATCH.xid`
//! is on the disk before COMMIT is sent, and holds the transaction's number where the system gives one. Both go after
//! the outcomes are on the disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::keys::{KeyFault, KeyRing, Sealer};
use crate::domain::decide::Fingerprint;
use crate::domain::digest::Digest;
use crate::domain::id::{BatchId, PlanId, RunId};
use crate::domain::rule::Rule;
use crate::domain::value::Key;
use crate::durable;

/// What is in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// The batch.
    pub batch: BatchId,
    /// Its run.
    pub run: RunId,
    /// Its rule, as it was then: recovery looks for the records where this rule found them.
    pub rule: Rule,
    /// The plan that it carries out.
    pub plan: PlanId,
    /// The decision digest.
    pub decision: Digest,
    /// The log key that its outcomes are committed under.
    pub log_key: String,
    /// The records.
    pub records: Vec<InFlightRecord>,
}

/// One record in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlightRecord {
    /// Its key.
    pub key: Key,
    /// As it was found.
    pub fingerprint: Fingerprint,
    /// The parts that are to go, by their names.
    pub parts: Vec<String>,
}

/// Why a file in flight can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InFlightError {
    /// It can't be read or written.
    #[error("cannot use the in-flight file {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It can't be opened: another key, or not what was written.
    #[error("the in-flight file {} can't be opened", .0.display())]
    Sealed(PathBuf),
    /// The key is missing.
    #[error("the key of in-flight files can't be used")]
    Key(#[from] KeyFault),
}

/// The folder of files in flight.
#[derive(Debug, Clone)]
pub struct InFlightFolder(PathBuf);

impl InFlightFolder {
    /// Those of a state folder.
    pub fn new(state: &Path) -> Self {
        Self(state.join("inflight"))
    }

    /// Those of what is being put back.
    pub fn undo(state: &Path) -> Self {
        Self(state.join("undo"))
    }

    fn path(&self, batch: &BatchId) -> PathBuf {
        self.0.join(batch.as_str())
    }

    fn ticket_path(&self, batch: &BatchId) -> PathBuf {
        self.0.join(format!("{batch}.xid"))
    }

    /// Writes a file; on the disk when this returns. Gives its SHA-256 for the intent.
    pub fn write(&self, what: &InFlight, keys: &Sealer) -> Result<Digest, InFlightError> {
        let path = self.path(&what.batch);
        let failed = |cause| InFlightError::Io { path: path.clone(), cause };
        let plain = serde_json::to_vec(what).map_err(|error| failed(error.into()))?;
        let sealed = keys.seal(&plain, what.batch.as_str().as_bytes())?;
        durable::folder(&self.0, true).map_err(failed)?;
        durable::create(&path, &sealed, durable::PRIVATE).map_err(failed)?;
        Ok(Digest::of(&sealed))
    }

    /// Reads a file back, with the SHA-256 of what lies there; `None` when there is none.
    pub fn read(&self, batch: &BatchId, keys: &KeyRing) -> Result<Option<(Digest, InFlight)>, InFlightError> {
        let path = self.path(batch);
        let sealed = match fs::read(&path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(InFlightError::Io { path, cause }),
        };
        let plain =
            keys.open_sealed(&sealed, batch.as_str().as_bytes()).map_err(|_| InFlightError::Sealed(path.clone()))?;
        let what = serde_json::from_slice(plain.bytes()).map_err(|_| InFlightError::Sealed(path))?;
        Ok(Some((Digest::of(&sealed), what)))
    }

    /// Puts on the disk, before COMMIT, that it is about to be sent: the transaction's number, empty where the system
    /// gives none.
    pub fn write_ticket(&self, batch: &BatchId, ticket: &str) -> io::Result<()> {
        let path = self.ticket_path(batch);
        if path.exists() {
            durable::remove(&path)?;
        }
        durable::create(&path, ticket.as_bytes(), durable::PRIVATE)
    }

    /// The transaction's number, empty where the system gave none; `None` where COMMIT was never sent.
    pub fn ticket(&self, batch: &BatchId) -> io::Result<Option<String>> {
        match fs::read_to_string(self.ticket_path(batch)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes both files, after the outcomes are on the disk.
    pub fn remove(&self, batch: &BatchId) -> io::Result<()> {
        durable::remove_both(&self.ticket_path(batch), &self.path(batch))
    }

    /// The batches that have a file.
    pub fn batches(&self) -> io::Result<Vec<BatchId>> {
        let names = match fs::read_dir(&self.0) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut batches = Vec::new();
        for name in names {
            let name = name?.file_name().to_string_lossy().into_owned();
            batches.extend(BatchId::try_from(name).ok());
        }
        batches.sort();
        Ok(batches)
    }
}

//! What a batch writes to this host's disk, and when: outcomes of the batch before it, a head over them, its own in-flight
//! file and its intent. All of it is written on a thread of its own while the system locks and reads; the system's first
//! statement that writes waits for it.

use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use tokio::sync::watch;

use super::batch::OUTCOME_BYTES;
use super::{Engine, EngineError};
use crate::audit::commitment::Committer;
use crate::audit::entry::Body;
use crate::audit::fault::LogFault;
use crate::audit::log::Log;
use crate::connect::Item;
use crate::crash_point;
use crate::domain::id::BatchId;
use crate::domain::outcome::Receipt;
use crate::domain::rule::Rule;
use crate::domain::value::record_bytes;
use crate::state::inflight::{InFlight, InFlightFolder};
use crate::state::keys::Sealer;

/// A batch that is over, its outcomes not yet written.
#[derive(Debug, Clone)]
pub(super) struct Over {
    pub(super) id: BatchId,
    pub(super) items: Arc<Vec<Item>>,
    pub(super) receipts: Arc<Vec<Receipt>>,
    /// The key that its outcomes are committed under.
    pub(super) log_key: String,
    /// Until when what went is kept.
    pub(super) until: Option<NaiveDate>,
}

/// A batch that is about to begin.
pub(super) struct Ahead {
    pub(super) flight: InFlight,
    pub(super) sealer: Sealer,
    pub(super) folder: InFlightFolder,
}

/// What is to be written.
pub(super) struct Chore {
    pub(super) over: Option<(Over, Arc<Rule>, Committer)>,
    pub(super) ahead: Option<Ahead>,
    /// Outcomes of batches that the system has, besides.
    pub(super) aloft: u64,
}

/// Whether the intent is on the disk: not yet known, or known.
pub(super) type Intended = watch::Receiver<Option<bool>>;

/// Something is being written.
pub(super) struct Writing {
    thread: tokio::task::JoinHandle<(Log, Result<Wrote, EngineError>)>,
    /// Told when all of it is on the disk, or will never be.
    pub(super) intended: Intended,
}

impl Over {
    fn bodies(&self, rule: &Rule, committer: &Committer) -> Result<Vec<Body>, EngineError> {
        let collection = rule.selection.collection();
        let body = |receipt: &Receipt| {
            let (item, part) = (self.items.get(receipt.item)?, rule.parts.get(receipt.part)?);
            Some(Body::Outcome {
                batch: self.id.clone(),
                rule: rule.id.clone(),
                part: part.id.clone(),
                record: committer.commitment(&record_bytes(&rule.system, &collection, &item.key), &part.id),
                result: receipt.outcome,
                children: receipt.children.clone(),
                pending: receipt.pending.clone(),
                recovered: false,
                until: self.until.filter(|_| receipt.outcome.is_purge()),
            })
        };
        let bodies: Option<Vec<Body>> = self.receipts.iter().map(body).collect();
        bodies
            .ok_or_else(|| EngineError::Refused(format!("the answer to {} names a record that was not in it", self.id)))
    }
}

impl Ahead {
    /// How many (record, part) pairs.
    fn count(&self) -> u64 {
        self.flight.records.iter().map(|record| record.parts.len() as u64).sum()
    }

    /// Writes the file, and gives the intent that names it, with its key.
    fn intend(self) -> Result<(Body, String), EngineError> {
        let count = self.count();
        let file = self.folder.write(&self.flight, &self.sealer)?;
        crash_point!("inflight-written");
        let InFlight { batch, run, rule, decision, log_key, .. } = self.flight;
        Ok((Body::BatchIntended { batch, run, rule: rule.id, decision, count, file }, log_key))
    }
}

/// What was written, to be taken into the view.
struct Wrote {
    bodies: Vec<Body>,
    range: Range<u64>,
    now: DateTime<Utc>,
}

impl Chore {
    /// Outcomes that are still to be written when this batch has begun: those of the last one, and its own.
    fn outcomes(&self) -> u64 {
        let over = self.over.as_ref().map_or(0, |(over, ..)| over.receipts.len() as u64);
        over + self.ahead.as_ref().map_or(0, Ahead::count) + self.aloft
    }

    fn write(self, log: &mut Log) -> Result<Wrote, EngineError> {
        let mut bodies = match &self.over {
            Some((over, rule, committer)) => over.bodies(rule, committer)?,
            None => Vec::new(),
        };
        let (outcomes, mut key) = (bodies.len(), String::new());
        if let Some(ahead) = self.ahead {
            let (intent, its_key) = ahead.intend()?;
            bodies.push(intent);
            key = its_key;
        }
        let now = crate::now::now();
        let (sealed, then) = bodies.split_at(outcomes);
        let range = match &self.over {
            Some((over, ..)) => log.commit_then((sealed, &over.log_key), (then, &key), now)?,
            None => log.append(then, &key, now)?,
        };
        if outcomes > 0 {
            crash_point!("outcomes-written");
        }
        if bodies.len() > outcomes {
            crash_point!("intent-written");
        }
        Ok(Wrote { bodies, range, now })
    }
}

impl Engine {
    /// Begins to write. Until [`written`](Self::written) the log is with the thread that writes.
    pub(super) fn begin_writing(&mut self, chore: Chore) -> Result<Writing, EngineError> {
        // Either reads what other processes wrote, and learns when one of them replaced the signing key.
        if chore.ahead.is_some() {
            let bytes = (chore.outcomes() + 3) * OUTCOME_BYTES;
            self.on_log(|log| log.reserve(bytes))?;
        } else {
            // Its room was kept when it began; on a full disk there is no more.
            self.on_log(Log::look)?;
        }
        let state = self.loaded.settings.state.clone();
        let mut log = self.log.take().ok_or(EngineError::NotInitialised(state))?;
        let (told, intended) = watch::channel(None);
        let thread = tokio::task::spawn_blocking(move || {
            let done = chore.write(&mut log);
            told.send_replace(Some(done.is_ok()));
            if done.is_ok()
                && let Err(error) = log.publish_ahead()
            {
                // The run publishes at its end, and says then what is wrong.
                tracing::debug!(%error, "tiles could not be written ahead");
            }
            (log, done)
        });
        Ok(Writing { thread, intended })
    }

    /// Waits until all is written, and takes the log back.
    pub(super) async fn written(&mut self, writing: Writing) -> Result<(), EngineError> {
        // A thread that panicked leaves no log behind: nothing more is written by this process.
        let (log, done) = writing.thread.await.map_err(|_| EngineError::Log(LogFault::Closed))?;
        self.log = Some(log);
        let Wrote { bodies, range, now } = done?;
        self.take_written(&bodies, &range, now)
    }
}

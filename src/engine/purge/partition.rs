//! Partitions of which every record goes: they are dropped with all of them, before anything goes in batches.
//!
//! The crash protocol is that of batches. A partition is one change and several batches, so that neither memory nor a file
//! grows with it: each pile of its records has an in-flight file and an intent of its own; all of them stand on the disk
//! before the partition is locked; its transaction's number is written beside each before it may be committed; and the
//! outcomes of each are written and its records looked for one after the other. So whatever a crash leaves is settled as it
//! is for other batches. What is not dropped after all (a row came in, a lock was not given) is `not-done`, and goes in
//! batches then.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use chrono::NaiveDate;

use super::{Pick, Supply, Tried, Walk, oldest_due};
use crate::audit::entry::Body;
use crate::connect::{Absence, CommitWatch, Dropping, EraseError, Partition, Pile, Versions};
use crate::crash_point;
use crate::domain::decide::{Found, Moment, decide};
use crate::domain::digest::Digest;
use crate::domain::hold::Holds;
use crate::domain::id::BatchId;
use crate::domain::outcome::{Outcome, Tally};
use crate::domain::rule::Rule;
use crate::domain::term::due_day;
use crate::engine::batch::{OUTCOME_BYTES, RunContext, all_receipts};
use crate::engine::flight::Over;
use crate::engine::plan::spool_error;
use crate::engine::recover::items_of;
use crate::engine::survey::Progress;
use crate::engine::{Engine, EngineError};
use crate::random;
use crate::state::inflight::{InFlightFolder, InFlightRecord};
use crate::state::keys::Sealer;
use crate::state::shelf::{Shelf, Shelved};

/// Records of a partition that is dropped, at most: room for their outcomes is kept on this host's disk.
const MOST: u64 = 1_000_000;

/// Some records of a partition, with a batch of their own.
struct Piece {
    batch: BatchId,
    count: u64,
    /// The digest of its in-flight file.
    file: Digest,
    /// Their old values.
    old: Shelved,
}

/// A partition whose records were all read and judged.
struct Judged {
    pieces: Vec<Piece>,
    /// How many of them are due since the last day that this run reaches.
    of_last_day: u64,
    log_key: String,
    shelf: Shelf,
    holds: Arc<Holds>,
}

impl Judged {
    fn records(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.count).sum()
    }
}

/// Judges records as they are read, and writes those of each pile to a file.
struct Taker<'a> {
    pick: &'a Pick<'a>,
    tried: &'a Tried,
    context: &'a RunContext,
    /// How many records of the last due day still fit.
    left: u64,
    folder: InFlightFolder,
    sealer: Sealer,
    judged: Judged,
    fault: Option<EngineError>,
}

impl Taker<'_> {
    /// False: something stays, or there is too much, or a fault.
    fn take(&mut self, pile: &Pile) -> bool {
        match self.taken(pile) {
            Ok(goes) => goes,
            Err(fault) => {
                self.fault = Some(fault);
                false
            }
        }
    }

    fn taken(&mut self, pile: &Pile) -> Result<bool, EngineError> {
        if self.judged.records() + pile.found.len() as u64 > MOST {
            return Ok(false);
        }
        let mut records = Vec::with_capacity(pile.found.len());
        for found in &pile.found {
            let Some(record) = self.goes(found)? else { return Ok(false) };
            records.push(record);
        }
        let batch = BatchId::from_random(random::bytes());
        let flight = self.context.flight(batch, &self.judged.log_key, records);
        let old = self.judged.shelf.put(&pile.old).map_err(shelf_error)?;
        let file = self.folder.write(&flight, &self.sealer)?;
        crash_point!("partition-piece-written");
        self.judged.pieces.push(Piece { batch: flight.batch, count: flight.records.len() as u64, file, old });
        Ok(true)
    }

    /// The record in flight, where it is due, in the plan's set and within this run's pace.
    fn goes(&mut self, found: &Found) -> Result<Option<InFlightRecord>, EngineError> {
        let (mandate, rule) = (self.pick.mandate, self.pick.rule);
        let verdicts = decide(rule, found, &self.judged.holds, mandate.moment);
        let Some(since) = oldest_due(&verdicts).filter(|day| *day <= mandate.last_day) else { return Ok(None) };
        let parts = self.pick.parts_in_set(&found.key, &verdicts)?;
        if parts.len() != rule.parts.len() || self.pick.was_tried(self.tried, &found.key) {
            return Ok(None);
        }
        if since == mandate.last_day {
            self.judged.of_last_day += 1;
            if self.judged.of_last_day > self.left {
                return Ok(None);
            }
        }
        Ok(Some(InFlightRecord {
            key: found.key.clone(),
            fingerprint: found.fingerprint,
            parts: self.context.names(&parts),
        }))
    }
}

/// Writes the transaction's number beside each file before anything of it can be committed.
struct Tickets<'a> {
    folder: &'a InFlightFolder,
    batches: &'a [BatchId],
}

#[async_trait]
impl CommitWatch for Tickets<'_> {
    fn before_commit(&self, ticket: Option<&str>) -> io::Result<()> {
        for batch in self.batches {
            self.folder.write_ticket(batch, ticket.unwrap_or_default())?;
            crash_point!("partition-ticket");
        }
        Ok(())
    }

    fn point(&self, name: &'static str) {
        #[cfg(feature = "crash-points")]
        crate::crash::at(name);
        #[cfg(not(feature = "crash-points"))]
        let _ = name;
    }
}

/// What became of a partition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fell {
    Dropped,
    Stayed,
    /// The answer was lost.
    Unknown,
}

impl Engine {
    /// Drops each partition of which every record goes. What is left is found again.
    pub(super) async fn drop_partitions(
        &mut self,
        walk: &mut Walk<'_>,
        tried: &mut Tried,
        progress: &dyn Progress,
    ) -> Result<(), EngineError> {
        let (context, moment) = (walk.context, walk.pick.mandate.moment);
        let rule: &Rule = &context.rule;
        // A first bite goes alone, and is looked for again.
        if !rule.drop_partitions || walk.pick.mandate.look_again || context.keeping.is_some() {
            return Ok(());
        }
        let partitions = match walk.connector.partitions(rule).await {
            Ok(partitions) => partitions,
            Err(error) => {
                tracing::warn!(rule = %rule.id, error = %error, "partitions can't be dropped: rows are deleted in batches");
                return Ok(());
            }
        };
        for partition in partitions.iter().filter(|one| is_past(rule, one.last_day, moment)) {
            if partition.rows > MOST {
                let (name, rows) = (&partition.name, partition.rows);
                tracing::info!(partition = %name, rows, most = MOST, "too large to be dropped: its rows are deleted in batches");
                continue;
            }
            if !self.may_go_on(walk, tried, progress).await? {
                return Ok(());
            }
            if self.drop_one(walk, tried, partition, progress).await? {
                walk.supply = Supply::Found { after: None, page: Vec::new().into_iter(), end: false };
                progress.at(rule.id.as_str(), walk.walked.seen, walk.pick.mandate.set.len());
            }
        }
        Ok(())
    }

    /// Drops one partition where every record of it goes. True: they are no longer in the plan's supply.
    async fn drop_one(
        &mut self,
        walk: &mut Walk<'_>,
        tried: &Tried,
        partition: &Partition,
        progress: &dyn Progress,
    ) -> Result<bool, EngineError> {
        let begun = Instant::now();
        let judged = self.judge_partition(walk, tried, partition, progress).await?;
        let Some((judged, versions)) = judged else { return Ok(false) };
        crash_point!("partition-read");
        if !self.intend_partition(walk.context, partition, &judged)? {
            return Ok(false);
        }
        let fell = self.let_fall(walk, partition, &judged, &versions).await?;
        let took = begun.elapsed();
        crash_point!("erased");
        let records = judged.records();
        match fell {
            Fell::Dropped => {
                tracing::info!(partition = %partition.name, records, "dropped with every record in it");
                walk.next.last_day_left = walk.next.last_day_left.saturating_sub(judged.of_last_day);
            }
            Fell::Stayed => {
                tracing::info!(partition = %partition.name, records, "not dropped: its rows are deleted in batches");
            }
            Fell::Unknown => {}
        }
        for piece in &judged.pieces {
            self.end_piece(walk, &judged, piece, fell).await?;
        }
        self.after_batch(&walk.context.rule.system, took);
        Ok(fell != Fell::Stayed)
    }

    /// Reads and judges every record of a partition, each pile into a file of its own. `None`: something of it stays.
    async fn judge_partition(
        &mut self,
        walk: &Walk<'_>,
        tried: &Tried,
        partition: &Partition,
        progress: &dyn Progress,
    ) -> Result<Option<(Judged, Versions)>, EngineError> {
        let scratch = self.scratch()?;
        let put_away = Shelf::new(&scratch).map_err(|cause| spool_error(&scratch, cause))?;
        let (log_key, holds) = (self.log_key_id()?, Arc::clone(&self.holds));
        let mut taker = Taker {
            pick: &walk.pick,
            tried,
            context: walk.context,
            left: walk.next.last_day_left,
            folder: self.inflight.clone(),
            sealer: self.ring()?.sealer()?,
            judged: Judged { pieces: Vec::new(), of_last_day: 0, log_key, shelf: put_away, holds: Arc::clone(&holds) },
            fault: None,
        };
        let (rule, wants) = (walk.pick.rule, !holds.is_empty());
        let mut take = |pile: Pile| !progress.stop() && taker.take(&pile);
        let read = walk.connector.read_partition(rule, partition, wants, &mut take).await;
        let Taker { judged, fault, .. } = taker;
        let why = match (fault, read) {
            (None, Ok(Some(versions))) if !judged.pieces.is_empty() => return Ok(Some((judged, versions))),
            (fault, read) => (fault, read.err()),
        };
        // Files without an intent: nothing was begun.
        self.discard(&judged)?;
        match why {
            (Some(fault), _) => Err(fault),
            (None, Some(error)) => {
                tracing::warn!(partition = %partition.name, error = %error, "not read: its rows are deleted in batches");
                Ok(None)
            }
            (None, None) => Ok(None),
        }
    }

    fn discard(&self, judged: &Judged) -> Result<(), EngineError> {
        judged.pieces.iter().try_for_each(|piece| self.drop_inflight(&piece.batch))
    }

    /// Puts the intents of all pieces on the disk. False: there is no room for what would have to be written then.
    fn intend_partition(
        &mut self,
        context: &RunContext,
        partition: &Partition,
        judged: &Judged,
    ) -> Result<bool, EngineError> {
        let bytes = (judged.records() + judged.pieces.len() as u64 + 3) * OUTCOME_BYTES;
        if let Err(error) = self.on_log(|log| log.reserve(bytes)) {
            let name = &partition.name;
            tracing::info!(partition = %name, bytes, error = %error, "no room for its outcomes: its rows are deleted in batches");
            self.discard(judged)?;
            return Ok(false);
        }
        let body = |piece: &Piece| Body::BatchIntended {
            batch: piece.batch.clone(),
            run: context.run.clone(),
            rule: context.rule.id.clone(),
            decision: context.decision,
            count: piece.count,
            file: piece.file,
        };
        let bodies: Vec<Body> = judged.pieces.iter().map(body).collect();
        let now = crate::now::now();
        let range = self.on_log(|log| log.append(&bodies, &judged.log_key, now))?;
        self.take_written(&bodies, &range, now)?;
        crash_point!("intent-written");
        Ok(true)
    }

    /// Lets the system drop it, if it was judged by the holds that are in force now.
    async fn let_fall(
        &mut self,
        walk: &Walk<'_>,
        partition: &Partition,
        judged: &Judged,
        versions: &Versions,
    ) -> Result<Fell, EngineError> {
        self.refresh_holds()?;
        if self.holds.digest() != judged.holds.digest() {
            return Ok(Fell::Stayed);
        }
        let batches: Vec<BatchId> = judged.pieces.iter().map(|piece| piece.batch.clone()).collect();
        let watch = Tickets { folder: &self.inflight, batches: &batches };
        let drop = Dropping { rule: walk.pick.rule, partition, versions, batches: &batches };
        Ok(match walk.connector.drop_partition(&drop, &watch).await {
            Ok(true) => Fell::Dropped,
            Ok(false) => Fell::Stayed,
            Err(EraseError::NotDone(error)) => {
                tracing::warn!(partition = %partition.name, error = %error, "a partition could not be dropped");
                Fell::Stayed
            }
            Err(EraseError::InDoubt(_)) => Fell::Unknown,
        })
    }

    /// Writes what became of the records of one piece, and looks for what is left of them.
    async fn end_piece(
        &mut self,
        walk: &mut Walk<'_>,
        judged: &Judged,
        piece: &Piece,
        fell: Fell,
    ) -> Result<(), EngineError> {
        let (connector, rule) = (Arc::clone(&walk.connector), Arc::clone(&walk.context.rule));
        let flight = self.flight(&self.inflight, &piece.batch, piece.file)?;
        let (Some(flight), Fell::Dropped | Fell::Stayed) = (flight, fell) else {
            // Nobody was told: it is settled as after a crash, by looking.
            let tally = self.settle_batch(connector.as_ref(), &piece.batch).await?;
            walk.walked.absence.merge(&Absence { unlooked: tally.purged(), ..Absence::default() });
            count(walk, piece, &tally);
            return Ok(());
        };
        let outcome = if fell == Fell::Dropped { Outcome::Erased } else { Outcome::NotDone };
        let items = Arc::new(items_of(&flight));
        let receipts = all_receipts(&items, outcome);
        if outcome == Outcome::Erased {
            let old = judged.shelf.get(piece.old).map_err(shelf_error)?;
            if let Err(error) = connector.recall(&rule, &piece.batch, old.bytes()).await {
                tracing::warn!(batch = %piece.batch, error = %error, "old values can't be looked for");
            }
        }
        let mut tally = Tally::default();
        for receipt in &receipts {
            tally.add(receipt.outcome);
        }
        let over = Over {
            id: piece.batch.clone(),
            items,
            receipts: Arc::new(receipts),
            log_key: judged.log_key.clone(),
            until: None,
        };
        let absence = self.conclude(connector.as_ref(), &rule, over, 0).await?;
        walk.walked.absence.merge(&absence);
        count(walk, piece, &tally);
        Ok(())
    }
}

/// What was not done is handed to the system again.
fn count(walk: &mut Walk<'_>, piece: &Piece, tally: &Tally) {
    let handed = piece.count.saturating_sub(tally.of(Outcome::NotDone));
    walk.walked.seen += handed;
    walk.walked.records += handed;
    walk.walked.tally.merge(tally);
}

/// Whether whatever a range holds, up to its last day, is past its term: nothing that may come into it later would have to
/// be kept.
fn is_past(rule: &Rule, last_day: NaiveDate, moment: Moment) -> bool {
    let mut grounds = rule.parts.iter().flat_map(|part| &part.grounds);
    let due = |day: Option<NaiveDate>| day.is_some_and(|day| day <= moment.today);
    grounds.all(|ground| due(due_day(last_day, ground.keep, ground.from, moment.year)))
}

fn shelf_error(cause: io::Error) -> EngineError {
    EngineError::Io { doing: "put away what is looked for later, in", path: "plans".into(), cause }
}

//! The contract of `connect`, implemented once for every SQL engine.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::sync::Mutex;

use super::candidates::Walk;
use super::engine::{Engine, FaultKind, Purpose, Session, SqlFault, TicketFate};
use super::erase::{self, Eraser};
use super::fault;
use super::memory::{Memories, Memory};
use super::records::Reader;
use super::resolve::{self, Resolved};
use super::restore::{self, Restorer};
use super::schema;
use super::sessions::{self, Lease, Slot};
use super::strain::Watching;
use super::tables;
use crate::connect::{
    Absence, Advice, Back, Batch, Candidates, Capabilities, CommitWatch, ConnectError, Connector, Count, Described,
    Dropping, EraseError, Fate, FieldKeys, Finding, Item, Judge, Keeps, Look, Page, Partition, Presence, Probe, Query,
    Severity, Strain, StrainOf, TakePile, Undo, Versions,
};
use crate::domain::decide::{Found, Moment};
use crate::domain::id::{BatchId, RuleId, SystemId};
use crate::domain::outcome::Receipt;
use crate::domain::rule::Rule;
use crate::domain::value::Key;

/// A database, through its engine.
pub struct SqlConnector {
    pub(super) engine: Box<dyn Engine>,
    pub(super) system: SystemId,
    pub(super) zone: Tz,
    pub(super) keys: FieldKeys,
    pub(super) batch_table: bool,
    pub(super) read: Slot,
    pub(super) write: [Slot; 2],
    lock: Slot,
    pub(super) watching: Watching,
    cache: Mutex<HashMap<RuleId, Known>>,
    /// Old values of the last batches, until they were looked for.
    memories: std::sync::Mutex<Memories>,
    /// Walks over candidates, by their rule.
    pub(super) walks: std::sync::Mutex<HashMap<RuleId, Walk>>,
}

/// What is known of a rule in this database.
struct Known {
    rule: Rule,
    /// What it rested on when it was last checked.
    checked: Option<String>,
    /// The rule held against the catalogue.
    resolved: Option<Arc<Resolved>>,
}

impl std::fmt::Debug for SqlConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqlConnector({})", self.system)
    }
}

impl SqlConnector {
    /// A connector that has connected to nothing yet.
    pub fn new(engine: Box<dyn Engine>, system: SystemId, zone: Tz, keys: FieldKeys, batch_table: bool) -> Self {
        Self {
            engine,
            system,
            zone,
            keys,
            batch_table,
            read: Slot::new(Purpose::Read),
            write: [Slot::new(Purpose::Write), Slot::new(Purpose::Write)],
            lock: Slot::new(Purpose::Write),
            watching: Watching::new(),
            cache: Mutex::new(HashMap::new()),
            memories: std::sync::Mutex::default(),
            walks: std::sync::Mutex::default(),
        }
    }

    pub(super) fn sql(&self, doing: &'static str) -> impl Fn(SqlFault) -> ConnectError + '_ {
        move |found| fault::from_sql(&self.system, doing, &found)
    }

    pub(super) async fn reading(&self, doing: &'static str) -> Result<Lease<'_>, ConnectError> {
        self.read.lease(self.engine.as_ref()).await.map_err(self.sql(doing))
    }

    /// The rule held against the catalogue; kept until the next probe. It must be as the last probe found it.
    pub(super) async fn resolved(&self, rule: &Rule, doing: &'static str) -> Result<Arc<Resolved>, ConnectError> {
        let mut cache = self.cache.lock().await;
        let known = cache.get(&rule.id).filter(|known| known.rule == *rule);
        if let Some(resolved) = known.and_then(|known| known.resolved.as_ref()) {
            return Ok(Arc::clone(resolved));
        }
        let checked = known.and_then(|known| known.checked.clone());
        let mut lease = self.reading(doing).await?;
        let tables = tables::gather(self.engine.as_ref(), lease.session(), rule).await.map_err(self.sql(doing))?;
        lease.keep();
        let (resolved, findings) = resolve::resolve(rule, &tables, self.engine.dialect(), self.zone);
        let faulty = findings.iter().any(|one| one.severity == Severity::Fault);
        let resolved = resolved.filter(|_| !faulty);
        let resolved = Arc::new(resolved.ok_or_else(|| fault::from_findings(&self.system, doing, &findings))?);
        if checked.as_ref().is_some_and(|checked| *checked != schema::rests_on(&resolved)) {
            return Err(fault::own(&self.system, doing, schema::ALTERED.into(), Advice::Fix));
        }
        let known = Known { rule: rule.clone(), checked, resolved: Some(Arc::clone(&resolved)) };
        cache.insert(rule.id.clone(), known);
        Ok(resolved)
    }

    /// Forgets what the catalogue said of a rule.
    pub(super) async fn forget(&self, rule: &Rule) {
        if let Some(known) = self.cache.lock().await.get_mut(&rule.id) {
            known.resolved = None;
        }
    }

    /// Remembers what a rule rests on: from now on it must stay so.
    pub(super) async fn checked(&self, rule: &Rule, resolved: Option<&Resolved>) {
        let known = Known { rule: rule.clone(), checked: resolved.map(schema::rests_on), resolved: None };
        self.cache.lock().await.insert(rule.id.clone(), known);
    }

    /// What is remembered of this batch, once.
    pub(super) fn remembered(&self, batch: &BatchId) -> Option<Memory> {
        self.memories().take(batch)
    }

    pub(super) fn memories(&self) -> std::sync::MutexGuard<'_, Memories> {
        self.memories.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn reader<'a>(&'a self, rule: &'a Rule, resolved: &'a Resolved) -> Reader<'a> {
        Reader { dialect: self.engine.dialect(), rule, resolved, keys: &self.keys, zone: self.zone }
    }

    /// Makes the batch table where it is missing. Asking first spares an account that may not create tables.
    pub(super) async fn ready_batch_table(&self, batch: &BatchId, session: &mut dyn Session) -> Result<(), EraseError> {
        let not_done = |found: SqlFault| EraseError::NotDone(fault::from_sql(&self.system, erase::DOING, &found));
        match session.rows(&self.engine.find_batch_row(batch)).await {
            Ok(rows) if rows.is_empty() => Ok(()),
            Ok(_) => {
                // It contradicts an answer that we were given: only looking tells.
                let what = "this batch was committed before".to_string();
                Err(EraseError::InDoubt(fault::own(&self.system, erase::DOING, what, Advice::Stop)))
            }
            Err(found) if found.kind == FaultKind::Schema => {
                session.execute(&self.engine.create_batch_table()).await.map(|_| ()).map_err(not_done)
            }
            Err(found) => Err(not_done(found)),
        }
    }

    /// The restoring transaction: what `erase_on` is to erasing.
    async fn restore_on(&self, undo: &Undo<'_>, watch: &dyn CommitWatch) -> Result<Vec<Back>, EraseError> {
        let failed = |found: SqlFault| EraseError::NotDone(fault::from_sql(&self.system, restore::DOING, &found));
        let wholes = restore::read(&self.system, undo).map_err(|error| EraseError::NotDone(*error))?;
        let mut lease = self.write[0].lease(self.engine.as_ref()).await.map_err(failed)?;
        if self.batch_table {
            self.ready_batch_table(undo.id, lease.session()).await?;
        }
        let session = lease.session();
        session.begin().await.map_err(failed)?;
        let restorer = Restorer::new(self.engine.as_ref(), session, &wholes).await.map_err(failed)?;
        let row = self.batch_table.then_some(undo.id);
        let backs = restorer.run(session, &self.system, &wholes, row, watch).await?;
        lease.keep();
        Ok(backs)
    }

    async fn erase_on(
        &self,
        batch: &Batch<'_>,
        judge: &dyn Judge,
        watch: &dyn CommitWatch,
    ) -> Result<Vec<Receipt>, EraseError> {
        let resolved = self.resolved(batch.rule, erase::DOING).await.map_err(EraseError::NotDone)?;
        let not_done = |found: SqlFault| EraseError::NotDone(fault::from_sql(&self.system, erase::DOING, &found));
        let mut lease = sessions::lease_one_of(&self.write, self.engine.as_ref()).await.map_err(not_done)?;
        if self.batch_table {
            self.ready_batch_table(batch.id, lease.session()).await?;
        }
        let eraser = Eraser {
            reader: self.reader(batch.rule, &resolved),
            engine: self.engine.as_ref(),
            system: &self.system,
            batch,
            judge,
            watch,
            batch_row: self.batch_table,
            memory: std::sync::Mutex::new(Memory::of(batch.id, &resolved)),
            by_span: &AtomicBool::new(true),
            wrote: &AtomicBool::new(false),
        };
        let (result, reusable) = eraser.run(lease.session()).await;
        self.memories().keep(eraser.memory.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
        if reusable {
            lease.keep();
        } else {
            // What failed may have failed because the tables are no longer those that we read.
            self.forget(batch.rule).await;
        }
        result
    }
}

#[async_trait]
impl Connector for SqlConnector {
    fn capabilities(&self) -> Capabilities {
        Capabilities { erase_records: true, anonymise: true, transactions: true, restore: true }
    }

    async fn identity(&self) -> Result<String, ConnectError> {
        let doing = "ask which database this is";
        let mut lease = self.reading(doing).await?;
        let identity = self.engine.identity(lease.session()).await.map_err(self.sql(doing))?;
        lease.keep();
        Ok(identity)
    }

    async fn server_now(&self) -> Result<DateTime<Utc>, ConnectError> {
        let doing = "ask the server's time";
        let mut lease = self.reading(doing).await?;
        let now = self.engine.now(lease.session()).await.map_err(self.sql(doing))?;
        lease.keep();
        Ok(now)
    }

    async fn probe(&self, rule: &Rule) -> Result<Probe, ConnectError> {
        self.probe_rule(rule).await
    }

    async fn probe_rights(&self, rules: &[&Rule]) -> Result<Vec<Finding>, ConnectError> {
        self.rights_of(rules).await
    }

    async fn grants(&self, rules: &[&Rule]) -> Result<Vec<String>, ConnectError> {
        self.grants_for(rules).await
    }

    async fn keeps(&self, rules: &[&Rule]) -> Result<Keeps, ConnectError> {
        self.kept_of(rules).await
    }

    async fn count(&self, rule: &Rule, left_out_at: Option<Moment>) -> Result<Count, ConnectError> {
        self.count_of(rule, left_out_at).await
    }

    async fn about(&self, rule: &Rule, left_out_at: Moment) -> Result<Option<u64>, ConnectError> {
        let resolved = self.resolved(rule, "ask how many records there are").await?;
        let all = resolved.filter.is_none() && resolved.protect.is_empty();
        let by_index = self.reader(rule, &resolved).candidate_keys(left_out_at).is_some();
        Ok((all && by_index).then_some(resolved.table.estimate))
    }

    async fn has(&self, rule: &Rule, records: u64) -> Result<bool, ConnectError> {
        self.has_records(rule, records).await
    }

    async fn find(&self, query: &Query<'_>, after: Option<&Key>) -> Result<Page, ConnectError> {
        let doing = "read records";
        if after.is_none() {
            // A new reading begins: the tables may have changed since the last.
            self.forget(query.rule).await;
        }
        let resolved = self.resolved(query.rule, doing).await?;
        let reader = self.reader(query.rule, &resolved);
        let mut lease = self.reading(doing).await?;
        let (records, next) = self
            .next_records(&reader, lease.session(), query, after)
            .await
            .map_err(|found| fault::from_read(&self.system, doing, &found))?;
        let mut found: Vec<Found> = records.iter().map(|record| reader.found(record)).collect();
        reader
            .read_below(lease.session(), &mut found, query.identities)
            .await
            .map_err(|found| fault::from_read(&self.system, doing, &found))?;
        lease.keep();
        let narrowed = query.due_by.and_then(|moment| super::preselect::may_be_due(&reader, moment)).is_some();
        Ok(Page { narrowed, found, next })
    }

    async fn dependants(&self, rule: &Rule, keys: &[Key]) -> Result<BTreeMap<String, u64>, ConnectError> {
        let doing = "count child rows";
        let resolved = self.resolved(rule, doing).await?;
        let mut out: BTreeMap<String, u64> =
            resolved.nodes.iter().skip(1).map(|node| (node.label.clone(), 0)).collect();
        if resolved.nodes.len() == 1 {
            return Ok(out);
        }
        let reader = self.reader(rule, &resolved);
        let mut lease = self.reading(doing).await?;
        for chunk in keys.chunks(super::records::CHUNK) {
            let roots: Vec<(usize, &Key)> = chunk.iter().enumerate().collect();
            let below = reader
                .below(lease.session(), &roots, false)
                .await
                .map_err(|found| fault::from_read(&self.system, doing, &found))?;
            for (table, count) in reader.tally(&below, roots.len()).into_values().flatten() {
                *out.entry(table).or_default() += count;
            }
        }
        lease.keep();
        Ok(out)
    }

    async fn erase(
        &self,
        batch: &Batch<'_>,
        judge: &dyn Judge,
        watch: &dyn CommitWatch,
    ) -> Result<Vec<Receipt>, EraseError> {
        self.erase_on(batch, judge, watch).await
    }

    async fn side_by_side(&self, rule: &Rule) -> Result<bool, ConnectError> {
        let resolved = self.resolved(rule, erase::DOING).await?;
        Ok(self.engine.side_by_side() && resolved.is_plain())
    }

    async fn partitions(&self, rule: &Rule) -> Result<Vec<Partition>, ConnectError> {
        self.partitions_of(rule).await
    }

    async fn read_partition(
        &self,
        rule: &Rule,
        partition: &Partition,
        identities: bool,
        take: &mut TakePile<'_>,
    ) -> Result<Option<Versions>, ConnectError> {
        self.read_all_of(rule, partition, identities, take).await
    }

    async fn drop_partition(&self, drop: &Dropping<'_>, watch: &dyn CommitWatch) -> Result<bool, EraseError> {
        self.drop_whole(drop, watch).await
    }

    async fn recall(&self, rule: &Rule, batch: &BatchId, old: &[u8]) -> Result<(), ConnectError> {
        let resolved = self.resolved(rule, "look for what is left of a partition").await?;
        if let Some(memory) = Memory::recalled(batch, &resolved, old) {
            self.memories().keep(memory);
        }
        Ok(())
    }

    async fn restore(&self, undo: &Undo<'_>, watch: &dyn CommitWatch) -> Result<Vec<Back>, EraseError> {
        self.restore_on(undo, watch).await
    }

    async fn look_back(&self, undo: &Undo<'_>) -> Result<Vec<Back>, ConnectError> {
        let doing = "look whether records are back";
        let mut lease = self.write[0].lease(self.engine.as_ref()).await.map_err(self.sql(doing))?;
        let wholes = restore::read(&self.system, undo).map_err(|error| *error)?;
        let session = lease.session();
        session.begin().await.map_err(self.sql(doing))?;
        let restorer = Restorer::new(self.engine.as_ref(), session, &wholes).await.map_err(self.sql(doing))?;
        let backs = restorer.look_all(session, &wholes).await.map_err(self.sql(doing))?;
        session.rollback().await.map_err(self.sql(doing))?;
        lease.keep();
        Ok(backs)
    }

    async fn fate(&self, batch: &BatchId, ticket: Option<&str>) -> Result<Fate, ConnectError> {
        let doing = "ask what became of a batch";
        let mut lease = self.reading(doing).await?;
        if self.batch_table {
            // A table that is not there yet is no answer, and no error. A row that is not there is none either: the
            // transaction may still be running, or the table be newer than the batch.
            match lease.session().rows(&self.engine.find_batch_row(batch)).await {
                Ok(rows) if !rows.is_empty() => {
                    lease.keep();
                    return Ok(Fate::Committed);
                }
                Ok(_) => {}
                Err(found) if found.kind == FaultKind::Schema => {}
                Err(found) => return Err(self.sql(doing)(found)),
            }
        }
        let Some(ticket) = ticket else {
            lease.keep();
            return Ok(Fate::CannotTell);
        };
        let fate = self.engine.ticket_fate(lease.session(), ticket).await.map_err(self.sql(doing))?;
        lease.keep();
        Ok(match fate {
            TicketFate::Committed => Fate::Committed,
            TicketFate::Aborted => Fate::NotCommitted,
            TicketFate::Running => Fate::Running,
            TicketFate::Forgotten => Fate::CannotTell,
        })
    }

    async fn locate(&self, rule: &Rule, items: &[Item]) -> Result<Vec<Presence>, ConnectError> {
        let doing = "look for records again";
        let resolved = self.resolved(rule, doing).await?;
        let reader = self.reader(rule, &resolved);
        let mut lease = self.write[0].lease(self.engine.as_ref()).await.map_err(self.sql(doing))?;
        let session = lease.session();
        session.begin().await.map_err(self.sql(doing))?;
        let presence = super::locate::locate(&reader, session, items)
            .await
            .map_err(|found| fault::from_read(&self.system, doing, &found))?;
        session.rollback().await.map_err(self.sql(doing))?;
        lease.keep();
        Ok(presence)
    }

    async fn absence(&self, look: &Look<'_>) -> Result<Absence, ConnectError> {
        self.look_for(look).await
    }

    async fn strain(&self, watch: &StrainOf<'_>) -> Result<Strain, ConnectError> {
        self.strain_of(watch).await
    }

    async fn claim(&self) -> Result<bool, ConnectError> {
        let doing = "take the system for this run";
        let mut lease = self.lock.lease(self.engine.as_ref()).await.map_err(self.sql(doing))?;
        let taken = self.engine.claim(lease.session()).await.map_err(self.sql(doing))?;
        lease.keep();
        Ok(taken)
    }

    async fn release(&self) -> Result<(), ConnectError> {
        let doing = "give the system back";
        // Without its connection the lock is gone already.
        if let Some(mut lease) = self.lock.lease_kept().await {
            match self.engine.release(lease.session()).await {
                // It went with its connection.
                Err(found) if matches!(found.kind, FaultKind::Lost | FaultKind::Unreachable) => {}
                released => released.map_err(self.sql(doing))?,
            }
        }
        Ok(())
    }

    async fn parse_key(&self, rule: &Rule, parts: &[String]) -> Result<Key, ConnectError> {
        let doing = "read a key";
        let resolved = self.resolved(rule, doing).await?;
        let mut lease = self.reading(doing).await?;
        let key = super::locate::parse_key(self, &resolved, lease.session(), parts).await?;
        lease.keep();
        Ok(key)
    }

    async fn statements(&self, rule: &Rule, moment: Moment) -> Result<Vec<Described>, ConnectError> {
        let resolved = self.resolved(rule, "write its statements").await?;
        Ok(super::statements::statements(&self.reader(rule, &resolved), moment))
    }

    async fn why(&self, rule: &Rule, due_by: Moment) -> Result<Vec<Candidates>, ConnectError> {
        self.why_found(rule, due_by).await
    }
}

//! The erasing transaction: lock, read again, judge, children, look again, records, commit.
//!
//! Each attempt is one transaction over some items. What turns out to have changed is taken out, everything is rolled
//! back, and the rest is done again from the start; so that nobody who is withheld loses a child row.
//!
//! What remains: where no foreign key binds a child table, a row that another program commits between our last look at
//! that table and our COMMIT is seen by nobody. Its record goes and the row stays behind, untouched. With a foreign key
//! the server makes that program wait, and then refuses its row. `tests/servers/windows.rs` holds both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use super::engine::{self, Engine, FaultKind, Row, Session, SqlFault, Uncommitted};
use super::fault;
use super::maps::HashMap;
use super::memory::Memory;
use super::records::{ReadFault, Reader, Record};
use super::resolve::Resolved;
use super::span::Locked;
use crate::connect::{Advice, Batch, CommitWatch, ConnectError, EraseError, Judge, NotNow};
use crate::domain::id::SystemId;
use crate::domain::outcome::{Outcome, Receipt};
use crate::domain::selection::TableName;
use crate::domain::value::Key;

/// The verb phrase of every error here.
pub(super) const DOING: &str = "erase a batch";

/// One batch being erased.
pub(super) struct Eraser<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) engine: &'a dyn Engine,
    pub(super) system: &'a SystemId,
    pub(super) batch: &'a Batch<'a>,
    pub(super) judge: &'a dyn Judge,
    pub(super) watch: &'a dyn CommitWatch,
    pub(super) batch_row: bool,
    pub(super) memory: std::sync::Mutex<Memory>,
    /// Whether a range of the key may stand for a list of keys; no more once it held another number of rows.
    pub(super) by_span: &'a AtomicBool,
    /// Whether something was sent that writes: without transactions there is no way back from there.
    pub(super) wrote: &'a AtomicBool,
}

/// What is known of each item: its outcome by part, and what went with it.
pub(super) type Settled = BTreeMap<usize, Parts>;

/// The outcomes of an item's few parts.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts(Vec<(usize, Done)>);

impl Parts {
    /// Says what became of a part, whatever was said before.
    pub(super) fn insert(&mut self, part: usize, done: Done) {
        self.0.retain(|(one, _)| *one != part);
        self.0.push((part, done));
    }

    fn get(&self, part: usize) -> Option<&Done> {
        self.0.iter().find(|(one, _)| *one == part).map(|(_, done)| done)
    }
}

impl FromIterator<(usize, Done)> for Parts {
    fn from_iter<I: IntoIterator<Item = (usize, Done)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

/// The outcome of one part.
#[derive(Debug, Clone)]
pub(super) struct Done {
    pub(super) outcome: Outcome,
    pub(super) children: BTreeMap<String, u64>,
}

impl From<Outcome> for Done {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, children: BTreeMap::new() }
    }
}

/// Why an attempt ended without COMMIT.
pub(super) enum Halt {
    /// The engine's fault, or a key that can't be used.
    Read(ReadFault),
    /// These items are out; the rest goes again.
    Again(Vec<(usize, Outcome)>),
    /// Rows went or stayed that should not: found out one by one.
    Mismatch,
    /// Seen and expected contradict each other: stop the rule.
    Stop(&'static str),
    /// The tables are no longer those that were checked.
    Altered(String),
    /// What must be on our own disk before COMMIT is not.
    Watch,
    /// What the batch was judged by has changed.
    Stale,
    /// The answer to COMMIT is lost.
    Lost(SqlFault),
}

impl From<SqlFault> for Halt {
    fn from(fault: SqlFault) -> Self {
        Self::Read(ReadFault::Sql(fault))
    }
}

impl From<Uncommitted> for Halt {
    fn from(why: Uncommitted) -> Self {
        match why {
            Uncommitted::Refused(fault) => fault.into(),
            Uncommitted::Lost(fault) => Self::Lost(fault),
        }
    }
}

impl From<NotNow> for Halt {
    fn from(why: NotNow) -> Self {
        match why {
            NotNow::Again => Self::Stale,
            NotNow::Never => Self::Watch,
        }
    }
}

impl From<ReadFault> for Halt {
    fn from(fault: ReadFault) -> Self {
        Self::Read(fault)
    }
}

/// One attempt.
#[derive(Clone, Copy)]
pub(super) struct Try<'t> {
    /// The items that are to go.
    pub(super) items: &'t [usize],
    /// Whether it is meant, or rolled back whatever it finds: then it also asks for what COMMIT would refuse.
    pub(super) commit: bool,
}

/// What an attempt is about to do.
pub(super) struct Intent {
    /// The records as they are now, locked, by item.
    pub(super) records: HashMap<usize, Record>,
    /// Items whose record goes.
    pub(super) delete: Vec<usize>,
    /// Items of which these parts are anonymised.
    pub(super) write: Vec<(usize, Vec<usize>)>,
    /// The span of the key that the records were read and locked by, where there is one.
    pub(super) span: Option<Locked>,
}

impl<'a> Eraser<'a> {
    /// What will be looked for after COMMIT.
    pub(super) fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The resolved rule.
    pub(super) fn resolved(&self) -> &'a Resolved {
        self.reader.resolved
    }

    pub(super) fn key(&self, item: usize) -> Option<&'a Key> {
        self.batch.items.get(item).map(|item| &item.key)
    }

    /// Erases the batch. The second answer says whether the session may be used again.
    pub(super) async fn run(&self, session: &mut dyn Session) -> (Result<Vec<Receipt>, EraseError>, bool) {
        let all: Vec<usize> = (0..self.batch.items.len()).collect();
        let outcome =
            if self.transactional() { self.together(session, all).await } else { self.alone(session, all).await };
        match outcome {
            Ok(settled) => (Ok(self.receipts(&settled)), true),
            Err(error) => (Err(error), false),
        }
    }

    pub(super) fn transactional(&self) -> bool {
        self.resolved().nodes.iter().all(|node| node.table.transactional)
    }

    /// A batch row proves a whole batch, so it is written only where a batch goes as a whole.
    fn writes_batch_row(&self) -> bool {
        self.batch_row && self.transactional()
    }

    /// All in one transaction, without those who turn out to have changed.
    async fn together(&self, session: &mut dyn Session, mut items: Vec<usize>) -> Result<Settled, EraseError> {
        let mut out = Settled::new();
        let mut searched = false;
        loop {
            match self.attempt(session, Try { items: &items, commit: true }).await {
                Ok(settled) => {
                    out.extend(settled);
                    return Ok(out);
                }
                Err(Halt::Again(changed)) => self.take_out(&mut items, &mut out, changed),
                Err(Halt::Mismatch) if !searched => {
                    searched = true;
                    let bad = self.search(session, &items, Outcome::Changed).await?;
                    self.take_out(&mut items, &mut out, bad);
                }
                Err(Halt::Read(ReadFault::Sql(fault))) if fault.kind == FaultKind::Constraint && !searched => {
                    searched = true;
                    let bad = self.search(session, &items, Outcome::Failed).await?;
                    if bad.is_empty() {
                        return Err(self.not_done(&Halt::from(fault)));
                    }
                    self.take_out(&mut items, &mut out, bad);
                }
                Err(halt) => return Err(self.not_done(&halt)),
            }
        }
    }

    /// One record at a time, for tables that can't roll back.
    async fn alone(&self, session: &mut dyn Session, items: Vec<usize>) -> Result<Settled, EraseError> {
        if !self.resolved().allow_no_transactions {
            let what = "a table of this rule has no transactions, and the rule does not allow that".to_string();
            return Err(EraseError::NotDone(fault::own(self.system, DOING, what, Advice::Fix)));
        }
        let mut out = Settled::new();
        for (place, item) in items.iter().enumerate() {
            self.wrote.store(false, Ordering::SeqCst);
            match self.attempt(session, Try { items: &[*item], commit: true }).await {
                Ok(settled) => out.extend(settled),
                Err(Halt::Again(taken)) => {
                    // Rows may be gone already, and there is no way back.
                    let wrote = self.wrote.load(Ordering::SeqCst);
                    for (item, outcome) in taken {
                        self.settle(&mut out, item, if wrote { Outcome::Unknown } else { outcome });
                    }
                }
                Err(halt) if place == 0 && !self.wrote.load(Ordering::SeqCst) => return Err(self.not_done(&halt)),
                Err(_) => {
                    let wrote = self.wrote.load(Ordering::SeqCst);
                    self.settle(&mut out, *item, if wrote { Outcome::Unknown } else { Outcome::Failed });
                    for rest in items.iter().skip(place + 1) {
                        self.settle(&mut out, *rest, Outcome::Failed);
                    }
                    break;
                }
            }
        }
        Ok(out)
    }

    pub(super) fn settle(&self, out: &mut Settled, item: usize, outcome: Outcome) {
        let parts = self.batch.items.get(item).map_or(&[][..], |item| item.parts.as_slice());
        out.insert(item, parts.iter().map(|part| (*part, Done::from(outcome))).collect());
    }

    fn take_out(&self, items: &mut Vec<usize>, out: &mut Settled, taken: Vec<(usize, Outcome)>) {
        for (item, outcome) in taken {
            items.retain(|one| *one != item);
            self.settle(out, item, outcome);
        }
    }

    /// One transaction. Whatever halts it, it was rolled back, unless the answer to COMMIT is lost.
    pub(super) async fn attempt(&self, session: &mut dyn Session, this: Try<'_>) -> Result<Settled, Halt> {
        if this.items.is_empty() && !self.writes_batch_row() {
            return Ok(Settled::new());
        }
        session.begin().await?;
        match self.within(session, this).await {
            Ok(settled) if this.commit => self.finish(session, settled).await,
            Ok(settled) => {
                session.rollback().await?;
                Ok(settled)
            }
            Err(halt) => {
                // A connection that can't roll back is thrown away, and with it the transaction.
                match (&halt, session.rollback().await) {
                    (Halt::Again(_) | Halt::Mismatch, Err(fault)) => Err(fault.into()),
                    _ => Err(halt),
                }
            }
        }
    }

    async fn within(&self, session: &mut dyn Session, this: Try<'_>) -> Result<Settled, Halt> {
        let mut settled = Settled::new();
        let broken = if this.commit { Vec::new() } else { self.broken_references(session).await? };
        let intent = self.read_and_judge(session, this, &mut settled).await?;
        if this.commit {
            self.as_checked(session).await?;
        }
        let below = self.read_children(session, &intent).await?;
        if this.commit {
            self.remember(session, &intent, &below).await?;
        }
        self.point(this, "after-read");
        let keeper = self.watch.keeper().filter(|_| this.commit);
        let mut keeping = match keeper {
            Some(_) => Some(self.read_whole(session, &intent, &below).await?),
            None => None,
        };
        self.look_aside_again(session, &intent).await?;
        self.watch.before_write().await?;
        self.wrote.fetch_or(this.commit && self.resolved().nodes.len() > 1, Ordering::SeqCst);
        let children = self.erase_children(session, &below, &intent).await?;
        self.point(this, "after-children");
        self.look_again(session, &intent).await?;
        self.wrote.fetch_or(this.commit, Ordering::SeqCst);
        self.erase_records(session, &below, &intent).await?;
        self.look_whether_gone(session, &below, &intent).await?;
        self.anonymise(session, &intent, &mut settled).await?;
        self.point(this, "after-record");
        for item in &intent.delete {
            let parts = self.batch.items.get(*item).map_or(&[][..], |item| item.parts.as_slice());
            let entry = settled.entry(*item).or_default();
            for part in parts {
                let of = if self.is_record(*part) { children.get(item).cloned() } else { None };
                entry.insert(*part, Done { outcome: Outcome::Erased, children: of.unwrap_or_default() });
            }
        }
        if self.writes_batch_row() {
            session.execute(&self.engine.insert_batch_row(self.batch.id)).await?;
        }
        if let (Some(keeper), Some(keeping)) = (keeper, keeping.take()) {
            let kept = self.read_written(session, keeping).await?;
            keeper.keep(&kept).map_err(|_| Halt::Watch)?;
            self.point(this, "kept");
        }
        if let Some(ask) = self.engine.ask_deferred() {
            // So that the records that it keeps can be found, and the others go.
            session.execute(&ask).await?;
        }
        if !this.commit && more(&broken, &self.broken_references(session).await?) {
            return Err(SqlFault { kind: FaultKind::Constraint, code: "a deferred foreign key".into() }.into());
        }
        Ok(settled)
    }

    /// References that lead nowhere, among the tables that are written and those that refer to them.
    async fn broken_references(&self, session: &mut dyn Session) -> Result<Vec<Row>, Halt> {
        let nodes = self.resolved().nodes.iter().map(|node| &node.table);
        let tables: BTreeSet<&TableName> = nodes
            .flat_map(|table| std::iter::once(&table.name).chain(table.referenced_by.iter().map(|key| &key.table)))
            .collect();
        let tables: Vec<&TableName> = tables.into_iter().collect();
        Ok(self.engine.broken_references(session, &tables).await?)
    }

    pub(super) fn point(&self, this: Try<'_>, name: &'static str) {
        if this.commit {
            self.watch.point(name);
        }
    }

    pub(super) fn is_record(&self, part: usize) -> bool {
        self.reader.rule.parts.get(part).is_some_and(crate::domain::rule::Part::is_record)
    }

    /// The last questions, then COMMIT.
    async fn finish(&self, session: &mut dyn Session, settled: Settled) -> Result<Settled, Halt> {
        if let Err(halt) = self.before_commit(session).await {
            return Err(match (session.rollback().await, halt) {
                (Err(fault), Halt::Read(_)) => fault.into(),
                (_, halt) => halt,
            });
        }
        engine::commit(session).await?;
        self.memory().committed();
        self.watch.point("after-commit");
        Ok(settled)
    }

    async fn before_commit(&self, session: &mut dyn Session) -> Result<(), Halt> {
        if !self.engine.still_claimed(session).await? {
            return Err(Halt::Stop("this run no longer has the system's lock"));
        }
        let ticket = session.ticket().await?;
        self.watch.point("before-commit");
        self.watch.before_commit(ticket.as_deref()).map_err(|_| Halt::Watch)
    }

    pub(super) fn not_done(&self, halt: &Halt) -> EraseError {
        let own = |what: &str, advice| self.own(what, advice);
        match halt {
            Halt::Read(fault) => EraseError::NotDone(fault::from_read(self.system, DOING, fault)),
            Halt::Lost(fault) => EraseError::InDoubt(fault::from_sql(self.system, DOING, fault)),
            Halt::Stop(what) => EraseError::NotDone(own(what, Advice::Stop)),
            Halt::Altered(what) => EraseError::NotDone(own(what, Advice::Fix)),
            Halt::Watch => {
                EraseError::NotDone(own("what must stand on this host's disk first could not be written", Advice::Fix))
            }
            Halt::Stale => EraseError::NotDone(own("it must be judged again", Advice::RetryLater)),
            Halt::Again(_) | Halt::Mismatch => {
                EraseError::NotDone(own("other rows were changed than those that were read", Advice::Stop))
            }
        }
    }

    fn own(&self, what: &str, advice: Advice) -> ConnectError {
        fault::own(self.system, DOING, what.to_string(), advice)
    }

    /// One receipt for each (item, part), in order.
    fn receipts(&self, settled: &Settled) -> Vec<Receipt> {
        let mut out = Vec::new();
        for (place, item) in self.batch.items.iter().enumerate() {
            for part in &item.parts {
                let done = settled.get(&place).and_then(|parts| parts.get(*part));
                out.push(Receipt {
                    item: place,
                    part: *part,
                    outcome: done.map_or(Outcome::Changed, |done| done.outcome),
                    children: done.map(|done| done.children.clone()).unwrap_or_default(),
                    pending: None,
                });
            }
        }
        out
    }
}

/// Whether a row stands more often in the second list. Both are sorted.
fn more(before: &[Row], after: &[Row]) -> bool {
    let mut before = before.iter().peekable();
    after.iter().any(|row| {
        while before.next_if(|one| *one < row).is_some() {}
        before.next_if(|one| *one == row).is_none()
    })
}

//! Partitions that are dropped with all that is in them, where the engine does that in a transaction.
//!
//! The records of a partition are read as they are at one moment, without any lock, with a digest of the versions of its
//! rows. To drop it, it is locked against writers, and the digest is asked again: where it is the same, what was judged is
//! what is there. So the site waits for one reading by the server and not for what we do with the records. No lock is waited
//! for longer than [`PATIENCE`], for whoever comes behind a waiting lock waits too.

use std::time::Duration;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::catalogue::{Column, TypeClass};
use super::connector::SqlConnector;
use super::engine::{self, Engine, FaultKind, Session, SqlFault, Statement, Uncommitted};
use super::memory::{Path, Values, paths, wipe_all};
use super::records::{ReadFault, Reader, Record, aliased, where_all};
use super::resolve::{self, Faults, RECORD, Resolved};
use super::{fault, schema, tables};
use crate::codes;
use crate::connect::{Advice, CommitWatch, ConnectError, Dropping, EraseError, Partition, Pile, TakePile, Versions};
use crate::domain::clock::{ClockFormat, Reading};
use crate::domain::decide::Found;
use crate::domain::rule::Rule;
use crate::domain::selection::TableName;
use crate::domain::value::{Key, Scalar};

/// How long a lock is waited for.
pub(super) const PATIENCE: Duration = Duration::from_millis(50);
/// How often the locks are asked for, with a pause between that grows from the first.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);
/// Records of one pile.
fn pile() -> usize {
    // So that a test need not make thousands of records for a second one.
    #[cfg(feature = "crash-points")]
    if let Some(size) = std::env::var("BEWAARD_PILE").ok().and_then(|size| size.parse().ok()) {
        return size;
    }
    5_000
}
/// How the fact begins that the rule drops partitions: what may come into their ranges later is then refused by the table.
pub(super) const FACT: &str = "drops-partitions ";
const DOING: &str = "drop a partition";

/// What the catalogue says of a table's partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partitioned {
    /// The one column by whose ranges it is partitioned.
    pub by: Option<String>,
    /// Its partitions.
    pub each: Vec<OnePartition>,
}

/// What the catalogue says of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnePartition {
    /// Its name.
    pub name: TableName,
    /// Its number and its bounds.
    pub is: String,
    /// The end of its range, itself not in it; `None` where it has none, or where it takes what has no other place.
    pub upto: Option<String>,
    /// About how many rows it has.
    pub rows: u64,
    /// Whether it holds its rows itself.
    pub plain: bool,
    /// Why dropping it would not do what deleting its rows does, with what mends that.
    pub hindered: Option<(&'static str, &'static str)>,
}

/// How an engine drops partitions.
#[async_trait]
pub trait Partitions: Send + Sync {
    /// The partitions of a table; none where it has none.
    async fn of(&self, session: &mut dyn Session, table: &TableName) -> Result<Partitioned, SqlFault>;
    /// The statement after which a transaction sees one moment.
    fn one_moment(&self) -> Statement;
    /// Asks how many rows a partition has, and for a digest of which versions of them these are.
    fn versions(&self, partition: &TableName) -> Statement;
    /// The statements that lock a partition against writers, and it and its table against being altered.
    fn hold(&self, table: &TableName, partition: &TableName, patience: Duration) -> Vec<Statement>;
    /// The statement that drops it.
    fn drop(&self, partition: &TableName) -> Statement;
    /// The last moment before the end of a range, which is the first placeholder, as a value of this column.
    fn before(&self, column: &Column) -> String;
}

/// What a partition holds: the number of its rows, and which versions of them.
fn versions_of(row: Option<&Vec<Scalar>>) -> Option<(u64, Versions)> {
    let row = row?;
    let rows = row.first()?.show().parse().ok()?;
    Some((rows, Versions(row.iter().map(Scalar::show).collect::<Vec<_>>().join("/"))))
}

/// The rule's only clock, where a range of it says since when records are due.
fn clock(resolved: &Resolved) -> Option<&resolve::Source> {
    let [source] = resolved.sources.as_slice() else { return None };
    let dated = matches!(source.column.class, TypeClass::Date | TypeClass::DateTime | TypeClass::Moment);
    (source.link.is_none() && dated && source.format == ClockFormat::Iso).then_some(source)
}

/// The facts with what else happens where partitions are dropped: a person approves that too.
pub(super) fn with_fact(rule: &Rule, facts: String) -> String {
    if !rule.drop_partitions {
        return facts;
    }
    format!("{facts}\n{FACT}{}", rule.selection.collection())
}

/// `check`: whether what the rule asks for can be done on this table.
pub(super) async fn ask(
    engine: &dyn Engine,
    session: &mut dyn Session,
    rule: &Rule,
    resolved: &Resolved,
    faults: &mut Faults,
) -> Result<(), SqlFault> {
    if !rule.drop_partitions {
        return Ok(());
    }
    let at = format!("rule.{}.then.drop-partitions", rule.id);
    let name = &resolved.table.name.name;
    let mut fault = |text: String, remedy: &str| faults.fault(codes::PARTITIONS_STAY, &at, text, remedy);
    let leave = "take out `drop-partitions`: then rows are deleted in batches";
    let Some(partitions) = engine.partitions() else {
        fault("this server can't drop a partition in a transaction".into(), leave);
        return Ok(());
    };
    let found = partitions.of(session, &resolved.table.name).await?;
    match (&found.by, clock(resolved)) {
        _ if !resolved.table.partitioned => fault(format!("`{name}` is not partitioned"), leave),
        (Some(by), Some(clock)) if *by == clock.column.name => {}
        _ => fault(format!("`{name}` is not partitioned by ranges of the one column that is the rule's clock"), leave),
    }
    let mut told = Vec::new();
    for one in found.each.iter().filter(|one| one.plain) {
        let Some((why, remedy)) = one.hindered.filter(|(why, _)| !told.contains(why)) else { continue };
        told.push(why);
        fault(format!("partition `{}` of `{name}` {why}", one.name.name), remedy);
    }
    Ok(())
}

impl SqlConnector {
    pub(super) async fn partitions_of(&self, rule: &Rule) -> Result<Vec<Partition>, ConnectError> {
        let Some(partitions) = self.engine.partitions().filter(|_| rule.drop_partitions) else { return Ok(Vec::new()) };
        let resolved = self.resolved(rule, DOING).await?;
        let reader = self.reader(rule, &resolved);
        let mut lease = self.reading(DOING).await?;
        let found = partitions.of(lease.session(), &resolved.table.name).await.map_err(self.sql(DOING))?;
        let mut out = Vec::new();
        if let Some(clock) = clock(&resolved).filter(|clock| found.by.as_ref() == Some(&clock.column.name)) {
            let last = format!("SELECT {}", reader.dialect.read(&partitions.before(&clock.column), &clock.column));
            for one in found.each.into_iter().filter(|one| one.plain && one.hindered.is_none()) {
                let Some(upto) = one.upto else { continue };
                let ask = Statement { text: last.clone(), values: vec![Scalar::Text(upto)] };
                let rows = lease.session().rows(&ask).await.map_err(self.sql(DOING))?;
                let Reading::Day(last_day) = reader.reading(clock, rows.first().map_or(&[][..], Vec::as_slice)) else {
                    continue;
                };
                out.push(Partition { name: one.name, is: one.is, last_day, rows: one.rows });
            }
        }
        lease.keep();
        out.sort_by(|a, b| (a.last_day, &a.name).cmp(&(b.last_day, &b.name)));
        Ok(out)
    }

    pub(super) async fn read_all_of(
        &self,
        rule: &Rule,
        partition: &Partition,
        identities: bool,
        take: &mut TakePile<'_>,
    ) -> Result<Option<Versions>, ConnectError> {
        let doing = "read a partition";
        let Some(partitions) = self.engine.partitions() else { return Ok(None) };
        let mut lease = self.reading(doing).await?;
        let session = lease.session();
        let tables = tables::gather(self.engine.as_ref(), session, rule).await.map_err(self.sql(doing))?;
        let (resolved, findings) = resolve::resolve(rule, &tables, self.engine.dialect(), self.zone);
        let mut resolved = resolved.ok_or_else(|| fault::from_findings(&self.system, doing, &findings))?;
        // Everything is asked of the partition itself.
        resolved.table.name = partition.name.clone();
        session.begin().await.map_err(self.sql(doing))?;
        session.execute(&partitions.one_moment()).await.map_err(self.sql(doing))?;
        let rows = session.rows(&partitions.versions(&partition.name)).await.map_err(self.sql(doing))?;
        let reader = self.reader(rule, &resolved);
        let read = read_piles(&reader, session, identities, take).await;
        let read = read.map_err(|found| fault::from_read(&self.system, doing, &found))?;
        session.rollback().await.map_err(self.sql(doing))?;
        lease.keep();
        let versions = versions_of(rows.first()).filter(|(rows, _)| read == Some(*rows));
        Ok(versions.map(|(_, versions)| versions))
    }

    pub(super) async fn drop_whole(&self, drop: &Dropping<'_>, watch: &dyn CommitWatch) -> Result<bool, EraseError> {
        let not_done = |found: SqlFault| EraseError::NotDone(fault::from_sql(&self.system, DOING, &found));
        let Some(partitions) = self.engine.partitions() else { return Ok(false) };
        let resolved = self.resolved(drop.rule, DOING).await.map_err(EraseError::NotDone)?;
        let [slot, ..] = &self.write;
        let mut pause = PAUSE;
        for attempt in 1..=ATTEMPTS {
            let mut lease = slot.lease(self.engine.as_ref()).await.map_err(not_done)?;
            if let (true, Some(first)) = (self.batch_table, drop.batches.first()) {
                self.ready_batch_table(first, lease.session()).await?;
            }
            let once = Once { connector: self, partitions, resolved: &resolved, drop, watch };
            let done = once.run(lease.session()).await;
            // A connection that can't roll back is thrown away, and with it the transaction.
            let usable = match &done {
                Ok(_) => true,
                Err(Stop::Lost(_)) => false,
                Err(_) => lease.session().rollback().await.is_ok(),
            };
            if usable {
                lease.keep();
            } else {
                std::mem::drop(lease);
            }
            match done {
                Ok(done) => return Ok(done),
                Err(Stop::Sql(found)) if matches!(found.kind, FaultKind::LockTimeout | FaultKind::Deadlock) => {
                    tracing::info!(partition = %drop.partition.name, attempt, "a lock was not given: nothing was dropped");
                }
                Err(Stop::Sql(found)) => return Err(not_done(found)),
                Err(Stop::Lost(found)) => {
                    return Err(EraseError::InDoubt(fault::from_sql(&self.system, DOING, &found)));
                }
                Err(Stop::Own(what, advice)) => {
                    return Err(EraseError::NotDone(fault::own(&self.system, DOING, what.into(), advice)));
                }
            }
            if attempt < ATTEMPTS {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        Ok(false)
    }
}

/// Why an attempt ended without its partition having been dropped.
enum Stop {
    Sql(SqlFault),
    /// The answer to COMMIT is lost.
    Lost(SqlFault),
    Own(&'static str, Advice),
}

impl From<SqlFault> for Stop {
    fn from(fault: SqlFault) -> Self {
        Self::Sql(fault)
    }
}

impl From<Uncommitted> for Stop {
    fn from(why: Uncommitted) -> Self {
        match why {
            Uncommitted::Refused(fault) => Self::Sql(fault),
            Uncommitted::Lost(fault) => Self::Lost(fault),
        }
    }
}

/// One attempt to drop a partition: one transaction.
struct Once<'a> {
    connector: &'a SqlConnector,
    partitions: &'a dyn Partitions,
    resolved: &'a Resolved,
    drop: &'a Dropping<'a>,
    watch: &'a dyn CommitWatch,
}

impl Once<'_> {
    /// False: it holds or is something else now. An attempt that fails leaves a transaction that ends with its connection.
    async fn run(&self, session: &mut dyn Session) -> Result<bool, Stop> {
        let engine = self.connector.engine.as_ref();
        session.begin().await?;
        if self.connector.batch_table {
            for batch in self.drop.batches {
                session.execute(&engine.insert_batch_row(batch)).await?;
            }
        }
        let ticket = session.ticket().await?;
        // Before the first lock: writing it takes time, and this transaction's number is what it is.
        self.watch.before_commit(ticket.as_deref()).map_err(|_| own_disk())?;
        self.watch.before_write().await.map_err(|_| own_disk())?;
        self.watch.point("partition-before-lock");
        let table = &self.resolved.table.name;
        for hold in self.partitions.hold(table, &self.drop.partition.name, PATIENCE) {
            session.execute(&hold).await?;
        }
        self.watch.point("partition-locked");
        if !self.is_as_judged(session).await? {
            session.rollback().await?;
            return Ok(false);
        }
        session.execute(&self.partitions.drop(&self.drop.partition.name)).await?;
        self.watch.point("partition-dropped");
        if !engine.still_claimed(session).await? {
            return Err(Stop::Own("this run no longer has the system's lock", Advice::Stop));
        }
        self.watch.point("before-commit");
        engine::commit(session).await?;
        self.watch.point("after-commit");
        Ok(true)
    }

    /// Whether it is the same partition of the same table, still without anything that hinders, and holds what was judged.
    async fn is_as_judged(&self, session: &mut dyn Session) -> Result<bool, Stop> {
        let Dropping { rule, partition, versions, .. } = self.drop;
        let engine = self.connector.engine.as_ref();
        let tables = tables::gather(engine, session, rule).await?;
        let (now, _) = resolve::resolve(rule, &tables, engine.dialect(), self.connector.zone);
        if now.is_none_or(|now| schema::rests_on(&now) != schema::rests_on(self.resolved)) {
            return Err(Stop::Own(schema::ALTERED, Advice::Fix));
        }
        let found = self.partitions.of(session, &self.resolved.table.name).await?;
        let here = found.each.iter().find(|one| one.name == partition.name && one.is == partition.is);
        if here.is_none_or(|one| !one.plain || one.hindered.is_some()) {
            return Ok(false);
        }
        let rows = session.rows(&self.partitions.versions(&partition.name)).await?;
        Ok(versions_of(rows.first()).is_some_and(|(_, now)| now == **versions))
    }
}

fn own_disk() -> Stop {
    Stop::Own("what must stand on this host's disk first could not be written", Advice::Fix)
}

/// Reads every selected record, pile by pile; how many, or `None` where no more were wanted.
async fn read_piles(
    reader: &Reader<'_>,
    session: &mut dyn Session,
    identities: bool,
    take: &mut TakePile<'_>,
) -> Result<Option<u64>, ReadFault> {
    let paths = paths(reader.resolved);
    let (mut after, mut read) = (None, 0u64);
    loop {
        let records = reader.page(session, after.as_ref(), None, identities, pile()).await?;
        let old = old_values(reader, session, &paths, after.as_ref()).await?;
        let found: Vec<Found> = records.iter().map(|record: &Record| reader.found(record)).collect();
        read += records.len() as u64;
        let more = records.len() == pile();
        after = records.last().map(|record| record.key.clone());
        if !found.is_empty() && !take(Pile { found, old }) {
            return Ok(None);
        }
        if !more {
            return Ok(Some(read));
        }
    }
}

/// The values of a page that are looked for when it is gone.
async fn old_values(
    reader: &Reader<'_>,
    session: &mut dyn Session,
    paths: &[Path<'_>],
    after: Option<&Key>,
) -> Result<Zeroizing<Vec<u8>>, ReadFault> {
    let (dialect, mut values) = (reader.dialect, Values::new());
    for (place, path) in paths.iter().enumerate() {
        let Some(columns) = path.source() else { continue };
        let key = aliased(dialect, RECORD, &reader.resolved.key);
        let mut conditions: Vec<String> = reader.resolved.filter.iter().cloned().collect();
        conditions.extend(after.map(|_| dialect.key_after(&key, 1)));
        let read: Vec<String> = columns
            .iter()
            .map(|column| dialect.read(&format!("{RECORD}.{}", dialect.name(&column.name)), column))
            .collect();
        let order: Vec<String> = key.iter().map(|(expression, column)| dialect.order(expression, column)).collect();
        let text = format!(
            "SELECT {} FROM {} {RECORD}{} ORDER BY {} LIMIT {}",
            read.join(", "),
            dialect.table(&reader.resolved.table.name),
            where_all(&conditions),
            order.join(", "),
            pile()
        );
        let bound = after.map(|key| key.0.clone()).unwrap_or_default();
        let mut rows = session.rows(&Statement { text, values: bound }).await?;
        rows.retain(|row| !row.iter().any(Scalar::is_null));
        values.insert(place, rows);
    }
    let bytes = Zeroizing::new(serde_json::to_vec(&values).unwrap_or_default());
    wipe_all(&mut values);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_known_by_the_number_and_the_versions_of_its_rows() {
        let row = |count: i64, sum: &str| vec![Scalar::Int(count), Scalar::Text(sum.into())];
        assert_eq!(versions_of(Some(&row(3, "-17"))), Some((3, Versions("3/-17".into()))));
        assert_ne!(versions_of(Some(&row(3, "-17"))), versions_of(Some(&row(3, "17"))));
        assert_eq!(versions_of(Some(&vec![Scalar::Null])), None);
        assert_eq!(versions_of(None), None);
    }
}

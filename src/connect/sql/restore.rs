//! The restoring transaction: what was kept goes back, each item wholly or not at all.
//!
//! Each item stands between a savepoint and its end, so that one that can't come back leaves the others alone. An item
//! that a constraint refuses is tried again after the others, until a whole round brings nothing back: its parent may be
//! one of them. Nothing that is there is overwritten, but for the exact final form that the purge left. What was put
//! back is read again before it counts: a trigger that changed it makes it fail.

mod there;

use std::collections::{BTreeMap, BTreeSet};

use super::catalogue::{Column, Table};
use super::engine::{Dialect, Engine, FaultKind, Session, SqlFault, Statement};
use super::fault;
use super::keep::{FORM, Whole, WholeRow, Written, row_key};
use crate::connect::{Advice, Back, CommitWatch, ConnectError, EraseError, Undo};
use crate::domain::id::{BatchId, SystemId};
use crate::domain::outcome::Restored;
use crate::domain::selection::TableName;
use crate::domain::value::Scalar;

/// The verb phrase of every error here.
pub(super) const DOING: &str = "put records back";

/// Reads what was kept.
pub(super) fn read(system: &SystemId, undo: &Undo<'_>) -> Result<Vec<Whole>, Box<ConnectError>> {
    let unread = || {
        let what = "what was kept is not in a form that this program reads".to_string();
        Box::new(fault::own(system, DOING, what, Advice::Fix))
    };
    let read = |bytes: &&[u8]| serde_json::from_slice::<Whole>(bytes).ok().filter(|whole| whole.form == FORM);
    undo.kept.iter().map(|bytes| read(bytes).ok_or_else(unread)).collect()
}

/// What is needed to put rows back into the tables as they are now.
pub(super) struct Restorer<'a> {
    engine: &'a dyn Engine,
    tables: BTreeMap<TableName, Table>,
}

/// Why one item did not come back.
enum Not {
    /// Something else stands there.
    Conflict,
    /// A table or column is gone, or what was written is not what was kept.
    Misfit,
    /// The database says no.
    Sql(SqlFault),
}

/// Why an attempt ended.
enum Ended {
    /// The database refuses what was put back, and nobody knows which item: another attempt may.
    Refused(SqlFault),
    /// Nothing happened.
    NotDone(SqlFault),
    /// As it is told.
    Told(EraseError),
}

impl Ended {
    fn told(self, system: &SystemId) -> EraseError {
        match self {
            Self::Refused(found) | Self::NotDone(found) => EraseError::NotDone(fault::from_sql(system, DOING, &found)),
            Self::Told(error) => error,
        }
    }
}

impl From<SqlFault> for Ended {
    fn from(fault: SqlFault) -> Self {
        Self::NotDone(fault)
    }
}

impl From<SqlFault> for Not {
    fn from(fault: SqlFault) -> Self {
        Self::Sql(fault)
    }
}

/// A place where rewritten columns stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// As the purge left them.
    Final,
    /// As they were before.
    Before,
    /// Otherwise, or the row is gone.
    Other,
}

/// The columns of a kept row that still exist, all of them: one that is gone can't be put back.
struct Fitting<'t> {
    table: &'t Table,
    columns: Vec<&'t Column>,
    key: Vec<&'t Column>,
}

impl<'a> Restorer<'a> {
    /// Reads from the catalogue every table that is concerned.
    pub(super) async fn new(
        engine: &'a dyn Engine,
        session: &mut dyn Session,
        wholes: &[Whole],
    ) -> Result<Self, SqlFault> {
        let rows = wholes.iter().flat_map(|whole| whole.rows.iter().map(|row| &row.table));
        let writes = wholes.iter().flat_map(|whole| whole.writes.iter().map(|write| &write.table));
        let names: BTreeSet<&TableName> = rows.chain(writes).collect();
        let mut tables = BTreeMap::new();
        for name in names {
            if let Some(table) = engine.table(session, name).await? {
                tables.insert(name.clone(), table);
            }
        }
        Ok(Self { engine, tables })
    }

    fn dialect(&self) -> &dyn Dialect {
        self.engine.dialect()
    }

    /// Puts all back that can come back, and commits.
    pub(super) async fn run(
        &self,
        session: &mut dyn Session,
        system: &SystemId,
        wholes: &[Whole],
        batch_row: Option<&BatchId>,
        watch: &dyn CommitWatch,
    ) -> Result<Vec<Back>, EraseError> {
        match self.attempt(session, system, wholes, batch_row, watch, false).await {
            Err(Ended::Refused(_)) => {
                // Of a reference that is asked about only at COMMIT nobody says whose it is: each item by itself then.
                let again = async |session: &mut dyn Session| {
                    session.rollback().await?;
                    session.begin().await
                };
                again(session).await.map_err(|found| EraseError::NotDone(fault::from_sql(system, DOING, &found)))?;
                let told = self.attempt(session, system, wholes, batch_row, watch, true).await;
                told.map_err(|ended| ended.told(system))
            }
            told => told.map_err(|ended| ended.told(system)),
        }
    }

    async fn attempt(
        &self,
        session: &mut dyn Session,
        system: &SystemId,
        wholes: &[Whole],
        batch_row: Option<&BatchId>,
        watch: &dyn CommitWatch,
        each: bool,
    ) -> Result<Vec<Back>, Ended> {
        let own = |what: &str, advice| Ended::Told(EraseError::NotDone(fault::own(system, DOING, what.into(), advice)));
        let refused = |found: SqlFault| match found.kind {
            FaultKind::Constraint => Ended::Refused(found),
            _ => Ended::NotDone(found),
        };
        let backs = self.rounds(session, wholes, each).await?;
        watch.point("undo-statements");
        if let Some(batch) = batch_row {
            session.execute(&self.engine.insert_batch_row(batch)).await?;
        }
        if let Some(ask) = self.engine.ask_deferred() {
            session.execute(&ask).await.map_err(refused)?;
        }
        if !self.engine.still_claimed(session).await? {
            return Err(own("this run no longer has the system's lock", Advice::Stop));
        }
        let ticket = session.ticket().await?;
        watch.point("undo-before-commit");
        if watch.before_commit(ticket.as_deref()).is_err() {
            return Err(own("what must stand on this host's disk first could not be written", Advice::Fix));
        }
        match session.commit().await {
            Ok(()) => {
                watch.point("undo-after-commit");
                Ok(backs)
            }
            Err(found) if matches!(found.kind, FaultKind::LockTimeout | FaultKind::Deadlock) => {
                Err(Ended::NotDone(found))
            }
            Err(found) if found.kind == FaultKind::Constraint => Err(refused(found)),
            Err(found) => Err(Ended::Told(EraseError::InDoubt(fault::from_sql(system, DOING, &found)))),
        }
    }

    /// Item by item, until a whole round brings none back.
    async fn rounds(&self, session: &mut dyn Session, wholes: &[Whole], each: bool) -> Result<Vec<Back>, SqlFault> {
        let mut backs: Vec<Option<Back>> = wholes.iter().map(|_| None).collect();
        loop {
            let mut moved = false;
            for (whole, back) in wholes.iter().zip(&mut backs).filter(|(_, back)| back.is_none()) {
                session.savepoint().await?;
                let mut tried = self.one(session, whole).await;
                if each && tried.is_ok() {
                    let asked = self.refers_somewhere(session, whole).await;
                    tried = tried.and_then(|done| asked.map(|()| done));
                }
                session.end_savepoint(tried.is_ok()).await.map_err(|found| match &tried {
                    // The first fault tells more than that there is no savepoint any more.
                    Err(Not::Sql(first)) => first.clone(),
                    _ => found,
                })?;
                *back = match tried {
                    Ok(done) => Some(done),
                    Err(Not::Conflict) => Some(Back::all(Restored::Conflict)),
                    Err(Not::Misfit) => Some(Back::all(Restored::Failed)),
                    Err(Not::Sql(found)) if is_duplicate(&found) => Some(Back::all(Restored::Conflict)),
                    Err(Not::Sql(found)) if found.kind == FaultKind::Constraint => None,
                    Err(Not::Sql(found)) => return Err(found),
                };
                moved |= back.is_some();
            }
            if !moved {
                let failed = || Back::all(Restored::Failed);
                return Ok(backs.into_iter().map(|back| back.unwrap_or_else(failed)).collect());
            }
        }
    }

    /// One item: rows in their order, references that close a circle, then what was rewritten.
    async fn one(&self, session: &mut dyn Session, whole: &Whole) -> Result<Back, Not> {
        let missing = self.missing(session, &whole.rows).await?;
        for row in &missing {
            self.insert(session, row).await?;
        }
        for row in missing.iter().filter(|row| !row.late.is_empty()) {
            let of = |column: &String| row.columns.iter().position(|one| one == column);
            let values: Option<Vec<Scalar>> = row.late.iter().map(|name| row.values.get(of(name)?).cloned()).collect();
            self.update(session, &row.table, &row.key, &row_key(row).0, &row.late, &values.ok_or(Not::Misfit)?).await?;
        }
        for row in &missing {
            if !self.is_there(session, row).await? {
                return Err(Not::Misfit);
            }
        }
        let before = if missing.is_empty() { Restored::AlreadyThere } else { Restored::Restored };
        let mut back = Back::all(before);
        for write in &whole.writes {
            let stands = self.stands(session, write).await?;
            if stands == Stands::Final {
                self.update(session, &write.table, &write.key, &write.row.0, &write.columns, &write.before).await?;
                if self.stands(session, write).await? != Stands::Before {
                    return Err(Not::Misfit);
                }
            }
            note(&mut back, write, stands, Restored::Restored);
        }
        Ok(back)
    }

    /// The rows that are not there. One that is there otherwise is a conflict.
    async fn missing<'r>(&self, session: &mut dyn Session, rows: &'r [WholeRow]) -> Result<Vec<&'r WholeRow>, Not> {
        let mut out = Vec::new();
        let mut counted: BTreeMap<(&TableName, &[Scalar]), u64> = BTreeMap::new();
        for row in rows {
            let there = self.there(session, row).await?;
            if row.key.is_empty() {
                // Rows without a key may be alike: as many must be there as went.
                let seen = counted.entry((&row.table, &row.values)).or_default();
                *seen += 1;
                if (there.iter().filter(|one| **one == row.values).count() as u64) < *seen {
                    out.push(row);
                }
                continue;
            }
            match there.first() {
                None => out.push(row),
                Some(one) if *one == row.values => {}
                Some(_) => return Err(Not::Conflict),
            }
        }
        Ok(out)
    }

    fn fitting(&self, table: &TableName, columns: &[String], key: &[String]) -> Result<Fitting<'_>, Not> {
        let table = self.tables.get(table).ok_or(Not::Misfit)?;
        let find = |names: &[String]| names.iter().map(|name| table.column(name)).collect::<Option<Vec<_>>>();
        let (columns, key) = (find(columns).ok_or(Not::Misfit)?, find(key).ok_or(Not::Misfit)?);
        Ok(Fitting { table, columns, key })
    }

    async fn insert(&self, session: &mut dyn Session, row: &WholeRow) -> Result<(), Not> {
        let fitting = self.fitting(&row.table, &row.columns, &row.key)?;
        let dialect = self.dialect();
        let (mut places, mut values, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (column, value) in fitting.columns.iter().zip(&row.values) {
            let value = if row.late.contains(&column.name) { &Scalar::Null } else { value };
            let (place, value) = dialect.stored(values.len() + 1, column, value);
            names.push(dialect.name(&column.name));
            places.push(place);
            values.push(value);
        }
        let text = format!(
            "INSERT INTO {} ({}){} VALUES ({})",
            dialect.table(&fitting.table.name),
            names.join(", "),
            dialect.old_numbers(),
            places.join(", ")
        );
        if session.execute(&Statement { text, values }).await? == 1 { Ok(()) } else { Err(Not::Misfit) }
    }

    async fn update(
        &self,
        session: &mut dyn Session,
        table: &TableName,
        key_names: &[String],
        key: &[Scalar],
        columns: &[String],
        to: &[Scalar],
    ) -> Result<(), Not> {
        let fitting = self.fitting(table, columns, key_names)?;
        let dialect = self.dialect();
        let (mut set, mut values) = (Vec::new(), Vec::new());
        for (column, value) in fitting.columns.iter().zip(to) {
            let (place, value) = dialect.stored(values.len() + 1, column, value);
            set.push(format!("{} = {place}", dialect.name(&column.name)));
            values.push(value);
        }
        let moves = |column: &&Column| column.set_by_updates && !columns.contains(&column.name);
        for column in fitting.table.columns.iter().filter(moves) {
            let name = dialect.name(&column.name);
            set.push(format!("{name} = {name}"));
        }
        let names: Vec<(String, &Column)> =
            fitting.key.iter().map(|column| (dialect.name(&column.name), *column)).collect();
        let text = format!(
            "UPDATE {} SET {} WHERE {}",
            dialect.table(&fitting.table.name),
            set.join(", "),
            dialect.key_in(&names, 1, values.len() + 1)
        );
        values.extend(key.iter().cloned());
        if session.execute(&Statement { text, values }).await? == 1 { Ok(()) } else { Err(Not::Misfit) }
    }
}

/// What one rewritten row means for its item; `when_final` is what it means that it stands as the purge left it.
fn note(back: &mut Back, write: &Written, stands: Stands, when_final: Restored) {
    let Some(part) = &write.part else {
        back.left += u64::from(stands == Stands::Other);
        if stands == Stands::Final && when_final == Restored::Failed {
            back.whole = Restored::Failed;
        }
        return;
    };
    let done = match stands {
        Stands::Final => when_final,
        Stands::Before if when_final == Restored::Failed => Restored::Restored,
        Stands::Before => Restored::AlreadyThere,
        Stands::Other => Restored::Conflict,
    };
    back.parts.insert(part.clone(), done);
}

/// Whether a unique index refused it: something newer has the value.
fn is_duplicate(found: &SqlFault) -> bool {
    let numbers = ["23505", "1062", "1586", "SQLite 1555", "SQLite 2067", "SQLite 2579"];
    found.kind == FaultKind::Constraint && numbers.iter().any(|number| found.code.ends_with(number))
}

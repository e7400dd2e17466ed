//! Which foreign keys lead to a table.
//!
//! The server has no index of them: it opens every table that it has, 12 ms where there are only its own, and more the more
//! customers it serves. So the answer stands until somebody creates, alters, renames or drops a table or grants a right,
//! which the server counts, and for a while at most: a statement that was counted before we asked may still have been under
//! way.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::catalogue::{foreign_keys, text};
use crate::connect::sql::catalogue::ForeignKey;
use crate::connect::sql::engine::{Row, Session, SqlFault, Statement};
use crate::domain::selection::TableName;
use crate::domain::value::Scalar;

/// An answer is never kept for longer than this, or than asking takes, so many times.
const AT_MOST: Duration = Duration::from_secs(1);
const TIMES: u32 = 20;

/// What the server counts of statements by which a foreign key can come or go, or come into the account's sight.
const COUNTED: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_create_table', 'Com_alter_table', \
     'Com_rename_table', 'Com_drop_table', 'Com_drop_db', \
     'Com_grant', 'Com_grant_role', 'Com_revoke', 'Com_revoke_all', 'Com_revoke_role')";

/// The tables that refer to one.
const WHO: &str = "SELECT DISTINCT CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME \
     FROM information_schema.REFERENTIAL_CONSTRAINTS \
     WHERE UNIQUE_CONSTRAINT_SCHEMA = ?1t AND REFERENCED_TABLE_NAME = ?2t";

/// A table's own foreign keys: with both names given, the server opens this table alone.
const OWN: &str = "SELECT k.CONSTRAINT_NAME, k.TABLE_SCHEMA, k.TABLE_NAME, k.COLUMN_NAME, \
     k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.DELETE_RULE \
     FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r \
     ON r.CONSTRAINT_NAME = k.CONSTRAINT_NAME \
     WHERE k.TABLE_SCHEMA = ?1t AND k.TABLE_NAME = ?2t AND r.CONSTRAINT_SCHEMA = ?1t AND r.TABLE_NAME = ?2t \
     AND k.REFERENCED_TABLE_NAME IS NOT NULL \
     ORDER BY k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION";

/// What was last found of some tables.
#[derive(Default)]
pub(super) struct Referring {
    seen: Mutex<HashMap<TableName, Seen>>,
}

/// What was found of one table.
struct Seen {
    keys: Vec<ForeignKey>,
    counted: Vec<Row>,
    at: Instant,
    took: Duration,
}

impl Referring {
    /// The foreign keys that lead to a table, by its exact name.
    pub(super) async fn to(&self, session: &mut dyn Session, name: &TableName) -> Result<Vec<ForeignKey>, SqlFault> {
        let counted = session.rows(&Statement::plain(COUNTED)).await?;
        if let Some(known) = self.known(name, &counted) {
            return Ok(known);
        }
        let at = Instant::now();
        let keys = find(session, name).await?;
        let seen = Seen { keys: keys.clone(), counted, at, took: at.elapsed() };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), seen);
        Ok(keys)
    }

    fn known(&self, name: &TableName, counted: &[Row]) -> Option<Vec<ForeignKey>> {
        let all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = all.get(name)?;
        let fresh = seen.at.elapsed() <= AT_MOST.max(seen.took * TIMES);
        // Where the server counts nothing for us, nothing is kept.
        (fresh && !counted.is_empty() && seen.counted == counted).then(|| seen.keys.clone())
    }
}

async fn find(session: &mut dyn Session, name: &TableName) -> Result<Vec<ForeignKey>, SqlFault> {
    let exact = |row: &Row, at: usize| {
        text(row, at) == name.schema.as_deref().unwrap_or_default() && text(row, at + 1) == name.name
    };
    let who = session.rows(&asked(WHO, name)).await?;
    // The catalogue compares names without regard to case: `t` and `T` may both be there.
    let who: BTreeSet<TableName> = who
        .iter()
        .filter(|row| exact(row, 2))
        .map(|row| TableName { schema: Some(text(row, 0)), name: text(row, 1) })
        .collect();
    let mut keys = Vec::new();
    for table in &who {
        keys.extend(own(session, table).await?.into_iter().filter(|key| key.target == *name));
    }
    Ok(keys)
}

/// The foreign keys of a table, by its exact name.
pub(super) async fn own(session: &mut dyn Session, name: &TableName) -> Result<Vec<ForeignKey>, SqlFault> {
    let mut keys = foreign_keys(&session.rows(&asked(OWN, name)).await?);
    keys.retain(|key| key.table == *name);
    Ok(keys)
}

fn asked(text: &str, name: &TableName) -> Statement {
    let schema = name.schema.clone().unwrap_or_default();
    Statement { text: text.into(), values: vec![Scalar::Text(schema), Scalar::Text(name.name.clone())] }
}

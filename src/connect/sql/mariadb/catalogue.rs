//! What `information_schema` says of a table.
//!
//! It shows only what the account has a right to: a foreign key of a table without any right on it stays hidden, and
//! so do triggers. [`rights`](super::rights) says so, and `grants` mends it with `SHOW VIEW` on the database
//! and `TRIGGER` on the tables that are written.

use std::collections::BTreeSet;

use crate::connect::sql::catalogue::{Column, ForeignKey, OnDelete, Table, TableKind, TypeClass};
use crate::connect::sql::engine::{Row, Session, SqlFault, Statement};
use crate::domain::selection::TableName;
use crate::domain::value::Scalar;

/// Reads a table by its exact name; `None` where there is none.
pub(super) async fn table(
    session: &mut dyn Session,
    database: &str,
    name: &TableName,
) -> Result<Option<Table>, SqlFault> {
    let schema = name.schema.as_deref().unwrap_or(database);
    let asked = [Scalar::Text(schema.into()), Scalar::Text(name.name.clone())];
    let mut ask = async |text: &str| session.rows(&Statement { text: text.into(), values: asked.to_vec() }).await;
    // The catalogue compares names without regard to case; the exact one is picked here.
    let exact = |row: &&Row| text(row, 0) == schema && text(row, 1) == name.name;
    let Some(head) = ask(HEAD).await?.iter().find(exact).cloned() else { return Ok(None) };
    let columns: Vec<Column> = ask(COLUMNS).await?.iter().map(column).collect();
    let listed = ask(INDEXES).await?;
    let (indexes, unique, primary_key) = indexes(&listed);
    let triggers = ask(TRIGGERS).await?.iter().map(|row| text(row, 0)).collect();
    let kind = text(&head, 2);
    let name = TableName { schema: Some(text(&head, 0)), name: text(&head, 1) };
    Ok(Some(Table {
        references: references(session, &name).await?,
        referenced_by: referring(session, &name).await?,
        name,
        kind: if matches!(kind.as_str(), "BASE TABLE" | "SYSTEM VERSIONED") {
            TableKind::Table
        } else {
            TableKind::Other
        },
        columns,
        primary_key,
        unique,
        partly_unique: prefixes(&listed),
        indexes,
        triggers,
        transactional: text(&head, 4) == "YES",
        row_security: false,
        versioned: kind == "SYSTEM VERSIONED",
        partitioned: text(&head, 3).contains("partitioned"),
        estimate: number(&head, 5),
    }))
}

const HEAD: &str = "SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.TABLE_TYPE, COALESCE(t.CREATE_OPTIONS, ''), \
     COALESCE(e.TRANSACTIONS, 'NO'), COALESCE(t.TABLE_ROWS, 0) \
     FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
     WHERE t.TABLE_SCHEMA = ?1t AND t.TABLE_NAME = ?2t";

const COLUMNS: &str = "SELECT COLUMN_NAME, COLUMN_TYPE, DATA_TYPE, IS_NULLABLE, COALESCE(GENERATION_EXPRESSION, ''), \
     CHARACTER_MAXIMUM_LENGTH, COLLATION_NAME, EXTRA \
     FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?1t AND TABLE_NAME = ?2t ORDER BY ORDINAL_POSITION";

const INDEXES: &str = "SELECT INDEX_NAME, COLUMN_NAME, NON_UNIQUE, SUB_PART, INDEX_TYPE \
     FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ?1t AND TABLE_NAME = ?2t \
     ORDER BY INDEX_NAME, SEQ_IN_INDEX";

/// A table's own foreign keys. With both names given to both of its sources the server opens this table alone.
const REFERENCES: &str = "SELECT k.CONSTRAINT_NAME, k.TABLE_SCHEMA, k.TABLE_NAME, k.COLUMN_NAME, \
     k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.DELETE_RULE \
     FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r \
     ON r.CONSTRAINT_NAME = k.CONSTRAINT_NAME \
     WHERE k.TABLE_SCHEMA = ?1t AND k.TABLE_NAME = ?2t AND r.CONSTRAINT_SCHEMA = ?1t AND r.TABLE_NAME = ?2t \
     AND k.REFERENCED_TABLE_NAME IS NOT NULL \
     ORDER BY k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION";

/// The tables that refer to one. The server has no index of them and opens each table that the account sees, but for those of
/// the two schemas of its own, in which nobody can make one.
const REFERRING: &str = "SELECT DISTINCT CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME \
     FROM information_schema.REFERENTIAL_CONSTRAINTS \
     WHERE UNIQUE_CONSTRAINT_SCHEMA = ?1t AND REFERENCED_TABLE_NAME = ?2t \
     AND CONSTRAINT_SCHEMA NOT IN ('information_schema', 'performance_schema')";

const TRIGGERS: &str = "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS \
     WHERE EVENT_OBJECT_SCHEMA = ?1t AND EVENT_OBJECT_TABLE = ?2t \
     AND EVENT_MANIPULATION IN ('UPDATE', 'DELETE') ORDER BY TRIGGER_NAME";

pub(super) fn text(row: &Row, at: usize) -> String {
    match row.get(at) {
        Some(Scalar::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Scalar::Int(number)) => number.to_string(),
        other => other.and_then(Scalar::as_text).unwrap_or_default().to_string(),
    }
}

fn number(row: &Row, at: usize) -> u64 {
    match row.get(at) {
        Some(Scalar::Int(number)) => u64::try_from(*number).unwrap_or(0),
        Some(Scalar::UInt(number)) => *number,
        other => other.and_then(Scalar::as_text).and_then(|text| text.parse().ok()).unwrap_or(0),
    }
}

fn column(row: &Row) -> Column {
    let class = class(&text(row, 2));
    let has_length = class == TypeClass::Text && !row.get(5).is_none_or(Scalar::is_null);
    Column {
        name: text(row, 0),
        ty: text(row, 1),
        class,
        nullable: text(row, 3) == "YES",
        generated: !text(row, 4).is_empty(),
        max_chars: has_length.then(|| number(row, 5)),
        set_by_updates: text(row, 7).to_ascii_lowercase().contains("on update"),
        collation: row.get(6).and_then(Scalar::as_text).map(String::from),
    }
}

fn class(data_type: &str) -> TypeClass {
    match data_type.to_ascii_lowercase().as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "year" => TypeClass::Integer,
        "decimal" | "numeric" => TypeClass::Decimal,
        "float" | "double" => TypeClass::Float,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => TypeClass::Text,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "bit" => TypeClass::Binary,
        "date" => TypeClass::Date,
        "datetime" => TypeClass::DateTime,
        "timestamp" => TypeClass::Moment,
        "time" => TypeClass::Time,
        "uuid" => TypeClass::Uuid,
        "json" => TypeClass::Json,
        _ => TypeClass::Other,
    }
}

/// All indexes by their leading plain columns, the unique ones among them, and the primary key.
fn indexes(rows: &[Row]) -> (Vec<Vec<String>>, Vec<Vec<String>>, Vec<String>) {
    let (mut all, mut unique, mut primary): (Vec<Vec<String>>, Vec<Vec<String>>, _) = (vec![], vec![], vec![]);
    for index in rows.chunk_by(|a, b| text(a, 0) == text(b, 0)) {
        // FULLTEXT and SPATIAL serve no comparison. A prefix, or an expression (no column), ends the plain part.
        let Some(first) = index.first() else { continue };
        if !matches!(text(first, 4).as_str(), "BTREE" | "HASH") {
            continue;
        }
        let plain = |row: &&Row| !text(row, 1).is_empty() && row.get(3).is_none_or(Scalar::is_null);
        let columns: Vec<String> = index.iter().take_while(plain).map(|row| text(row, 1)).collect();
        let whole = columns.len() == index.len();
        if whole && number(first, 2) == 0 {
            if text(first, 0) == "PRIMARY" {
                primary.clone_from(&columns);
            }
            unique.push(columns.clone());
        }
        if !columns.is_empty() {
            all.push(columns);
        }
    }
    (all, unique, primary)
}

/// Columns of which a unique index takes the beginning only.
fn prefixes(rows: &[Row]) -> Vec<(String, bool)> {
    let prefix = |row: &&Row| number(row, 2) == 0 && !row.get(3).is_none_or(Scalar::is_null) && text(row, 4) == "BTREE";
    rows.iter().filter(prefix).map(|row| (text(row, 1), true)).collect()
}

/// The foreign keys of a table, by its exact name.
async fn references(session: &mut dyn Session, name: &TableName) -> Result<Vec<ForeignKey>, SqlFault> {
    let mut keys = foreign_keys(&session.rows(&asked(REFERENCES, name)).await?);
    // The catalogue compares names without regard to case: `t` and `T` may both be there.
    keys.retain(|key| key.table == *name);
    Ok(keys)
}

/// The foreign keys that lead to a table, by its exact name.
async fn referring(session: &mut dyn Session, name: &TableName) -> Result<Vec<ForeignKey>, SqlFault> {
    let table = |row: &Row, at: usize| TableName { schema: Some(text(row, at)), name: text(row, at + 1) };
    let rows = session.rows(&asked(REFERRING, name)).await?;
    let who: BTreeSet<TableName> = rows.iter().filter(|row| table(row, 2) == *name).map(|row| table(row, 0)).collect();
    let mut keys = Vec::new();
    for one in &who {
        keys.extend(references(session, one).await?.into_iter().filter(|key| key.target == *name));
    }
    Ok(keys)
}

fn asked(text: &str, name: &TableName) -> Statement {
    let schema = name.schema.clone().unwrap_or_default();
    Statement { text: text.into(), values: vec![Scalar::Text(schema), Scalar::Text(name.name.clone())] }
}

fn foreign_keys(rows: &[Row]) -> Vec<ForeignKey> {
    let same = |a: &Row, b: &Row| (0..3).all(|at| text(a, at) == text(b, at));
    let every = |rows: &[Row], at: usize| rows.iter().map(|row| text(row, at)).collect();
    rows.chunk_by(same)
        .filter_map(|key| key.first().map(|first| (key, first)))
        .map(|(key, first)| ForeignKey {
            name: text(first, 0),
            table: TableName { schema: Some(text(first, 1)), name: text(first, 2) },
            columns: every(key, 3),
            target: TableName { schema: Some(text(first, 4)), name: text(first, 5) },
            target_columns: every(key, 6),
            on_delete: match text(first, 7).as_str() {
                "CASCADE" => OnDelete::Cascade,
                "SET NULL" | "SET DEFAULT" => OnDelete::Clear,
                _ => OnDelete::Refuse,
            },
        })
        .collect()
}

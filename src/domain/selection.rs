//! Which records of a system a rule is about, per kind of system.
//!
//! The domain carries these without reading them: only the connector of the kind knows what a table, a mailbox or a
//! snapshot is. A new kind of system adds a variant here, and the compiler lists the rest.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::clock::ClockFormat;
use super::predicate::Predicate;
use super::recipe::Recipes;

/// The records that a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// Rows of a table.
    Sql(SqlSelection),
}

impl Selection {
    /// The name of the collection that keys belong to: it enters commitments, so it never changes for a table.
    pub fn collection(&self) -> String {
        match self {
            Self::Sql(sql) => sql.table.to_string(),
        }
    }
}

/// A table's name: as the catalogue has it, with its schema where the policy names one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// PostgreSQL schema or SQLite attached database; `None` is the system's own.
    pub schema: Option<String>,
    /// The table.
    pub name: String,
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => f.pad(&format!("{schema}.{}", self.name)),
            None => f.pad(&self.name),
        }
    }
}

/// Rows of one table, and what hangs below them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlSelection {
    /// The table.
    pub table: TableName,
    /// The columns that name a row: the primary key, or a unique index over columns that are never NULL. Empty: the
    /// primary key as the catalogue has it.
    pub key: Vec<String>,
    /// Which rows.
    pub filter: Option<Predicate>,
    /// Rows that are never due.
    pub protect: Vec<Protect>,
    /// Rows that belong to a record, erased with it in the same transaction, deepest first.
    pub children: Vec<Child>,
    /// Also take each table that a foreign key leads here from, to any depth.
    pub follow_foreign_keys: bool,
    /// A table without transactions, accepted one record at a time.
    pub allow_no_transactions: bool,
    /// A full scan, accepted where no index serves the clock.
    pub allow_scan: bool,
}

/// What makes a record protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protect {
    /// A condition on the record itself.
    Where(Predicate),
    /// A related row exists.
    Related(Relation),
}

/// How rows of another table belong to a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// The other table.
    pub table: TableName,
    /// Its columns that refer to the record. Empty: as the one foreign key between the two tables says.
    pub on: Vec<String>,
    /// The record's columns that they refer to. Empty: the record's key.
    pub to: Vec<String>,
    /// Which of those rows.
    pub filter: Option<Predicate>,
}

/// Rows that belong to a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// Which rows.
    pub relation: Relation,
    /// What becomes of them.
    pub then: ChildAction,
    /// What belongs to them in turn.
    pub children: Vec<Child>,
}

/// What becomes of a child row when its record is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChildAction {
    /// It goes too.
    Delete,
    /// Its reference is set to NULL and it stays.
    Clear,
    /// These of its columns are anonymised and it stays.
    Anonymise(Recipes),
}

/// A column of another table that repeats a field of the record: looked for after the record went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The other table.
    pub table: TableName,
    /// Its column.
    pub column: String,
    /// The field of the record.
    pub of: Field,
    /// How the copy is written, where it is not as the field.
    pub normalised: Option<Normal>,
}

/// How a copy is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normal {
    /// In lower case.
    Lower,
    /// Its digits alone.
    Digits,
}

impl Normal {
    /// The copy of a text.
    pub fn of(self, text: &str) -> String {
        match self {
            Self::Lower => text.to_lowercase(),
            Self::Digits => text.chars().filter(char::is_ascii_digit).collect(),
        }
    }
}

/// Where a clock's moments are read, per kind of system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockSource {
    /// A column of the record, or of rows related to it (the newest of them).
    Sql {
        /// The column.
        column: String,
        /// The related table; `None` is the record itself.
        relation: Option<Relation>,
        /// How it is written.
        format: ClockFormat,
        /// Where a date and time without offset was written; `None` is the policy's zone.
        zone: Option<Tz>,
    },
}

/// A field of a record that a part anonymises: a column, later a header or a property.
pub type Field = String;

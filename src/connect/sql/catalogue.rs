//! What a database's catalogue says of one table, in one shape for all engines.

use crate::domain::selection::TableName;

/// A table as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name, with the schema that it was really found in.
    pub name: TableName,
    /// What it is.
    pub kind: TableKind,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The primary key's columns, in order; empty without one.
    pub primary_key: Vec<String>,
    /// Unique indexes over plain columns, without a condition.
    pub unique: Vec<Vec<String>>,
    /// Columns in which a unique index refuses some equal values though it is none over plain columns: it takes a prefix or
    /// an expression of them (true), or holds some rows only (false).
    pub partly_unique: Vec<(String, bool)>,
    /// All indexes over plain columns (the leading columns of others), the primary key and unique ones included.
    pub indexes: Vec<Vec<String>>,
    /// Foreign keys of other tables (or its own) that refer to it.
    pub referenced_by: Vec<ForeignKey>,
    /// Its own foreign keys.
    pub references: Vec<ForeignKey>,
    /// Triggers that fire on UPDATE or DELETE: their names.
    pub triggers: Vec<String>,
    /// Whether its changes are transactional.
    pub transactional: bool,
    /// Whether row-level security hides rows from this account.
    pub row_security: bool,
    /// Whether it is system-versioned: deleted rows stay readable in its history.
    pub versioned: bool,
    /// Whether it is partitioned.
    pub partitioned: bool,
    /// The catalogue's estimate of its rows.
    pub estimate: u64,
}

/// What a name in the catalogue stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// A table.
    Table,
    /// A view, a foreign table, a sequence: nothing that a rule may purge.
    Other,
}

/// A column as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The engine's full name of its type (`varchar(64)`, `numeric(10,2)`): casts use it.
    pub ty: String,
    /// The kind of values it holds.
    pub class: TypeClass,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Whether the engine computes it.
    pub generated: bool,
    /// At most so many characters; `None` where there is no limit, or for other kinds.
    pub max_chars: Option<u64>,
    /// Whether the engine sets it to the present time at each update of its row (MariaDB's ON UPDATE
    /// CURRENT_TIMESTAMP): our own anonymising must not move such a clock.
    pub set_by_updates: bool,
    /// What else than equal bytes makes two texts of it equal; `None` where nothing does, and for other kinds.
    pub collation: Option<String>,
}

/// The kind of values a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TypeClass {
    /// Whole numbers.
    Integer,
    /// Exact decimals.
    Decimal,
    /// Floating point. Never part of a key.
    Float,
    /// True or false.
    Bool,
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// A day.
    Date,
    /// A day and time without zone.
    DateTime,
    /// A moment (PostgreSQL `timestamptz`, MariaDB `TIMESTAMP`).
    Moment,
    /// A time of day.
    Time,
    /// A UUID type.
    Uuid,
    /// A JSON type.
    Json,
    /// SQLite: any value; the row's own type counts.
    Dynamic,
    /// Anything else (enum, set, inet, ranges, ...), by its canonical text.
    Other,
}

/// A foreign key: `table.columns` refers to `target.target_columns`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its name, or the engine's number of it.
    pub name: String,
    /// The referring table.
    pub table: TableName,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub target: TableName,
    /// Its columns.
    pub target_columns: Vec<String>,
    /// What deleting the target does.
    pub on_delete: OnDelete,
}

/// What the engine does to the referring rows when the row referred to goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// It refuses (RESTRICT, NO ACTION).
    Refuse,
    /// They go too.
    Cascade,
    /// Their reference becomes NULL, or its default.
    Clear,
}

impl Table {
    /// A column by its exact name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether these columns name one row: the primary key, or a unique index whose columns are never NULL.
    pub fn is_key(&self, columns: &[String]) -> bool {
        let same = |key: &[String]| {
            !key.is_empty() && key.len() == columns.len() && key.iter().all(|one| columns.contains(one))
        };
        let never_null = || columns.iter().all(|name| self.column(name).is_some_and(|column| !column.nullable));
        same(&self.primary_key) || (self.unique.iter().any(|key| same(key)) && never_null())
    }

    /// Whether rows of another table that refer to these columns refer to one row here, at most: a unique index lies
    /// within them. A NULL is referred to by nobody.
    pub fn is_unique(&self, columns: &[String]) -> bool {
        let within = |key: &Vec<String>| !key.is_empty() && key.iter().all(|one| columns.contains(one));
        std::iter::once(&self.primary_key).chain(&self.unique).any(within)
    }

    /// Whether an index starts with these columns, in any order among them.
    pub fn has_index_on(&self, columns: &[String]) -> bool {
        !columns.is_empty()
            && self.indexes.iter().any(|index| {
                index.len() >= columns.len() && index.iter().take(columns.len()).all(|one| columns.contains(one))
            })
    }
}

//! Tables in memory, and the statements that make them on an engine.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::engines::Engine;
use super::value::{Kind, Value};

/// One row, by column.
pub(crate) type Row = BTreeMap<String, Value>;

/// One column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) null: bool,
}

/// A foreign key, with what it does when what it refers to goes.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) on: Vec<String>,
    pub(crate) target: String,
    pub(crate) to: Vec<String>,
    pub(crate) then: Then,
}

/// `ON DELETE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    NoAction,
    Restrict,
    /// No action, asked at COMMIT; only PostgreSQL has it.
    Deferred,
    Cascade,
    SetNull,
}

/// A table with its rows.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// Empty: it has no key.
    pub(crate) key: Vec<String>,
    pub(crate) unique: Vec<Vec<String>>,
    pub(crate) indexes: Vec<Vec<String>>,
    pub(crate) references: Vec<Reference>,
    pub(crate) rows: Vec<Row>,
}

impl Then {
    pub(crate) fn refuses(self) -> bool {
        matches!(self, Self::NoAction | Self::Restrict | Self::Deferred)
    }
}

impl Table {
    pub(crate) fn new(name: &str) -> Self {
        let empty = Vec::new;
        Self {
            name: name.to_string(),
            columns: Vec::new(),
            key: Vec::new(),
            unique: empty(),
            indexes: empty(),
            references: Vec::new(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, name: &str, kind: Kind, null: bool) {
        self.columns.push(Column { name: name.to_string(), kind, null });
    }

    pub(crate) fn kind(&self, column: &str) -> Kind {
        self.columns.iter().find(|one| one.name == column).unwrap_or_else(|| panic!("no column {column}")).kind
    }

    pub(crate) fn create(&self, engine: Engine) -> String {
        let mut parts: Vec<String> = Vec::new();
        for column in &self.columns {
            let declared = column.kind.declared(engine);
            let null = if column.null || declared.ends_with("null") { "" } else { " not null" };
            parts.push(format!("{} {declared}{null}", column.name));
        }
        if !self.key.is_empty() {
            parts.push(format!("primary key ({})", self.key.join(", ")));
        }
        parts.extend(self.unique.iter().map(|columns| format!("unique ({})", columns.join(", "))));
        for key in &self.references {
            let then = match key.then {
                Then::NoAction => "",
                Then::Restrict => " on delete restrict",
                Then::Deferred => " deferrable initially deferred",
                Then::Cascade => " on delete cascade",
                Then::SetNull => " on delete set null",
            };
            parts.push(format!(
                "foreign key ({}) references {} ({}){then}",
                key.on.join(", "),
                key.target,
                key.to.join(", ")
            ));
        }
        let mut text = format!("create table {} (\n  {}\n);\n", self.name, parts.join(",\n  "));
        for (number, columns) in self.indexes.iter().enumerate() {
            writeln!(text, "create index {0}_{number} on {0} ({1});", self.name, columns.join(", ")).unwrap();
        }
        text
    }

    pub(crate) fn insert(&self, engine: Engine) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let row = |row: &Row| {
            let values = self.columns.iter().map(|column| row[&column.name].literal(engine, column.kind));
            format!("({})", values.collect::<Vec<_>>().join(", "))
        };
        let rows: Vec<String> = self.rows.iter().map(row).collect();
        format!("insert into {} ({}) values\n  {};\n", self.name, names.join(", "), rows.join(",\n  "))
    }

    /// A statement that prints every row as one line: the table's name and each column, behind tabs.
    pub(crate) fn dump(&self, engine: Engine) -> String {
        let mut items = vec![format!("'{}'", self.name)];
        items.extend(self.columns.iter().map(|column| column.kind.print(engine, &column.name)));
        let between = if engine == Engine::Sqlite { " || char(9) || " } else { ", " };
        format!("select {} from {};\n", items.join(between), self.name)
    }
}

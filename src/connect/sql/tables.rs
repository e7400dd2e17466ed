//! The tables that a rule speaks of, read from the catalogue.

use std::collections::BTreeMap;

use super::catalogue::Table;
use super::engine::{Engine, Session, SqlFault};
use super::resolve::declared;
use crate::domain::rule::Rule;
use crate::domain::selection::{Child, Selection, TableName};

/// At most so many tables hang below one rule; more is a circle or a mistake.
const MOST: usize = 500;

/// Tables by the name that was asked for and by the name that they really have.
#[derive(Debug, Default)]
pub(super) struct Tables {
    by_name: BTreeMap<TableName, Option<Table>>,
}

impl Tables {
    pub(super) fn get(&self, name: &TableName) -> Option<&Table> {
        self.by_name.get(name).and_then(Option::as_ref)
    }

    /// Tables whose columns the catalogue does not show.
    pub(super) fn without_columns(&self) -> impl Iterator<Item = &Table> {
        self.by_name.values().flatten().filter(|table| table.columns.is_empty())
    }
}

/// Reads every table that the rule names, and with `follow_foreign_keys` every table that leads to one that goes.
pub(super) async fn gather(engine: &dyn Engine, session: &mut dyn Session, rule: &Rule) -> Result<Tables, SqlFault> {
    fn below(children: &[Child], out: &mut Vec<TableName>) {
        for child in children {
            out.push(child.relation.table.clone());
            below(&child.children, out);
        }
    }
    let Selection::Sql(sql) = &rule.selection;
    let mut wanted = vec![sql.table.clone()];
    wanted.extend(declared(rule).into_iter().map(|relation| relation.table.clone()));
    below(&sql.children, &mut wanted);
    let mut tables = Tables::default();
    while let Some(name) = wanted.pop() {
        if tables.by_name.contains_key(&name) || tables.by_name.len() > MOST * 2 {
            continue;
        }
        let table = engine.table(session, &name).await?;
        if let Some(table) = &table {
            if sql.follow_foreign_keys {
                wanted.extend(table.referenced_by.iter().map(|key| key.table.clone()));
            }
            tables.by_name.insert(table.name.clone(), Some(table.clone()));
        }
        tables.by_name.insert(name, table);
    }
    // What refers to a copy is no business of the rule.
    for copy in &rule.copies {
        if !tables.by_name.contains_key(&copy.table) {
            let table = engine.table(session, &copy.table).await?;
            tables.by_name.insert(copy.table.clone(), table);
        }
    }
    Ok(tables)
}

//! The live schema that a rule touches: as facts for the decision, and to see whether it is still the one that was
//! checked.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::catalogue::{Column, ForeignKey, Table};
use super::engine::Session;
use super::erase::{Eraser, Halt};
use super::relate::NodeAction;
use super::resolve::{self, Resolved};
use super::tables;
use crate::connect::Severity;
use crate::domain::selection::TableName;

/// The live schema that the rule touches, one fact a line, in an order of its own.
pub(super) fn facts(resolved: &Resolved) -> String {
    let mut lines: Vec<String> = Vec::new();
    let column = |table: &Table, column: &Column, what: &str| {
        format!("column {} {} {} {what} nullable={}", table.name, column.name, column.ty, column.nullable)
    };
    for one in &resolved.key {
        lines.push(column(&resolved.table, one, "key"));
    }
    for one in &resolved.touched {
        lines.push(column(&resolved.table, one, "written"));
    }
    for source in &resolved.sources {
        let table = source.link.as_ref().map_or(&resolved.table, |link| &link.table);
        lines.push(column(table, &source.column, "clock"));
    }
    for node in &resolved.nodes {
        for link in node.link.iter().chain(&node.loops) {
            for one in &link.on {
                lines.push(column(&link.table, one, "reference"));
            }
        }
        let table = &node.table;
        let mut fact = |key: &ForeignKey| {
            let mut line = String::new();
            let _ = write!(
                line,
                "foreign-key {} {} -> {} {} ",
                key.table,
                key.columns.join(","),
                key.target,
                key.target_columns.join(",")
            );
            let _ = write!(line, "{:?}", key.on_delete);
            lines.push(line);
        };
        table.referenced_by.iter().for_each(&mut fact);
        lines.extend(table.triggers.iter().map(|trigger| format!("trigger {} {trigger}", table.name)));
    }
    lines.sort();
    lines.dedup();
    lines.join("\n")
}

/// All that the statements of a rule rest on: the facts, and what of the schema decides how a condition is read.
pub(super) fn rests_on(resolved: &Resolved) -> String {
    let mut out = facts(resolved);
    let mut line = |text: String| {
        out.push('\n');
        out.push_str(&text);
    };
    line(format!("where {:?} protect {:?}", resolved.filter, resolved.protect));
    line(format!("key {:?} written {:?}", resolved.key, resolved.touched));
    for source in &resolved.sources {
        line(format!("clock {:?}", source.column));
    }
    let clocks = resolved.sources.iter().filter_map(|source| source.link.as_ref());
    for link in clocks.chain(resolved.nodes.iter().flat_map(|node| node.link.iter().chain(&node.loops))) {
        line(format!("link {} {:?} {:?} {:?}", link.table.name, link.on, link.to, link.filter));
    }
    for node in &resolved.nodes {
        let table = &node.table;
        let held = (table.transactional, table.row_security, table.versioned);
        line(format!("table {} {held:?} {:?} {:?}", table.name, node.key, node.action));
    }
    out
}

impl Eraser<'_> {
    /// Asked when the records are locked and with them the tables that rows are deleted from, which lets nobody alter
    /// those any more: whether all is as it was checked. A new foreign key that cascades, a new trigger, a view in the table's place would take other rows.
    pub(super) async fn as_checked(&self, session: &mut dyn Session) -> Result<(), Halt> {
        let rule = self.reader.rule;
        let deletes = self.resolved().nodes.iter().filter(|node| node.action == NodeAction::Delete);
        let deletes = deletes.filter(|node| node.parent.is_some() || rule.record_part().is_some());
        let held: BTreeSet<&TableName> = deletes.map(|node| &node.table.name).collect();
        if let Some(hold) = self.engine.hold_tables(&held.into_iter().collect::<Vec<_>>()) {
            session.execute(&hold).await?;
        }
        let tables = tables::gather(self.engine, session, rule).await?;
        let (now, findings) = resolve::resolve(rule, &tables, self.reader.dialect, self.reader.zone);
        match now {
            Some(now) if rests_on(&now) == rests_on(self.resolved()) => Ok(()),
            Some(_) => Err(Halt::Altered(ALTERED.into())),
            None => {
                let fault = findings.into_iter().find(|one| one.severity == Severity::Fault);
                let why = fault.map(|one| format!(": {} ({})", one.text, one.code.id)).unwrap_or_default();
                Err(Halt::Altered(format!("{ALTERED}{why}")))
            }
        }
    }
}

/// What is said where the schema is another.
pub(super) const ALTERED: &str = "the tables were altered since they were checked";

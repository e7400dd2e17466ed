//! `then.drop-partitions`: whether partitions are dropped whole. What the text of the policy shows to be wrong with that is
//! told here; what only the database shows is told by `check`.

use super::{Out, Told};
use crate::codes;
use crate::config::diagnostic::Diagnostic;
use crate::config::tree::{Entry, Node, Value};
use crate::domain::predicate::Predicate;
use crate::domain::rule::Part;
use crate::domain::selection::{ClockSource, Protect, Selection};

/// What the rule is otherwise; nothing where that is at fault itself.
pub(super) struct Whole<'a> {
    pub(super) system: Option<&'a Entry>,
    pub(super) selection: Option<&'a Selection>,
    pub(super) parts: Option<&'a [Part]>,
    pub(super) sources: &'a [ClockSource],
}

pub(super) fn drop_partitions(rule: &Node, whole: &Whole<'_>, out: Out<'_>) -> Result<bool, Told> {
    let Some(entry) = asked(rule) else { return Ok(false) };
    if !matches!(entry.node.value, Value::Flag(true)) {
        return Ok(false);
    }
    let Some((text, help)) = refused(rule, whole) else { return Ok(true) };
    let fault = Diagnostic::fault(codes::CONTRADICTION, text, &entry.node.place).label("not with this rule");
    out.push(fault.help(format!("{help}, or take out `drop-partitions`: then rows are deleted in batches")));
    Err(Told)
}

/// Where it stands: in the rule's own `then`, or in that of a part.
fn asked(rule: &Node) -> Option<&Entry> {
    let of_parts = rule.get("part").map(Node::entries).unwrap_or_default().iter().map(|part| &part.node);
    std::iter::once(rule).chain(of_parts).find_map(|node| node.get("then")?.entry("drop-partitions"))
}

/// Why not, and what else to do.
fn refused(rule: &Node, whole: &Whole<'_>) -> Option<(&'static str, &'static str)> {
    if whole.system.is_some_and(|system| system.node.entry("postgres").is_none()) {
        return Some((
            "partitions are dropped on PostgreSQL only: elsewhere nothing rolls a dropped partition back",
            "let a rule on a PostgreSQL system have it",
        ));
    }
    if whole.parts.is_some_and(|parts| parts.len() != 1 || !parts.iter().all(Part::is_record)) {
        return Some(("a partition is dropped with its whole records", "let the rule have one part, with then.delete"));
    }
    if rule.entry("undo").is_some() {
        return Some(("what is dropped with its partition is not kept for an undo window", "take out `undo`"));
    }
    if !matches!(whole.sources, [] | [ClockSource::Sql { relation: None, .. }]) {
        return Some((
            "a partition is a range of one clock, and this rule has several, or one of another table",
            "let every ground count from the one column by which the table is partitioned",
        ));
    }
    let Some(Selection::Sql(sql)) = whole.selection else { return None };
    if !sql.children.is_empty() || sql.follow_foreign_keys {
        return Some(("rows of other tables would stay behind a dropped partition", "take out the children"));
    }
    let aside = |one: &Protect| match one {
        Protect::Where(predicate) => looks_aside(predicate),
        Protect::Related(_) => true,
    };
    if sql.filter.as_ref().is_some_and(looks_aside) || sql.protect.iter().any(aside) {
        return Some((
            "rows of other tables decide here, and those are not locked while a partition is dropped",
            "select and protect by the record's own columns",
        ));
    }
    None
}

fn looks_aside(predicate: &Predicate) -> bool {
    let mut found = false;
    predicate.visit_relations(&mut |_, _| found = true);
    found
}

//! `[rule.NAME]`.

use std::collections::BTreeMap;

use super::{Out, limits, name, part, partitions, select, undo};
use crate::codes;
use crate::config::diagnostic::Diagnostic;
use crate::config::predicate::{Dialect, Relations};
use crate::config::shape::{self, nearest};
use crate::config::source::{Place, shown};
use crate::config::tree::{Entry, Node, Value};
use crate::config::v1;
use crate::domain::id::{RuleId, SystemId};
use crate::domain::identity::IdentityKind;
use crate::domain::policy::System;
use crate::domain::rule::Rule;
use crate::domain::selection::{ClockSource, Field};
use crate::domain::term::FinancialYear;

/// What the keys of one rule are read with.
pub(super) struct RuleContext<'a> {
    /// The rule's table.
    pub(super) entry: &'a Entry,
    /// "rule.NAME".
    pub(super) path: String,
    /// How the system's SQL is written.
    pub(super) dialect: Dialect,
    /// Tables that a `where` may ask for by `related(..)`.
    pub(super) relations: Relations,
    /// When the firm's financial year begins.
    pub(super) year: FinancialYear,
    /// The clock sources so far.
    pub(super) sources: Vec<ClockSource>,
}

pub(super) fn all(
    root: &Node,
    systems: &BTreeMap<SystemId, System>,
    year: FinancialYear,
    out: Out<'_>,
) -> BTreeMap<RuleId, Rule> {
    let mut rules = BTreeMap::new();
    for entry in root.get("rule").map(Node::entries).unwrap_or_default() {
        if matches!(entry.node.value, Value::Table(_))
            && let Some(rule) = rule(root, entry, systems, year, out)
        {
            rules.insert(rule.id.clone(), rule);
        }
    }
    rules
}

fn rule(
    root: &Node,
    entry: &Entry,
    systems: &BTreeMap<SystemId, System>,
    year: FinancialYear,
    out: Out<'_>,
) -> Option<Rule> {
    let node = &entry.node;
    let path = format!("rule.{}", entry.key);
    let id = name(entry, RuleId::new, out);
    shape::lacking(entry, &v1::RULE, &path, out);
    let system_node = node.entry("system").and_then(|one| system_of(root, one, out));
    let dialect = system_node.map_or(Dialect::Sqlite, Dialect::of);
    let relations = select::relations(node);
    let mut cx = RuleContext { entry, path, dialect, relations, year, sources: Vec::new() };
    let selection = select::selection(&mut cx, system_node, out);
    let person = person(node);
    let key_columns = node.get("records").map(|records| records.texts_of("key")).unwrap_or_default();
    let parts = part::all(&mut cx, &key_columns, out);
    let limits = limits::limits(node, out);
    let schedule = limits::schedule(node, out);
    let undo = undo::undo(node, out);
    let copies = select::copies(node, out);
    let whole = partitions::Whole {
        system: system_node,
        selection: selection.as_ref(),
        parts: parts.as_deref(),
        sources: &cx.sources,
    };
    let drop_partitions = partitions::drop_partitions(node, &whole, out);
    let system = SystemId::new(node.text_of("system")?).ok().filter(|id| systems.contains_key(id));
    Some(Rule {
        id: id?,
        system: system?,
        selection: selection?,
        person,
        sources: cx.sources,
        parts: parts?,
        limits: limits?,
        schedule: schedule.ok()?,
        mode: limits::mode(root, node),
        undo: undo.ok()?,
        drop_partitions: drop_partitions.ok()?,
        copies,
    })
}

fn system_of<'a>(root: &'a Node, entry: &Entry, out: Out<'_>) -> Option<&'a Entry> {
    let text = entry.node.text()?;
    let systems = root.get("system").map(Node::entries).unwrap_or_default();
    if let Some(found) = systems.iter().find(|system| system.key == text) {
        return Some(found);
    }
    let fault =
        Diagnostic::fault(codes::UNKNOWN_SYSTEM, format!("there is no system `{}`", shown(text)), &entry.node.place)
            .label("not declared");
    out.push(match nearest(text, systems.iter().map(|system| system.key.as_str())) {
        Some(near) => fault.help(format!("did you mean \"{near}\"?")),
        None if systems.is_empty() => {
            fault.help(format!("declare it first:\n[system.{}]\nsqlite = \"shop.db\"", shown(text)))
        }
        None => {
            let names: Vec<&str> = systems.iter().map(|system| system.key.as_str()).take(20).collect();
            fault.help(format!("the policy declares: {}", shown(&names.join(", "))))
        }
    });
    None
}

fn person(node: &Node) -> BTreeMap<IdentityKind, Field> {
    let Some(person) = node.get("person") else { return BTreeMap::new() };
    let field = |kind: IdentityKind| person.text_of(kind.word()).map(|column| (kind, column.to_string()));
    IdentityKind::ALL.into_iter().filter_map(field).collect()
}

/// A fault where a list or a name has nothing in it.
pub(super) fn not_empty(texts: &[String], place: &Place, what: &str, out: Out<'_>) -> bool {
    let empty = texts.is_empty() || texts.iter().any(|text| text.trim().is_empty());
    if empty {
        let fault = Diagnostic::fault(codes::BAD_VALUE, format!("{what} is empty"), place).label("nothing in it");
        out.push(fault.help("name at least one, or leave the key out"));
    }
    !empty
}

//! Which records, what hangs below them and what protects them.

use super::rule::{RuleContext, not_empty};
use super::{Out, Told, recipe};
use crate::codes;
use crate::config::diagnostic::Diagnostic;
use crate::config::predicate::{self, Relations};
use crate::config::shape;
use crate::config::source::{Place, shown};
use crate::config::tree::{Entry, Node};
use crate::config::v1;
use crate::domain::predicate::Predicate;
use crate::domain::selection::{
    Child, ChildAction, Copied, Normal, Protect, Relation, Selection, SqlSelection, TableName,
};

/// Tables of a rule that stand directly beside its records: children, clocks and protections.
pub(super) fn relations(rule: &Node) -> Relations {
    let mut names: Vec<String> = Vec::new();
    let mut add = |list: Option<&Node>| {
        let items = list.map(Node::items).unwrap_or_default();
        names.extend(items.iter().filter_map(|item| item.text_of("table")).map(str::to_string));
    };
    add(rule.get("children"));
    add(rule.get("protect"));
    let grounds = |node: &Node| node.get("ground").map(Node::entries).unwrap_or_default().to_vec();
    let parts = rule.get("part").map(Node::entries).unwrap_or_default();
    let mut holders: Vec<Node> = vec![rule.clone()];
    holders.extend(grounds(rule).into_iter().map(|entry| entry.node));
    for part in parts {
        holders.push(part.node.clone());
        holders.extend(grounds(&part.node).into_iter().map(|entry| entry.node));
    }
    for holder in &holders {
        add(holder.get("since").and_then(|since| since.get("newest")));
    }
    names.sort();
    names.dedup();
    Relations::new(names)
}

pub(super) fn selection(cx: &mut RuleContext<'_>, system: Option<&Entry>, out: Out<'_>) -> Option<Selection> {
    let before = out.len();
    let rule = &cx.entry.node;
    let records = rule.entry("records")?;
    let table = table_of(cx, records, out);
    let key = records.node.texts_of("key");
    if let Some(entry) = records.node.entry("key") {
        not_empty(&key, entry.mark(), "the key", out);
    }
    let filter = filter(cx, &records.node, &cx.relations, out);
    let mut protect = protections(cx, rule.entry("protect"), None, out);
    if let (Some(system), Some(table)) = (system, &table) {
        protect.extend(protections(cx, system.node.entry("protect"), Some(table), out));
    }
    let children = children(cx, rule.get("children"), out);
    let selection = SqlSelection {
        table: table?,
        key,
        filter: filter.ok()?,
        protect,
        children,
        follow_foreign_keys: rule.flag_of("follow-foreign-keys"),
        allow_no_transactions: rule.flag_of("allow-no-transactions"),
        allow_scan: rule.flag_of("allow-scan"),
    };
    let faulty = out.iter().skip(before).any(Diagnostic::is_fault);
    (!faulty).then_some(Selection::Sql(selection))
}

fn table_of(cx: &RuleContext<'_>, records: &Entry, out: Out<'_>) -> Option<TableName> {
    if let Some(name) = records.node.text() {
        return table_name(name, None, &records.node.place, out);
    }
    shape::lacking(records, &v1::RECORDS, &format!("{}.records", cx.path), out);
    let name = records.node.get("table")?;
    table_name(name.text()?, records.node.text_of("schema"), &name.place, out)
}

pub(super) fn table_name(name: &str, schema: Option<&str>, place: &Place, out: Out<'_>) -> Option<TableName> {
    if name.trim().is_empty() || name.contains('\0') || schema.is_some_and(|schema| schema.trim().is_empty()) {
        let fault = Diagnostic::fault(codes::BAD_VALUE, "the table has no name", place).label("nothing in it");
        out.push(fault.help("write the table's name as the database has it: table = \"customers\""));
        return None;
    }
    if schema.is_none()
        && let Some((schema, table)) = name.split_once('.')
    {
        let warning = Diagnostic::warning(
            codes::BAD_VALUE,
            format!("`{}` is taken as one name with a dot in it", shown(name)),
            place,
        );
        out.push(warning.help(format!(
            "a schema is a key of its own: schema = \"{}\", table = \"{}\"",
            shown(schema),
            shown(table)
        )));
    }
    Some(TableName { schema: schema.map(str::to_string), name: name.to_string() })
}

/// The `where` of a table, where there is one.
pub(super) fn filter(
    cx: &RuleContext<'_>,
    node: &Node,
    relations: &Relations,
    out: Out<'_>,
) -> Result<Option<Predicate>, Told> {
    let Some(entry) = node.entry("where") else { return Ok(None) };
    let text = entry.node.text().ok_or(Told)?;
    match predicate::parse(text, cx.dialect, relations) {
        Ok(predicate) => Ok(Some(predicate)),
        Err(faults) => {
            for fault in faults {
                let place = entry.node.place.inside(text, fault.span);
                out.push(Diagnostic::fault(codes::BAD_WHERE, fault.text, &place).label(fault.label).help(fault.help));
            }
            Err(Told)
        }
    }
}

/// `table`, `on`, `to` and `where` of a related table.
pub(super) fn relation(cx: &RuleContext<'_>, node: &Node, place: &Place, out: Out<'_>) -> Option<Relation> {
    let Some(table) = node.entry("table") else {
        let fault =
            Diagnostic::fault(codes::MISSING_KEY, "the related table is not named", place).label("needs `table`");
        out.push(fault.help("write: { table = \"addresses\", on = \"customer_id\" }"));
        return None;
    };
    let name = table_name(table.node.text()?, node.text_of("schema"), table.mark(), out)?;
    let (on, to) = (node.texts_of("on"), node.texts_of("to"));
    for key in ["on", "to"] {
        if let Some(entry) = node.entry(key)
            && !not_empty(&node.texts_of(key), entry.mark(), &format!("`{key}`"), out)
        {
            return None;
        }
    }
    if let Some(entry) = node.entry("to")
        && to.len() != on.len()
    {
        let text = format!("`to` names {} and `on` names {}", columns(to.len()), columns(on.len()));
        let fault = Diagnostic::fault(codes::BAD_RELATION, text, entry.mark()).label("they pair up, one to one");
        out.push(fault.help("`on` are the related table's columns, `to` the record's, in the same order"));
        return None;
    }
    let filter = filter(cx, node, &Relations::none(), out).ok()?;
    Some(Relation { table: name, on, to, filter })
}

fn columns(n: usize) -> String {
    match n {
        0 => "no column".into(),
        1 => "1 column".into(),
        n => format!("{n} columns"),
    }
}

/// `protect` of a rule, or those of a system that are about this table.
fn protections(cx: &RuleContext<'_>, entry: Option<&Entry>, about: Option<&TableName>, out: Out<'_>) -> Vec<Protect> {
    let Some(entry) = entry else { return Vec::new() };
    let mut found = Vec::new();
    for node in entry.node.items() {
        let records = node.text_of("records");
        if let Some(table) = about {
            if records != Some(table.name.as_str()) {
                continue;
            }
        } else if let Some(records) = node.entry("records") {
            let fault =
                Diagnostic::fault(codes::CONTRADICTION, "`records` is for a protection on a system", records.mark());
            out.push(fault.label("a rule's protection is about its own records").help("remove `records` here"));
            continue;
        }
        found.extend(protection(cx, node, out));
    }
    found
}

/// Protections of systems that are about no rule's table: most likely a misspelt name, and then nothing is protected.
pub(super) fn stray_protections(root: &Node, out: Out<'_>) {
    let rules = root.get("rule").map(Node::entries).unwrap_or_default();
    for system in root.get("system").map(Node::entries).unwrap_or_default() {
        let ours = rules.iter().filter(|rule| rule.node.text_of("system") == Some(system.key.as_str()));
        let table = |records: &'_ Node| records.text().or(records.text_of("table")).map(str::to_string);
        let tables: Vec<String> = ours.filter_map(|rule| rule.node.get("records").and_then(table)).collect();
        for node in system.node.get("protect").map(Node::items).unwrap_or_default() {
            let Some(records) = node.entry("records") else {
                let text = "a protection on a system says which table's records it is about";
                let fault = Diagnostic::fault(codes::MISSING_KEY, text, &node.place).label("needs `records`");
                out.push(fault.help("write: { records = \"customers\", where = \"vip = 1\" }"));
                continue;
            };
            let name = records.node.text().unwrap_or_default();
            if tables.iter().any(|table| table == name) {
                continue;
            }
            let text =
                format!("no rule of `{}` is about `{}`, so this protects nothing", shown(&system.key), shown(name));
            let fault = Diagnostic::fault(codes::BAD_RELATION, text, records.mark()).label("no such `records`");
            out.push(match shape::nearest(name, tables.iter().map(String::as_str)) {
                Some(near) => fault.help(format!("did you mean \"{}\"?", shown(near))),
                None => fault.help("name a table that a rule of this system has under `records`, or remove this"),
            });
        }
    }
}

fn protection(cx: &RuleContext<'_>, node: &Node, out: Out<'_>) -> Option<Protect> {
    if node.entry("table").is_some() {
        return relation(cx, node, &node.place, out).map(Protect::Related);
    }
    if let Some(entry) = node.entry("on").or_else(|| node.entry("to")).or_else(|| node.entry("schema")) {
        let fault =
            Diagnostic::fault(codes::BAD_RELATION, format!("`{}` without `table`", entry.key), &entry.key_place);
        out.push(fault.label("which table?").help("name it: { table = \"disputes\", on = \"customer_id\" }"));
        return None;
    }
    let predicate = filter(cx, node, &cx.relations, out).ok()?;
    if predicate.is_none() {
        let fault = Diagnostic::fault(codes::MISSING_KEY, "this protects nothing", &node.place).label("empty");
        out.push(fault.help("write { where = \"open = 1\" } or { table = \"disputes\", on = \"customer_id\" }"));
    }
    predicate.map(Protect::Where)
}

fn children(cx: &RuleContext<'_>, list: Option<&Node>, out: Out<'_>) -> Vec<Child> {
    let mut found = Vec::new();
    for node in list.map(Node::items).unwrap_or_default() {
        let relation = relation(cx, node, &node.place, out);
        let then = child_action(node, out);
        let below = children(cx, node.get("children"), out);
        if let (Some(relation), Some(then)) = (relation, then) {
            if then == ChildAction::Clear && !below.is_empty() {
                let place = node.entry("children").map_or(&node.place, |entry| &entry.key_place);
                let fault =
                    Diagnostic::fault(codes::CONTRADICTION, "rows that stay can't have children that go", place);
                out.push(
                    fault.label("of a row that is only cleared").help("remove `children`, or write then = \"delete\""),
                );
            }
            found.push(Child { relation, then, children: below });
        }
    }
    found
}

/// `copies`: what repeats a field of the record elsewhere.
pub(super) fn copies(rule: &Node, out: Out<'_>) -> Vec<Copied> {
    let mut found = Vec::new();
    for node in rule.get("copies").map(Node::items).unwrap_or_default() {
        let mut lacks = false;
        for key in ["table", "column", "of"] {
            if node.entry(key).is_none() {
                let text = format!("a copy without `{key}`");
                let fault = Diagnostic::fault(codes::MISSING_KEY, text, &node.place).label(format!("needs `{key}`"));
                out.push(fault.help("write: { table = \"customer_lookup\", column = \"email\", of = \"email\" }"));
                lacks = true;
            }
        }
        let (Some(table), Some(column), Some(of), false) =
            (node.entry("table"), node.text_of("column"), node.text_of("of"), lacks)
        else {
            continue;
        };
        let name = table.node.text().unwrap_or_default();
        let Some(table) = table_name(name, node.text_of("schema"), table.mark(), out) else { continue };
        let normalised = match node.text_of("normalised") {
            Some("lower") => Some(Normal::Lower),
            Some("digits") => Some(Normal::Digits),
            _ => None,
        };
        found.push(Copied { table, column: column.into(), of: of.into(), normalised });
    }
    found
}

fn child_action(node: &Node, out: Out<'_>) -> Option<ChildAction> {
    let Some(then) = node.entry("then") else { return Some(ChildAction::Delete) };
    match then.node.text() {
        Some("delete") => Some(ChildAction::Delete),
        Some("clear") => Some(ChildAction::Clear),
        Some(_) => None,
        None => recipe::recipes(then.node.entry("anonymise")?, out).map(ChildAction::Anonymise),
    }
}

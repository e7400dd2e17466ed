//! What is fine in each key and odd when the policy is seen as a whole.

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;
use super::grounds::example;
use super::tree::{Entry, Node};
use crate::codes;
use crate::domain::policy::Policy;
use crate::domain::predicate::{Comparison, Literal, Predicate};
use crate::domain::rule::{Action, Ground, Part, Rule};
use crate::domain::selection::Selection;
use crate::domain::term::FinancialYear;

pub(super) fn find(policy: &Policy, root: &Node, out: &mut Vec<Diagnostic>) {
    let written: BTreeMap<&str, &Entry> = root
        .get("rule")
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .map(|entry| (entry.key.as_str(), entry))
        .collect();
    let mut by_table: BTreeMap<(String, String), Vec<&Rule>> = BTreeMap::new();
    for rule in policy.rules.values() {
        by_table.entry((rule.system.to_string(), rule.selection.collection())).or_default().push(rule);
        if let Some(entry) = written.get(rule.id.as_str()) {
            never_earlier(rule, policy.year, entry, out);
        }
    }
    for rules in by_table.values().filter(|rules| rules.len() > 1) {
        two_terms(rules, &written, out);
    }
}

/// Fields whose every term is as long as the record's own.
fn never_earlier(rule: &Rule, year: FinancialYear, entry: &Entry, out: &mut Vec<Diagnostic>) {
    let Some(record) = rule.record_part() else { return };
    for part in rule.parts.iter().filter(|part| !part.is_record()) {
        let outlasted = |ground: &Ground| {
            part.grounds.iter().any(|own| {
                !own.optional
                    && own.clock == ground.clock
                    && example((own.keep, own.from), (ground.keep, ground.from), year, |own, other| own < other)
                        .is_none()
            })
        };
        if !record.grounds.iter().all(outlasted) {
            continue;
        }
        let path = format!("part.{}", part.id);
        if let Some(place) = entry.node.follow(&path).map(|part| &part.key_place) {
            let text = format!("the part `{}` never does anything: its record goes first, or on the same day", part.id);
            let mut warning =
                Diagnostic::warning(codes::NEVER_EARLIER, text, place).label("no shorter than the record");
            if let Some(record) = entry.node.follow(&format!("part.{}", record.id)) {
                warning = warning.also(&record.key_place, "the record");
            }
            out.push(warning.help("shorten the part's `keep`, or remove the part"));
        }
    }
}

/// Rules over one table whose terms differ and whose records can be the same.
fn two_terms(rules: &[&Rule], written: &BTreeMap<&str, &Entry>, out: &mut Vec<Diagnostic>) {
    // Neighbours only, so that a hundred rules over one table are a hundred warnings at most.
    for pair in rules.windows(2) {
        let [a, b] = pair else { continue };
        if apart(a, b) || !differ(a, b) {
            continue;
        }
        if let (Some(first), Some(second)) = (written.get(a.id.as_str()), written.get(b.id.as_str())) {
            let (first, second) = if first.key_place.span.start <= second.key_place.span.start {
                (first, second)
            } else {
                (second, first)
            };
            let text =
                format!("two rules purge `{}` with different terms", super::source::shown(&a.selection.collection()));
            out.push(
                Diagnostic::warning(codes::TWO_TERMS, text, &second.key_place)
                    .label("a record that both select goes by the shorter term")
                    .also(&first.key_place, "the other rule")
                    .help("make it one rule with two grounds (the longest wins), or let their `where` exclude each other: kind = 'a' and kind = 'b'"),
            );
        }
    }
}

/// Whether both rules act on the same part of a record, and with other terms.
fn differ(a: &Rule, b: &Rule) -> bool {
    let terms =
        |part: &Part| part.grounds.iter().map(|ground| (ground.keep.to_string(), ground.from)).collect::<Vec<_>>();
    let overlap = |one: &Part, other: &Part| match (&one.action, &other.action) {
        (Action::Delete, Action::Delete) => true,
        (Action::Anonymise(one), Action::Anonymise(other)) => one.keys().any(|field| other.contains_key(field)),
        _ => false,
    };
    a.parts.iter().any(|one| b.parts.iter().any(|other| overlap(one, other) && terms(one) != terms(other)))
}

/// Whether no record can be selected by both: both ask for the same column to equal something else.
fn apart(a: &Rule, b: &Rule) -> bool {
    let asked = |rule: &Rule| match &rule.selection {
        Selection::Sql(sql) => sql.filter.as_ref().map(equalities).unwrap_or_default(),
    };
    let (a, b) = (asked(a), asked(b));
    a.iter().any(|(column, values)| {
        b.get(column).is_some_and(|others| !values.is_empty() && values.iter().all(|value| !others.contains(value)))
    })
}

fn equalities(predicate: &Predicate) -> BTreeMap<String, Vec<Literal>> {
    match predicate {
        Predicate::And(all) => all.iter().flat_map(equalities).collect(),
        Predicate::Compare { column, op: Comparison::Equal, with } => [(column.clone(), vec![with.clone()])].into(),
        Predicate::In { column, values } => [(column.clone(), values.clone())].into(),
        _ => BTreeMap::new(),
    }
}

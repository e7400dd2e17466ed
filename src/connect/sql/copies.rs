//! Declared copies: columns of other tables that repeat a field of the record.

use super::catalogue::{Column, Table, TypeClass};
use super::relate::comparable;
use super::resolve::{BIG, Faults, Resolved, known_table};
use super::tables::Tables;
use crate::codes;
use crate::connect::Severity;
use crate::domain::rule::Rule;
use crate::domain::selection::{Normal, Selection};

/// A declared copy with its columns found.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) table: Table,
    pub(super) column: Column,
    pub(super) of: Column,
    pub(super) normalised: Option<Normal>,
    /// The path in the policy under which it stands.
    pub(super) at: String,
}

/// The key of the policy under which a copy stands.
pub(super) fn copy_path(rule: &Rule, place: usize) -> String {
    format!("rule.{}.copies.{place}", rule.id)
}

/// The copies of a rule with their columns.
pub(super) fn copies(rule: &Rule, table: &Table, tables: &Tables, faults: &mut Faults) -> Vec<Copy> {
    let mut out = Vec::new();
    for (place, copy) in rule.copies.iter().enumerate() {
        let at = copy_path(rule, place);
        let Some(other) = known_table(tables, &copy.table, &format!("{at}.table"), faults) else { continue };
        let column = faults.column(other, &copy.column, &format!("{at}.column"));
        let of = faults.column(table, &copy.of, &format!("{at}.of"));
        let (Some(column), Some(of)) = (column, of) else { continue };
        let text = copy.normalised.is_none() || (column.class == TypeClass::Text && of.class == TypeClass::Text);
        if !text || !comparable(column.class, of.class) {
            let what = format!(
                "`{}`.`{}` ({}) can't repeat `{}`.`{}` ({})",
                other.name.name, column.name, column.ty, table.name.name, of.name, of.ty
            );
            let remedy = "name columns of the same kind; a normalised copy is text";
            faults.fault(codes::RELATION_TYPES, &format!("{at}.column"), what, remedy);
            continue;
        }
        out.push(Copy { table: other.clone(), column, of, normalised: copy.normalised, at });
    }
    out
}

/// What is looked for after each batch takes an index, or a table small enough to be read.
pub(super) fn served(rule: &Rule, resolved: &Resolved, faults: &mut Faults) {
    let Selection::Sql(sql) = &rule.selection;
    let severity = if sql.allow_scan { Severity::Note } else { Severity::Fault };
    let slow = |table: &Table, column: &Column| {
        let served = table.estimate <= BIG || table.has_index_on(std::slice::from_ref(&column.name));
        (!served).then(|| format!("no index of `{}` starts with {}", table.name.name, column.name))
    };
    let remedy = "add an index on it, or accept a full reading after each batch with `allow-scan = true`";
    for copy in &resolved.copies {
        if let Some(what) = slow(&copy.table, &copy.column) {
            faults.add(severity, codes::NO_REFERENCE_INDEX, &format!("{}.column", copy.at), what, remedy);
        }
        if let Some(what) = slow(&resolved.table, &copy.of) {
            faults.add(severity, codes::NO_REFERENCE_INDEX, &format!("{}.of", copy.at), what, remedy);
        }
    }
    for (kind, column) in &resolved.identities {
        if let Some(what) = slow(&resolved.table, column) {
            let what = format!("{what}, so after a purge nobody looks for another record with the same");
            let at = format!("rule.{}.person.{}", rule.id, kind.word());
            faults.add(
                Severity::Note,
                codes::NO_REFERENCE_INDEX,
                &at,
                what,
                "add an index on it to have that looked for",
            );
        }
    }
}

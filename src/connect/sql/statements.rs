//! `plan --sql`: statements by which anybody with a reading account can count what a rule selects.

use chrono::NaiveDate;

use super::records::{Reader, where_all};
use super::resolve::{RECORD, RELATED};
use crate::connect::Described;

/// Runnable as they stand: the policy's own literals are in them, and no value of a record.
pub(super) fn statements(reader: &Reader<'_>, due_by: NaiveDate) -> Vec<Described> {
    let (dialect, resolved) = (reader.dialect, reader.resolved);
    let table = dialect.table(&resolved.table.name);
    let select = |conditions: &[String]| format!("SELECT COUNT(*) FROM {table} {RECORD}{};", where_all(conditions));
    let described = |purpose: String, text| Described { purpose, text };
    let mut filter: Vec<String> = resolved.filter.iter().cloned().collect();
    let mut out = vec![
        described(format!("all records of {}", resolved.table.name.name), select(&[])),
        described("the records that the rule selects".into(), select(&filter)),
    ];
    if !resolved.protect.is_empty() {
        let mut protected = filter.clone();
        protected.push(format!("({})", resolved.protect.join(" OR ")));
        out.push(described("of these, protected and never due".into(), select(&protected)));
    }
    match super::preselect::may_be_due(reader, due_by) {
        Some(condition) => {
            filter.push(condition);
            let purpose = format!(
                "of these, read and judged one by one for {due_by} (generous: those due, without a clock or protected, and a few days more)"
            );
            out.push(described(purpose, select(&filter)));
        }
        None => out.extend(clocks(reader, &filter)),
    }
    out
}

/// Where the server can't compare the clocks with a day: their values, newest last, to look at.
fn clocks(reader: &Reader<'_>, filter: &[String]) -> Vec<Described> {
    let (dialect, resolved) = (reader.dialect, reader.resolved);
    let table = dialect.table(&resolved.table.name);
    let mut out = Vec::new();
    for source in &resolved.sources {
        let (from, alias) = match &source.link {
            None => (format!("{table} {RECORD}"), RECORD),
            Some(link) => {
                let joined = link.joined(dialect, RECORD);
                (format!("{table} {RECORD} JOIN {} {RELATED} ON {joined}", dialect.table(&link.table.name)), RELATED)
            }
        };
        let column = format!("{alias}.{}", dialect.name(&source.column.name));
        out.push(Described {
            purpose: format!("the selected records by clock `{}`, one line for each value", source.column.name),
            text: format!(
                "SELECT {column}, COUNT(*) FROM {from}{} GROUP BY {column} ORDER BY {column};",
                where_all(filter)
            ),
        });
    }
    out
}

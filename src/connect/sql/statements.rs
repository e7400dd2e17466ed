//! `plan --sql`: statements by which anybody with a reading account can count what a rule selects.

use chrono::NaiveDate;

use super::catalogue::TypeClass;
use super::records::{Reader, where_all};
use super::resolve::{RECORD, RELATED};
use crate::connect::Described;
use crate::domain::clock::ClockFormat;
use crate::domain::decide::Moment;
use crate::domain::rule::Part;
use crate::domain::term::{FinancialYear, last_clock_that_is_due};

/// Runnable as they stand: the policy's own literals are in them, and no value of a record.
pub(super) fn statements(reader: &Reader<'_>, moment: Moment) -> Vec<Described> {
    let (dialect, resolved, due_by, year) = (reader.dialect, reader.resolved, moment.today, moment.year);
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
    for part in &reader.rule.parts {
        let Some(due) = due(reader, part, due_by, year) else { continue };
        let mut conditions = filter.clone();
        conditions.extend(resolved.protect.iter().map(|text| format!("NOT COALESCE({text}, FALSE)")));
        conditions.extend(due);
        let purpose = format!(
            "of these, due on {due_by} by part `{}` (days as they are stored; without holds, untidy dates and records \
             below; fields that are in final form already are counted too)",
            part.id
        );
        out.push(described(purpose, select(&conditions)));
    }
    match super::preselect::may_be_due(reader, moment) {
        Some(condition) => {
            filter.push(condition);
            let purpose = format!(
                "of these, read and judged one by one for {due_by} (those due, without a clock or with an odd one, and a few hours more)"
            );
            out.push(described(purpose, select(&filter)));
        }
        None => out.extend(clocks(reader, &filter)),
    }
    out
}

/// That every ground of a part has passed, in plain comparisons: its newest clock lies before a day. `None` where a
/// clock can't be compared so.
fn due(reader: &Reader<'_>, part: &Part, due_by: NaiveDate, year: FinancialYear) -> Option<Vec<String>> {
    let dialect = reader.dialect;
    let mut all = Vec::new();
    for ground in &part.grounds {
        let next = last_clock_that_is_due(due_by, ground.keep, ground.from, year)?.succ_opt()?;
        let (mut none_later, mut some) = (Vec::new(), Vec::new());
        for place in &ground.clock {
            let source = reader.resolved.sources.get(*place)?;
            if source.format != ClockFormat::Iso || !comparable(source.column.class) {
                return None;
            }
            let name = dialect.name(&source.column.name);
            let from = |day: NaiveDate, alias: &str| format!("{alias}.{name} >= '{day}'");
            let first = NaiveDate::from_ymd_opt(1970, 1, 2)?;
            match &source.link {
                None => {
                    none_later.push(format!("COALESCE(NOT {}, TRUE)", from(next, RECORD)));
                    some.push(format!("COALESCE({}, FALSE)", from(first, RECORD)));
                }
                Some(link) => {
                    none_later.push(format!("NOT {}", link.exists(dialect, RECORD, Some(&from(next, RELATED)))));
                    some.push(link.exists(dialect, RECORD, Some(&from(first, RELATED))));
                }
            }
        }
        let known = format!("({})", some.join(" OR "));
        let passed = format!("({} AND {known})", none_later.join(" AND "));
        all.push(if ground.optional { format!("(NOT {known} OR {passed})") } else { passed });
    }
    Some(all)
}

/// Kinds of column whose moments a server compares with a day: date types, and text in ISO 8601.
fn comparable(class: TypeClass) -> bool {
    matches!(class, TypeClass::Date | TypeClass::DateTime | TypeClass::Moment | TypeClass::Text)
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

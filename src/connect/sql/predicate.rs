//! Printing a predicate from its tree, every bracket written, every literal of a kind that its column takes.

use chrono::{NaiveDate, NaiveDateTime};

use super::catalogue::{Column, Table, TypeClass};
use super::engine::Dialect;
use crate::domain::predicate::{Literal, Predicate};

/// Why a predicate can't be printed for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Misfit {
    /// No such column.
    Column(String),
    /// The literal's kind does not fit the column.
    Kind { column: String, ty: String, wants: &'static str },
    /// A LIKE that engines would read differently.
    Like(String),
    /// No such relation, or one where none may stand.
    Relation(String),
    /// Several relations of that name that are not the same rows.
    Ambiguous(String),
}

/// Prints `EXISTS (...)` for a relation by its name; `None` where the rule declares none of that name.
pub(super) type Exists<'a> = &'a dyn Fn(&str, Option<&Predicate>) -> Result<String, Misfit>;

/// Where a predicate is printed.
pub(super) struct Printer<'a> {
    pub(super) dialect: &'a dyn Dialect,
    pub(super) table: &'a Table,
    /// The alias of the table.
    pub(super) alias: &'a str,
    pub(super) exists: Exists<'a>,
}

/// For tables whose predicates may not ask for relations.
pub(super) fn no_relations(name: &str, _: Option<&Predicate>) -> Result<String, Misfit> {
    Err(Misfit::Relation(name.to_string()))
}

impl Printer<'_> {
    /// The predicate as SQL.
    pub(super) fn print(&self, predicate: &Predicate) -> Result<String, Misfit> {
        match predicate {
            Predicate::And(all) => self.joined(all, " AND ", "(1 = 1)"),
            Predicate::Or(all) => self.joined(all, " OR ", "(1 = 0)"),
            Predicate::Not(one) => Ok(format!("(NOT {})", self.print(one)?)),
            Predicate::Compare { column, op, with } => {
                let column = self.column(column)?;
                Ok(format!("({} {} {})", self.expression(column), op.sql(), self.literal(with, column)?))
            }
            Predicate::In { column, values } => {
                let column = self.column(column)?;
                let values: Vec<String> =
                    values.iter().map(|value| self.literal(value, column)).collect::<Result<_, _>>()?;
                Ok(format!("({} IN ({}))", self.expression(column), values.join(", ")))
            }
            Predicate::Like { column, pattern } => {
                let column = self.column(column)?;
                if !matches!(column.class, TypeClass::Text | TypeClass::Dynamic | TypeClass::Other) {
                    return Err(kind(column, "no pattern: it is no text"));
                }
                if pattern.contains('\\') || pattern.contains('\0') {
                    return Err(Misfit::Like(column.name.clone()));
                }
                Ok(format!("({} LIKE {})", self.expression(column), self.dialect.text_literal(pattern)))
            }
            Predicate::IsNull(column) => Ok(format!("({} IS NULL)", self.expression(self.column(column)?))),
            Predicate::Related { relation, matching } => (self.exists)(relation, matching.as_deref()),
        }
    }

    fn joined(&self, all: &[Predicate], word: &str, empty: &str) -> Result<String, Misfit> {
        let parts: Vec<String> = all.iter().map(|one| self.print(one)).collect::<Result<_, _>>()?;
        Ok(if parts.is_empty() { empty.to_string() } else { format!("({})", parts.join(word)) })
    }

    fn column(&self, name: &str) -> Result<&Column, Misfit> {
        self.table.column(name).ok_or_else(|| Misfit::Column(name.to_string()))
    }

    fn expression(&self, column: &Column) -> String {
        format!("{}.{}", self.alias, self.dialect.name(&column.name))
    }

    fn literal(&self, literal: &Literal, column: &Column) -> Result<String, Misfit> {
        match (literal, column.class) {
            // Of one or two digits MariaDB makes a year of this century or the last.
            (Literal::Number(number), TypeClass::Integer) if column.ty.starts_with("year") => {
                let year = number == "0" || number.parse::<u16>().is_ok_and(|year| (1901..=2155).contains(&year));
                year.then(|| number.clone()).ok_or_else(|| kind(column, "a year of four digits, or 0"))
            }
            (
                Literal::Number(number),
                TypeClass::Integer | TypeClass::Decimal | TypeClass::Float | TypeClass::Dynamic,
            ) => plain_number(number).then(|| number.clone()).ok_or_else(|| kind(column, "a plain number")),
            (Literal::Number(_), TypeClass::Bool) => Err(kind(column, "TRUE or FALSE")),
            (Literal::Number(_), _) => Err(kind(column, "a text in quotes")),
            (Literal::Bool(value), TypeClass::Bool) => Ok(if *value { "TRUE" } else { "FALSE" }.to_string()),
            (Literal::Bool(_), _) => Err(kind(column, "no TRUE or FALSE")),
            (Literal::Text(text), _) if text.contains('\0') => Err(kind(column, "a text without a zero character")),
            (Literal::Text(text), TypeClass::Text | TypeClass::Dynamic) => Ok(self.dialect.text_literal(text)),
            (Literal::Text(text), TypeClass::Date | TypeClass::DateTime | TypeClass::Moment) => {
                let fits = is_day(text) || (column.class != TypeClass::Date && is_day_and_time(text));
                fits.then(|| self.dialect.literal_for(text, column))
                    .ok_or_else(|| kind(column, "a date as '2024-12-31', or with a time as '2024-12-31 23:59:59'"))
            }
            (Literal::Text(text), TypeClass::Time | TypeClass::Uuid | TypeClass::Other) => {
                Ok(self.dialect.literal_for(text, column))
            }
            (Literal::Text(_), TypeClass::Integer | TypeClass::Decimal | TypeClass::Float) => {
                Err(kind(column, "a number without quotes"))
            }
            (Literal::Text(_), TypeClass::Bool) => Err(kind(column, "TRUE or FALSE")),
            (Literal::Text(_), TypeClass::Binary | TypeClass::Json) => Err(kind(column, "no literal, only IS NULL")),
        }
    }
}

fn kind(column: &Column, wants: &'static str) -> Misfit {
    Misfit::Kind { column: column.name.clone(), ty: column.ty.clone(), wants }
}

fn plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let mut halves = digits.splitn(2, '.');
    let whole = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    halves.next().is_some_and(whole) && halves.next().is_none_or(whole)
}

fn is_day(text: &str) -> bool {
    text == "0000-00-00" || NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok_and(|_| text.len() == 10)
}

fn is_day_and_time(text: &str) -> bool {
    text == "0000-00-00 00:00:00"
        || ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S%.f"]
            .iter()
            .any(|pattern| NaiveDateTime::parse_from_str(text, pattern).is_ok())
}

/// Columns that may be NULL and stand where NULL makes the whole unknown although a reader expects true: below NOT, or
/// compared with `<>`.
pub(super) fn null_traps(predicate: &Predicate, table: &Table) -> Vec<String> {
    fn walk(predicate: &Predicate, negated: bool, table: &Table, out: &mut Vec<String>) {
        let mut note = |name: &String| {
            if table.column(name).is_some_and(|column| column.nullable) && !out.contains(name) {
                out.push(name.clone());
            }
        };
        match predicate {
            Predicate::And(all) | Predicate::Or(all) => all.iter().for_each(|one| walk(one, negated, table, out)),
            Predicate::Not(one) => walk(one, !negated, table, out),
            Predicate::Compare { column, op, .. } => {
                if negated || *op == crate::domain::predicate::Comparison::NotEqual {
                    note(column);
                }
            }
            Predicate::In { column, .. } | Predicate::Like { column, .. } if negated => note(column),
            Predicate::In { .. } | Predicate::Like { .. } | Predicate::IsNull(_) | Predicate::Related { .. } => {}
        }
    }
    let mut out = Vec::new();
    walk(predicate, false, table, &mut out);
    out
}

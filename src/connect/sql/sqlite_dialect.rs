//! How SQLite writes SQL.
//!
//! Bound values have no affinity of their own, so that a comparison takes that of the column: what was read from a
//! column finds its row again, and nothing else.

use chrono::{DateTime, NaiveDate, Utc};

use super::catalogue::{Column, TypeClass};
use super::engine::Dialect;
use crate::domain::selection::TableName;
use crate::domain::value::Scalar;

/// The dialect of SQLite.
#[derive(Debug, Clone, Copy)]
pub(super) struct SqliteDialect;

impl Dialect for SqliteDialect {
    fn name(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn table(&self, name: &TableName) -> String {
        format!("{}.{}", self.name(name.schema.as_deref().unwrap_or("main")), self.name(&name.name))
    }

    fn indexed(&self, name: &TableName) -> String {
        // The schema stands before the name of the index; where none does, it is the main one.
        self.name(&name.name)
    }

    fn bound(&self, n: usize, _column: &Column) -> String {
        format!("?{n}")
    }

    fn read(&self, expression: &str, _column: &Column) -> String {
        expression.to_string()
    }

    fn key_in(&self, columns: &[(String, &Column)], keys: usize, first: usize) -> String {
        if let [(expression, _)] = columns {
            let places: Vec<String> = (first..first + keys).map(|n| format!("?{n}")).collect();
            return format!("{expression} IN ({})", places.join(", "));
        }
        let one = |row: usize| {
            let parts: Vec<String> = columns
                .iter()
                .enumerate()
                .map(|(part, (expression, _))| format!("{expression} = ?{}", first + row * columns.len() + part))
                .collect();
            format!("({})", parts.join(" AND "))
        };
        let rows: Vec<String> = (0..keys).map(one).collect();
        format!("({})", rows.join(" OR "))
    }

    fn key_after(&self, columns: &[(String, &Column)], first: usize) -> String {
        let expressions: Vec<&str> = columns.iter().map(|(expression, _)| expression.as_str()).collect();
        let places: Vec<String> = (first..first + columns.len()).map(|n| format!("?{n}")).collect();
        match (expressions.as_slice(), places.as_slice()) {
            ([expression], [place]) => format!("{expression} > {place}"),
            _ => format!("({}) > ({})", expressions.join(", "), places.join(", ")),
        }
    }

    fn stored(&self, n: usize, _column: &Column, value: &Scalar) -> (String, Scalar) {
        match value {
            Scalar::Typed { ty, text } if ty == super::sqlite::BROKEN_TEXT => {
                (format!("CAST(?{n} AS TEXT)"), hex::decode(text).map_or_else(|_| value.clone(), Scalar::Bytes))
            }
            value => (format!("?{n}"), value.clone()),
        }
    }

    fn lock(&self) -> &'static str {
        ""
    }

    fn text_literal(&self, text: &str) -> String {
        format!("'{}'", text.replace('\'', "''"))
    }

    fn literal_for(&self, text: &str, _column: &Column) -> String {
        self.text_literal(text)
    }

    fn before_day(&self, _expression: &str, _column: &Column, _day: NaiveDate) -> Option<String> {
        None
    }

    fn holds_to_types(&self) -> bool {
        // An empty text in a column of numbers is newer than all of them, and says nothing.
        false
    }

    fn moment(&self, now: DateTime<Utc>, column: &Column) -> Scalar {
        match column.class {
            TypeClass::Integer => Scalar::Int(now.timestamp()),
            TypeClass::Date => Scalar::Text(now.format("%Y-%m-%d").to_string()),
            _ => Scalar::Text(now.format("%Y-%m-%d %H:%M:%S").to_string()),
        }
    }

    fn joined(&self, expression: &str) -> String {
        format!("group_concat({expression})")
    }

    fn max_bound(&self) -> usize {
        32_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_literals_can_not_end_their_quotes() {
        let dialect = SqliteDialect;
        assert_eq!(dialect.name("we\"ird T"), "\"we\"\"ird T\"");
        assert_eq!(dialect.text_literal("o'clock"), "'o''clock'");
        let table = TableName { schema: None, name: "select".into() };
        assert_eq!(dialect.table(&table), "\"main\".\"select\"");
    }
}

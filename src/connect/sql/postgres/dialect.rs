//! How PostgreSQL writes SQL.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, SecondsFormat, Utc};

use crate::connect::sql::catalogue::{Column, TypeClass};
use crate::connect::sql::engine::Dialect;
use crate::domain::selection::TableName;
use crate::domain::value::Scalar;

/// PostgreSQL's way, for a system whose tables without a schema are in this one.
pub(super) struct PostgresDialect {
    pub(super) schema: String,
}

/// A name in double quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal that means the same whatever `standard_conforming_strings` is.
pub(super) fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

/// A type without its length and precision: a cast to `varchar(3)` or `numeric(10,2)` would cut a value down to one
/// that is another row's.
fn unbounded(ty: &str) -> String {
    let (mut out, mut quoted, mut depth) = (String::with_capacity(ty.len()), false, 0i32);
    for c in ty.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => {
                depth -= 1;
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            out.push(c);
        }
    }
    let (base, array) = out.strip_suffix("[]").map_or((out.as_str(), ""), |base| (base, "[]"));
    let base = match base {
        // Without a length these two are one character and one bit.
        "character" => "bpchar",
        "bit" => "\"bit\"",
        "character varying" | "text" => "text",
        other => other,
    };
    format!("{base}{array}")
}

/// A value of text form, cast so that it is compared as the column's type.
fn cast(value: &str, column: &Column) -> String {
    match column.class {
        TypeClass::Integer => format!("{value}::int8"),
        TypeClass::Decimal => format!("{value}::numeric"),
        TypeClass::Float => format!("{value}::float8"),
        TypeClass::Bool => format!("{value}::bool"),
        // A day is compared as a day and time, so that a time of day is never cut off.
        TypeClass::Date | TypeClass::DateTime => format!("{value}::timestamp"),
        TypeClass::Moment => format!("{value}::timestamptz"),
        _ => match unbounded(&column.ty) {
            text if text == "text" => value.to_string(),
            other => format!("{value}::{other}"),
        },
    }
}

impl Dialect for PostgresDialect {
    fn name(&self, name: &str) -> String {
        quoted(name)
    }

    fn table(&self, name: &TableName) -> String {
        format!("{}.{}", quoted(name.schema.as_deref().unwrap_or(&self.schema)), quoted(&name.name))
    }

    fn bound(&self, n: usize, column: &Column) -> String {
        match column.class {
            TypeClass::Binary => format!("decode(${n}::text, 'hex')"),
            _ => cast(&format!("${n}::text"), column),
        }
    }

    fn read(&self, expression: &str, column: &Column) -> String {
        match column.class {
            TypeClass::Integer | TypeClass::Bool | TypeClass::Float | TypeClass::Binary => expression.to_string(),
            _ => format!("{expression}::text"),
        }
    }

    fn key_in(&self, columns: &[(String, &Column)], keys: usize, first: usize) -> String {
        let width = columns.len();
        let row = |parts: Vec<String>| {
            if width == 1 { parts.concat() } else { format!("({})", parts.join(", ")) }
        };
        let one = |key: usize| {
            let start = first + key * width;
            row(columns.iter().enumerate().map(|(i, (_, column))| self.bound(start + i, column)).collect())
        };
        let left = row(columns.iter().map(|(expression, _)| expression.clone()).collect());
        format!("{left} IN ({})", (0..keys).map(one).collect::<Vec<_>>().join(", "))
    }

    fn key_after(&self, columns: &[(String, &Column)], first: usize) -> String {
        let left: Vec<&str> = columns.iter().map(|(expression, _)| expression.as_str()).collect();
        let right: Vec<String> =
            columns.iter().enumerate().map(|(i, (_, column))| self.bound(first + i, column)).collect();
        format!("({}) > ({})", left.join(", "), right.join(", "))
    }

    fn old_numbers(&self) -> &'static str {
        // With the space that sets it apart from what stands before it.
        " OVERRIDING SYSTEM VALUE"
    }

    fn lock(&self) -> &'static str {
        // With the space that sets it apart from what stands before it.
        " FOR UPDATE"
    }

    fn text_literal(&self, text: &str) -> String {
        literal(text)
    }

    fn literal_for(&self, text: &str, column: &Column) -> String {
        match column.class {
            TypeClass::Integer if text.parse::<i64>().is_ok() => text.to_string(),
            TypeClass::Binary => format!("convert_to({}, 'UTF8')", literal(text)),
            _ => cast(&format!("{}::text", literal(text)), column),
        }
    }

    fn before_day(&self, expression: &str, column: &Column, day: NaiveDate) -> Option<String> {
        // A time without zone was written up to 26 hours away from the policy's; a moment is compared in UTC.
        let (days, kind, time) = match column.class {
            TypeClass::Date => (0, "DATE", ""),
            TypeClass::DateTime => (2, "TIMESTAMP", " 00:00:00"),
            TypeClass::Moment => (1, "TIMESTAMPTZ", " 00:00:00+00"),
            _ => return None,
        };
        let day = day.checked_add_days(Days::new(days))?.format("%Y-%m-%d");
        Some(format!("{expression} < {kind} '{day}{time}'"))
    }

    fn clock_literal(&self, column: &Column, at: NaiveDateTime) -> Option<String> {
        match column.class {
            TypeClass::Date => Some(format!("DATE '{}'", at.format("%Y-%m-%d"))),
            TypeClass::DateTime => Some(format!("TIMESTAMP '{}'", at.format("%Y-%m-%d %H:%M:%S"))),
            TypeClass::Moment => Some(format!("TIMESTAMPTZ '{}+00'", at.format("%Y-%m-%d %H:%M:%S"))),
            _ => None,
        }
    }

    fn moment(&self, now: DateTime<Utc>, column: &Column) -> Scalar {
        match column.class {
            TypeClass::Integer => Scalar::Int(now.timestamp()),
            TypeClass::Date => Scalar::Text(now.format("%Y-%m-%d").to_string()),
            TypeClass::DateTime => Scalar::Text(now.format("%Y-%m-%d %H:%M:%S").to_string()),
            TypeClass::Moment => Scalar::Text(now.format("%Y-%m-%d %H:%M:%S+00").to_string()),
            _ => Scalar::Text(now.to_rfc3339_opts(SecondsFormat::Secs, true)),
        }
    }

    fn joined(&self, expression: &str) -> String {
        format!("string_agg({expression}::text, ',')")
    }

    fn max_bound(&self) -> usize {
        // The protocol counts them in 16 bits.
        60_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(ty: &str, class: TypeClass) -> Column {
        Column {
            name: "c".into(),
            ty: ty.into(),
            class,
            nullable: false,
            generated: false,
            max_chars: None,
            set_by_updates: false,
            collation: None,
        }
    }

    #[test]
    fn a_cast_never_cuts_or_rounds_a_key() {
        for (ty, base) in [
            ("character varying(3)", "text"),
            ("character(3)", "bpchar"),
            ("character(3)[]", "bpchar[]"),
            ("numeric(10,2)", "numeric"),
            ("bit(4)", "\"bit\""),
            ("time(3) without time zone", "time without time zone"),
            ("\"we(ir)d\"", "\"we(ir)d\""),
            ("uuid", "uuid"),
        ] {
            assert_eq!(unbounded(ty), base, "{ty}");
        }
    }

    #[test]
    fn keys_are_compared_as_rows_of_their_own_types() {
        let dialect = PostgresDialect { schema: "public".into() };
        let (a, b) = (column("integer", TypeClass::Integer), column("uuid", TypeClass::Uuid));
        let both = [("t.a".to_string(), &a), ("t.b".to_string(), &b)];
        assert_eq!(
            dialect.key_in(&both, 2, 3),
            "(t.a, t.b) IN (($3::text::int8, $4::text::uuid), ($5::text::int8, $6::text::uuid))"
        );
        assert_eq!(dialect.key_after(&both, 1), "(t.a, t.b) > ($1::text::int8, $2::text::uuid)");
        assert_eq!(dialect.key_in(&both[..1], 2, 1), "t.a IN ($1::text::int8, $2::text::int8)");
        let bytes = column("bytea", TypeClass::Binary);
        assert_eq!(dialect.bound(7, &bytes), "decode($7::text, 'hex')");
    }

    #[test]
    fn names_and_literals_cannot_break_out() {
        assert_eq!(quoted("we\"ird"), "\"we\"\"ird\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("\\' OR 1=1"), "E'\\\\'' OR 1=1'");
    }
}

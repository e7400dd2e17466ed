//! How MariaDB and MySQL write SQL.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, SecondsFormat, Utc};

use crate::connect::sql::catalogue::{Column, TypeClass};
use crate::connect::sql::engine::Dialect;
use crate::domain::selection::TableName;
use crate::domain::value::Scalar;

/// MariaDB's and MySQL's way. Placeholders are numbered and carry a letter, see [`text`](super::text).
pub(super) struct MariaDialect;

/// A name in backticks.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text literal that means the same under every `sql_mode`: what could be taken for an escape goes as hexadecimal.
pub(super) fn literal(text: &str) -> String {
    if text.chars().any(|c| c == '\\' || c.is_control()) {
        format!("_utf8mb4 0x{}", hex::encode(text))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

fn is_bit(column: &Column) -> bool {
    column.ty.starts_with("bit")
}

/// Whether its texts are stored in another character set than ours. MariaDB compares a list of rows with such a column byte by
/// byte: `(k, n) IN (('ä', 1), ('b', 2))` then misses the row of `ä`, and takes that of `Ã¤` for it.
fn in_another_charset(column: &Column) -> bool {
    column.collation.as_ref().is_some_and(|collation| !collation.starts_with("utf8mb4_"))
}

/// The texts of an ENUM in their order, read from its type as the catalogue writes it; `None` for other types.
fn members(ty: &str) -> Option<Vec<String>> {
    let mut rest = ty.strip_prefix("enum('")?.strip_suffix("')")?.chars().peekable();
    let (mut all, mut one) = (Vec::new(), String::new());
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\'', Some('\'')) => {
                rest.next();
                one.push('\'');
            }
            // The end of one, the comma and the start of the next.
            ('\'', _) => {
                all.push(std::mem::take(&mut one));
                rest.next();
                rest.next();
            }
            ('\\', Some(escaped)) => {
                one.push(match escaped {
                    '0' => '\0',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'b' => '\u{8}',
                    'Z' => '\u{1a}',
                    other => *other,
                });
                rest.next();
            }
            _ => one.push(c),
        }
    }
    all.push(one);
    Some(all)
}

/// The type to cast a decimal to so that nothing of it is rounded away: its whole digits, and all others behind the point.
fn wide_decimal(column: &Column) -> String {
    let inside = column.ty.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inside, _)| inside);
    let mut numbers = inside.unwrap_or("10,0").split(',').map(|n| n.trim().parse::<u32>().unwrap_or(0));
    let (digits, scale) = (numbers.next().unwrap_or(10), numbers.next().unwrap_or(0));
    let wide = 65u32.saturating_sub(digits.saturating_sub(scale)).min(30);
    format!("DECIMAL(65,{wide})")
}

/// A value of text form, cast to a column's type.
fn cast(value: &str, column: &Column) -> String {
    match column.class {
        TypeClass::Decimal => format!("CAST({value} AS {})", wide_decimal(column)),
        // A day is compared as a day and time, so that a time of day is never cut off.
        TypeClass::Date | TypeClass::DateTime => format!("CAST({value} AS DATETIME(6))"),
        // The session's zone is UTC: without the offset that we print it is the same moment.
        TypeClass::Moment => format!("CAST(SUBSTRING_INDEX({value}, '+', 1) AS DATETIME(6))"),
        TypeClass::Time => format!("CAST({value} AS TIME(6))"),
        TypeClass::Uuid => format!("CAST({value} AS UUID)"),
        TypeClass::Other if matches!(column.ty.as_str(), "inet6" | "inet4") => {
            format!("CAST({value} AS {})", column.ty.to_uppercase())
        }
        _ => value.to_string(),
    }
}

impl Dialect for MariaDialect {
    fn name(&self, name: &str) -> String {
        quoted(name)
    }

    fn table(&self, name: &TableName) -> String {
        match &name.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&name.name)),
            None => quoted(&name.name),
        }
    }

    fn delete_from(&self, table: &str, alias: &str) -> String {
        // MariaDB takes an alias only in the form for several tables.
        format!("DELETE {alias} FROM {table} {alias}")
    }

    fn bound(&self, n: usize, column: &Column) -> String {
        match column.class {
            TypeClass::Integer | TypeClass::Bool => format!("?{n}i"),
            TypeClass::Float => format!("?{n}f"),
            TypeClass::Binary if is_bit(column) => format!("CAST(CONV(?{n}x, 16, 10) AS UNSIGNED)"),
            TypeClass::Binary => format!("UNHEX(?{n}x)"),
            TypeClass::Decimal => cast(&format!("?{n}d"), column),
            TypeClass::Dynamic => format!("?{n}"),
            _ => cast(&format!("?{n}t"), column),
        }
    }

    fn read(&self, expression: &str, _column: &Column) -> String {
        expression.to_string()
    }

    fn key_in(&self, columns: &[(String, &Column)], keys: usize, first: usize) -> String {
        let width = columns.len();
        if width > 1 && columns.iter().any(|(_, column)| in_another_charset(column)) {
            let one = |key: usize| {
                let pairs = columns.iter().enumerate().map(|(i, (expression, column))| {
                    format!("{expression} = {}", self.bound(first + key * width + i, column))
                });
                format!("({})", pairs.collect::<Vec<_>>().join(" AND "))
            };
            return format!("({})", (0..keys).map(one).collect::<Vec<_>>().join(" OR "));
        }
        let one = |key: usize| {
            let start = first + key * width;
            let values: Vec<String> =
                columns.iter().enumerate().map(|(i, (_, column))| self.bound(start + i, column)).collect();
            if width == 1 { values.concat() } else { format!("({})", values.join(", ")) }
        };
        let names: Vec<&str> = columns.iter().map(|(expression, _)| expression.as_str()).collect();
        let left = if width == 1 { names.concat() } else { format!("({})", names.join(", ")) };
        format!("{left} IN ({})", (0..keys).map(one).collect::<Vec<_>>().join(", "))
    }

    fn key_after(&self, columns: &[(String, &Column)], first: usize) -> String {
        // `(a, b) > (?, ?)` reads the index from its start; this form starts where it should.
        let alternatives: Vec<String> = (0..columns.len())
            .map(|last| {
                let parts = columns.iter().take(last + 1).enumerate().map(|(i, (expression, column))| {
                    match (i == last, members(&column.ty)) {
                        (false, _) => format!("{expression} = {}", self.bound(first + i, column)),
                        // It is ordered by the place of its text in the list, and compared with a text as text.
                        (true, Some(all)) => {
                            let all: Vec<String> = all.iter().map(|member| literal(member)).collect();
                            format!("{expression} > FIELD(CAST(?{}t AS BINARY), {})", first + i, all.join(", "))
                        }
                        (true, None) => {
                            format!("{} > {}", self.order(expression, column), self.bound(first + i, column))
                        }
                    }
                });
                format!("({})", parts.collect::<Vec<_>>().join(" AND "))
            })
            .collect();
        format!("({})", alternatives.join(" OR "))
    }

    fn stored(&self, n: usize, column: &Column, value: &Scalar) -> (String, Scalar) {
        let text = match (column.class, value) {
            (TypeClass::Integer | TypeClass::Bool, _) => format!("?{n}i"),
            (TypeClass::Float, _) => format!("?{n}f"),
            (TypeClass::Binary, _) if is_bit(column) => self.bound(n, column),
            // Text that is no UTF-8, and shapes, come as bytes.
            (TypeClass::Binary, _) | (_, Scalar::Bytes(_)) => format!("UNHEX(?{n}x)"),
            (TypeClass::Decimal, _) => format!("?{n}d"),
            // The session's zone is UTC, and so is the offset that we print.
            (TypeClass::Moment, _) => format!("SUBSTRING_INDEX(?{n}t, '+', 1)"),
            (TypeClass::Dynamic, _) => format!("?{n}"),
            _ => format!("?{n}t"),
        };
        (text, value.clone())
    }

    fn takes_cases(&self, column: &Column) -> bool {
        // A CASE has one type for all its alternatives. It is theirs where every one is a number of one kind, text, bytes or
        // a day and time. What has a type of its own (ENUM, SET, BIT, UUID, INET6, shapes, a time of day) is written as one
        // value to a statement.
        match column.class {
            TypeClass::Integer | TypeClass::Decimal | TypeClass::Text | TypeClass::Json => true,
            TypeClass::Date | TypeClass::DateTime | TypeClass::Moment => true,
            TypeClass::Binary => !is_bit(column),
            TypeClass::Float
            | TypeClass::Bool
            | TypeClass::Time
            | TypeClass::Uuid
            | TypeClass::Dynamic
            | TypeClass::Other => false,
        }
    }

    fn order(&self, expression: &str, column: &Column) -> String {
        // A SET is ordered by its bits, and compared with a text as text.
        if column.ty.starts_with("set(") { format!("CONCAT({expression})") } else { expression.to_string() }
    }

    fn locks_behind_ranges(&self) -> bool {
        true
    }

    fn lock(&self) -> &'static str {
        // With the space that sets it apart from what stands before it.
        " FOR UPDATE"
    }

    fn text_literal(&self, text: &str) -> String {
        literal(text)
    }

    fn literal_for(&self, text: &str, column: &Column) -> String {
        let number = |text: &str| text.parse::<i128>().is_ok();
        match column.class {
            TypeClass::Integer | TypeClass::Bool if number(text) => text.to_string(),
            TypeClass::Decimal => format!("CAST({} AS DECIMAL(65,30))", literal(text)),
            _ => cast(&literal(text), column),
        }
    }

    fn before_day(&self, expression: &str, column: &Column, day: NaiveDate) -> Option<String> {
        // A time without zone was written up to 26 hours away from the policy's; a moment is printed in UTC.
        let (days, kind) = match column.class {
            TypeClass::Date => (0, "DATE"),
            TypeClass::DateTime => (2, "TIMESTAMP"),
            TypeClass::Moment => (1, "TIMESTAMP"),
            _ => return None,
        };
        let day = day.checked_add_days(Days::new(days))?.format("%Y-%m-%d");
        let time = if kind == "DATE" { "" } else { " 00:00:00" };
        Some(format!("{expression} < {kind}'{day}{time}'"))
    }

    fn clock_literal(&self, column: &Column, at: NaiveDateTime) -> Option<String> {
        match column.class {
            TypeClass::Date => Some(format!("DATE'{}'", at.format("%Y-%m-%d"))),
            TypeClass::DateTime | TypeClass::Moment => Some(format!("TIMESTAMP'{}'", at.format("%Y-%m-%d %H:%M:%S"))),
            _ => None,
        }
    }

    fn partial_date(&self, expression: &str, column: &Column) -> Option<String> {
        let dated = matches!(column.class, TypeClass::Date | TypeClass::DateTime | TypeClass::Moment);
        dated.then(|| format!("(MONTH({expression}) = 0 OR DAYOFMONTH({expression}) = 0)"))
    }

    fn moment(&self, now: DateTime<Utc>, column: &Column) -> Scalar {
        match column.class {
            TypeClass::Integer => Scalar::Int(now.timestamp()),
            TypeClass::Date => Scalar::Text(now.format("%Y-%m-%d").to_string()),
            TypeClass::DateTime | TypeClass::Moment => Scalar::Text(now.format("%Y-%m-%d %H:%M:%S").to_string()),
            _ => Scalar::Text(now.to_rfc3339_opts(SecondsFormat::Secs, true)),
        }
    }

    fn deletes_rows_that_refer_to_themselves(&self) -> bool {
        false
    }

    fn joined(&self, expression: &str) -> String {
        format!("GROUP_CONCAT({expression})")
    }

    fn max_bound(&self) -> usize {
        // The protocol has 65,535 places, and `key_after` uses a value more than once.
        60_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, ty: &str, class: TypeClass) -> Column {
        Column {
            name: name.into(),
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
    fn keys_are_compared_in_forms_that_an_index_serves() {
        let (a, b) = (column("a", "int(11)", TypeClass::Integer), column("b", "varchar(9)", TypeClass::Text));
        let both = [("t.`a`".to_string(), &a), ("t.`b`".to_string(), &b)];
        assert_eq!(MariaDialect.key_in(&both, 2, 3), "(t.`a`, t.`b`) IN ((?3i, ?4t), (?5i, ?6t))");
        assert_eq!(MariaDialect.key_in(&both[..1], 2, 1), "t.`a` IN (?1i, ?2i)");
        assert_eq!(MariaDialect.key_after(&both, 1), "((t.`a` > ?1i) OR (t.`a` = ?1i AND t.`b` > ?2t))");
        let c = Column { collation: Some("latin1_swedish_ci".into()), ..b.clone() };
        let other = [("t.`a`".to_string(), &a), ("t.`c`".to_string(), &c)];
        assert_eq!(
            MariaDialect.key_in(&other, 2, 3),
            "((t.`a` = ?3i AND t.`c` = ?4t) OR (t.`a` = ?5i AND t.`c` = ?6t))"
        );
        assert_eq!(MariaDialect.key_in(&other[1..], 2, 1), "t.`c` IN (?1t, ?2t)");
    }

    #[test]
    fn an_enum_is_walked_in_the_order_of_its_texts() {
        let texts = members(r"enum('z','it''s','a,b','back\\slash','','é')").unwrap();
        assert_eq!(texts, ["z", "it's", "a,b", "back\\slash", "", "é"]);
        assert_eq!(members("varchar(9)"), None);
        let column = column("e", "enum('z','a')", TypeClass::Other);
        let after = MariaDialect.key_after(&[("t.`e`".to_string(), &column)], 1);
        assert_eq!(after, "((t.`e` > FIELD(CAST(?1t AS BINARY), 'z', 'a')))");
    }

    #[test]
    fn a_cast_never_rounds_a_key() {
        assert_eq!(wide_decimal(&column("d", "decimal(30,4)", TypeClass::Decimal)), "DECIMAL(65,30)");
        assert_eq!(wide_decimal(&column("d", "decimal(65,0)", TypeClass::Decimal)), "DECIMAL(65,0)");
        assert_eq!(wide_decimal(&column("d", "decimal(60,10)", TypeClass::Decimal)), "DECIMAL(65,15)");
    }

    #[test]
    fn names_and_literals_cannot_break_out() {
        assert_eq!(quoted("we`ird"), "`we``ird`");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("\\' OR 1=1 -- "), "_utf8mb4 0x5c27204f5220313d31202d2d20");
    }

    #[test]
    fn a_day_is_generous_where_zones_matter() {
        let day = NaiveDate::from_ymd_opt(2024, 12, 31).unwrap();
        let before = |class| MariaDialect.before_day("c", &column("c", "x", class), day);
        assert_eq!(before(TypeClass::Date).as_deref(), Some("c < DATE'2024-12-31'"));
        assert_eq!(before(TypeClass::DateTime).as_deref(), Some("c < TIMESTAMP'2025-01-02 00:00:00'"));
        assert_eq!(before(TypeClass::Moment).as_deref(), Some("c < TIMESTAMP'2025-01-01 00:00:00'"));
        assert_eq!(before(TypeClass::Text), None);
    }
}

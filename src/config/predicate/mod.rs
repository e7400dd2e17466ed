//! The `where` of a rule: text to [`Predicate`], by an allow-list, and the predicate printed for people.
//!
//! The text never reaches a server. What is not on the list is refused with its place, for what it selects could not
//! be shown, tested again under lock and proved.

mod convert;
mod print;
mod refuse;
mod scan;

use std::ops::Range;

use sqlparser::ast::Expr;
use sqlparser::dialect::{self, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

pub use print::print;

use super::source::shown;
use super::tree::Entry;
use crate::domain::policy::Access;
use crate::domain::predicate::Predicate;

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// MariaDB and MySQL.
    Mariadb,
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// The dialect of a `[system.NAME]`; SQLite's where the system is at fault.
    pub(super) fn of(system: &Entry) -> Self {
        let has = |kind: &str| system.node.entry(kind).is_some();
        match () {
            () if has("mariadb") => Self::Mariadb,
            () if has("postgres") => Self::Postgres,
            () => Self::Sqlite,
        }
    }

    /// The dialect of a system.
    pub fn of_access(access: &Access) -> Self {
        match access {
            Access::Mariadb(_) => Self::Mariadb,
            Access::Postgres(_) => Self::Postgres,
            Access::Sqlite(_) => Self::Sqlite,
        }
    }

    pub(super) fn parser(self) -> &'static dyn dialect::Dialect {
        match self {
            Self::Mariadb => &dialect::MySqlDialect {},
            Self::Postgres => &PostgreSqlDialect {},
            Self::Sqlite => &SQLiteDialect {},
        }
    }
}

/// The tables that `related(..)` may name.
#[derive(Debug, Clone, Default)]
pub struct Relations(Vec<String>);

impl Relations {
    /// These tables.
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }
    /// No tables: the condition of a related table itself.
    pub fn none() -> Self {
        Self::default()
    }
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|one| one == name)
    }
    fn names(&self) -> String {
        shown(&self.0.join(", "))
    }
}

/// What is wrong with a `where`, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What is wrong.
    pub text: String,
    /// A few words for under the place.
    pub label: String,
    /// What to write instead.
    pub help: String,
}

impl Fault {
    fn new(span: Range<usize>, text: impl Into<String>, label: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span, text: text.into(), label: label.into(), help: help.into() }
    }
}

/// More text than this is no condition, and would make the tree too deep.
const MOST_TEXT: usize = 8 * 1024;

/// Deeper than this the parser would need more stack than a thread of ours has.
const MOST_DEPTH: usize = 16;

/// Reads a condition.
///
/// # Errors
/// Everything in it that is not on the list.
pub fn parse(text: &str, dialect: Dialect, relations: &Relations) -> Result<Predicate, Vec<Fault>> {
    if text.trim().is_empty() {
        let help = "write a condition such as role = 'customer', or leave `where` out to mean every row";
        return Err(vec![Fault::new(0..text.len(), "the condition is empty", "nothing in it", help)]);
    }
    if text.len() > MOST_TEXT {
        let help = "put long lists into a column or a table of their own, or make several rules";
        return Err(vec![Fault::new(0..text.len(), "the condition is longer than 8 KiB", "too long", help)]);
    }
    let faults = scan::faults(text, dialect);
    if !faults.is_empty() {
        return Err(faults);
    }
    let expression = expression(text, dialect).map_err(|fault| vec![fault])?;
    convert::predicate(text, &expression, dialect, relations)
}

fn expression(text: &str, dialect: Dialect) -> Result<Expr, Fault> {
    let parser = Parser::new(dialect.parser()).with_recursion_limit(MOST_DEPTH);
    let mut parser = parser.try_with_sql(text).map_err(|error| syntax(text, &error, text.len()))?;
    let expression = parser.parse_expr().map_err(|error| syntax(text, &error, text.len()))?;
    let next = parser.peek_token();
    if next.token == Token::EOF {
        return Ok(expression);
    }
    let start = convert::offset(text, next.span.start.line, next.span.start.column);
    let help =
        "one condition only: join several with AND or OR, and use brackets; text stands in single quotes: name = 'Jan'";
    Err(Fault::new(start..text.len(), "the condition ends before this", "not part of it", help))
}

/// The parser's own words end in "at Line: 1, Column: 9".
fn syntax(text: &str, error: &ParserError, end: usize) -> Fault {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => {
            let help = "fewer brackets inside brackets, or several rules";
            return Fault::new(0..end, "the condition is too deep", "too many levels", help);
        }
    };
    let (words, place) = message.split_once(" at Line: ").unwrap_or((message, ""));
    let start = place
        .split_once(", Column: ")
        .and_then(|(line, column)| Some(convert::offset(text, line.trim().parse().ok()?, column.trim().parse().ok()?)))
        .unwrap_or(0);
    let stop = text.get(start..).and_then(|rest| rest.find(char::is_whitespace)).map_or(end, |length| start + length);
    let unfinished = words.ends_with("EOF") || start >= text.trim_end().len();
    let (span, label) = if unfinished {
        let space = text.trim_end().char_indices().rfind(|(_, c)| c.is_whitespace());
        let last = space.map_or(0, |(at, c)| at + c.len_utf8());
        (last..text.trim_end().len().max(last), "unfinished after this".to_string())
    } else {
        let words = words.to_lowercase();
        (start..stop.max(start), shown(&words.replace("expected: an expression, found:", "not expected:")))
    };
    let help = if words.to_lowercase().contains("unterminated string") {
        "every quote needs its partner; a quote inside text is doubled: name = 'd''Artagnan'"
    } else {
        "a condition compares columns with literals: status = 'closed' AND total < 10; text stands in single quotes"
    };
    Fault::new(span, "this can't be read as a condition", label, help)
}

#[cfg(test)]
mod tests;

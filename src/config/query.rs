//! A brake's own query: one SELECT, read by an allow-list and printed again from what was read.
//!
//! It reaches the server, which a `where` never does. So what may stand in it is bounded twice: here, and by a session that is
//! read-only with a short time limit.

use sqlparser::ast::{Query, SelectItem, SetExpr, Statement, TableFactor};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer, Word};

use super::predicate::Dialect;
use super::source::shown;

/// More text than this is no brake.
const MOST_TEXT: usize = 4 * 1024;
/// Deeper than this the parser would need more stack than a thread of ours has.
const MOST_DEPTH: usize = 16;

/// Functions that read and have no effect.
const FUNCTIONS: [&str; 27] = [
    "ABS",
    "AVG",
    "CEIL",
    "COALESCE",
    "COUNT",
    "CURRENT_TIMESTAMP",
    "DATE",
    "EXTRACT",
    "FLOOR",
    "GREATEST",
    "IFNULL",
    "JULIANDAY",
    "LEAST",
    "LENGTH",
    "LOWER",
    "MAX",
    "MIN",
    "NOW",
    "NULLIF",
    "PG_DATABASE_SIZE",
    "PG_RELATION_SIZE",
    "PG_TOTAL_RELATION_SIZE",
    "ROUND",
    "SUM",
    "TIMESTAMPDIFF",
    "UNIX_TIMESTAMP",
    "UPPER",
];

/// Words before a bracket that call nothing.
const WORDS: [&str; 30] = [
    "ALL",
    "AND",
    "ANY",
    "AS",
    "BETWEEN",
    "BY",
    "CAST",
    "DECIMAL",
    "DISTINCT",
    "ELSE",
    "EXCEPT",
    "EXISTS",
    "FILTER",
    "FROM",
    "HAVING",
    "IN",
    "INTERSECT",
    "JOIN",
    "LIKE",
    "LIMIT",
    "NOT",
    "NUMERIC",
    "ON",
    "OR",
    "OVER",
    "SELECT",
    "THEN",
    "UNION",
    "WHEN",
    "WHERE",
];

/// What is wrong, and what to write instead.
type Refused = (String, String);

/// Reads the query and prints it again.
pub(super) fn read(text: &str, dialect: Dialect) -> Result<String, Refused> {
    let example = "write one SELECT that gives one number: SELECT COUNT(*) FROM jobs WHERE state = 'waiting'";
    let refuse = |what: &str| Err((what.to_string(), example.to_string()));
    if text.trim().is_empty() {
        return refuse("the query is empty");
    }
    if text.len() > MOST_TEXT {
        return refuse("the query is longer than 4 KiB");
    }
    functions(text, dialect)?;
    let parser = Parser::new(dialect.parser()).with_recursion_limit(MOST_DEPTH).try_with_sql(text);
    let Ok(statements) = parser.and_then(|mut parser| parser.parse_statements()) else {
        return refuse("this can't be read as a query");
    };
    let [Statement::Query(query)] = statements.as_slice() else {
        return refuse("a brake's query is one SELECT and nothing else");
    };
    if !only_reads(query) {
        return refuse("a brake's query reads: no INTO, no locks, and no INSERT, UPDATE or DELETE anywhere in it");
    }
    match query.body.as_ref() {
        SetExpr::Select(select) if select.projection.len() != 1 || select.projection.iter().any(is_wildcard) => {
            refuse("a brake's query gives one column")
        }
        _ => Ok(query.to_string()),
    }
}

fn is_wildcard(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

/// Every word before a bracket is on one of the lists, and is no function of a schema of somebody's own.
fn functions(text: &str, dialect: Dialect) -> Result<(), Refused> {
    let tokens = Tokenizer::new(dialect.parser(), text).tokenize();
    let tokens = tokens.map_err(|_| ("this can't be read as a query".to_string(), "close every quote".to_string()))?;
    let tokens: Vec<Token> = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    for (place, window) in tokens.windows(2).enumerate() {
        let [Token::Word(word), Token::LParen] = window else { continue };
        let of_schema = place.checked_sub(1).and_then(|before| tokens.get(before)) == Some(&Token::Period);
        if of_schema || !is_known(word) {
            let list = FUNCTIONS.map(str::to_lowercase).join(", ");
            let text = format!("the function `{}` is not allowed in a brake's query", shown(&word.value));
            return Err((text, format!("these are: {list}; or make a view and read that")));
        }
    }
    Ok(())
}

fn is_known(word: &Word) -> bool {
    let name = word.value.to_ascii_uppercase();
    word.quote_style.is_none() && (FUNCTIONS.contains(&name.as_str()) || WORDS.contains(&name.as_str()))
}

fn only_reads(query: &Query) -> bool {
    let below = query.with.iter().flat_map(|with| &with.cte_tables).all(|one| only_reads(&one.query));
    below && query.locks.is_empty() && query.for_clause.is_none() && reads(&query.body)
}

fn reads(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => {
            let from = select
                .from
                .iter()
                .flat_map(|one| std::iter::once(&one.relation).chain(one.joins.iter().map(|join| &join.relation)));
            select.into.is_none() && from.into_iter().all(table_reads)
        }
        SetExpr::Query(query) => only_reads(query),
        SetExpr::SetOperation { left, right, .. } => reads(left) && reads(right),
        _ => false,
    }
}

fn table_reads(table: &TableFactor) -> bool {
    match table {
        TableFactor::Table { args, .. } => args.is_none(),
        TableFactor::Derived { subquery, .. } => only_reads(subquery),
        TableFactor::NestedJoin { table_with_joins: one, .. } => {
            table_reads(&one.relation) && one.joins.iter().all(|join| table_reads(&join.relation))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Dialect; 3] = [Dialect::Mariadb, Dialect::Postgres, Dialect::Sqlite];

    #[test]
    fn one_number_may_be_asked_for() {
        for text in [
            "SELECT COUNT(*) FROM jobs WHERE state = 'waiting'",
            "select max(a) - min(a) from (select a from t union all select b from u) as x",
            "WITH w AS (SELECT id FROM t) SELECT COUNT(*) FROM w JOIN v ON v.id = w.id WHERE w.id IN (1, 2)",
            "SELECT COALESCE(MAX(seconds), 0) FROM heartbeat",
        ] {
            for dialect in ALL {
                assert!(read(text, dialect).is_ok(), "{text}: {:?}", read(text, dialect));
            }
        }
    }

    #[test]
    fn comments_are_gone_and_what_a_server_would_run_in_them_too() {
        let printed = read("SELECT COUNT(*) -- x\nFROM t /* y */", Dialect::Mariadb).unwrap();
        assert_eq!(printed, "SELECT COUNT(*) FROM t");
        for hidden in [
            "SELECT 1 /*!50000 INTO OUTFILE '/tmp/x' */",
            "SELECT 1 /*! ; DELETE FROM t */",
            "SELECT /*! SLEEP(9), */ 1",
        ] {
            let read = read(hidden, Dialect::Mariadb);
            assert!(read.as_ref().is_err() || read.as_ref().is_ok_and(|text| text == "SELECT 1"), "{read:?}");
        }
    }

    #[test]
    fn what_writes_locks_waits_or_gives_no_number_is_refused() {
        for text in [
            "",
            "DELETE FROM t",
            "SELECT 1; DELETE FROM t",
            "SELECT 1; SELECT 2",
            "SELECT * FROM t",
            "SELECT a, b FROM t",
            "SELECT a INTO b FROM t",
            "SELECT a FROM t FOR UPDATE",
            "SELECT a FROM (SELECT a FROM t FOR UPDATE) AS x",
            "WITH x AS (DELETE FROM t RETURNING a) SELECT COUNT(*) FROM x",
            "SELECT pg_sleep(100)",
            "SELECT pg_terminate_backend(1)",
            "SELECT SLEEP(100)",
            "SELECT \"count\"(1)",
            "SELECT mine.count(1)",
            "SELECT nextval('s')",
            "SELECT set_config('a', 'b', false)",
            "SELECT COUNT(*) FROM generate_series(1, 10)",
            "VALUES (1)",
            "SHOW TABLES",
            "SELECT 'unterminated",
        ] {
            for dialect in ALL {
                assert!(read(text, dialect).is_err(), "{text}: {:?}", read(text, dialect));
            }
        }
    }
}

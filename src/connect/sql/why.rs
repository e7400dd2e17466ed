//! `plan --sql --why`: the very statements that a find sends, and the server's plan of them.

use std::sync::{Mutex, PoisonError};

use crate::domain::decide::Moment;
use async_trait::async_trait;

use super::catalogue::Table;
use super::connector::SqlConnector;
use super::engine::{Dialect, FaultKind, Row, Session, SqlFault, Statement};
use super::records::Reader;
use super::relate::Link;
use super::resolve::{RECORD, Resolved};
use crate::connect::{Candidates, ConnectError, Reached};
use crate::domain::rule::Rule;
use crate::domain::value::Scalar;

/// Records of the page that is asked for; that of a walk is as long.
const PAGE: usize = 2_000;

impl SqlConnector {
    pub(super) async fn why_found(&self, rule: &Rule, due_by: Moment) -> Result<Vec<Candidates>, ConnectError> {
        let doing = "ask how it finds records";
        let resolved = self.resolved(rule, doing).await?;
        let statements = sent_by_a_find(&self.reader(rule, &resolved), due_by).await.map_err(self.sql(doing))?;
        let mut lease = self.reading(doing).await?;
        let mut out = Vec::new();
        for statement in statements {
            let (plan, reached) = self.engine.explain(lease.session(), &statement).await.map_err(self.sql(doing))?;
            let missing = missing(self.engine.dialect(), &resolved);
            out.push(Candidates { text: statement.text, plan, reached, missing });
        }
        lease.keep();
        Ok(out)
    }
}

/// What a walk sends first: for the keys of the candidates, where an index serves that, and for the first page of a walk
/// by the whole key. It is answered with nothing, so no statement has a value of a record.
async fn sent_by_a_find(reader: &Reader<'_>, due_by: Moment) -> Result<Vec<Statement>, SqlFault> {
    let mut recorder = Recorder::default();
    let found = reader.page(&mut recorder, None, Some(due_by), false, PAGE).await;
    found.map_err(|_| refused())?;
    let walk = recorder.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(reader.candidate_keys(due_by).into_iter().chain(walk).collect())
}

/// Notes what would be sent.
#[derive(Default)]
struct Recorder(Mutex<Vec<Statement>>);

fn refused() -> SqlFault {
    SqlFault { kind: FaultKind::Other, code: "nothing is run here".into() }
}

#[async_trait]
impl Session for Recorder {
    async fn rows(&mut self, statement: &Statement) -> Result<Vec<Row>, SqlFault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(statement.clone());
        Ok(Vec::new())
    }
    async fn execute(&mut self, _statement: &Statement) -> Result<u64, SqlFault> {
        Err(refused())
    }
    async fn begin(&mut self) -> Result<(), SqlFault> {
        Err(refused())
    }
    async fn ticket(&mut self) -> Result<Option<String>, SqlFault> {
        Err(refused())
    }
    async fn commit(&mut self) -> Result<(), SqlFault> {
        Err(refused())
    }
    async fn rollback(&mut self) -> Result<(), SqlFault> {
        Err(refused())
    }
    async fn savepoint(&mut self) -> Result<(), SqlFault> {
        Err(refused())
    }
    async fn end_savepoint(&mut self, _stays: bool) -> Result<(), SqlFault> {
        Err(refused())
    }
}

/// Indexes that a find could use and that are not there: on the clocks, and on what leads to related rows.
fn missing(dialect: &dyn Dialect, resolved: &Resolved) -> Vec<String> {
    let mut out = Vec::new();
    let mut want = |table: &Table, columns: Vec<String>| {
        if !table.has_index_on(&columns) {
            let name = format!("{}_{}", table.name.name, columns.join("_"));
            let columns: Vec<String> = columns.iter().map(|column| dialect.name(column)).collect();
            let (name, table) = (dialect.name(&name), dialect.indexed(&table.name));
            let text = format!("CREATE INDEX {name} ON {table} ({});", columns.join(", "));
            if !out.contains(&text) {
                out.push(text);
            }
        }
    };
    for source in &resolved.sources {
        match source.link.as_ref() {
            None => want(&resolved.table, vec![source.column.name.clone()]),
            Some(link) => want(&link.table, Link::on_names(link)),
        }
    }
    out
}

/// One line of MariaDB's or MySQL's table of a plan.
pub(super) struct Access<'a> {
    /// The alias.
    pub(super) table: &'a str,
    /// `ALL`, `index`, `range`, `ref`, ...
    pub(super) kind: &'a str,
    /// The index.
    pub(super) key: Option<&'a str>,
}

/// What these lines say of the records.
pub(super) fn reached_by_kind(lines: &[Access<'_>]) -> Reached {
    let Some(of_records) = lines.iter().find(|line| line.table == RECORD) else { return Reached::Unknown };
    match (of_records.kind.to_ascii_lowercase().as_str(), of_records.key) {
        // `index` reads an index from its first entry to its last.
        ("all" | "index", _) => Reached::Whole,
        ("", _) | (_, None) => Reached::Unknown,
        (_, Some(key)) => Reached::Index(key.to_string()),
    }
}

/// What PostgreSQL's plan says of the records. An index that is read without a condition is read whole.
pub(super) fn reached_by_nodes(lines: &[String]) -> Reached {
    let of_records = |line: &String| {
        let line = line.split("  (cost=").next().unwrap_or(line).trim_end();
        line.contains("Scan") && line.ends_with(&format!(" {RECORD}"))
    };
    let Some(place) = lines.iter().position(of_records) else { return Reached::Unknown };
    let depth = |line: &str| line.len() - line.trim_start().len();
    let Some(node) = lines.get(place) else { return Reached::Unknown };
    let inside = lines.iter().skip(place + 1).take_while(|line| depth(line) > depth(node));
    let inside: Vec<&str> = inside.map(|line| line.trim_start()).collect();
    let named =
        |line: &str| Some(line.split_once(" using ").or_else(|| line.split_once(" Index Scan on "))?.1.to_string());
    let index = std::iter::once(node.as_str()).chain(inside.iter().copied()).find_map(named);
    let index = index.and_then(|rest| rest.split_ascii_whitespace().next().map(str::to_string));
    match (inside.iter().any(|line| line.starts_with("Index Cond:")), index) {
        (true, Some(index)) => Reached::Index(index.trim_matches('"').to_string()),
        _ => Reached::Whole,
    }
}

/// What SQLite's plan says of the records.
pub(super) fn reached_by_words(lines: &[String]) -> Reached {
    let begins = |line: &str, word: &str| {
        line.trim_start()
            .strip_prefix(word)
            .and_then(|rest| rest.trim_start().strip_prefix(RECORD))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    if lines.iter().any(|line| begins(line, "SCAN ")) {
        return Reached::Whole;
    }
    let Some(line) = lines.iter().find(|line| begins(line, "SEARCH ")) else { return Reached::Unknown };
    let index = line.split_once(" INDEX ").and_then(|(_, rest)| rest.split_ascii_whitespace().next());
    Reached::Index(index.unwrap_or("the primary key").to_string())
}

/// A cell of a plan as text; NULL is none.
pub(super) fn cell(row: &Row, at: usize) -> Option<String> {
    match row.get(at)? {
        Scalar::Null => None,
        Scalar::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        value => Some(value.as_text().map_or_else(|| value.show(), str::to_string)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_string).collect()
    }

    #[test]
    fn postgres_says_how_records_are_reached() {
        for (text, reached) in [
            (
                "Limit  (cost=0.00..1.00 rows=1 width=8)\n  ->  Seq Scan on customers r  (cost=0.00..1.00 rows=1 width=8)\n        Filter: (x < 1)",
                Reached::Whole,
            ),
            (
                "Limit  (cost=0.1..1 rows=1 width=8)\n  ->  Index Scan using customers_pkey on customers r  (cost=0.1..1 rows=1 width=8)\n        Filter: (x < 1)",
                Reached::Whole,
            ),
            (
                "Limit  (cost=0.1..1 rows=1 width=8)\n  ->  Index Scan using seen on customers r  (cost=0.1..1 rows=1 width=8)\n        Index Cond: (seen < 1)\n        Filter: (x < 1)",
                Reached::Index("seen".into()),
            ),
            (
                "Sort  (cost=0.1..1 rows=1 width=8)\n  ->  Bitmap Heap Scan on customers r  (cost=0.1..1 rows=1 width=8)\n        Recheck Cond: (seen < 1)\n        ->  Bitmap Index Scan on seen  (cost=0.1..1 rows=1 width=0)\n              Index Cond: (seen < 1)",
                Reached::Index("seen".into()),
            ),
            (
                "Limit  (cost=0.1..1 rows=1 width=8)\n  ->  Seq Scan on customers r  (cost=0.1..1 rows=1 width=8)\n        Filter: (NOT EXISTS)\n  ->  Index Scan using o on orders c  (cost=0.1..1 rows=1 width=8)\n        Index Cond: (customer_id = r.id)",
                Reached::Whole,
            ),
            ("Result  (cost=0.00..0.00 rows=0 width=0)\n  One-Time Filter: false", Reached::Unknown),
        ] {
            assert_eq!(reached_by_nodes(&lines(text)), reached, "{text}");
        }
    }

    #[test]
    fn sqlite_says_how_records_are_reached() {
        for (text, reached) in [
            ("SCAN r", Reached::Whole),
            ("SCAN r USING INDEX seen", Reached::Whole),
            ("SEARCH r USING INDEX seen (seen<?)", Reached::Index("seen".into())),
            (
                "SEARCH r USING COVERING INDEX seen (seen<?)\nUSE TEMP B-TREE FOR ORDER BY",
                Reached::Index("seen".into()),
            ),
            ("SEARCH r USING INTEGER PRIMARY KEY (rowid>?)", Reached::Index("the primary key".into())),
            ("SCAN r\n  CORRELATED SCALAR SUBQUERY 1\n  SEARCH c USING INDEX o (customer_id=?)", Reached::Whole),
            ("SCAN rest", Reached::Unknown),
        ] {
            assert_eq!(reached_by_words(&lines(text)), reached, "{text}");
        }
    }

    #[test]
    fn mariadb_says_how_records_are_reached() {
        let of = |kind, key| {
            reached_by_kind(&[Access { table: "c", kind: "ref", key: Some("o") }, Access { table: RECORD, kind, key }])
        };
        assert_eq!((of("ALL", None), of("index", Some("PRIMARY"))), (Reached::Whole, Reached::Whole));
        assert_eq!((of("range", Some("seen")), of("", None)), (Reached::Index("seen".into()), Reached::Unknown));
    }
}

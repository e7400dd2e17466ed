//! What a SQLite file keeps of erased rows: journal, free pages, full-text indexes.

use std::path::{Path, PathBuf};

use super::catalogue::Table;
use super::engine::{Row, Session, SqlFault, Statement};
use super::traces::{endless, unknown};
use crate::codes;
use crate::connect::{Keeps, Severity, Space, Trace};
use crate::domain::trace::TraceKind;
use crate::domain::value::Scalar;

const PRAGMAS: &str = "SELECT (SELECT journal_mode FROM pragma_journal_mode), \
     (SELECT freelist_count FROM pragma_freelist_count), (SELECT auto_vacuum FROM pragma_auto_vacuum)";
const VIRTUAL: &str =
    "SELECT name, sql FROM main.sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'";

pub(super) async fn keeps(session: &mut dyn Session, tables: &[Table], path: &Path) -> Result<Keeps, SqlFault> {
    let row = session.rows(&Statement::plain(PRAGMAS)).await?.into_iter().next().unwrap_or_default();
    let (mode, free, auto) = (text(&row, 0), number(&row, 1), number(&row, 2));
    let mut traces = Vec::new();
    traces.extend(journal(&mode, beside(path, "-journal").exists()));
    traces.push(pages(free));
    let indexes = session.rows(&Statement::plain(VIRTUAL)).await?;
    traces.extend(indexes.iter().filter_map(|row| full_text(row, tables)));
    let space = (auto != FULL && !tables.is_empty()).then(|| Space {
        place: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        command: if auto == INCREMENTAL {
            "PRAGMA incremental_vacuum".into()
        } else {
            "PRAGMA secure_delete = ON; VACUUM".into()
        },
    });
    Ok(Keeps { traces, space: space.into_iter().collect() })
}

/// `auto_vacuum`: the file shrinks at every COMMIT, or when asked.
const FULL: u64 = 1;
const INCREMENTAL: u64 = 2;

fn text(row: &Row, at: usize) -> String {
    row.get(at).map(Scalar::show).unwrap_or_default()
}

fn number(row: &Row, at: usize) -> u64 {
    row.get(at).and_then(|value| value.show().parse().ok()).unwrap_or(0)
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(what);
    PathBuf::from(name)
}

/// What deleting leaves within the file. We write over the rows that we delete, which is all that a deletion can do; whether
/// others do so can't be seen from here.
fn pages(free: u64) -> Trace {
    let kind = TraceKind::FreePages;
    let remedy = "PRAGMA secure_delete = ON; VACUUM; and let every program that deletes from it set secure_delete";
    let trace = if free > 0 {
        let text = format!(
            "the file has {free} free pages: what other programs deleted may be readable in them, and old copies of rows \
             that SQLite moved"
        );
        Trace { severity: Severity::Warning, ..unknown(kind, text, remedy) }
    } else {
        let text = "pages may have old copies of rows that SQLite moved within the file: no deletion writes them over";
        unknown(kind, text.into(), remedy)
    };
    Trace { code: codes::BYTES_IN_FILE, ..trace }
}

fn journal(mode: &str, left: bool) -> Option<Trace> {
    let kind = TraceKind::JournalFile;
    match mode {
        "wal" => {
            let text =
                "the file's write-ahead log (-wal) has old pages until it is written over or truncated".to_string();
            let remedy = "PRAGMA wal_checkpoint(TRUNCATE) when no program reads; it also goes when the last program closes the file";
            Some(unknown(kind, text, remedy))
        }
        // The mode itself is each program's own; a file that stays behind tells of it.
        _ if left => {
            let text = "a rollback journal stands beside the file and has the pages as they were".to_string();
            let remedy =
                "it stays where a program sets journal_mode = PERSIST or TRUNCATE, or crashed: let it use DELETE";
            Some(endless(kind, text, remedy))
        }
        _ => None,
    }
}

/// A full-text index that names a column of these tables, or one of them as its content.
fn full_text(row: &Row, tables: &[Table]) -> Option<Trace> {
    let (name, sql) = (text(row, 0), text(row, 1).to_lowercase());
    let using = sql.split_once(" using ")?.1;
    if !using.trim_start().starts_with("fts") {
        return None;
    }
    let words: Vec<&str> =
        using.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
    let repeats = |table: &&Table| {
        let content =
            words.windows(2).any(|pair| matches!(pair, ["content", of] if *of == table.name.name.to_lowercase()));
        content || table.columns.iter().any(|column| words.contains(&column.name.to_lowercase().as_str()))
    };
    let table = tables.iter().find(repeats)?;
    let text = format!("full-text index `{name}` seems to repeat text of `{}` in tables of its own", table.name.name);
    let remedy = "see that the program's triggers keep it in step, or rebuild it after a purge: INSERT INTO it(it) VALUES ('rebuild')";
    Some(Trace { code: codes::TEXT_INDEX, ..unknown(TraceKind::FullText, text, remedy) })
}

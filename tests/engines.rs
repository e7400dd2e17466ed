//! The MariaDB and PostgreSQL engines against the real servers.

#![cfg(test)]

mod support;

#[path = "engines/both.rs"]
mod both;
#[path = "engines/connector.rs"]
mod connector;
#[path = "engines/mariadb.rs"]
mod mariadb;
#[path = "engines/postgres.rs"]
mod postgres;
#[path = "support/wait.rs"]
mod wait;

use bewaard::connect::sql::catalogue::{Column, Table};
use bewaard::connect::sql::engine::{Engine, Need, Purpose, Row, Session, SqlFault, Statement};
use bewaard::connect::sql::{mariadb as maria_engine, postgres as postgres_engine};
use bewaard::domain::id::SystemId;
use bewaard::domain::policy::ServerAccess;
use bewaard::domain::selection::TableName;
use bewaard::domain::value::Scalar;
use support::servers::{Database, Kind, Via};

const BOTH: [Kind; 2] = [Kind::Mariadb, Kind::Postgres];

fn engine_for(kind: Kind, access: &ServerAccess) -> Box<dyn Engine> {
    let system = SystemId::new("shop").unwrap();
    match kind {
        Kind::Mariadb => maria_engine::engine(access, &system),
        Kind::Postgres => postgres_engine::engine(access, &system),
    }
    .unwrap()
}

fn engine(database: &Database) -> Box<dyn Engine> {
    engine_for(database.server.kind, &database.access(Via::Socket))
}

async fn session(engine: &dyn Engine) -> Box<dyn Session> {
    engine.connect(Purpose::Write).await.unwrap()
}

fn named(name: &str) -> TableName {
    TableName { schema: None, name: name.into() }
}

async fn table(engine: &dyn Engine, session: &mut dyn Session, name: &str) -> Table {
    engine.table(session, &named(name)).await.unwrap().unwrap_or_else(|| panic!("no table {name}"))
}

async fn rows(session: &mut dyn Session, text: &str) -> Result<Vec<Row>, SqlFault> {
    session.rows(&Statement::plain(text)).await
}

fn text(value: &str) -> Scalar {
    Scalar::Text(value.into())
}

fn need(table: &str, delete: bool, update: &[&str]) -> Need {
    Need {
        table: named(table),
        select: true,
        delete,
        insert: false,
        update: update.iter().map(ToString::to_string).collect(),
        lock: true,
        at: "rule.old".into(),
    }
}

/// Reads a column of every row, finds each row again by that value alone, and gives what was read. With `index`, the
/// server must serve it from the index of that name.
async fn found_again(
    engine: &dyn Engine,
    session: &mut dyn Session,
    table: &Table,
    column: &Column,
    index: Option<&str>,
) -> Vec<Scalar> {
    let dialect = engine.dialect();
    // The alias is needed: PostgreSQL takes a bare name behind ORDER BY for the column as it is shown, which is text.
    let (from, name) = (format!("{} t", dialect.table(&table.name)), format!("t.{}", dialect.name(&column.name)));
    let read = rows(session, &format!("SELECT {} FROM {from} ORDER BY {name}", dialect.read(&name, column))).await;
    let read: Vec<Scalar> = read.unwrap().into_iter().map(|row| row[0].clone()).collect();
    let columns = [(name.clone(), column)];
    for value in &read {
        let count = format!("SELECT count(*) FROM {from} WHERE {}", dialect.key_in(&columns, 1, 1));
        let again = session.rows(&Statement { text: count, values: vec![value.clone()] }).await.unwrap();
        assert_eq!(again[0][0], Scalar::Int(1), "{} as {}", column.name, column.ty);
    }
    let some: Vec<Scalar> = read.iter().take(3).cloned().collect();
    let shown = dialect.read(&name, column);
    let picked = format!("SELECT {shown} FROM {from} WHERE {}", dialect.key_in(&columns, some.len(), 1));
    assert_eq!(
        session.rows(&Statement { text: picked.clone(), values: some.clone() }).await.unwrap().len(),
        some.len()
    );
    if let Some(index) = index {
        let plan = explain(session, &picked, some.clone()).await;
        assert!(plan.contains(index), "{} as {}: {plan}", column.name, column.ty);
        let after =
            format!("SELECT {shown} FROM {from} WHERE {} ORDER BY {name} LIMIT 5", dialect.key_after(&columns, 1));
        let plan = explain(session, &after, some[..1].to_vec()).await;
        assert!(plan.contains(index), "{} as {}: {plan}", column.name, column.ty);
    }
    read
}

/// The server's plan, as one text.
async fn explain(session: &mut dyn Session, statement: &str, values: Vec<Scalar>) -> String {
    let plan = session.rows(&Statement { text: format!("EXPLAIN {statement}"), values }).await.unwrap();
    plan.iter().flatten().filter_map(Scalar::as_text).collect::<Vec<_>>().join(" ")
}

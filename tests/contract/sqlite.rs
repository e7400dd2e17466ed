//! SQLite under the contract.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bewaard::domain::id::SystemId;
use bewaard::domain::policy::{Access, SqliteAccess, System};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Row, TypeInfo, ValueRef};

use super::harness::Harness;

/// A file in a folder of its own.
pub(crate) struct Sqlite {
    folder: tempfile::TempDir,
}

impl Sqlite {
    pub(crate) async fn start() -> Self {
        let new = Self { folder: tempfile::Builder::new().prefix("bewaard é ").tempdir().unwrap() };
        new.sql("CREATE TABLE start (id INTEGER PRIMARY KEY);").await;
        new
    }

    pub(crate) async fn connection(&self) -> SqliteConnection {
        let path = self.folder.path().join("shop.db");
        SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(true).connect().await.unwrap()
    }
}

#[async_trait]
impl Harness for Sqlite {
    fn system(&self) -> System {
        System {
            id: SystemId::new("shop").unwrap(),
            about: None,
            inventory: BTreeMap::new(),
            access: Access::Sqlite(SqliteAccess {
                path: self.folder.path().join("shop.db").display().to_string(),
                foreign_keys: true,
            }),
            batch_table: true,
        }
    }

    async fn sql(&self, text: &str) {
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut self.connection().await).await.unwrap();
    }

    async fn rows(&self, text: &str) -> Vec<Vec<String>> {
        let rows = sqlx::query(AssertSqlSafe(text)).fetch_all(&mut self.connection().await).await.unwrap();
        let value = |row: &sqlx::sqlite::SqliteRow, place: usize| {
            let raw = row.try_get_raw(place).unwrap();
            match raw.type_info().name() {
                _ if raw.is_null() => "NULL".to_string(),
                "BLOB" => format!("{:02x?}", row.get_unchecked::<Vec<u8>, _>(place)),
                "INTEGER" => row.get_unchecked::<i64, _>(place).to_string(),
                "REAL" => row.get_unchecked::<f64, _>(place).to_string(),
                _ => row.get_unchecked::<String, _>(place),
            }
        };
        rows.iter().map(|row| (0..row.len()).map(|place| value(row, place)).collect()).collect()
    }

    fn quote(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn bytes(&self, hex: &str) -> (&'static str, String) {
        ("BLOB", format!("x'{hex}'"))
    }

    fn datetime(&self) -> &'static str {
        "DATETIME"
    }

    async fn caseless(&self) -> &'static str {
        "VARCHAR(20) COLLATE NOCASE"
    }

    fn after(&self, event: &str, name: &str, table: &str, statement: &str) -> String {
        format!("CREATE TRIGGER {name} AFTER {event} ON {table} BEGIN {statement}; END;")
    }

    fn typed_dates(&self) -> bool {
        false
    }
}

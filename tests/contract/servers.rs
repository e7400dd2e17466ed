//! MariaDB and PostgreSQL under the contract: private servers, a database for each test.

use async_trait::async_trait;
use bewaard::domain::policy::System;

use super::harness::Harness;
use super::support::servers::{Database, Kind};

/// A database of its own on a real server.
pub(crate) struct Served(Database);

impl Served {
    pub(crate) async fn start(kind: Kind) -> Self {
        // A server starts once and for all tests, which takes seconds: not on the thread that runs the tests' futures.
        Self(tokio::task::spawn_blocking(move || Database::new(kind)).await.unwrap())
    }
}

#[async_trait]
impl Harness for Served {
    fn system(&self) -> System {
        System { batch_table: true, ..self.0.system("shop") }
    }

    async fn sql(&self, text: &str) {
        self.0.admin(text);
    }

    async fn rows(&self, text: &str) -> Vec<Vec<String>> {
        let answer = self.0.admin(text);
        // psql prints NULL as nothing.
        let value = |text: &str| if text.is_empty() { "NULL".to_string() } else { text.to_string() };
        answer.lines().map(|line| line.split('\t').map(value).collect()).collect()
    }

    fn quote(&self, name: &str) -> String {
        match self.0.server.kind {
            Kind::Mariadb => format!("`{}`", name.replace('`', "``")),
            Kind::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    fn bytes(&self, hex: &str) -> (&'static str, String) {
        match self.0.server.kind {
            Kind::Mariadb => ("VARBINARY(20)", format!("x'{hex}'")),
            Kind::Postgres => ("BYTEA", format!("'\\x{hex}'")),
        }
    }

    fn datetime(&self) -> &'static str {
        match self.0.server.kind {
            Kind::Mariadb => "DATETIME",
            Kind::Postgres => "TIMESTAMP",
        }
    }

    async fn caseless(&self) -> &'static str {
        match self.0.server.kind {
            Kind::Mariadb => "VARCHAR(20) COLLATE utf8mb4_general_ci",
            Kind::Postgres => {
                self.0.admin(
                    "CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
                );
                "VARCHAR(20) COLLATE caseless"
            }
        }
    }

    fn after(&self, event: &str, name: &str, table: &str, statement: &str) -> String {
        match self.0.server.kind {
            Kind::Mariadb => format!("CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW {statement};"),
            Kind::Postgres => format!(
                "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN {statement}; RETURN NULL; END $$; \
                 CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}();"
            ),
        }
    }

    fn typed_dates(&self) -> bool {
        true
    }
}

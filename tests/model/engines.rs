//! The three engines: a data set put into a database of its own, twice, and read back to the byte.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::oracle::World;
use crate::bench::{Bench, Said, said};
use crate::support::servers::{Database, Kind as Server};

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Mariadb,
    Postgres,
}

/// Every row as the engine prints it, by table, in order.
pub(crate) type Printed = BTreeMap<String, Vec<Vec<String>>>;

/// A data set on an engine, with a copy of it, and a policy over the first.
pub(crate) struct Site {
    pub(crate) bench: Bench,
    engine: Engine,
    /// The database and its copy.
    databases: Vec<Database>,
    /// By how much the time is shifted, as `faketime` has it.
    shift: Option<String>,
    system: [String; 2],
}

const FILES: [&str; 2] = ["shop.db", "copy.db"];

impl Site {
    /// Makes both, and the policy.
    pub(crate) fn new(world: &World, policy: &str, shift: Option<String>) -> Self {
        let engine = world.engine;
        let databases: Vec<Database> = match engine {
            Engine::Sqlite => Vec::new(),
            Engine::Mariadb => (0..2).map(|_| Database::new(Server::Mariadb)).collect(),
            Engine::Postgres => (0..2).map(|_| Database::new(Server::Postgres)).collect(),
        };
        let system = [0, 1].map(|copy| match databases.get(copy) {
            None => format!("sqlite = {{ path = \"{}\", foreign-keys = {} }}", FILES[copy], world.enforced),
            Some(database) => over(database),
        });
        let bench = Bench::over(&system[0], policy);
        let (month, day) = world.year;
        bench.change_policy(
            "time-zone = \"Europe/Amsterdam\"",
            &format!("time-zone = \"{}\"\nfinancial-year = \"{month:02}-{day:02}\"", world.zone.name()),
        );
        let site = Self { bench, engine, databases, shift, system };
        let script: String = world.tables.values().map(|table| table.create(engine) + &table.insert(engine)).collect();
        for copy in 0..2 {
            site.load(copy, &script);
        }
        site
    }

    fn load(&self, copy: usize, script: &str) {
        match self.engine {
            Engine::Sqlite => sqlite(&self.bench.file(FILES[copy]), script),
            Engine::Mariadb => {
                let first = "set names utf8mb4; set time_zone = '+00:00'; set foreign_key_checks = 0;\n";
                self.databases[copy].admin(&format!("{first}{script}"))
            }
            Engine::Postgres => self.databases[copy].admin(&format!("set time zone 'UTC';\nbegin;\n{script}commit;")),
        };
    }

    /// Every row of the database.
    pub(crate) fn print(&self, world: &World) -> Printed {
        let asks: String = world.tables.values().map(|table| table.dump(self.engine)).collect();
        let text = match self.engine {
            Engine::Sqlite => sqlite(&self.bench.file(FILES[0]), &asks),
            Engine::Mariadb => self.databases[0].admin(&format!("set time_zone = '+00:00';\n{asks}")),
            Engine::Postgres => self.databases[0].admin(&asks),
        };
        let mut printed: Printed = world.tables.keys().map(|name| (name.clone(), Vec::new())).collect();
        for line in text.lines() {
            let (table, row) = line.split_once('\t').unwrap();
            printed.get_mut(table).unwrap().push(row.split('\t').map(String::from).collect());
        }
        for rows in printed.values_mut() {
            rows.sort();
        }
        printed
    }

    /// Lets the policy speak of the copy, or again of the database.
    pub(crate) fn about_copy(&self, copy: bool) {
        let (from, to) = if copy { (0, 1) } else { (1, 0) };
        self.bench.change_policy(&self.system[from], &self.system[to]);
    }

    /// Runs the real binary, at the case's time.
    pub(crate) fn bewaard(&self, args: &[&str]) -> Said {
        match &self.shift {
            None => self.bench.bewaard(args),
            Some(shift) => self.bench.at(shift, args),
        }
    }

    /// The same, with text on standard input.
    pub(crate) fn bewaard_with_input(&self, args: &[&str], input: &str) -> Said {
        if self.shift.is_none() {
            return self.bench.bewaard_with_input(args, input);
        }
        self.bench.write("input", input);
        let mut command = self.bench.command_at(self.shift.as_ref().unwrap(), args);
        said(&command.stdin(std::fs::File::open(self.bench.file("input")).unwrap()).output().unwrap())
    }
}

/// What the time is for bewaard, in a zone and a form of `date`.
pub(crate) fn time(shift: Option<&String>, zone: &str, form: &str) -> String {
    let mut command = match shift {
        None => Command::new("date"),
        Some(shift) => {
            let mut command = Command::new("faketime");
            command.args(["-f", shift, "date"]);
            command
        }
    };
    let output = command.env("TZ", zone).arg(form).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}

/// What `[system.shop]` says of a database.
pub(crate) fn over(database: &Database) -> String {
    let (folder, name, user) = (database.server.folder.display(), &database.name, &database.user);
    let place = match database.server.kind {
        Server::Mariadb => format!("mariadb = {{ socket = \"{folder}/sock\""),
        Server::Postgres => format!("postgres = {{ socket = \"{folder}\", port = {}", database.server.port),
    };
    format!("{place}, database = \"{name}\", user = \"{user}\", password = {{ file = \"{folder}/password\" }} }}")
}

/// Runs SQL on a file; the first column of each row that it gives, a line each.
fn sqlite(path: &Path, sql: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let mut connection = options.foreign_keys(true).connect().await.unwrap();
        let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_string())).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(0) + "\n").collect()
    })
}

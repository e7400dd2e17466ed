//! A small firm on SQLite and the real binary, for tests of the whole way.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends here when its bench can't be made")]
#![expect(unreachable_pub, reason = "each test target takes this file in as a module of its own")]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use sqlx::{ConnectOptions, Connection, Row};

/// A folder with a database, a policy, state and log.
pub struct Bench {
    folder: tempfile::TempDir,
}

/// What a command said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Its answer as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("no JSON ({error}): {}\n{}", self.out, self.err))
    }

    /// It must have ended so.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

impl Bench {
    /// A folder with this policy (after the common head) and a database made by this SQL.
    pub fn new(policy: &str, schema: &str) -> Self {
        let bench = Self::over("sqlite.path = \"shop.db\"", policy);
        bench.sql(schema);
        bench
    }

    /// A folder with this policy over a system that is made elsewhere; `system` is what `[system.shop]` says.
    pub fn over(system: &str, policy: &str) -> Self {
        let bench = Self { folder: tempfile::Builder::new().prefix("bewaard-é ").tempdir().unwrap() };
        bench.write(
            "bewaard.toml",
            &format!(
                "version = \"v1\"\ntime-zone = \"Europe/Amsterdam\"\ncontroller = \"Test\"\n\n\
                 [state]\npath = \"state\"\n\n[log]\npath = \"log\"\n\n[system.shop]\n{system}\n\n{policy}"
            ),
        );
        bench
    }

    /// A file of the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the folder.
    pub fn write(&self, name: &str, text: &str) {
        use std::io::Write;
        std::fs::File::create(self.file(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The policy's text, changed.
    pub fn change_policy(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.file("bewaard.toml")).unwrap();
        assert!(text.contains(from), "the policy has no `{from}`");
        self.write("bewaard.toml", &text.replace(from, to));
    }

    fn with_database<T>(&self, work: impl AsyncFnOnce(&mut sqlx::SqliteConnection) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let options = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(self.file("shop.db"))
                .create_if_missing(true)
                .foreign_keys(true)
                .busy_timeout(std::time::Duration::from_secs(10));
            let mut connection = options.connect().await.unwrap();
            let done = work(&mut connection).await;
            connection.close().await.unwrap();
            done
        })
    }

    /// Runs SQL on the firm's database.
    pub fn sql(&self, text: &str) {
        self.with_database(async |connection| {
            sqlx::raw_sql(sqlx::AssertSqlSafe(text.to_string())).execute(connection).await.unwrap();
        });
    }

    /// Runs one statement; how many rows it changed.
    pub fn changed(&self, text: &str) -> u64 {
        self.with_database(async |connection| {
            let done = sqlx::query(sqlx::AssertSqlSafe(text.to_string())).execute(connection).await.unwrap();
            done.rows_affected()
        })
    }

    /// One number of the firm's database.
    pub fn number(&self, text: &str) -> u64 {
        let found = self.with_database(async |connection| {
            let row = sqlx::query(sqlx::AssertSqlSafe(text.to_string())).fetch_one(connection).await.unwrap();
            row.get::<i64, _>(0)
        });
        u64::try_from(found).unwrap()
    }

    /// Everything in the firm's database: each row with the type of each value, so that two dumps differ where a byte
    /// does.
    pub fn dump(&self, tables: &[&str]) -> String {
        self.with_database(async |connection| {
            let mut out = String::new();
            for table in tables {
                let names = format!(
                    "select group_concat('hex(quote(\"' || name || '\")) || typeof(\"' || name || '\")', ' || ') \
                     from pragma_table_xinfo('{table}')"
                );
                let row = sqlx::query(sqlx::AssertSqlSafe(names)).fetch_one(&mut *connection).await.unwrap();
                let columns: String = row.get(0);
                let ask = format!("select {columns} from \"{table}\" order by 1");
                let rows = sqlx::query(sqlx::AssertSqlSafe(ask)).fetch_all(&mut *connection).await.unwrap();
                for row in rows {
                    out += &format!("{table}: {}\n", row.get::<String, _>(0));
                }
            }
            out
        })
    }

    /// The command, ready to be run or changed.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bewaard"));
        // By the environment: then what is printed to be pasted is as in the documentation.
        command.env("BEWAARD_CONFIG", self.file("bewaard.toml")).args(args);
        command.env_remove("BEWAARD_CRASH_AT").env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs the real binary.
    pub fn bewaard(&self, args: &[&str]) -> Said {
        said(&self.command(args).output().unwrap())
    }

    /// Runs the real binary as it would be at another time, as `faketime` has it: `+7d`, `-1y`.
    pub fn at(&self, shift: &str, args: &[&str]) -> Said {
        said(&self.command_at(shift, args).output().unwrap_or_else(|error| panic!("faketime is a package: {error}")))
    }

    /// The command at another time, ready to be run or changed.
    pub fn command_at(&self, shift: &str, args: &[&str]) -> Command {
        let mut faketime = Command::new("faketime");
        faketime.args(["-f", shift]);
        self.under(faketime, args)
    }

    /// The command as the last arguments of another program.
    pub fn under(&self, mut program: Command, args: &[&str]) -> Command {
        let plain = self.command(args);
        program.arg(plain.get_program()).args(plain.get_args());
        program.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        program.env_remove("BEWAARD_CRASH_AT").stdin(Stdio::null());
        program
    }

    /// Runs the real binary with text on standard input.
    pub fn bewaard_with_input(&self, args: &[&str], input: &str) -> Said {
        use std::io::Write;
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        said(&child.wait_with_output().unwrap())
    }

    /// Makes the log, plans and approves everything.
    pub fn approve_all(&self) {
        self.bewaard(&["init"]).ends(0);
        self.plan_and_approve();
    }

    /// Plans and approves everything, beyond every limit.
    pub fn plan_and_approve(&self) {
        let plans = self.bewaard(&["plan", "--json"]).ends(0).json();
        for plan in plans["plans"].as_array().unwrap() {
            let id = plan["id"].as_str().unwrap();
            self.bewaard(&[
                "approve", id, "--reason", "test", "--beyond", "share", "--beyond", "max", "--beyond", "change",
            ])
            .ends(0);
        }
    }

    /// The log must verify.
    #[track_caller]
    pub fn verified(&self) -> Said {
        self.bewaard(&["log", "verify"]).ends(0)
    }

    /// Entries of a kind, as JSON.
    pub fn entries(&self, kind: &str) -> Vec<serde_json::Value> {
        let said = self.bewaard(&["log", "show", "--json", "--kind", kind]).ends(0);
        said.json()["entries"].as_array().unwrap().clone()
    }
}

/// What a finished command said.
pub fn said(output: &Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

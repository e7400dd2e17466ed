//! A firm on a real server: a database of its own, a policy over it, the real binary, and sessions beside it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::ops::Deref;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::bench::Bench;
use crate::paused::{Paused, pause, wait_until};
use crate::support::servers::{Database, Kind, Server, Via};

/// A bench whose system is a database on a server.
pub(crate) struct Firm {
    bench: Bench,
    pub(crate) database: Database,
}

impl Deref for Firm {
    type Target = Bench;
    fn deref(&self) -> &Bench {
        &self.bench
    }
}

/// What `[system.shop]` says of a database; `port` is where else than at the server itself it is to be asked.
pub(crate) fn system(database: &Database, via: Via, user: &str, port: Option<u16>) -> String {
    let folder = database.server.folder.display();
    let (kind, socket) = match database.server.kind {
        Kind::Mariadb => ("mariadb", format!("{folder}/sock")),
        Kind::Postgres => ("postgres", folder.to_string()),
    };
    let port = port.unwrap_or(database.server.port);
    let place = match via {
        Via::Socket if database.server.kind == Kind::Postgres => format!("socket = \"{socket}\", port = {port}"),
        Via::Socket => format!("socket = \"{socket}\""),
        Via::Tcp => format!("host = \"127.0.0.1\", port = {port}, tls = \"off\""),
        Via::Tls => format!("host = \"localhost\", port = {port}, tls = {{ authority = \"{folder}/ca.pem\" }}"),
        Via::WrongTls => {
            format!("host = \"localhost\", port = {port}, tls = {{ authority = \"{folder}/other-ca.pem\" }}")
        }
    };
    let name = &database.name;
    format!(
        "{kind} = {{ {place}, database = \"{name}\", user = \"{user}\", password = {{ file = \"{folder}/password\" }} }}"
    )
}

/// MariaDB gives `innodb_trx` from a cache that it renews only after 100 ms without a reader: tests that ask side by side
/// must not keep each other from ever seeing anything new.
static ASKING: std::sync::Mutex<()> = std::sync::Mutex::new(());

impl Firm {
    /// A database made by this SQL, and this policy over its socket.
    pub(crate) fn new(kind: Kind, policy: &str, schema: &str) -> Self {
        Self::via(kind, Via::Socket, policy, schema)
    }

    /// The same, reached otherwise.
    pub(crate) fn via(kind: Kind, via: Via, policy: &str, schema: &str) -> Self {
        let database = Database::new(kind);
        database.admin(schema);
        let bench = Bench::over(&system(&database, via, &database.user, None), policy);
        Self { bench, database }
    }

    /// A database and a policy over something that stands before the server.
    pub(crate) fn behind(kind: Kind, port: u16, policy: &str, schema: &str) -> Self {
        Self::on_behind(kind.shared(), port, policy, schema)
    }

    /// A database on a server of the test's own, and a policy over something that stands before it.
    pub(crate) fn on_behind(server: &'static Server, port: u16, policy: &str, schema: &str) -> Self {
        let database = Database::on(server);
        database.admin(schema);
        let bench = Bench::over(&system(&database, Via::Tcp, &database.user, Some(port)), policy);
        Self { bench, database }
    }

    /// A database on a server of the test's own.
    pub(crate) fn on(server: &'static Server, policy: &str, schema: &str) -> Self {
        let database = Database::on(server);
        database.admin(schema);
        let bench = Bench::over(&system(&database, Via::Socket, &database.user, None), policy);
        Self { bench, database }
    }

    /// A second host on the same database: state, log and keys of its own.
    pub(crate) fn second_host(&self, policy: &str) -> Bench {
        Bench::over(&system(&self.database, Via::Socket, &self.database.user, None), policy)
    }

    /// Which server.
    pub(crate) fn kind(&self) -> Kind {
        self.database.server.kind
    }

    /// The server itself.
    pub(crate) fn server(&self) -> &'static Server {
        self.database.server
    }

    /// Runs SQL as the administrator.
    pub(crate) fn admin(&self, sql: &str) -> String {
        self.database.admin(sql)
    }

    /// One number, by plain SQL.
    #[track_caller]
    pub(crate) fn count(&self, sql: &str) -> u64 {
        let text = self.admin(sql);
        text.parse().unwrap_or_else(|_| panic!("no number: {text}\n{sql}"))
    }

    /// Makes the log and approves every rule.
    #[track_caller]
    pub(crate) fn approved(self) -> Self {
        self.approve_all();
        self
    }

    /// Runs, and gives what it said of its one rule.
    #[track_caller]
    pub(crate) fn run_one(&self, code: i32) -> serde_json::Value {
        let run = self.bewaard(&["run", "--json"]).ends(code).json();
        run["runs"][0].clone()
    }

    /// Everything that a client may hold open beside the run.
    pub(crate) fn session(&self) -> Session {
        Session::start(self.database.server.shell(&self.database.name))
    }

    /// Waits until the server says that a session in this database waits for a lock.
    #[track_caller]
    pub(crate) fn somebody_waits(&self, what: &str) {
        let ask = by_kind(
            self.kind(),
            "select count(*) from information_schema.innodb_trx where trx_state = 'LOCK WAIT' and \
             trx_mysql_thread_id in (select id from information_schema.processlist where db = database())",
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
        );
        wait_until(what, || {
            let _alone = ASKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if self.kind() == Kind::Mariadb {
                std::thread::sleep(Duration::from_millis(150));
            }
            self.count(ask) > 0
        });
    }

    /// Starts a run that waits at a named point.
    pub(crate) fn paused_at(&self, point: &str) -> Paused {
        self.paused_with(point, &["run", "--json"])
    }

    /// Starts a command that waits at a named point.
    pub(crate) fn paused_with(&self, point: &str, args: &[&str]) -> Paused {
        pause(&self.bench, point, args)
    }

    /// Outcomes in the log by word, and that no record has two final ones.
    #[track_caller]
    pub(crate) fn outcomes(&self) -> std::collections::BTreeMap<String, u64> {
        outcomes(&self.bench)
    }
}

/// Outcomes in the log by word; a record and part that went has one entry that says so.
#[track_caller]
pub(crate) fn outcomes(bench: &Bench) -> std::collections::BTreeMap<String, u64> {
    let (mut words, mut gone) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
    for entry in bench.entries("outcome") {
        let word = entry["result"].as_str().unwrap().to_string();
        if ["erased", "gone-unexplained", "anonymised"].contains(&word.as_str()) {
            let record = (entry["record"].to_string(), entry["part"].to_string());
            *gone.entry(record).or_insert(0) += 1;
        }
        *words.entry(word).or_insert(0) += 1;
    }
    assert!(gone.values().all(|times| *times == 1), "a record went twice: {words:?}");
    words
}

/// A session of another program: its statements run in the order in which they are given.
pub(crate) struct Session {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    said: u32,
}

impl Session {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output, said: 0 }
    }

    /// Sends a statement without waiting for its end. [`Session::done`] waits.
    pub(crate) fn send(&mut self, sql: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{sql};").unwrap();
        input.flush().unwrap();
    }

    /// Waits until everything that was sent has ended; what it printed.
    pub(crate) fn done(&mut self) -> String {
        self.said += 1;
        let marker = format!("marker-{}", self.said);
        self.send(&format!("SELECT '{marker}'"));
        let mut all = String::new();
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).unwrap();
            assert!(read > 0, "the session ended: {all}");
            if line.trim_end() == marker {
                return all;
            }
            write!(all, "{line}").unwrap();
        }
    }

    /// Runs a statement to its end.
    pub(crate) fn sql(&mut self, sql: &str) -> String {
        self.send(sql);
        self.done()
    }

    /// Ends the session; whether all its statements succeeded.
    pub(crate) fn end(mut self) -> bool {
        drop(self.input.take());
        self.child.wait().unwrap().success()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.input.take());
        if self.child.try_wait().unwrap().is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// What this server calls it.
pub(crate) fn by_kind<T>(kind: Kind, mariadb: T, postgres: T) -> T {
    match kind {
        Kind::Mariadb => mariadb,
        Kind::Postgres => postgres,
    }
}

/// The numbers from 1 on, as a table `n(i)`.
pub(crate) fn numbers(kind: Kind, upto: u32) -> String {
    by_kind(
        kind,
        format!("(select seq as i from seq_1_to_{upto}) n"),
        format!("(select generate_series as i from generate_series(1, {upto})) n"),
    )
}

/// Customers with an order each; those with an even key are due.
pub(crate) fn tables(kind: Kind, customers: u32) -> String {
    let moment = by_kind(kind, "datetime", "timestamp");
    let numbers = numbers(kind, customers);
    format!(
        "create table customers (id int primary key, last_login {moment}, email varchar(100));
         create index c_login on customers(last_login);
         create table orders (id int primary key, customer_id int not null, foreign key (customer_id) references customers(id));
         create index o_customer on orders(customer_id);
         insert into customers select i, case when i % 2 = 0 then timestamp '2019-05-06 10:00:00' \
           else timestamp '2026-10-01 10:00:00' end, 'k@canary.example' from {numbers};
         insert into orders select i, i from {numbers};"
    )
}

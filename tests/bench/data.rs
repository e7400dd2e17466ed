//! The data: made by arithmetic from the row's number, so that every engine and every run has the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::servers::{Kind, Server};

/// The days of a term of two years, generously.
const TERM: u64 = 800;

/// A number between 0 and 2^31 that looks random, from the row's number: a multiplicative generator with a fixed seed.
fn dice(id: &str) -> String {
    format!("(({id} * 48271 + 20261127) % 2147483647)")
}

/// Days before today: of so many in a thousand more than the term, the others less.
fn age(id: &str, expired: u64) -> String {
    let dice = dice(id);
    format!("(case when {dice} % 1000 < {expired} then {TERM} + ({dice} / 1000) % 2000 else ({dice} / 1000) % 600 end)")
}

/// What differs between the engines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Mariadb,
    Postgres,
    Sqlite,
}

impl Engine {
    /// The numbers from 1 to `upto` as `n(i)`.
    fn numbers(self, upto: u64) -> String {
        match self {
            Self::Mariadb => format!("(select seq as i from seq_1_to_{upto}) n"),
            Self::Postgres => format!("generate_series(1::bigint, {upto}) n(i)"),
            Self::Sqlite => {
                format!(
                    "(with recursive s(i) as (select 1 union all select i + 1 from s where i < {upto}) select i from s) n"
                )
            }
        }
    }

    fn days_ago(self, days: &str) -> String {
        match self {
            Self::Mariadb => format!("date_sub(curdate(), interval {} day)", days.replace('/', "div")),
            Self::Postgres => format!("current_date - cast({days} as int)"),
            Self::Sqlite => format!("date('now', '-' || {days} || ' days')"),
        }
    }

    fn text(self, parts: &[&str]) -> String {
        match self {
            Self::Mariadb => format!("concat({})", parts.join(", ")),
            Self::Postgres | Self::Sqlite => parts.join(" || "),
        }
    }

    fn moment(self) -> &'static str {
        match self {
            Self::Mariadb => "datetime",
            Self::Postgres => "timestamp",
            Self::Sqlite => "text",
        }
    }

    /// What is past its term, for the peers.
    pub(crate) fn expired(self, column: &str) -> String {
        format!("{column} < {}", self.days_ago("731"))
    }
}

/// One table of about 280 bytes a row, of which 40 percent expired.
pub(crate) fn contacts(engine: Engine, rows: u64, indexed: bool) -> String {
    contacts_of(engine, rows, 400, indexed)
}

/// The same, of which so many in a thousand expired.
pub(crate) fn contacts_of(engine: Engine, rows: u64, expired: u64, indexed: bool) -> String {
    let index = if indexed { "create index contacts_seen on contacts (last_seen);" } else { "" };
    let filled = |text: &str, times: usize| format!("'{}'", text.repeat(times));
    let columns = [
        "i".to_string(),
        engine.text(&["'k'", "i", "'@example.nl'"]),
        engine.text(&["'Naam van '", "i"]),
        engine.text(&["'+3161'", "i"]),
        engine.text(&["'Langestraat '", "i"]),
        filled("stad", 4),
        filled("een notitie ", 14),
        engine.days_ago(&age("i", expired)),
    ];
    format!(
        "create table contacts (id bigint primary key, email varchar(80), name varchar(80), phone varchar(30), \
         street varchar(80), city varchar(40), notes varchar(200), last_seen {} not null);
         insert into contacts select {} from {};
         {index}",
        engine.moment(),
        columns.join(", "),
        engine.numbers(rows)
    )
}

/// The same rows, by months; those that are past their term fill whole months. The days are those of [`contacts`].
pub(crate) fn contacts_by_month(rows: u64) -> String {
    let plain = contacts(Engine::Postgres, rows, true);
    let table = plain.replacen("id bigint primary key", "id bigint", 1).replacen(
        "not null);",
        "not null, primary key (id, last_seen)) partition by range (last_seen);
         do $$ declare m date := date_trunc('month', current_date - 3000); e date; begin
         while m < current_date + 31 loop e := m + interval '1 month';
         execute format('create table contacts_%s partition of contacts for values from (%L) to (%L)', to_char(m, 'YYYY_MM'), m, e);
         m := e; end loop; end $$;",
        1,
    );
    assert_ne!(table, plain);
    table
}

/// The partitions of [`contacts_by_month`] that lie before a day, as names with commas between them.
pub(crate) fn months_before(server: &Server, day: &str) -> String {
    let month = "to_date(right(c.relname, 7), 'YYYY_MM')";
    let names = format!(
        "select string_agg(c.relname, ', ') from pg_inherits i join pg_class c on c.oid = i.inhrelid \
         where i.inhparent = 'contacts'::regclass and {month} + interval '1 month' <= {day}"
    );
    server.admin(Some(DATABASE), &names)
}

/// Customers, five orders each, three lines to an order.
pub(crate) fn customers(engine: Engine, customers: u64) -> String {
    let moment = engine.moment();
    let (orders, lines) = (customers * 5, customers * 15);
    let whole = if engine == Engine::Mariadb { "div" } else { "/" };
    format!(
        "create table customers (id bigint primary key, email varchar(80), name varchar(80), last_seen {moment} not null);
         create table orders (id bigint primary key, customer_id bigint not null, total int, notes varchar(80));
         create table order_lines (id bigint primary key, order_id bigint not null, product varchar(80), amount int);
         insert into customers select i, {}, {}, {} from {};
         insert into orders select i, (i - 1) {whole} 5 + 1, i % 1000, 'een bestelling' from {};
         insert into order_lines select i, (i - 1) {whole} 3 + 1, 'een product met een naam', i % 10 from {};
         create index customers_seen on customers (last_seen);
         create index orders_customer on orders (customer_id);
         create index lines_order on order_lines (order_id);",
        engine.text(&["'k'", "i", "'@example.nl'"]),
        engine.text(&["'Naam van '", "i"]),
        engine.days_ago(&age("i", 400)),
        engine.numbers(customers),
        engine.numbers(orders),
        engine.numbers(lines),
    )
}

/// Settings under which a purge is as expensive as in earnest.
pub(crate) fn settings(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Mariadb => {
            &["--innodb-log-file-size=512M", "--innodb-buffer-pool-size=1G", "--innodb-flush-log-at-trx-commit=1"]
        }
        Kind::Postgres => &["fsync=on", "shared_buffers=512MB", "max_wal_size=4GB", "autovacuum=off"],
    }
}

/// A data folder that was filled once; each run gets a copy.
pub(crate) struct Filled {
    pub(crate) kind: Kind,
    data: PathBuf,
    _folder: tempfile::TempDir,
}

/// The database in it.
pub(crate) const DATABASE: &str = "firm";

impl Filled {
    pub(crate) fn new(kind: Kind, sql: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("bw-bench").tempdir().unwrap();
        let server = Server::start_with(kind, settings(kind));
        server.admin(None, &format!("create database {DATABASE}"));
        server.admin(Some(DATABASE), sql);
        if kind == Kind::Postgres {
            server.admin(Some(DATABASE), "vacuum analyze");
        }
        server.shut_down();
        let data = folder.path().join("data");
        copy(&server.folder.join("data"), &data);
        Self { kind, data, _folder: folder }
    }

    /// A server over a fresh copy, warmed by one reading of these tables.
    pub(crate) fn restored(&self, tables: &[&str]) -> Server {
        let server = Server::start_over(self.kind, settings(self.kind), &|data| copy(&self.data, data));
        for table in tables {
            let read = match self.kind {
                Kind::Mariadb => {
                    format!("select count(*), sum(length(concat_ws('', id))) from {table} force index (primary)")
                }
                Kind::Postgres => format!("select count(*), sum(length({table}::text)) from {table}"),
            };
            server.admin(Some(DATABASE), &read);
        }
        server
    }
}

/// Copies a folder as it is.
pub(crate) fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success(), "cp {}", from.display());
}

//! The workloads, by the ids of the goals.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::audit;
use crate::bench::Bench;
use crate::data::{self, DATABASE, Engine, Filled};
use crate::ours::{self, Ran};
use crate::peers;
use crate::rounds::{Figure, Peer, Workload};
use crate::support::servers::{Kind, Server};

pub(crate) fn all(rows: u64) -> Vec<Workload> {
    vec![
        mariadb_contacts(rows, true),
        mariadb_contacts(rows, false),
        mariadb_anonymise(rows),
        mariadb_customers(rows / 5),
        postgres_contacts(rows),
        postgres_customers(rows / 5),
        postgres_partitions(rows),
        sqlite_contacts(rows),
        audit::verify(rows),
        mariadb_daily(rows * 5),
    ]
}

fn lazily<T: 'static>(make: impl Fn() -> T + 'static) -> impl Fn() -> Rc<T> {
    let cell = std::cell::OnceCell::new();
    move || Rc::clone(cell.get_or_init(|| Rc::new(make())))
}

fn engine(kind: Kind) -> Engine {
    match kind {
        Kind::Mariadb => Engine::Mariadb,
        Kind::Postgres => Engine::Postgres,
    }
}

/// Ours on a server: every record that is due must be gone, or written.
fn on_server(server: &Server, rule: &str, due: u64) -> Figure {
    let ran = ours::run(&ours::system(server), rule, &|_| {});
    figure(&ran, due, &|| debt(server))
}

fn figure(ran: &Ran, due: u64, debt: &dyn Fn() -> Duration) -> Figure {
    let with_debt = ran.took + debt();
    assert_eq!(ran.purged(), due);
    Figure { peer: "bewaard", took: ran.took, with_debt, memory: Some(ran.memory) }
}

fn debt(server: &Server) -> Duration {
    match server.kind {
        Kind::Mariadb => peers::purge_history(server),
        Kind::Postgres => Duration::ZERO,
    }
}

/// How many rows of this table are past their term.
fn due_in(server: &Server, table: &str) -> u64 {
    let expired = engine(server.kind).expired("last_seen");
    server.admin(Some(DATABASE), &format!("select count(*) from {table} where {expired}")).parse().unwrap()
}

/// A peer over a restored copy; it must have left nothing that is past its term.
fn peer(
    filled: &Rc<Filled>,
    tables: &'static [&'static str],
    name: &'static str,
    work: impl Fn(&Server) -> Duration + 'static,
) -> Peer {
    let filled = Rc::clone(filled);
    let run = move || {
        let server = filled.restored(tables);
        let took = work(&server);
        let with_debt = took + debt(&server);
        Figure { with_debt, ..Figure::of(name, took) }
    };
    Peer { name, run: Box::new(run) }
}

fn us(filled: &Rc<Filled>, tables: &'static [&'static str], rule: String) -> Peer {
    let filled = Rc::clone(filled);
    let run = move || {
        let server = filled.restored(tables);
        let due = due_in(&server, tables[0]);
        on_server(&server, &rule, due)
    };
    Peer { name: "bewaard", run: Box::new(run) }
}

/// A workload on a server; the data is made at the first use.
fn on(
    ids: &'static [&'static str],
    name: String,
    kind: Kind,
    sql: String,
    tables: &'static [&'static str],
    peers: impl Fn(&Rc<Filled>) -> Vec<Peer> + 'static,
) -> Workload {
    let filled = Rc::new(lazily(move || Filled::new(kind, &sql)));
    let again = Rc::clone(&filled);
    Workload {
        ids,
        name,
        rows: Box::new(move || due_in(&again().restored(&[]), tables[0])),
        peers: Box::new(move || peers(&filled())),
    }
}

const CONTACTS: &[&str] = &["contacts"];
const CUSTOMERS: &[&str] = &["customers", "orders", "order_lines"];

fn mariadb_contacts(rows: u64, indexed: bool) -> Workload {
    let (ids, name): (&[&str], _) = if indexed {
        (&["P1", "P2", "P3", "P4"], format!("MariaDB, delete from {rows} rows by an indexed date"))
    } else {
        (&["P5"], format!("MariaDB, delete from {rows} rows without an index on the date"))
    };
    let sql = data::contacts(Engine::Mariadb, rows, indexed);
    on(ids, name, Kind::Mariadb, sql, CONTACTS, move |filled| {
        let expired = || Engine::Mariadb.expired("last_seen");
        let mut all = vec![
            us(filled, CONTACTS, ours::rule("contacts", "then.delete = true")),
            peer(filled, CONTACTS, "pt-archiver", move |server| peers::pt_archiver(server, "contacts", &expired())),
            peer(filled, CONTACTS, "single delete", move |server| {
                peers::client(server, &format!("delete from contacts where {}", expired()))
            }),
        ];
        if indexed {
            all.push(peer(filled, CONTACTS, "client loop", move |server| {
                peers::client_loop(server, &format!("delete from contacts where {} limit 10000", expired()))
            }));
        }
        all
    })
}

/// Six columns, in our words and in SQL.
const FIELDS: &str = "then.anonymise = { email = \"null\", name = { fixed = \"[removed]\" }, phone = \"null\", \
                      street = { fixed = \"[removed]\" }, city = \"null\", notes = \"null\" }";
const UPDATE: &str = "update contacts set email = null, name = '[removed]', phone = null, street = '[removed]', \
                      city = null, notes = null where";

/// A day on which one record in a thousand has come past its term.
fn mariadb_daily(rows: u64) -> Workload {
    let name = format!("MariaDB, a daily run over {rows} rows of which 0.1 % expired");
    let sql = data::contacts_of(Engine::Mariadb, rows, 1, true);
    on(&["P15"], name, Kind::Mariadb, sql, CONTACTS, |filled| {
        let expired = || Engine::Mariadb.expired("last_seen");
        vec![
            us(filled, CONTACTS, ours::rule("contacts", "then.delete = true")),
            peer(filled, CONTACTS, "count and delete", move |server| {
                let work = format!(
                    "select count(*) from contacts where {}; delete from contacts where {}",
                    expired(),
                    expired()
                );
                peers::client(server, &work)
            }),
        ]
    })
}

fn mariadb_anonymise(rows: u64) -> Workload {
    let sql = data::contacts(Engine::Mariadb, rows, true);
    on(&["P6"], format!("MariaDB, anonymise six columns of {rows} rows"), Kind::Mariadb, sql, CONTACTS, |filled| {
        vec![
            us(filled, CONTACTS, ours::rule("contacts", FIELDS)),
            peer(filled, CONTACTS, "single update", |server| {
                peers::client(server, &format!("{UPDATE} {}", Engine::Mariadb.expired("last_seen")))
            }),
        ]
    })
}

const CHILDREN: &str = "then.delete = true\nchildren = [{ table = \"orders\", on = \"customer_id\", \
                        children = [{ table = \"order_lines\", on = \"order_id\" }] }]";

fn mariadb_customers(customers: u64) -> Workload {
    let sql = data::customers(Engine::Mariadb, customers);
    on(&["P7"], format!("MariaDB, whole customers of {customers}"), Kind::Mariadb, sql, CUSTOMERS, |filled| {
        let old = || Engine::Mariadb.expired("c.last_seen");
        let of_lines = move || {
            format!("order_id in (select o.id from orders o join customers c on c.id = o.customer_id where {})", old())
        };
        let of_orders = move || format!("customer_id in (select c.id from customers c where {})", old());
        vec![
            us(filled, CUSTOMERS, ours::rule("customers", CHILDREN)),
            peer(filled, CUSTOMERS, "3 pt-archiver", move |server| {
                peers::pt_archiver(server, "order_lines", &of_lines())
                    + peers::pt_archiver(server, "orders", &of_orders())
                    + peers::pt_archiver(server, "customers", &Engine::Mariadb.expired("last_seen"))
            }),
        ]
    })
}

fn postgres_contacts(rows: u64) -> Workload {
    let sql = data::contacts(Engine::Postgres, rows, true);
    on(&["P8"], format!("PostgreSQL, delete from {rows} rows"), Kind::Postgres, sql, CONTACTS, |filled| {
        vec![
            us(filled, CONTACTS, ours::rule("contacts", "then.delete = true")),
            peer(filled, CONTACTS, "single delete", |server| {
                peers::client(server, &format!("delete from contacts where {}", Engine::Postgres.expired("last_seen")))
            }),
        ]
    })
}

fn postgres_customers(customers: u64) -> Workload {
    let sql = data::customers(Engine::Postgres, customers);
    on(&["P8"], format!("PostgreSQL, whole customers of {customers}"), Kind::Postgres, sql, CUSTOMERS, |filled| {
        let old = Engine::Postgres.expired("c.last_seen");
        let deletes = format!(
            "delete from order_lines l using orders o, customers c where o.id = l.order_id and c.id = o.customer_id and {old};
             delete from orders o using customers c where c.id = o.customer_id and {old};
             delete from customers c where {old}"
        );
        vec![
            us(filled, CUSTOMERS, ours::rule("customers", CHILDREN)),
            peer(filled, CUSTOMERS, "3 joined deletes", move |server| peers::client(server, &deletes)),
        ]
    })
}

/// Whole months are past their term of two years, counted from the end of the month.
fn postgres_partitions(rows: u64) -> Workload {
    let sql = data::contacts_by_month(rows);
    let name = format!("PostgreSQL, partitions dropped of {rows} rows");
    on(&["P10"], name, Kind::Postgres, sql, CONTACTS, |filled| {
        let rule = ours::rule("contacts", "then = { delete = true, drop-partitions = true }\nfrom = \"end of month\"");
        let batches = ours::rule("contacts", "then.delete = true\nfrom = \"end of month\"");
        let month = "date_trunc('month', current_date) - interval '2 years'";
        let from = Rc::clone(filled);
        let loads = move || from.restored(CONTACTS);
        let (one, other) = (loads.clone(), loads);
        let run = |name: &'static str, rule: String, start: Box<dyn Fn() -> Server>| Peer {
            name,
            run: Box::new(move || {
                let server = start();
                let due = format!("select count(*) from contacts where last_seen < {month}");
                let due = server.admin(Some(DATABASE), &due).parse().unwrap();
                let figure = on_server(&server, &rule, due);
                Figure { peer: name, ..figure }
            }),
        };
        vec![
            run("bewaard", rule, Box::new(one)),
            run("bewaard, in batches", batches, Box::new(other)),
            peer(filled, CONTACTS, "drop partitions", move |server| {
                let names = data::months_before(server, month);
                peers::client(server, &format!("drop table {names}"))
            }),
        ]
    })
}

fn sqlite_contacts(rows: u64) -> Workload {
    let made = Rc::new(lazily(move || {
        let bench = Bench::over("sqlite.path = \"shop.db\"", "");
        bench.sql("pragma journal_mode = wal");
        bench.sql(&data::contacts(Engine::Sqlite, rows, true));
        bench
    }));
    let again = Rc::clone(&made);
    let expired = Engine::Sqlite.expired("last_seen");
    let due = format!("select count(*) from contacts where {expired}");
    let asked = due.clone();
    Workload {
        ids: &["P9"],
        name: format!("SQLite, delete from {rows} rows"),
        rows: Box::new(move || again().number(&asked)),
        peers: Box::new(move || {
            let (ours_from, theirs_from) = (made(), made());
            let (due, delete) = (due.clone(), format!("delete from contacts where {expired}"));
            let us = move || {
                let rule = ours::rule("contacts", "then.delete = true");
                let ran = ours::run("sqlite.path = \"shop.db\"\nbrakes.pace = \"fast\"", &rule, &|bench| {
                    data::copy(&ours_from.file("shop.db"), &bench.file("shop.db"));
                });
                figure(&ran, ours_from.number(&due), &|| Duration::ZERO)
            };
            let them = move || {
                let bench = Bench::over("sqlite.path = \"shop.db\"", "");
                data::copy(&theirs_from.file("shop.db"), &bench.file("shop.db"));
                let begun = Instant::now();
                let done = std::process::Command::new("sqlite3").arg(bench.file("shop.db")).arg(&delete).status();
                assert!(done.unwrap().success());
                Figure::of("single delete", begun.elapsed())
            };
            vec![Peer { name: "bewaard", run: Box::new(us) }, Peer { name: "single delete", run: Box::new(them) }]
        }),
    }
}

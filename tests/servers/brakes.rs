//! Brakes that servers tell: what holds a run, what releases it, and what an account may not see.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::failover::follower;
use crate::firm::{Firm, Session, by_kind, tables};
use crate::paused::wait_until;
use crate::settled::rule;
use crate::started::{held_by, start};
use crate::support::servers::{Kind, Server};

on_both!(
    what_waits_to_be_cleaned_up_holds_a_run_until_it_is,
    many_working_sessions_hold_a_run_until_they_are_done,
    a_replica_that_is_behind_holds_a_run_until_it_is_not,
    a_query_of_ones_own_holds_a_run_and_one_without_end_is_given_up,
    a_stop_ends_a_run_that_a_server_holds_within_a_second,
    a_replica_that_never_answers_keeps_no_stop_waiting,
);

/// 20 customers, 10 of them due; `brakes` is what `[system.shop.brakes]` says.
fn policy(brakes: &str) -> String {
    format!("[system.shop.brakes]\n{brakes}\n\n{}", rule("limits.share = \"100 %\""))
}

/// A firm on a server of its own: what other tests do on the shared one would be measured too.
fn firm(kind: Kind, settings: &[&str], brakes: &str) -> Firm {
    let server: &'static Server = Box::leak(Box::new(Server::start_with(kind, settings)));
    let firm = Firm::on(server, &policy(brakes), &tables(kind, 20));
    firm.admin("create table stock (id int primary key, n int); insert into stock values (1, 0)");
    firm
}

/// PostgreSQL shows what others do to accounts with this role only. MariaDB shows it to all.
fn sees_others(firm: &Firm) {
    if firm.kind() == Kind::Postgres {
        firm.admin(&format!("grant pg_read_all_stats to {}", firm.database.user));
    }
}

#[track_caller]
fn all_purged(firm: &Firm) {
    assert_eq!(firm.count("select count(*) from customers"), 10);
    assert_eq!(firm.bewaard(&["status", "--json"]).ends(0).json()["brakes"], serde_json::json!([]));
    firm.verified();
}

fn what_waits_to_be_cleaned_up_holds_a_run_until_it_is(kind: Kind) {
    let (brake, limit) = by_kind(kind, ("history", "history = 100"), ("dead-rows", "dead-rows = 100"));
    let firm = firm(kind, &[], limit).approved();
    let mut old = firm.session();
    old.sql(by_kind(
        kind,
        "start transaction with consistent snapshot",
        "begin isolation level repeatable read; select 1",
    ));
    old.sql("select count(*) from customers");
    firm.admin(&"update customers set email = reverse(email) where id = 1;\n".repeat(300));
    let mut run = start(&firm, &["run"]);
    let words = held_by(&firm, brake);
    assert!(words.ends_with("over 100"), "{words}");
    assert!(run.runs());
    assert_eq!(firm.count("select count(*) from customers"), 20);
    old.sql("commit");
    assert!(old.end());
    if kind == Kind::Postgres {
        firm.admin("vacuum customers");
    }
    run.ended().0.ends(0);
    all_purged(&firm);
}

fn many_working_sessions_hold_a_run_until_they_are_done(kind: Kind) {
    let firm = firm(kind, &[], "running = 3").approved();
    if kind == Kind::Postgres {
        // What can't be seen is told once, with the grant that shows it, and holds nothing.
        let check = firm.bewaard(&["check"]).ends(0).err;
        let grant = format!("GRANT pg_read_all_stats TO \"{}\";", firm.database.user);
        assert!(check.contains("B280") && check.contains(&grant), "{check}");
        firm.admin(&grant);
    }
    let check = firm.bewaard(&["check"]).ends(0);
    assert!(!check.err.contains("B280"), "{}", check.err);
    let mut holder = firm.session();
    holder.sql("begin");
    holder.sql("update stock set n = n + 1");
    let mut others: Vec<Session> = (0..5).map(|_| firm.session()).collect();
    for one in &mut others {
        one.send("update stock set n = n + 1");
    }
    let mut run = start(&firm, &["run"]);
    let words = held_by(&firm, "running");
    assert!(words.ends_with("over 3"), "{words}");
    assert!(run.runs());
    assert_eq!(firm.count("select count(*) from customers"), 20);
    holder.sql("commit");
    for one in &mut others {
        one.done();
    }
    run.ended().0.ends(0);
    all_purged(&firm);
}

fn a_replica_that_is_behind_holds_a_run_until_it_is_not(kind: Kind) {
    let settings: &[&str] = by_kind(kind, &["--log-bin=binlog", "--server-id=1", "--binlog-format=ROW"], &[]);
    let firm = firm(kind, settings, "replica-lag = \"100 ms\"").approved();
    let copy = match kind {
        Kind::Mariadb => follower(firm.server()),
        Kind::Postgres => firm.server().standby(),
    };
    let folder = copy.folder.display();
    let entry =
        by_kind(kind, format!("socket = \"{folder}/sock\""), format!("socket = \"{folder}\", port = {}", copy.port));
    firm.change_policy(
        "replica-lag = \"100 ms\"",
        &format!("replica-lag = \"100 ms\"\nreplica-behind = \"64 KiB\"\nreplicas = [{{ {entry} }}]"),
    );
    let has_all = by_kind(
        kind,
        format!(
            "select count(*) from information_schema.tables where table_schema = '{}' and table_name = 'stock'",
            firm.database.name
        ),
        "select count(*) where pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()".into(),
    );
    wait_until("the replica has all", || copy.admin(None, &has_all) == "1");
    if kind == Kind::Mariadb {
        let check = firm.bewaard(&["check"]).ends(0).err;
        assert!(check.contains("B281") && check.contains("GRANT REPLICA MONITOR ON *.* TO"), "{check}");
        firm.admin(&format!("grant replica monitor on *.* to '{}'@'%'", firm.database.user));
        wait_until("the replica has the grant", || {
            copy.admin(None, &format!("show grants for '{}'@'%'", firm.database.user)).contains("MONITOR")
        });
    }
    sees_others(&firm);
    assert!(!firm.bewaard(&["check"]).ends(0).err.contains("B28"), "the replica answers");
    copy.admin(None, by_kind(kind, "stop slave sql_thread", "select pg_wal_replay_pause()"));
    // Enough for both limits.
    firm.admin("create table much (t text)");
    firm.admin(&format!("insert into much values ('{}');\n", "x".repeat(1_000)).repeat(200));
    if kind == Kind::Postgres {
        wait_until("the standby is behind", || {
            copy.admin(None, "select clock_timestamp() - pg_last_xact_replay_timestamp() > interval '200 ms'") == "t"
        });
    }
    let mut run = start(&firm, &["run"]);
    let words = held_by(&firm, "replica-lag");
    assert!(words.contains(&folder.to_string()), "{words}");
    if kind == Kind::Postgres {
        let words = held_by(&firm, "replica-behind");
        assert!(words.ends_with("over 64 KiB"), "{words}");
    }
    assert!(run.runs());
    assert_eq!(firm.count("select count(*) from customers"), 20);
    copy.admin(None, by_kind(kind, "start slave sql_thread", "select pg_wal_replay_resume()"));
    run.ended().0.ends(0);
    all_purged(&firm);
}

fn a_query_of_ones_own_holds_a_run_and_one_without_end_is_given_up(kind: Kind) {
    let firm = firm(kind, &[], "query = { sql = \"SELECT n FROM stock\", above = 4 }").approved();
    firm.admin("update stock set n = 5");
    let mut run = start(&firm, &["run"]);
    assert_eq!(held_by(&firm, "query"), "query: 5, over 4");
    assert!(run.runs());
    firm.admin("update stock set n = 3");
    run.ended().0.ends(0);
    all_purged(&firm);
    let many = "orders a, orders b, orders c, orders d, orders e, orders f, orders g, orders h, orders i, orders j";
    firm.change_policy("SELECT n FROM stock", &format!("SELECT COUNT(*) FROM {many}"));
    let begun = Instant::now();
    let check = firm.bewaard(&["check"]).ends(0).err;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(check.contains("B281") && check.contains("the statement took too long"), "{check}");
}

fn a_stop_ends_a_run_that_a_server_holds_within_a_second(kind: Kind) {
    let firm = firm(kind, &[], "query = { sql = \"SELECT n FROM stock\", above = 0 }").approved();
    firm.admin("update stock set n = 1");
    let run = start(&firm, &["run"]);
    held_by(&firm, "query");
    run.signal("TERM");
    let (said, took) = run.ended();
    assert!(said.ends(0).err.contains("stopped by you"));
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(firm.count("select count(*) from customers"), 20);
    firm.verified();
}

fn a_replica_that_never_answers_keeps_no_stop_waiting(kind: Kind) {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let brakes = format!("replicas = [{{ host = \"127.0.0.1\", port = {port} }}]");
    let firm = firm(kind, &[], &brakes).approved();
    let run = start(&firm, &["run"]);
    let (_open, _) = silent.accept().unwrap();
    run.signal("INT");
    let (said, took) = run.ended();
    assert!(said.ends(0).err.contains("stopped by you"));
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(firm.count("select count(*) from customers"), 20);
}

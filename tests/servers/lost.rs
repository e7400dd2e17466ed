//! Faults in pairs: COMMIT did not arrive, or it did and the answer was lost. What became of it is found out.

use crate::firm::{Firm, by_kind, outcomes, tables};
use crate::proxy::{Cut, Proxy};
use crate::settled::rule;
use crate::support::servers::{Kind, Server};

on_both!(
    a_lost_answer_is_settled_within_the_run,
    whatever_the_line_does_at_commit_is_settled_and_never_guessed,
    a_transaction_whose_client_fell_silent_is_ended_by_the_server,
    a_commit_that_comes_late_is_waited_for_and_is_ours,
    a_lost_answer_of_a_server_that_stays_away_is_settled_by_the_next_run,
    what_is_in_flight_on_a_system_is_settled_before_its_next_rule,
    a_server_that_was_killed_is_told_and_what_was_in_flight_is_settled_later,
    a_server_that_is_away_ends_the_run_and_the_ledger_knows_nothing,
);

const DUE: u64 = 10;

fn whole() -> String {
    rule("limits.share = \"100 %\"")
}

fn firm(kind: Kind, batch_table: bool) -> (Firm, Proxy) {
    let proxy = Proxy::before(kind.shared().port);
    let firm = Firm::behind(kind, proxy.port, &whole(), &tables(kind, 20));
    if batch_table {
        firm.change_policy("[system.shop]\n", "[system.shop]\nbatch-table = true\n");
        create_batch_table(&firm);
    }
    (firm.approved(), proxy)
}

/// On PostgreSQL the account may not make tables in `public` by itself; an administrator makes this one.
pub(crate) fn create_batch_table(firm: &Firm) {
    firm.admin(by_kind(
        firm.kind(),
        "select 1",
        "create table bewaard_batch (id text primary key, committed_at timestamptz not null default now())",
    ));
}

/// After all of it: everything due is gone, nothing else, each with one entry, and the log verifies.
fn all_is_well(firm: &Firm, what: &str) {
    assert_eq!(firm.count("select count(*) from customers where id % 2 = 0"), 0, "{what}");
    assert_eq!(firm.count("select count(*) from customers"), 20 - DUE, "{what}");
    assert_eq!(firm.count("select count(*) from orders"), 20 - DUE, "{what}");
    let words = outcomes(firm);
    let gone = words.get("erased").unwrap_or(&0) + words.get("gone-unexplained").unwrap_or(&0);
    assert_eq!(gone, DUE, "{what}: {words:?}");
    assert_eq!(words.get("unknown"), None, "{what}: {words:?}");
    assert_eq!(std::fs::read_dir(firm.file("state").join("inflight")).unwrap().count(), 0, "{what}");
    firm.verified();
}

/// What must be told of a batch whose COMMIT did or did not happen.
fn word(kind: Kind, cut: Cut, batch_table: bool) -> &'static str {
    match (cut, batch_table, kind) {
        (Cut::BeforeCommit | Cut::InCommit | Cut::SilentBeforeCommit, _, _) => "not-done",
        // PostgreSQL knows by the transaction's number, the batch table by its row; else only that they are gone.
        (_, true, _) | (_, false, Kind::Postgres) => "erased",
        (_, false, Kind::Mariadb) => "gone-unexplained",
    }
}

const ALL: [(Cut, bool); 4] =
    [(Cut::BeforeCommit, false), (Cut::BeforeAnswer, false), (Cut::BeforeCommit, true), (Cut::BeforeAnswer, true)];

fn a_lost_answer_is_settled_within_the_run(kind: Kind) {
    for (cut, batch_table) in ALL {
        let what = format!("{cut:?}, batch table: {batch_table}");
        let (firm, proxy) = firm(kind, batch_table);
        proxy.cut(cut, false);
        let said = firm.bewaard(&["run", "--json"]);
        assert_eq!(proxy.cuts(), 1, "{what}: {}{}", said.out, said.err);
        let run = said.json()["runs"][0].clone();
        assert_eq!(run[word(kind, cut, batch_table)], DUE, "{what}: {run}");
        let left = if cut == Cut::BeforeCommit { DUE } else { 0 };
        assert_eq!(firm.count("select count(*) from customers where id % 2 = 0"), left, "{what}");
        firm.bewaard(&["run"]).ends(0);
        all_is_well(&firm, &what);
    }
}

/// A run that waits for a silent line for two seconds only, and for a lock for one.
fn impatient(firm: &Firm) -> crate::bench::Said {
    let mut run = firm.command(&["run", "--json"]);
    run.env("BEWAARD_SILENCE_LIMIT", "2").env("BEWAARD_LOCK_LIMIT", "1");
    crate::bench::said(&run.output().unwrap())
}

fn whatever_the_line_does_at_commit_is_settled_and_never_guessed(kind: Kind) {
    for cut in [Cut::InCommit, Cut::HalfClosed, Cut::SilentBeforeCommit, Cut::SilentBeforeAnswer] {
        let what = format!("{cut:?}");
        let (firm, proxy) = firm(kind, false);
        proxy.cut(cut, false);
        let said = impatient(&firm);
        assert_eq!(proxy.cuts(), 1, "{what}: {}{}", said.out, said.err);
        let told = outcomes(&firm);
        // A transaction whose client says nothing still has its locks: then nothing can be told yet.
        let open = cut == Cut::SilentBeforeCommit;
        assert!(open || told.contains_key(word(kind, cut, false)), "{what}: {told:?} {}{}", said.out, said.err);
        proxy.close();
        proxy.open();
        firm.bewaard(&["run"]).ends(0);
        assert_eq!(outcomes(&firm).get(word(kind, cut, false)), Some(&DUE), "{what}");
        all_is_well(&firm, &what);
    }
}

fn a_transaction_whose_client_fell_silent_is_ended_by_the_server(kind: Kind) {
    let (firm, proxy) = firm(kind, false);
    proxy.cut(Cut::SilentBeforeCommit, false);
    let mut run = firm.command(&["run"]);
    run.env("BEWAARD_SILENCE_LIMIT", "1").env("BEWAARD_LOCK_LIMIT", "1").env("BEWAARD_IDLE_LIMIT", "3");
    run.output().unwrap();
    assert_eq!(proxy.cuts(), 1);
    // The line is open as ever, and yet somebody else gets the record.
    let mut other = firm.session();
    other.sql(by_kind(kind, "set innodb_lock_wait_timeout = 20", "set lock_timeout = '20s'"));
    other.sql("update customers set last_login = last_login where id = 2");
    assert!(other.end(), "a lock was not given back");
}

fn a_commit_that_comes_late_is_waited_for_and_is_ours(kind: Kind) {
    let (firm, proxy) = firm(kind, true);
    proxy.cut(Cut::Held, false);
    let said = impatient(&firm);
    assert_eq!(proxy.cuts(), 1, "{}{}", said.out, said.err);
    assert_ne!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(outcomes(&firm), [].into(), "the transaction may still be committed: {}{}", said.out, said.err);
    proxy.let_through();
    firm.bewaard(&["run"]).ends(0);
    assert_eq!(outcomes(&firm).get("erased"), Some(&DUE));
    all_is_well(&firm, "late");
}

fn a_lost_answer_of_a_server_that_stays_away_is_settled_by_the_next_run(kind: Kind) {
    for (cut, batch_table) in ALL {
        let what = format!("{cut:?}, batch table: {batch_table}");
        let (firm, proxy) = firm(kind, batch_table);
        proxy.cut(cut, true);
        let said = firm.bewaard(&["run", "--json"]).ends(69);
        assert_eq!(proxy.cuts(), 1, "{what}: {}{}", said.out, said.err);
        assert_eq!(firm.entries("outcome").len(), 0, "{what}: nothing is guessed");
        firm.verified();
        firm.bewaard(&["run"]).ends(69);
        assert_eq!(firm.entries("outcome").len(), 0, "{what}: nor at the next try");
        proxy.open();
        let run = firm.bewaard(&["run", "--json"]).ends(0).json();
        assert_eq!(run["recovered"], 1, "{what}: {run}");
        let words = outcomes(&firm);
        assert_eq!(words.get(word(kind, cut, batch_table)), Some(&DUE), "{what}: {words:?}");
        all_is_well(&firm, &what);
    }
}

fn what_is_in_flight_on_a_system_is_settled_before_its_next_rule(kind: Kind) {
    let proxy = Proxy::before(kind.shared().port);
    // Rules run in the order of their names: `old` first.
    let other = whole().replace("rule.old", "rule.older").replace("keep = \"2 years\"", "keep = \"3 years\"");
    let other = other.replace("table = \"customers\"", "table = \"suppliers\"");
    let other = other.replace("children = [{ table = \"orders\", on = \"customer_id\" }]\n", "");
    let moment = by_kind(kind, "datetime", "timestamp");
    let schema = format!("{} create table suppliers (id int primary key, last_login {moment});", tables(kind, 20));
    let firm = Firm::behind(kind, proxy.port, &format!("{}{other}", whole()), &schema).approved();
    proxy.cut(Cut::BeforeCommit, false);
    proxy.refuse_then(1);
    let said = firm.bewaard(&["run", "--json"]).ends(69);
    let words = outcomes(&firm);
    assert_eq!(words.get("not-done"), Some(&DUE), "{words:?} {}{}", said.out, said.err);
    firm.bewaard(&["run"]).ends(0);
    all_is_well(&firm, "two rules");
}

fn a_server_that_is_away_ends_the_run_and_the_ledger_knows_nothing(kind: Kind) {
    let (firm, proxy) = firm(kind, false);
    proxy.close();
    firm.bewaard(&["run", "--json"]).ends(69);
    let status = firm.bewaard(&["status", "--json"]).ends(0).json();
    assert_eq!(status["state"], "unknown", "{status}");
    firm.bewaard(&["check"]).ends(69);
    proxy.open();
    firm.bewaard(&["run"]).ends(0);
    all_is_well(&firm, "a server that was away");
    assert_eq!(firm.bewaard(&["status", "--json"]).ends(0).json()["state"], "green");
}

fn a_server_that_was_killed_is_told_and_what_was_in_flight_is_settled_later(kind: Kind) {
    // A server of its own, for it dies.
    let server: &'static Server = Box::leak(Box::new(Server::start(kind)));
    let firm = Firm::on(server, &whole(), &tables(kind, 20)).approved();
    let run = firm.paused_at("before-commit");
    server.kill();
    let said = run.go_on().ends(69);
    assert!(!said.err.contains("panicked"), "{}", said.err);
    assert_eq!(firm.entries("batch-intended").len(), 1);
    assert_eq!(firm.bewaard(&["status", "--json"]).ends(0).json()["state"], "unknown");
    firm.verified();
}

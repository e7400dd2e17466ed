//! kill -9 of the real binary at every named point, on real servers: afterwards log and database agree to the record.

use crate::bench::said;
use crate::firm::{Firm, by_kind, outcomes, tables};
use crate::lost::create_batch_table;
use crate::settled::{Expected, all_is_settled, rule};
use crate::support::servers::Kind;
use crate::sweep::{kills, passed};

on_both!(
    a_kill_at_any_point_of_a_run_loses_nothing_and_claims_nothing,
    a_kill_in_the_second_batch_leaves_the_first_alone,
    with_a_batch_table_a_committed_batch_is_ours,
    recovery_itself_may_be_killed,
    a_kill_between_anonymised_records_is_settled_by_their_final_form,
);

/// A rule whose whole run is one or two batches.
fn whole() -> String {
    rule("limits = { share = \"100 %\", first-bite = 0 }")
}

const FIELDS: &str = r#"[rule.fields]
system = "shop"
records.table = "customers"
since.column = "last_login"
keep = "2 years"
because = "test"
then.anonymise = { email = { template = "weg-{key}@example.invalid" } }
limits = { share = "100 %", first-bite = 0 }
"#;

fn kill_at(firm: &Firm, point: &str) {
    let said = said(&firm.command(&["run"]).env("BEWAARD_CRASH_AT", point).output().unwrap());
    assert_eq!(said.code, -1, "it was to be killed at {point}: {}{}", said.out, said.err);
}

/// Whatever happened: the log verifies, every pair has one final outcome, and both agree.
fn settle_and_check(firm: &Firm, point: &str, due: u64) -> std::collections::BTreeMap<String, u64> {
    firm.bewaard(&["log", "verify"]).ends(0);
    firm.bewaard(&["run", "--json"]).ends(0);
    assert_eq!(all_is_settled(firm, &Expected::upto(i64::try_from(due * 2).unwrap())), Ok(()), "{point}");
    let words = outcomes(firm);
    let gone = words.get("erased").unwrap_or(&0) + words.get("gone-unexplained").unwrap_or(&0);
    assert_eq!(gone, due, "{point}: each record that went has one entry: {words:?}");
    words
}

fn a_kill_at_any_point_of_a_run_loses_nothing_and_claims_nothing(kind: Kind) {
    let listing = Firm::new(kind, &whole(), &tables(kind, 12)).approved();
    let (ended, points) = passed(listing.command(&["run"]));
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(points.iter().any(|point| point == "after-commit"), "{points:?}");
    for point in kills(&points) {
        let firm = Firm::new(kind, &whole(), &tables(kind, 12)).approved();
        kill_at(&firm, &point);
        let words = settle_and_check(&firm, &point, 6);
        // PostgreSQL knows what became of the transaction; MariaDB without a batch table only that they are gone.
        if point.starts_with("after-commit") {
            let told = by_kind(kind, "gone-unexplained", "erased");
            assert_eq!(words.get(told), Some(&6), "{point}: {words:?}");
        }
    }
}

fn a_kill_in_the_second_batch_leaves_the_first_alone(kind: Kind) {
    // At the fast pace the first one's outcomes are written, and it is looked for, while the second is under way.
    let points =
        ["inflight-written#2", "after-lock#2", "after-record#2", "after-commit#2", "outcomes-written", "looked"];
    for (pace, point) in ["gentle", "fast"].iter().flat_map(|pace| points.map(|point| (pace, point))) {
        let firm = Firm::new(kind, &whole(), &tables(kind, 1020));
        firm.change_policy("[system.shop]\n", &format!("[system.shop]\nbrakes.pace = \"{pace}\"\n"));
        let firm = firm.approved();
        kill_at(&firm, point);
        settle_and_check(&firm, point, 510);
    }
}

fn with_a_batch_table_a_committed_batch_is_ours(kind: Kind) {
    for point in ["intent-written", "after-record", "before-commit", "after-commit", "erased"] {
        let firm = Firm::new(kind, &whole(), &tables(kind, 12));
        firm.change_policy("[system.shop]\n", "[system.shop]\nbatch-table = true\n");
        create_batch_table(&firm);
        let firm = firm.approved();
        kill_at(&firm, point);
        let words = settle_and_check(&firm, point, 6);
        assert_eq!(words.get("erased"), Some(&6), "{point}: {words:?}");
        let not_done = !["after-commit", "erased"].contains(&point);
        assert_eq!(words.get("not-done"), not_done.then_some(&6), "{point}: {words:?}");
        assert!(firm.entries("outcome").iter().any(|entry| entry["recovered"] == true), "{point}");
    }
}

fn recovery_itself_may_be_killed(kind: Kind) {
    for point in ["recover-batch", "recover-settled", "recover-recorded"] {
        let firm = Firm::new(kind, &whole(), &tables(kind, 12)).approved();
        kill_at(&firm, "after-commit");
        kill_at(&firm, point);
        settle_and_check(&firm, point, 6);
    }
}

fn a_kill_between_anonymised_records_is_settled_by_their_final_form(kind: Kind) {
    for point in ["after-record", "after-commit"] {
        let firm = Firm::new(kind, FIELDS, &tables(kind, 12)).approved();
        kill_at(&firm, point);
        firm.bewaard(&["run"]).ends(0);
        firm.verified();
        let done = "select count(*) from customers where email = concat('weg-', id, '@example.invalid')";
        assert_eq!(firm.count(done), 6, "{point}");
        assert_eq!(firm.count("select count(*) from customers where email like 'k@%'"), 6, "{point}");
        let words = outcomes(&firm);
        let ours = if point == "after-commit" && kind == Kind::Mariadb { "gone-unexplained" } else { "anonymised" };
        assert_eq!(words.get(ours), Some(&6), "{point}: {words:?}");
    }
}

#[test]
fn a_transaction_that_still_runs_is_waited_for_on_postgres() {
    let kind = Kind::Postgres;
    let firm = Firm::new(kind, &whole(), &tables(kind, 12)).approved();
    kill_at(&firm, "after-commit");
    let folder = firm.file("state").join("inflight");
    let mut files = std::fs::read_dir(&folder).unwrap().map(|item| item.unwrap().path());
    let path = files.find(|path| path.extension().is_some_and(|end| end == "xid")).unwrap();
    let ticket = std::fs::read_to_string(&path).unwrap();
    let (ours, place) = ticket.split_once('/').unwrap();
    // The number of a transaction that is open, in the place of ours.
    let mut other = firm.session();
    let told = other.sql("begin; select pg_current_xact_id()");
    let number = told.lines().last().unwrap().trim();
    assert!(number.parse::<u64>().unwrap() > ours.parse().unwrap(), "{told}");
    let mend = |number: &str| {
        let (text, scratch) = (format!("{number}/{place}"), firm.file("state"));
        bewaard::durable::replace(&path, text.as_bytes(), 0o600, &scratch).unwrap();
    };
    mend(number);
    let said = firm.bewaard(&["run", "--json"]).ends(75);
    assert!(said.err.contains("still runs"), "{}", said.err);
    assert_eq!(firm.entries("outcome").len(), 0, "nothing is said of it before it ended");
    firm.verified();
    assert!(other.end());
    mend(ours);
    let words = settle_and_check(&firm, "a transaction that still ran", 6);
    assert_eq!(words.get("erased"), Some(&6), "{words:?}");
}

//! At the fast pace one batch is locked and judged while the one before it is erased: whatever meets the two, nothing is
//! lost, nothing is claimed, and who is held stays.

use std::collections::BTreeMap;
use std::process::Command;

use crate::bench::said;
use crate::firm::{Firm, by_kind, numbers, outcomes, tables};
use crate::settled::{Expected, all_is_settled, rule};
use crate::support::servers::Kind;

on_both!(
    the_next_batch_is_intended_before_the_outcomes_of_the_last,
    batches_whose_rows_touch_do_not_meet,
    a_kill_with_two_batches_open_loses_nothing_and_claims_nothing,
    a_hold_that_is_placed_between_two_batches_binds_the_second_though_it_is_judged,
    two_batches_that_meet_go_one_after_the_other,
    a_batch_that_the_system_stops_takes_the_one_behind_it_along,
);

/// Due records of [`firm`]: batches of 500, 1,000 and 20.
const DUE: u64 = 1_520;

fn firm(kind: Kind) -> Firm {
    let rule = rule("person.email = \"email\"\nlimits = { share = \"100 %\", first-bite = 0 }");
    let firm = Firm::new(kind, &rule, &tables(kind, 3_040));
    firm.change_policy("[system.shop]\n", "[system.shop]\nbrakes.pace = \"fast\"\n");
    firm.approved()
}

fn settled(firm: &Firm, what: &str) -> BTreeMap<String, u64> {
    assert_eq!(all_is_settled(firm, &Expected::upto(i64::try_from(DUE * 2).unwrap())), Ok(()), "{what}");
    firm.verified();
    outcomes(firm)
}

/// What is in flight in the log, entry by entry: how many batches are intended and lack outcomes.
fn open_batches(firm: &Firm) -> Vec<usize> {
    let (mut open, mut counts) = (BTreeMap::<String, u64>::new(), Vec::new());
    let entries = firm.bewaard(&["log", "show", "--json"]).ends(0).json();
    for entry in entries["entries"].as_array().unwrap() {
        let batch = entry["batch"].as_str().unwrap_or_default().to_string();
        match entry["kind"].as_str() {
            Some("batch-intended") => drop(open.insert(batch, entry["count"].as_u64().unwrap())),
            Some("outcome") => {
                let left = open.get_mut(&batch).unwrap();
                *left -= 1;
                if *left == 0 {
                    open.remove(&batch);
                }
            }
            _ => {}
        }
        counts.push(open.len());
    }
    assert!(open.is_empty());
    counts
}

/// At most how many at one time.
fn most_open(firm: &Firm) -> usize {
    open_batches(firm).into_iter().max().unwrap_or(0)
}

/// How often a second batch was intended while one was open.
fn overlaps(firm: &Firm) -> usize {
    open_batches(firm).windows(2).filter(|pair| pair == &[1, 2]).count()
}

/// How many batches there were.
fn batches(firm: &Firm) -> usize {
    open_batches(firm).windows(2).filter(|pair| pair[1] > pair[0]).count()
}

fn the_next_batch_is_intended_before_the_outcomes_of_the_last(kind: Kind) {
    let firm = firm(kind);
    let run = firm.run_one(0);
    assert_eq!(run["erased"], DUE, "{run}");
    assert_eq!(most_open(&firm), 2, "two at a time, and never more");
    assert_eq!(settled(&firm, "a whole run"), [("erased".into(), DUE)].into());
}

/// The last row of a batch is the neighbour of the first of the next: whoever locks the row behind its own would wait.
fn batches_whose_rows_touch_do_not_meet(kind: Kind) {
    let moment = by_kind(kind, "datetime", "timestamp");
    let table = format!(
        "create table contacts (id int primary key, seen {moment}); create index c_seen on contacts(seen);
         insert into contacts select i, timestamp '2019-05-06 10:00:00' from {};",
        numbers(kind, 8_000)
    );
    let rule = "[rule.old]\nsystem = \"shop\"\nrecords.table = \"contacts\"\nsince.column = \"seen\"\nkeep = \"2 years\"\n\
                because = \"test\"\nlimits = { share = \"100 %\", first-bite = 0 }\nthen.delete = true\n";
    let firm = Firm::new(kind, rule, &table);
    firm.change_policy("[system.shop]\n", "[system.shop]\nbrakes.pace = \"fast\"\n");
    let firm = firm.approved();
    let run = firm.run_one(0);
    assert_eq!(run["erased"], 8_000, "{run}");
    assert!(batches(&firm) > 3, "{}", batches(&firm));
    // Who meets another goes alone from there on.
    assert_eq!(overlaps(&firm), batches(&firm) - 1, "each of them was intended while the one before it was erased");
    firm.verified();
}

fn a_kill_with_two_batches_open_loses_nothing_and_claims_nothing(kind: Kind) {
    for point in [
        "intent-written#2",
        "turn",
        "erased",
        "after-commit#2",
        "turn#2",
        "outcomes-written",
        "intent-written#3",
        "outcomes-written#2",
    ] {
        let firm = firm(kind);
        let killed = said(&firm.command(&["run"]).env("BEWAARD_CRASH_AT", point).output().unwrap());
        assert_eq!(killed.code, -1, "it was to be killed at {point}: {}{}", killed.out, killed.err);
        firm.bewaard(&["log", "verify"]).ends(0);
        firm.bewaard(&["run", "--json"]).ends(0);
        let words = settled(&firm, point);
        let gone = words.get("erased").unwrap_or(&0) + words.get("gone-unexplained").unwrap_or(&0);
        assert_eq!(gone, DUE, "{point}: each record that went has one entry: {words:?}");
    }
}

fn a_hold_that_is_placed_between_two_batches_binds_the_second_though_it_is_judged(kind: Kind) {
    let firm = firm(kind);
    firm.admin("update customers set email = 'held@canary.example' where id = 1200");
    let run = firm.paused_at("turn");
    // The first batch has ended: those with keys up to 1,000. The second has its locks.
    let hold = ["hold", "add", "--reason", "a dispute", "--review", "2027-03-01"];
    firm.bewaard_with_input(&hold, "email: held@canary.example\n").ends(0);
    let said = run.go_on().ends(0).json();
    let run = &said["runs"][0];
    assert_eq!((&run["erased"], &run["withheld"]), (&(DUE - 1).into(), &1.into()), "{run}");
    assert_eq!(firm.count("select count(*) from customers where id = 1200"), 1);
    firm.verified();
}

/// Each deletion writes a row of the batch behind it, which has locked it by then and waits.
fn two_batches_that_meet_go_one_after_the_other(kind: Kind) {
    let firm = firm(kind);
    let update = "update customers set email = 'n@canary.example' where id = old.customer_id + 1000";
    firm.admin(&by_kind(
        kind,
        format!("create trigger touch after delete on orders for each row {update}"),
        format!(
            "create function touch() returns trigger language plpgsql as $$ begin {update}; return null; end $$; \
             create trigger touch after delete on orders for each row execute function touch()"
        ),
    ));
    firm.plan_and_approve();
    let mut command: Command = firm.command(&["run", "--json"]);
    let said = said(&command.env("BEWAARD_LOCK_LIMIT", "1").output().unwrap()).ends(0).json();
    let run = &said["runs"][0];
    assert_eq!(run["erased"], DUE, "{run}");
    assert_eq!(settled(&firm, "batches that meet"), [("erased".into(), DUE)].into());
}

fn a_batch_that_the_system_stops_takes_the_one_behind_it_along(kind: Kind) {
    let firm = firm(kind);
    let run = firm.paused_at("batch-filled");
    // From now on nothing can be deleted.
    firm.admin(&by_kind(
        kind,
        "create trigger no before delete on orders for each row signal sqlstate '45000' set message_text = 'no'"
            .to_string(),
        "create function no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$; \
         create trigger no before delete on orders for each row execute function no()"
            .to_string(),
    ));
    let said = run.go_on();
    assert_ne!(said.code, 0, "{}", said.out);
    assert_eq!(firm.count("select count(*) from customers"), DUE * 2, "{}", said.out);
    let words = outcomes(&firm);
    assert_eq!(words.keys().filter(|word| !["failed", "not-done"].contains(&word.as_str())).count(), 0, "{words:?}");
    firm.verified();
}

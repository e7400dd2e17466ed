//! kill -9 of the real binary at every named point of a run: afterwards log and database agree to the record.

use std::os::unix::fs::MetadataExt;

use crate::bench::{Bench, said};
use crate::settled::{Expected, all_is_settled, rule, tables};

/// 650 of these are due: two batches.
const CUSTOMERS: i64 = 1_300;

fn whole() -> String {
    rule("limits = { share = \"100 %\", first-bite = 0 }")
}

/// Points of a batch, in order; `#2` is the second batch.
const POINTS: [&str; 19] = [
    "batch-filled",
    "inflight-written",
    "append-write",
    "append-fsync",
    "intent-written",
    "after-lock",
    "after-read",
    "after-children",
    "after-record",
    "before-commit",
    "after-commit",
    "erased",
    "head-append",
    "head-fsync",
    "last-head",
    "outcomes-written",
    "inflight-removed",
    "batch-filled#2",
    "after-commit#2",
];

/// Points of the second batch and of the end of the first, which are one at the fast pace: while the second is locked and
/// read, outcomes, head and look of the first are under way.
const OVERLAPPING: [&str; 14] = [
    "inflight-written#2",
    "append-write#2",
    "append-half#2",
    "append-fsync#2",
    "outcomes-written",
    "intent-written#2",
    "after-lock#2",
    "after-read#2",
    "before-commit#2",
    "after-commit#2",
    "looked",
    "inflight-removed",
    "erased#2",
    "outcomes-written#2",
];

fn killed_at(point: &str) -> Bench {
    killed(Bench::new(&whole(), &tables(CUSTOMERS)), point)
}

fn killed_at_the_fast_pace(point: &str) -> Bench {
    let bench = Bench::new(&whole(), &tables(CUSTOMERS));
    bench.change_policy("[system.shop]\n", "[system.shop]\nbrakes.pace = \"fast\"\n");
    killed(bench, point)
}

fn killed(bench: Bench, point: &str) -> Bench {
    bench.approve_all();
    let said = said(&bench.command(&["run"]).env("BEWAARD_CRASH_AT", point).output().unwrap());
    assert_eq!(said.code, -1, "it was to be killed at {point}: {}{}", said.out, said.err);
    bench
}

/// Whatever happened: the log verifies, every pair has one final outcome, and both agree.
fn settle_and_check(bench: &Bench, point: &str) {
    bench.bewaard(&["log", "verify"]).ends(0);
    bench.bewaard(&["run", "--json"]).ends(0);
    assert_eq!(all_is_settled(bench, &Expected::upto(CUSTOMERS)), Ok(()), "{point}");
}

#[test]
fn t05_a_kill_at_any_point_loses_nothing_and_claims_nothing() {
    for point in POINTS {
        let bench = killed_at(point);
        settle_and_check(&bench, point);
    }
}

#[test]
fn a_kill_where_two_batches_overlap_loses_nothing_and_claims_nothing() {
    for point in OVERLAPPING {
        let bench = killed_at_the_fast_pace(point);
        settle_and_check(&bench, point);
    }
}

#[test]
fn with_a_batch_table_a_committed_batch_is_ours() {
    let bench = Bench::new(&whole(), &tables(CUSTOMERS));
    bench.change_policy("sqlite.path = \"shop.db\"", "sqlite.path = \"shop.db\"\nbatch-table = true");
    bench.approve_all();
    let said = said(&bench.command(&["run"]).env("BEWAARD_CRASH_AT", "after-commit").output().unwrap());
    assert_eq!(said.code, -1);
    bench.bewaard(&["run"]).ends(0);
    let outcomes = bench.entries("outcome");
    assert!(outcomes.iter().all(|entry| entry["result"] == "erased"), "known by the batch row, so ours");
    assert!(outcomes.iter().any(|entry| entry["recovered"] == true));
    settle_and_check(&bench, "after-commit with a batch table");
}

#[test]
fn recovery_itself_may_be_killed() {
    for point in ["recover-batch", "recover-settled", "recover-recorded"] {
        let bench = killed_at("after-commit");
        let said = said(&bench.command(&["run"]).env("BEWAARD_CRASH_AT", point).output().unwrap());
        assert_eq!(said.code, -1, "{point}");
        settle_and_check(&bench, point);
    }
}

#[test]
fn a_missing_or_foreign_in_flight_file_freezes_the_rule_until_a_person_settles_it() {
    for damage in ["missing", "altered"] {
        let bench = killed_at("after-commit");
        let folder = bench.file("state").join("inflight");
        let file = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_none())
            .unwrap();
        let batch = file.file_name().unwrap().to_str().unwrap().to_string();
        if damage == "missing" {
            #[expect(clippy::disallowed_methods, reason = "the test does the damage")]
            std::fs::remove_file(&file).unwrap();
        } else {
            bench.write(&format!("state/inflight/{batch}"), "something else");
        }
        let run = bench.bewaard(&["run", "--json"]).ends(3).json();
        assert_eq!(run["beyond_settling"], 1, "{damage}");
        assert_eq!(run["runs"][0]["gate"], "frozen");
        let status = bench.bewaard(&["status", "--json"]).ends(0).json();
        assert_eq!(status["state"], "stopped");
        bench.bewaard(&["resume", "old", "--reason", "x"]).ends(3);
        bench.bewaard(&["settle", &batch, "--as", "gone", "--reason", "the backup shows it"]).ends(0);
        bench.bewaard(&["run"]).ends(0);
        bench.verified();
        assert_eq!(bench.number("select count(*) from customers where id % 2 = 0"), 0);
    }
}

#[test]
fn room_in_the_log_is_kept_for_the_outcomes_of_both_batches() {
    // The first batch is gone, its outcomes are not yet written, and the second is about to be intended.
    let bench = killed_at_the_fast_pace("inflight-written#2");
    let journal = std::fs::read_dir(bench.file("log/journal")).unwrap().next().unwrap().unwrap();
    let about = journal.metadata().unwrap();
    let room = about.blocks() * 512 - about.len();
    // Of 640 bytes at most each.
    assert!(room >= 650 * 640, "{room} bytes are kept");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(all_is_settled(&bench, &Expected::upto(CUSTOMERS)), Ok(()));
}

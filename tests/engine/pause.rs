//! The stop that always works: by command, file and signal; only a person ends it. Holds bind the next batch.

use std::time::Instant;

use crate::bench::Bench;
use crate::customers::{RULE, customers_where};
use crate::paused::pause;

fn approved() -> Bench {
    // All are due: a bite and then four batches.
    let bench = Bench::new(RULE, &customers_where(2_000, "true"));
    bench.approve_all();
    bench
}

/// Whatever paused it: the run that went on ends, nothing starts, and a person ends it.
fn refuses_until_resumed(bench: &Bench, left: u64) {
    let run = bench.bewaard(&["run", "--json"]).ends(3).json();
    assert_eq!(run["runs"][0]["gate"], "paused");
    assert_eq!(bench.number("select count(*) from customers"), left);
    assert_eq!(bench.bewaard(&["status", "--json"]).ends(0).json()["state"], "stopped");
    let why = bench.bewaard(&["status", "--why", "old"]).ends(0).out;
    assert!(why.contains("bewaard resume --reason"), "{why}");
    bench.bewaard(&["resume", "old", "--reason", "only the rule"]).ends(0);
    bench.bewaard(&["run"]).ends(3);
    bench.bewaard(&["resume", "--reason", "looked"]).ends(0);
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 0);
    let changes: Vec<String> =
        bench.entries("pause-changed").iter().map(|one| one["change"].as_str().unwrap().into()).collect();
    assert_eq!(changes, ["paused", "resumed"]);
    bench.verified();
}

#[test]
fn a_command_stops_a_run_between_two_batches() {
    let bench = approved();
    let run = pause(&bench, "inflight-removed", &["run", "--json"]);
    bench.bewaard(&["pause", "--reason", "wrong import"]).ends(0);
    bench.bewaard(&["pause", "--reason", "again"]).ends(0);
    let started = Instant::now();
    let said = run.go_on().ends(3).json();
    assert!(started.elapsed().as_secs() < 20, "it ended with the batch");
    assert_eq!((said["runs"][0]["how"].as_str(), said["runs"][0]["erased"].as_u64()), (Some("stopped"), Some(10)));
    refuses_until_resumed(&bench, 1990);
}

#[test]
fn a_file_stops_a_run_and_removing_it_does_not_end_the_pause() {
    let bench = approved();
    let run = pause(&bench, "inflight-removed", &["run", "--json"]);
    bench.write("state/pause", "");
    let said = run.go_on().ends(3).json();
    assert_eq!(said["runs"][0]["erased"], 10);
    let file = bench.file("state/pause");
    let removed = std::process::Command::new("rm").arg(&file).status();
    assert!(removed.unwrap().success());
    refuses_until_resumed(&bench, 1990);
    assert!(!file.exists());
}

#[test]
fn a_file_that_lies_there_before_the_run_stops_it_at_once() {
    let bench = approved();
    bench.write("state/pause", "");
    assert_eq!(bench.bewaard(&["status", "--json"]).ends(0).json()["paused"], true);
    refuses_until_resumed(&bench, 2000);
}

#[test]
fn a_signal_stops_a_run() {
    let bench = approved();
    let run = pause(&bench, "inflight-removed", &["run", "--json"]);
    run.signal("USR1");
    let said = run.go_on().ends(3).json();
    assert_eq!(said["runs"][0]["erased"], 10);
    refuses_until_resumed(&bench, 1990);
}

#[test]
fn t13_ctrl_c_ends_a_run_between_two_batches_and_the_next_goes_on() {
    let bench = approved();
    let run = pause(&bench, "inflight-removed", &["run"]);
    run.signal("INT");
    let said = run.go_on().ends(0);
    assert!(said.err.contains("stopped by you"), "{}", said.err);
    assert_eq!(bench.number("select count(*) from customers"), 1990);
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 0);
    bench.verified();
}

#[test]
fn t17_a_hold_that_comes_in_mid_run_binds_the_next_batch() {
    let bench = approved();
    let run = pause(&bench, "inflight-removed", &["run", "--json"]);
    let args = ["hold", "add", "--reason", "complaint", "--review", "2027-01-01"];
    bench.bewaard_with_input(&args, "email: K1500@canary.example\n").ends(0);
    run.go_on().ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 1);
    assert_eq!(bench.number("select count(*) from customers where id = 1500"), 1);
    bench.verified();
}

#[test]
fn no_core_is_left_of_what_was_in_memory() {
    let bench = approved();
    let run = pause(&bench, "inflight-removed", &["run"]);
    let limits = String::from_utf8(run.proc("limits")).unwrap();
    let core: Vec<&str> =
        limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().split_whitespace().collect();
    assert!(core[4..6].iter().all(|limit| ["0", "1"].contains(limit)), "{core:?}");
}

//! Brakes of the host and of the policy: they hold a run between two batches, are named, released, and heed every stop.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Timelike};

use crate::bench::Bench;
use crate::customers::{RULE, customers_where};
use crate::started::{held_by, start};

/// All are due; `brakes` is what `[system.shop.brakes]` says.
fn firm(brakes: &str) -> Bench {
    let bench = Bench::new(&format!("[system.shop.brakes]\n{brakes}\n\n{RULE}"), &customers_where(50, "true"));
    bench.sql("create table jobs (id integer primary key)");
    bench.approve_all();
    bench
}

const JOBS: &str = "query = { sql = \"SELECT COUNT(*) FROM jobs\", above = 0 }";

fn customers(bench: &Bench) -> u64 {
    bench.number("select count(*) from customers")
}

/// "HH:MM" in the policy's zone, so many hours from now.
fn clock(hours: i64) -> String {
    let at = (bewaard::now::now() + TimeDelta::hours(hours)).with_timezone(&chrono_tz::Europe::Amsterdam);
    format!("{:02}:{:02}", at.hour(), at.minute())
}

#[test]
fn a_query_of_ones_own_holds_a_run_until_it_gives_less() {
    let bench = firm(JOBS);
    bench.sql("insert into jobs values (1), (2)");
    let mut run = start(&bench, &["run", "--json"]);
    assert_eq!(held_by(&bench, "query"), "query: 2, over 0");
    let text = bench.bewaard(&["status"]).ends(0).out;
    assert!(text.contains("held by a brake") && text.contains("query: 2, over 0") && text.contains("B511"), "{text}");
    let why = bench.bewaard(&["status", "--why", "old"]).ends(0).out;
    assert!(why.contains("query: 2, over 0"), "{why}");
    assert!(run.runs());
    assert_eq!(customers(&bench), 50, "not even the first bite");
    bench.sql("delete from jobs");
    let (said, _) = run.ended();
    let told = said.ends(0);
    assert!(told.err.contains("system `shop` is held by a brake: query: 2, over 0"), "{}", told.err);
    assert!(told.err.contains("released"), "{}", told.err);
    assert_eq!((told.json()["runs"][0]["how"].as_str(), customers(&bench)), (Some("done"), 0));
    assert_eq!(bench.bewaard(&["status", "--json"]).ends(0).json()["brakes"], serde_json::json!([]));
    bench.verified();
}

#[test]
fn a_run_that_is_held_too_long_ends_and_says_so_and_the_next_goes_on() {
    let bench = firm(&format!("wait = \"1 s\"\n{JOBS}"));
    bench.sql("insert into jobs values (1)");
    let begun = Instant::now();
    let told = bench.bewaard(&["run", "--json"]).ends(75).json();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let run = &told["runs"][0];
    assert_eq!(
        (run["how"].as_str(), run["erased"].as_u64(), run["left"].as_u64()),
        (Some("braked"), Some(0), Some(50))
    );
    assert_eq!(run["brakes"][0]["brake"], "query");
    assert_eq!(bench.entries("run-ended")[0]["how"], "braked");
    let status = bench.bewaard(&["status", "--json"]).ends(0).json();
    assert_eq!(
        (&status["brakes"][0]["waits"], &status["brakes"][0]["on"][0]["brake"]),
        (&false.into(), &"query".into())
    );
    let text = bench.bewaard(&["run"]).ends(75).out;
    assert!(text.contains("held by a brake (query: 1, over 0)") && text.contains("50 records are left"), "{text}");
    bench.sql("delete from jobs");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(customers(&bench), 0);
    assert_eq!(bench.bewaard(&["status", "--json"]).ends(0).json()["brakes"], serde_json::json!([]));
    bench.verified();
}

#[test]
fn a_stop_ends_a_run_that_waits_within_a_second() {
    let bench = firm(JOBS);
    bench.sql("insert into jobs values (1)");
    let run = start(&bench, &["run"]);
    held_by(&bench, "query");
    run.signal("INT");
    let (said, took) = run.ended();
    assert!(said.ends(0).err.contains("stopped by you"));
    assert!(took < Duration::from_secs(1), "{took:?}");
    let run = start(&bench, &["run", "--json"]);
    held_by(&bench, "query");
    bench.write("state/pause", "");
    let (said, took) = run.ended();
    assert_eq!(said.ends(3).json()["runs"][0]["how"], "stopped");
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(customers(&bench), 50);
    bench.verified();
}

#[test]
fn outside_its_windows_a_run_ends_at_once_and_within_one_it_goes() {
    let bench = firm(&format!("windows = [\"{}-{}\"]", clock(3), clock(4)));
    let begun = Instant::now();
    let told = bench.bewaard(&["run", "--json"]).ends(75).json();
    assert!(begun.elapsed() < Duration::from_mins(1), "nobody waits three hours for a window");
    assert_eq!(told["runs"][0]["brakes"][0]["brake"], "windows");
    let text = bench.bewaard(&["status"]).ends(0).out;
    assert!(text.contains("windows: purging is for other times of the day"), "{text}");
    assert_eq!(customers(&bench), 50);
    bench.change_policy(&clock(3), &clock(-1));
    bench.change_policy(&clock(4), &clock(2));
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(customers(&bench), 0);
}

#[test]
fn a_disk_with_less_room_than_the_policy_wants_holds_a_run() {
    let bench = firm("wait = \"1 s\"\ndisk-free = \"4096 TiB\"");
    let told = bench.bewaard(&["run", "--json"]).ends(75).json();
    let brake = &told["runs"][0]["brakes"][0];
    assert_eq!(brake["brake"], "disk-free");
    assert!(brake["words"].as_str().unwrap().contains("are free, under 4194304 GiB"), "{brake}");
    assert_eq!(customers(&bench), 50);
    bench.change_policy("4096 TiB", "1 KiB");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(customers(&bench), 0);
}

#[test]
fn a_file_that_says_that_a_backup_runs_holds_a_run() {
    let bench = firm("backup-locks = [\"backup.pid\"]");
    bench.write("backup.pid", &std::process::id().to_string());
    let run = start(&bench, &["run"]);
    let words = held_by(&bench, "backup");
    assert!(words.contains("backup.pid"), "{words}");
    assert_eq!(customers(&bench), 50);
    // The backup ended and left its file: its process is no more.
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    bench.write("backup.pid", &ended.id().to_string());
    run.ended().0.ends(0);
    assert_eq!(customers(&bench), 0);
}

#[test]
fn a_program_that_makes_a_backup_holds_a_run() {
    let bench = firm("wait = \"1 s\"\nbackup-programs = [\"bewaard-backup\"]");
    let program = bench.file("bewaard-backup");
    std::fs::copy("/bin/sleep", &program).unwrap();
    let mut backup = std::process::Command::new(&program).arg("600").spawn().unwrap();
    let told = bench.bewaard(&["run", "--json"]).ends(75).json();
    backup.kill().unwrap();
    backup.wait().unwrap();
    let brake = &told["runs"][0]["brakes"][0];
    assert_eq!((&brake["brake"], &brake["place"]), (&"backup".into(), &"bewaard-backup".into()));
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(customers(&bench), 0);
}

#[test]
fn a_query_that_gives_no_answer_holds_a_run_and_check_says_why() {
    let six = "customers a, customers b, customers c, customers d, customers e, customers f";
    for (sql, why) in [
        ("SELECT COUNT(*) FROM nowhere", "a table or column is not there"),
        ("SELECT MAX(id) FROM jobs", "the query gives no single number"),
        ("SELECT id FROM customers", "the query gives no single number"),
        (&format!("SELECT COUNT(*) FROM {six}"), "the statement took too long"),
    ] {
        let bench = firm(&format!("wait = \"1 s\"\nquery = {{ sql = \"{sql}\", above = 9 }}"));
        let begun = Instant::now();
        let told = bench.bewaard(&["run", "--json"]).ends(75).json();
        assert!(begun.elapsed() < Duration::from_secs(30), "{sql}");
        let brake = &told["runs"][0]["brakes"][0];
        assert_eq!(brake["brake"], "query", "{sql}");
        assert!(brake["words"].as_str().unwrap().contains(why), "{brake}");
        assert_eq!(customers(&bench), 50);
        let check = bench.bewaard(&["check"]).ends(0).err;
        assert!(check.contains("B281") && check.contains(why), "{check}");
    }
}

#[test]
fn any_brake_holds_though_another_is_released() {
    let bench = firm(&format!("{JOBS}\nbackup-locks = [\"lock\"]"));
    bench.sql("insert into jobs values (1)");
    bench.write("lock", "");
    let mut run = start(&bench, &["run"]);
    held_by(&bench, "query");
    held_by(&bench, "backup");
    bench.sql("delete from jobs");
    crate::paused::wait_until("the query is released", || {
        let status = bench.bewaard(&["status", "--json"]).ends(0).json();
        let on = status["brakes"][0]["on"].as_array().unwrap().clone();
        on.len() == 1 && on[0]["brake"] == "backup"
    });
    assert!(run.runs());
    assert_eq!(customers(&bench), 50);
    assert!(std::process::Command::new("rm").arg(bench.file("lock")).status().unwrap().success());
    run.ended().0.ends(0);
    assert_eq!(customers(&bench), 0);
}

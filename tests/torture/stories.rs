//! kill -9 at every point that a command passes. Each story is a firm, one command, and the way forward after a kill;
//! which points there are the command lists itself, and a point of the source that no story passes fails a test.

use std::collections::BTreeSet;
use std::process::Command;

use chrono::Datelike;

use crate::bench::{Bench, said};
use crate::settled::{Expected, all_is_settled, nothing_is_claimed, rule, tables};
use crate::sweep::{kills, passed};

/// Twelve are due.
const CUSTOMERS: i64 = 24;

const TABLES: [&str; 2] = ["customers", "orders"];

fn firm() -> Bench {
    let more = "undo = \"1 day\"\nlimits = { share = \"100 %\", first-bite = 2 }";
    let bench = Bench::new(&rule(more), &tables(CUSTOMERS));
    std::fs::create_dir(bench.file("elsewhere")).unwrap();
    bench.change_policy("path = \"log\"\n", "path = \"log\"\noutside = [\"elsewhere/head\"]\n");
    bench
}

fn approved() -> Bench {
    let bench = firm();
    bench.approve_all();
    bench
}

fn purged() -> Bench {
    let bench = approved();
    bench.bewaard(&["run"]).ends(0);
    bench
}

fn killed_at(bench: &Bench, mut command: Command, point: &str) {
    let ended = said(&command.env("BEWAARD_CRASH_AT", point).output().unwrap());
    // `faketime`, where it stands between, says so in words.
    let killed = ended.code == -1 || ended.err.contains("Caught Killed");
    assert!(killed, "it was to be killed at {point}: {}{} ({})", ended.out, ended.err, bench.file(".").display());
}

/// All files of a bench, to be put back at the same place: a database elsewhere would be another one.
struct Snapshot(tempfile::TempDir);

impl Snapshot {
    fn of(bench: &Bench) -> Self {
        let place = tempfile::tempdir().unwrap();
        copy(&bench.file("."), place.path());
        Self(place)
    }

    fn put_back(&self, bench: &Bench) {
        let find = Command::new("find").arg(bench.file(".")).args(["-mindepth", "1", "-delete"]).status().unwrap();
        assert!(find.success());
        copy(self.0.path(), &bench.file("."));
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    assert!(Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap().success());
}

/// What is told: a firm before its command, the command, and what must work after a kill.
struct Story {
    before: fn() -> Bench,
    command: fn(&Bench) -> Command,
    after: fn(&Bench, &str),
}

impl Story {
    /// The command is killed at each point that it passes when nobody kills it.
    fn tell(&self) {
        let bench = (self.before)();
        let snapshot = Snapshot::of(&bench);
        let points = self.points(&bench);
        for point in kills(&points) {
            snapshot.put_back(&bench);
            killed_at(&bench, (self.command)(&bench), &point);
            (self.after)(&bench, &point);
        }
    }

    fn points(&self, bench: &Bench) -> Vec<String> {
        let (ended, points) = passed((self.command)(bench));
        assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
        points
    }
}

/// Nothing false is claimed before it is mended; one more run mends it.
fn run_again(bench: &Bench, point: &str) {
    let expected = Expected::upto(CUSTOMERS);
    let settled = nothing_is_claimed(bench, &expected).and_then(|()| {
        bench.bewaard(&["run"]).ends(0);
        all_is_settled(bench, &expected)
    });
    assert_eq!(settled, Ok(()), "{point}");
}

fn runs_of(bench: &Bench) -> Vec<String> {
    bench.entries("run-started").iter().map(|entry| entry["run"].as_str().unwrap().to_string()).collect()
}

fn undo(bench: &Bench) -> Command {
    let run = runs_of(bench).pop().unwrap();
    bench.command(&["undo", &run, "--reason", "wrong rule"])
}

/// Whatever was interrupted: in the end everything is back, and each answer is given once.
fn all_comes_back(bench: &Bench, point: &str) {
    bench.bewaard(&["run"]).ends(0);
    for run in runs_of(bench) {
        bench.bewaard(&["undo", &run, "--reason", "wrong rule"]).ends(0);
    }
    let whole = firm();
    assert_eq!(bench.dump(&TABLES), whole.dump(&TABLES), "{point}");
    let mut seen = BTreeSet::new();
    for entry in bench.entries("restored") {
        let answer = (entry["undo"].to_string(), entry["record"].to_string(), entry["part"].to_string());
        assert!(seen.insert(answer), "{point}: a record has two answers of one undo");
    }
    bench.verified();
}

/// After so many days a new quarter has begun.
fn days_to_next_quarter() -> u64 {
    let today = bewaard::now::now().date_naive();
    let later = (1..100).find(|days| {
        let day = today + chrono::Days::new(*days);
        day.month0() / 3 != today.month0() / 3
    });
    later.unwrap() + 1
}

fn next_quarter() -> String {
    format!("+{}d", days_to_next_quarter())
}

const INIT: Story = Story {
    before: firm,
    command: |bench| bench.command(&["init"]),
    after: |bench, point| {
        bench.bewaard(&["init"]).ends(0);
        bench.plan_and_approve();
        run_again(bench, point);
    },
};

const PLAN: Story = Story {
    before: || {
        let bench = firm();
        bench.bewaard(&["init"]).ends(0);
        bench
    },
    command: |bench| bench.command(&["plan"]),
    after: |bench, point| {
        bench.plan_and_approve();
        run_again(bench, point);
    },
};

const APPROVE: Story = Story {
    before: || {
        let bench = (PLAN.before)();
        bench.bewaard(&["plan"]).ends(0);
        bench
    },
    command: |bench| {
        let plan = bench.entries("plan-made")[0]["plan"].as_str().unwrap().to_string();
        bench.command(&["approve", &plan, "--reason", "test"])
    },
    after: PLAN.after,
};

const RUN: Story = Story { before: approved, command: |bench| bench.command(&["run"]), after: run_again };

const RECOVERY: Story = Story {
    before: || {
        let bench = approved();
        killed_at(&bench, bench.command(&["run"]), "after-commit#2");
        bench
    },
    ..RUN
};

const ROTATE: Story = Story {
    before: approved,
    command: |bench| bench.command(&["key", "rotate", "--reason", "test"]),
    after: run_again,
};

const NEW_QUARTER: Story = Story {
    before: || {
        let bench = approved();
        // Somebody was there in between, so that the clock is not doubted.
        let halfway = format!("+{}d", days_to_next_quarter() / 2);
        bench.at(&halfway, &["resume", "--all", "--reason", "the clock is right"]).ends(0);
        bench
    },
    command: |bench| bench.command_at(&next_quarter(), &["run"]),
    after: |bench, point| {
        let expected = Expected::upto(CUSTOMERS);
        bench.at(&next_quarter(), &["run"]).ends(0);
        assert_eq!(all_is_settled(bench, &expected), Ok(()), "{point}");
        assert_eq!(
            std::fs::read_dir(bench.file("log/journal")).unwrap().count(),
            2,
            "{point}: a file for each quarter"
        );
    },
};

const WINDOW_ENDS: Story = Story {
    before: purged,
    command: |bench| bench.command_at("+2d", &["run"]),
    after: |bench, point| {
        bench.at("+2d", &["run"]).ends(0);
        let keys = std::fs::read_dir(bench.file("state/keys")).unwrap();
        let left = keys.filter(|key| key.as_ref().unwrap().file_name().to_string_lossy().starts_with("quarantine-"));
        assert_eq!(left.count(), 0, "{point}: no key is left");
        assert_eq!(
            std::fs::read_dir(bench.file("state/quarantine")).unwrap().count(),
            0,
            "{point}: nor what it closes"
        );
        let ended = bench.entries("key-changed").into_iter().filter(|entry| entry["change"] == "destroyed");
        let ended: Vec<String> = ended.map(|entry| entry["id"].to_string()).collect();
        let once: BTreeSet<&String> = ended.iter().collect();
        assert_eq!((ended.len(), once.len()), (2, 2), "{point}: each is called destroyed, once");
        bench.verified();
    },
};

const UNDO: Story = Story { before: purged, command: undo, after: all_comes_back };

const UNDO_RECOVERY: Story = Story {
    before: || {
        let bench = purged();
        killed_at(&bench, undo(&bench), "undo-after-commit");
        bench
    },
    command: |bench| bench.command(&["run"]),
    after: all_comes_back,
};

const CONTINUE: Story = Story {
    before: || {
        let bench = approved();
        bewaard::durable::remove(&bench.file("state/last-head")).unwrap();
        bench
    },
    command: |bench| bench.command(&["log", "continue", "--lost-head", "--reason", "test"]),
    after: |bench, point| {
        // A log that is whole waits for approvals (3); one that is not must be continued first (5).
        if bench.bewaard(&["init"]).code != 0 {
            bench.bewaard(&["log", "continue", "--lost-head", "--reason", "test"]).ends(0);
        }
        bench.bewaard(&["run"]).ends(3);
        bench.plan_and_approve();
        run_again(bench, point);
    },
};

const STORIES: [&Story; 11] =
    [&INIT, &PLAN, &APPROVE, &RUN, &RECOVERY, &ROTATE, &NEW_QUARTER, &WINDOW_ENDS, &UNDO, &UNDO_RECOVERY, &CONTINUE];

macro_rules! told {
    ($($name:ident: $story:expr),* $(,)?) => { $(#[test] fn $name() { $story.tell(); })* };
}

told! {
    an_init_that_was_killed_is_finished_by_the_next: INIT,
    a_plan_that_was_killed_is_made_again: PLAN,
    an_approval_that_was_killed_is_given_again: APPROVE,
    a_run_that_was_killed_loses_nothing_and_claims_nothing: RUN,
    a_recovery_that_was_killed_is_done_by_the_next: RECOVERY,
    a_rotation_that_was_killed_leaves_a_key_in_force: ROTATE,
    a_run_that_begins_a_quarter_may_be_killed: NEW_QUARTER,
    a_window_that_was_killed_while_it_ended_ends: WINDOW_ENDS,
    an_undo_that_was_killed_is_told_truly_and_can_be_asked_again: UNDO,
    an_undo_may_be_killed_while_it_is_settled: UNDO_RECOVERY,
    a_log_that_was_being_continued_is_continued: CONTINUE,
}

/// Points that no command passes: only a later command, for erasure requests, will.
const NOT_YET: [&str; 1] = ["quarantine-forgotten"];

/// Points that no story here can pass, and the test that kills at each of them: those of a server's partitions, and that of a
/// log with more entries than a story writes.
const ELSEWHERE: [(&str, &str); 2] =
    [("partition-", include_str!("../servers/partitions.rs")), ("published-ahead", include_str!("../audit/crash.rs"))];

#[test]
fn every_point_of_the_source_is_in_a_story() {
    let mut passed = BTreeSet::new();
    for story in STORIES {
        passed.extend(story.points(&(story.before)()));
    }
    let mut named = BTreeSet::new();
    points_below(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut named);
    assert!(named.len() > 40, "{named:?}");
    for name in NOT_YET {
        assert!(named.remove(name), "{name} is in the source");
    }
    for (begins, test) in ELSEWHERE {
        let before = named.len();
        named.retain(|name| !name.starts_with(begins) || !test.contains(&format!("\"{name}\"")));
        assert_ne!(named.len(), before, "{begins} is in the source");
    }
    let missed: Vec<_> = named.difference(&passed).collect();
    assert!(missed.is_empty(), "no story passes {missed:?}");
    let unknown: Vec<_> = passed.difference(&named).collect();
    assert!(unknown.is_empty(), "points that are not found in the source: {unknown:?}");
}

/// The names in `crash_point!("...")`, `.point("...")` and `.point(this, "...")`.
fn points_below(folder: &std::path::Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            points_below(&path, names);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for call in ["crash_point!(", ".point("] {
            for (at, _) in text.match_indices(call) {
                let arguments = text[at + call.len()..].split(')').next().unwrap();
                names.extend(arguments.split('"').nth(1).map(String::from));
            }
        }
    }
}

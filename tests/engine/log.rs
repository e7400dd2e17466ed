//! Doubt about the log with the real binary: each case has a clear word, an exit code, and a way forward that is walked
//! to its end, where purging goes on and the log verifies.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::bench::{Bench, Said, said};
use crate::customers::{RULE, customers};

fn approved() -> Bench {
    let bench = Bench::new(RULE, &customers(40));
    bench.approve_all();
    bench
}

/// A bench whose newest head also lies on another path.
fn with_outside() -> Bench {
    let bench = Bench::new(RULE, &customers(40));
    fs::create_dir(bench.file("elsewhere")).unwrap();
    bench.change_policy("path = \"log\"", "path = \"log\"\noutside = [\"elsewhere/head\"]");
    bench.approve_all();
    bench
}

fn old_left(bench: &Bench) -> u64 {
    bench.number("select count(*) from customers where id % 2 = 0")
}

fn copy(bench: &Bench, from: &str, to: &str) {
    let to = bench.file(to);
    let _ = fs::remove_dir_all(&to);
    assert!(Command::new("cp").arg("-a").arg(bench.file(from)).arg(to).status().unwrap().success());
}

fn remove(bench: &Bench, name: &str) {
    let path = bench.file(name);
    if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { bewaard::durable::remove(&path).unwrap() }
}

/// Nothing may be purged or written: plan is a preview, run and approve end with 5 and the code.
fn stops(bench: &Bench, code: &str, run: impl Fn(&[&str]) -> Said) {
    let left = old_left(bench);
    let plan = run(&["plan", "--json"]).ends(0).json();
    assert_eq!(plan["plans"][0]["gate"], "preview", "{plan}");
    let status = run(&["status"]).ends(0).out;
    assert!(status.starts_with("STOPPED: ") && status.lines().next().unwrap().contains(code), "{status}");
    for args in
        [&["run"][..], &["approve", "abcdef123456", "--reason", "x"], &["init"], &["key", "rotate", "--reason", "x"]]
    {
        let refused = run(args);
        assert!(
            refused.code == 5 || (args[0] == "approve" && refused.code == 2),
            "{args:?}: {} {}",
            refused.code,
            refused.err
        );
        assert!(refused.code == 2 || refused.err.contains(code), "{args:?}: {}", refused.err);
    }
    assert_eq!(old_left(bench), left, "nothing was erased");
}

/// After a successor log began: a new approval is needed, then purging goes on.
fn goes_on(bench: &Bench) {
    bench.bewaard(&["run"]).ends(3);
    assert_eq!(bench.entries("log-continued").len(), 1);
    bench.plan_and_approve();
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(old_left(bench), 0);
    bench.verified();
}

fn continued(bench: &Bench) -> serde_json::Value {
    bench.bewaard(&["log", "continue", "--lost-head", "--reason", "restored", "--json"]).ends(0).json()
}

#[test]
fn a_machine_put_back_to_an_earlier_day_is_told_by_the_outside_head() {
    let bench = with_outside();
    let hold = ["hold", "add", "--reason", "x", "--review", "2027-01-01"];
    bench.bewaard_with_input(&hold, "email: k1@canary.example\n").ends(0);
    for name in ["state", "log", "shop.db"] {
        copy(&bench, name, &format!("{name}.yesterday"));
    }
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(old_left(&bench), 0);
    let witness = fs::read(bench.file("elsewhere/head")).unwrap();
    for name in ["state", "log", "shop.db"] {
        remove(&bench, name);
        copy(&bench, &format!("{name}.yesterday"), name);
    }
    assert_eq!(old_left(&bench), 20, "the database of yesterday has them again");
    stops(&bench, "B418", |args| bench.bewaard(args));
    assert!(bench.bewaard(&["log", "verify"]).ends(4).out.contains("B405"));
    assert_eq!(fs::read(bench.file("elsewhere/head")).unwrap(), witness, "the witness is never written over");
    // Holds of the lost entries are not known any more: a person must say that it goes on without them.
    let asked = bench.bewaard(&["log", "continue", "--lost-head", "--reason", "x"]).ends(3);
    assert!(asked.err.contains("B427"), "{}", asked.err);
    let go_on = ["log", "continue", "--lost-head", "--without-holds", "--reason", "x", "--json"];
    let done = bench.bewaard(&go_on).ends(0).json();
    assert_eq!(done["holds"], 1, "the hold of the day before is known: {done}");
    assert_eq!(fs::read(bench.file("elsewhere/head.ended-1")).unwrap(), witness, "and it is kept");
    let size: u64 = String::from_utf8(witness).unwrap().lines().nth(1).unwrap().parse().unwrap();
    assert_eq!(bench.entries("log-continued")[0]["size"], size, "the successor names what was known outside");
    assert_eq!(bench.entries("log-continued")[0]["origin"], done["before"]);
    goes_on(&bench);
    assert!(bench.verified().out.contains("elsewhere/head"));
}

#[test]
fn two_histories_are_told_by_the_outside_head() {
    let bench = with_outside();
    for name in ["state", "log", "shop.db"] {
        copy(&bench, name, &format!("{name}.twin"));
    }
    bench.bewaard(&["run"]).ends(0);
    for name in ["state", "log", "shop.db"] {
        remove(&bench, name);
        copy(&bench, &format!("{name}.twin"), name);
    }
    // The twin goes on without the other path, beyond what is known there.
    bench.change_policy("outside = [\"elsewhere/head\"]", "");
    bench.bewaard(&["run"]).ends(0);
    bench.sql("insert into customers values (1000, 'x', '2019-01-01')");
    for reason in ["a", "b", "c", "d"] {
        bench.bewaard(&["pause", "--reason", reason]).ends(0);
        bench.bewaard(&["resume", "--reason", reason]).ends(0);
    }
    bench.change_policy("path = \"log\"\n", "path = \"log\"\noutside = [\"elsewhere/head\"]\n");
    stops(&bench, "B418", |args| bench.bewaard(args));
    assert!(bench.bewaard(&["run"]).ends(5).err.contains("two histories"));
    continued(&bench);
    goes_on(&bench);
}

#[test]
fn an_outside_head_that_can_not_be_reached_is_told_and_stops_nothing() {
    let bench = with_outside();
    remove(&bench, "elsewhere");
    let said = bench.bewaard(&["run"]).ends(1);
    assert!(said.err.contains("elsewhere/head"), "{}", said.err);
    assert_eq!(old_left(&bench), 0);
    bench.verified();
    // What is no head is not written over, and stops nothing either.
    fs::create_dir(bench.file("elsewhere")).unwrap();
    bench.write("elsewhere/head", "my notes");
    bench.bewaard(&["run"]).ends(1);
    assert_eq!(fs::read_to_string(bench.file("elsewhere/head")).unwrap(), "my notes");
    remove(&bench, "elsewhere/head");
    bench.bewaard(&["run"]).ends(0);
    assert!(bench.verified().out.contains("elsewhere/head"));
}

fn on_machine(bench: &Bench, id: &str, args: &[&str]) -> Said {
    said(&bench.command(args).env("BEWAARD_TEST_MACHINE_ID", id).output().unwrap())
}

#[test]
fn a_moved_machine_only_previews_until_somebody_adopts_the_log() {
    let bench = approved();
    stops(&bench, "B426", |args| on_machine(&bench, "another", args));
    let run = on_machine(&bench, "another", &["run"]).ends(5);
    assert!(run.err.contains("the machine-id differs") && run.err.contains("bewaard adopt --moved"), "{}", run.err);
    assert!(
        !run.err.contains("another") && !run.err.contains("host name"),
        "what differs, never the values: {}",
        run.err
    );
    on_machine(&bench, "another", &["log", "verify"]).ends(0);
    on_machine(&bench, "another", &["adopt", "--reason", "x"]).ends(2);
    bench.bewaard(&["adopt", "--moved", "--reason", "x"]).ends(3);
    on_machine(&bench, "another", &["adopt", "--moved", "--reason", "new server"]).ends(0);
    assert_eq!(bench.entries("adopted")[0]["how"], "moved");
    on_machine(&bench, "another", &["run"]).ends(0);
    assert_eq!(old_left(&bench), 0, "the approval stands");
    bench.verified();
    bench.bewaard(&["run"]).ends(5);
}

#[test]
fn a_copy_gets_a_log_of_its_own_with_holds_and_without_approvals() {
    let bench = with_outside();
    let hold = ["hold", "add", "--reason", "x", "--review", "2027-01-01"];
    bench.bewaard_with_input(&hold, "email: k2@canary.example\n").ends(0);
    let first = bench.bewaard(&["key", "show", "--json"]).ends(0).json()["vkey"].as_str().unwrap().to_string();
    for name in ["state", "log"] {
        copy(&bench, name, &format!("{name}.first"));
    }
    // The copy has the first machine's path for its outside head: it must get one of its own.
    let shared = on_machine(&bench, "copy", &["adopt", "--copy", "--reason", "test"]).ends(3);
    assert!(shared.err.contains("another path"), "{}", shared.err);
    bench.change_policy("elsewhere/head", "elsewhere/copy");
    on_machine(&bench, "copy", &["adopt", "--copy", "--reason", "test"]).ends(0);
    let mine =
        on_machine(&bench, "copy", &["key", "show", "--json"]).ends(0).json()["vkey"].as_str().unwrap().to_string();
    assert_ne!(first.split('+').next(), mine.split('+').next(), "an origin of its own");
    assert_eq!(bench.entries("log-continued")[0]["why"], "copied");
    let keys: Vec<String> = fs::read_dir(bench.file("state/keys"))
        .unwrap()
        .map(|key| key.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        keys.iter().filter(|key| key.starts_with("signing-")).count(),
        1,
        "it can't sign as the first: {keys:?}"
    );
    on_machine(&bench, "copy", &["run"]).ends(3);
    let plan = on_machine(&bench, "copy", &["plan", "--json"]).ends(0).json();
    assert_eq!(plan["plans"][0]["due"], 19, "the hold is carried: {plan}");
    let id = plan["plans"][0]["id"].as_str().unwrap();
    on_machine(&bench, "copy", &["approve", id, "--reason", "x"]).ends(0);
    on_machine(&bench, "copy", &["run"]).ends(0);
    assert_eq!(old_left(&bench), 1);
    on_machine(&bench, "copy", &["log", "verify"]).ends(0);
    // The first machine goes on as if nothing had happened.
    for name in ["state", "log"] {
        remove(&bench, name);
        copy(&bench, &format!("{name}.first"), name);
    }
    bench.change_policy("elsewhere/copy", "elsewhere/head");
    bench.bewaard(&["run"]).ends(0);
    bench.verified();
}

/// Cuts the last entries and heads off, as if they had never been.
fn shorten(bench: &Bench) {
    for name in ["log/journal", "log/heads"] {
        let path = bench.file(name);
        let path = if path.is_dir() { fs::read_dir(path).unwrap().next().unwrap().unwrap().path() } else { path };
        let text = fs::read_to_string(&path).unwrap();
        let keep = if name.ends_with("heads") { 1 } else { 7 };
        let short: String = text.lines().take(keep).map(|line| line.to_owned() + "\n").collect();
        bench.write(path.strip_prefix(bench.file(".")).unwrap_or(&path).to_str().unwrap(), &short);
    }
}

#[test]
fn each_damage_has_its_word_and_a_successor_log_goes_on() {
    type Damage<'a> = &'a dyn Fn(&Bench);
    let other = approved();
    let from_other = |bench: &Bench, name: &str| {
        remove(bench, name);
        assert!(Command::new("cp").arg("-a").arg(other.file(name)).arg(bench.file(name)).status().unwrap().success());
    };
    let cases: [(&str, &str, Damage<'_>); 9] = [
        ("the journal is missing", "B402", &|bench| remove(bench, "log/journal")),
        ("the log is missing", "B402", &|bench| remove(bench, "log")),
        ("the heads are missing", "B414", &|bench| remove(bench, "log/heads")),
        ("the last head is missing", "B404", &|bench| remove(bench, "state/last-head")),
        ("the log was shortened", "B405", &shorten),
        ("yesterday's log was put back", "B405", &|bench| {
            remove(bench, "log");
            copy(bench, "log.yesterday", "log");
        }),
        ("a foreign log is in its place", "B415", &|bench| from_other(bench, "log")),
        ("the keys are of another log", "B415", &|bench| from_other(bench, "state/keys")),
        ("the state folder is missing", "B430", &|bench| remove(bench, "state")),
    ];
    for (what, code, damage) in cases {
        let bench = Bench::new(RULE, &customers(40));
        bench.bewaard(&["init", "--write"]).ends(0);
        copy(&bench, "log", "log.yesterday");
        bench.plan_and_approve();
        damage(&bench);
        for args in [&["run"][..], &["init"]] {
            let refused = bench.bewaard(args).ends(5);
            assert!(refused.err.contains(code), "{what}, {args:?}: {}", refused.err);
        }
        assert_eq!(old_left(&bench), 20, "{what}");
        let mut done = bench.bewaard(&["log", "continue", "--lost-head", "--reason", "x", "--json"]);
        if done.code == 3 {
            assert!(done.out.contains("B427"), "{what}: {}", done.out);
            done = bench.bewaard(&["log", "continue", "--lost-head", "--without-holds", "--reason", "x", "--json"]);
        }
        let done = done.ends(0).json();
        assert_ne!(done["origin"], done["before"], "{what}: never two heads under one origin");
        goes_on(&bench);
        assert!(bench.verified().out.contains("key from the policy"), "{what}");
    }
}

#[test]
fn a_kill_while_a_log_is_continued_loses_no_hold_and_the_next_try_ends_it() {
    for point in ["continue-marked", "continue-aside", "continue-keys", "continue-made"] {
        let bench = approved();
        let hold = ["hold", "add", "--reason", "x", "--review", "2027-01-01"];
        bench.bewaard_with_input(&hold, "email: k2@canary.example\n").ends(0);
        remove(&bench, "state/last-head");
        let go_on = ["log", "continue", "--lost-head", "--reason", "x", "--json"];
        let killed = said(&bench.command(&go_on).env("BEWAARD_CRASH_AT", point).output().unwrap());
        assert_eq!(killed.code, -1, "{point}: {}", killed.err);
        let done = if point == "continue-made" {
            // The successor is there: it only lacks nothing.
            bench.bewaard(&["init"]).ends(0);
            serde_json::json!({ "holds": 1 })
        } else {
            bench.bewaard(&["run"]).ends(5);
            continued(&bench)
        };
        assert_eq!(done["holds"], 1, "{point}: {done}");
        assert_eq!(bench.bewaard(&["hold", "list", "--json"]).ends(0).json()["holds"].as_array().unwrap().len(), 1);
        bench.plan_and_approve();
        bench.bewaard(&["run"]).ends(0);
        assert_eq!(old_left(&bench), 1, "{point}: all but the one that is held");
        assert!(!bench.file("log.ended-2").exists(), "{point}: the log was moved once");
        bench.verified();
    }
}

#[test]
fn a_torn_tail_is_set_aside_and_purging_goes_on() {
    use std::io::Write;
    let bench = approved();
    for name in ["log/journal", "log/heads"] {
        let path = bench.file(name);
        let path = if path.is_dir() { fs::read_dir(path).unwrap().next().unwrap().unwrap().path() } else { path };
        fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"{\"torn").unwrap();
    }
    assert!(bench.bewaard(&["log", "verify"]).ends(0).out.contains("torn"));
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(old_left(&bench), 0);
    let verified = bench.verified().out;
    assert!(!verified.contains("torn"), "{verified}");
}

/// The engine of a process that opened the log a while ago.
fn opened(bench: &Bench) -> bewaard::engine::Engine {
    bewaard::engine::Engine::open(bewaard::config::load(&bench.file("bewaard.toml")).unwrap()).unwrap()
}

#[test]
fn who_opened_the_log_before_the_key_was_replaced_signs_with_the_new_one() {
    let bench = approved();
    bench.bewaard(&["init", "--write"]).ends(0);
    let mut waiting = opened(&bench);
    bench.bewaard(&["key", "rotate", "--reason", "x"]).ends(0);
    waiting.pause("by hand").unwrap();
    waiting.publish().unwrap();
    bench.verified();
    bench.bewaard(&["resume", "--reason", "x"]).ends(0);
    bench.bewaard(&["run"]).ends(0);
    bench.verified();
    let change = &bench.entries("key-changed").into_iter().rfind(|entry| entry["purpose"] == "signing").unwrap();
    assert!(change["note"].is_string() && change["by"]["uid"].is_number(), "who and why: {change}");
}

#[test]
fn what_began_or_ended_before_the_lock_was_taken_is_known_to_who_settles() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for settled_meanwhile in [false, true] {
        let bench = approved();
        let mut waiting = opened(&bench);
        if settled_meanwhile {
            let killed = bench.command(&["run"]).env("BEWAARD_CRASH_AT", "intent-written").output().unwrap();
            assert_eq!(said(&killed).code, -1);
            waiting = opened(&bench);
            bench.bewaard(&["run"]).ends(0);
        } else {
            let killed = bench.command(&["run"]).env("BEWAARD_CRASH_AT", "after-commit").output().unwrap();
            assert_eq!(said(&killed).code, -1);
        }
        let lock = waiting.take_run_lock().unwrap();
        let recovered = runtime.block_on(waiting.recover()).unwrap();
        assert_eq!(recovered.settled.len(), usize::from(!settled_meanwhile));
        assert!(recovered.beyond.is_empty(), "{recovered:?}");
        drop(lock);
        bench.bewaard(&["run"]).ends(0);
        assert_eq!(old_left(&bench), 0);
        bench.verified();
    }
}

#[test]
fn a_pipe_in_the_place_of_a_published_file_keeps_nobody_waiting() {
    let bench = approved();
    let tile = fs::read_dir(bench.file("log/tile/0/000.p")).unwrap().next().unwrap().unwrap().path();
    for place in [tile, bench.file("log/checkpoint")] {
        bewaard::durable::remove(&place).unwrap();
        assert!(Command::new("mkfifo").arg(&place).status().unwrap().success());
        for args in [
            &["pause", "--reason", "x"][..],
            &["log", "checkpoint"],
            &["log", "prove", "--entry", "0"],
            &["log", "verify"],
        ] {
            let mut timeout = Command::new("timeout");
            timeout.arg("20");
            let mut command = bench.under(timeout, args);
            assert_ne!(said(&command.output().unwrap()).code, 124, "{args:?} waits for {}", place.display());
        }
        if place.exists() {
            bewaard::durable::remove(&place).unwrap();
        }
    }
    bench.bewaard(&["init"]).ends(0);
    bench.verified();
}

#[test]
fn a_witness_that_is_not_there_is_told() {
    let bench = with_outside();
    assert!(!bench.verified().out.contains("NOT compared"));
    remove(&bench, "elsewhere/head");
    let told = bench.verified().out;
    assert!(told.contains("NOT compared: the outside head") && told.contains("a rollback would not be seen"), "{told}");
    remove(&bench, "elsewhere");
    for args in [&["pause", "--reason", "x"][..], &["resume", "--reason", "x"], &["key", "rotate", "--reason", "x"]] {
        let told = bench.bewaard(args).ends(1);
        assert!(told.err.contains("outside head"), "{args:?}: {}", told.err);
    }
}

#[test]
fn published_files_that_were_damaged_are_made_again_by_init() {
    let bench = approved();
    bench.bewaard(&["run"]).ends(0);
    for name in ["log/checkpoint", "log/tile/0"] {
        remove(&bench, name);
        bench.bewaard(&["log", "verify"]).ends(4);
        bench.bewaard(&["init"]).ends(0);
        bench.verified();
    }
}

fn start(bench: &Bench, args: &[&str], input: Option<&Path>) -> Child {
    let mut command = bench.command(args);
    if let Some(input) = input {
        command.stdin(fs::File::open(input).unwrap());
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn many_commands_at_once_write_one_log() {
    let bench = approved();
    bench.write("who", "email: k1@canary.example\n");
    let who = bench.file("who");
    let hold = ["hold", "add", "--reason", "x", "--review", "2027-01-01"];
    let mut started = Vec::new();
    for _ in 0..4 {
        for (args, input) in [
            (&["plan"][..], None),
            (&["run"], None),
            (&hold, Some(who.as_path())),
            (&["resume", "--all", "--reason", "x"], None),
            (&["status"], None),
            (&["log", "verify"], None),
        ] {
            started.push((args.to_vec(), start(&bench, args, input)));
        }
    }
    let mut holds = 0;
    for (args, child) in started {
        let said = said(&child.wait_with_output().unwrap());
        let may: &[i32] = if args[0] == "run" { &[0, 75] } else { &[0] };
        assert!(may.contains(&said.code), "{args:?}: {} {}{}", said.code, said.out, said.err);
        holds += usize::from(args[0] == "hold");
    }
    bench.verified();
    assert_eq!(bench.entries("hold-changed").len(), holds, "each hold has its entry");
    // Released at once, too: the digest of all holds adds up afterwards.
    let placed = bench.bewaard(&["hold", "list", "--json"]).ends(0).json();
    let ids: Vec<String> =
        placed["holds"].as_array().unwrap().iter().map(|hold| hold["hold"].as_str().unwrap().into()).collect();
    let releases: Vec<Child> =
        ids.iter().map(|id| start(&bench, &["hold", "release", id, "--reason", "x"], None)).collect();
    for child in releases {
        said(&child.wait_with_output().unwrap()).ends(0);
    }
    bench.bewaard(&["run"]).ends(0);
    assert_eq!((old_left(&bench), bench.entries("outcome").len()), (0, 20), "each record went once");
    bench.verified();
}

#[test]
fn before_init_the_log_is_not_damaged_and_what_makes_one_is_named() {
    let bench = Bench::new(RULE, &customers(3));
    for args in [&["log", "show"][..], &["log", "prove", "--entry", "0"]] {
        let said = bench.bewaard(args).ends(1);
        assert!(said.err.contains("init") && said.err.contains("there is no log yet"), "{args:?}: {}", said.err);
    }
    bench.bewaard(&["init", "--write"]).ends(0);
    bench.bewaard(&["log", "show"]).ends(0);
    // gone is another thing
    remove(&bench, "log");
    for args in [&["log", "show"][..], &["log", "prove", "--entry", "0"]] {
        let said = bench.bewaard(args).ends(4);
        assert!(said.err.contains("B402"), "{args:?}: {}", said.err);
    }
}

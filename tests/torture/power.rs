//! The tests: each command is traced once, and the power fails at each moment of it.

use std::collections::BTreeSet;

use crate::bench::Bench;
use crate::disk::{Disk, Files, Left, lay_out};
use crate::settled::{Expected, all_is_settled, nothing_is_claimed, rule, tables};
use crate::trace::{Act, missing, traced};

/// Twenty are due: the first bite and one more batch.
const CUSTOMERS: i64 = 40;

fn bench() -> Bench {
    Bench::new(&rule("limits.share = \"100 %\""), &tables(CUSTOMERS))
}

/// How many different states of the disk are tried for each command and kind of cut.
fn tries() -> usize {
    match std::env::var("BEWAARD_TEST_TIER").as_deref() {
        Ok("deep") => 60,
        Ok("long") => usize::MAX,
        _ => 8,
    }
}

/// Where the even choice among the states begins.
fn seed() -> usize {
    std::env::var("BEWAARD_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Puts the files of a bench as a disk has them, at the same place: a database elsewhere would be another one.
fn put_back(bench: &Bench, files: &Files) {
    for entry in std::fs::read_dir(bench.file(".")).unwrap() {
        let path = entry.unwrap().path();
        #[expect(clippy::disallowed_methods, reason = "the test's own folder is emptied")]
        if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
    }
    lay_out(files, &bench.file("."));
}

/// The power fails at moments spread over these acts; gives the first state that can't be gone on from. Afterwards the
/// bench is as it was behind the last act.
fn fails_at_each(
    bench: &Bench,
    before: &Disk,
    acts: &[Act],
    left: Left,
    tries: usize,
    go_on: &dyn Fn(&Bench) -> Result<(), String>,
) -> Option<String> {
    let (mut disk, mut states, mut seen) = (before.clone(), Vec::new(), BTreeSet::new());
    for (at, act) in acts.iter().enumerate() {
        disk.apply(act);
        let files = disk.left(left);
        if seen.insert(files.clone()) {
            states.push((at, files));
        }
    }
    assert!(!states.is_empty(), "the command changed nothing");
    let step = states.len().div_ceil(tries).max(1);
    for (at, files) in states.iter().skip(seed() % step).step_by(step) {
        put_back(bench, files);
        if let Err(why) = go_on(bench) {
            return Some(format!("{left:?} after act {at}, {}: {why}", told(&acts[*at])));
        }
    }
    put_back(bench, &disk.left(Left::Written));
    None
}

/// An act without its bytes.
fn told(act: &Act) -> String {
    match act {
        Act::Write { path, bytes, .. } => format!("{} bytes to {}", bytes.len(), path.display()),
        other => format!("{other:?}"),
    }
}

/// Where nobody may trace the test ends, and is counted by the test script as one that could not run; without the script
/// it fails.
macro_rules! needs_strace {
    () => {
        if let Some(why) = missing() {
            return could_not_run("tracing what is written and synced", &why);
        }
    };
}

fn could_not_run(what: &str, why: &str) {
    use std::io::Write;
    let list = std::env::var_os("BEWAARD_TEST_COULD_NOT_RUN").unwrap_or_else(|| panic!("could not run: {what}: {why}"));
    let mut file = std::fs::File::options().append(true).create(true).open(list).unwrap();
    file.write_all(format!("{what}: {}\n", why.replace('\n', "; ")).as_bytes()).unwrap();
}

fn ended(bench: &Bench, args: &[&str]) -> Result<(), String> {
    let said = bench.bewaard(args);
    if said.code == 0 { Ok(()) } else { Err(format!("{args:?} ended with {}: {}{}", said.code, said.out, said.err)) }
}

/// What a run leaves: nothing false is claimed even before it is mended, and one more run mends it.
fn run_again(bench: &Bench) -> Result<(), String> {
    run_again_of(bench, CUSTOMERS)
}

fn run_again_of(bench: &Bench, customers: i64) -> Result<(), String> {
    let expected = Expected::upto(customers);
    nothing_is_claimed(bench, &expected)?;
    ended(bench, &["run"])?;
    all_is_settled(bench, &expected)
}

/// A traced run of an approved rule.
fn a_run() -> (Bench, Disk, Vec<Act>) {
    a_run_of(bench())
}

fn a_run_of(bench: Bench) -> (Bench, Disk, Vec<Act>) {
    bench.approve_all();
    let before = Disk::of(&bench.file("."));
    let acts = traced(&bench, &["run"]);
    let mut after = before.clone();
    for act in &acts {
        after.apply(act);
    }
    let real = Disk::of(&bench.file(".")).left(Left::Written);
    let modelled = after.left(Left::Written);
    let differ = |path: &&std::path::PathBuf| real.get(*path) != modelled.get(*path);
    let differing: Vec<_> = real.keys().chain(modelled.keys()).filter(differ).collect();
    assert_eq!(differing, [] as [&std::path::PathBuf; 0], "the traced acts do not explain the files");
    (bench, before, acts)
}

#[test]
fn a_power_cut_at_any_moment_of_a_run_loses_nothing_and_claims_nothing() {
    needs_strace!();
    let (bench, before, acts) = a_run();
    for left in [Left::Written, Left::Synced] {
        assert_eq!(fails_at_each(&bench, &before, &acts, left, tries(), &run_again), None);
    }
}

/// At the fast pace the outcomes of one batch are written while the next is locked and read.
#[test]
fn a_power_cut_where_two_batches_overlap_loses_nothing_and_claims_nothing() {
    needs_strace!();
    let customers = 1_040;
    let bench = Bench::new(&rule("limits = { share = \"100 %\", first-bite = 0 }"), &tables(customers));
    bench.change_policy("[system.shop]\n", "[system.shop]\nbrakes.pace = \"fast\"\n");
    let (bench, before, acts) = a_run_of(bench);
    for left in [Left::Written, Left::Synced] {
        let again = |bench: &Bench| run_again_of(bench, customers);
        assert_eq!(fails_at_each(&bench, &before, &acts, left, tries(), &again), None);
    }
}

/// The disk itself is tested: with one sync left out it must find a state that can't be gone on from.
#[test]
fn a_run_that_would_leave_out_one_sync_is_found() {
    needs_strace!();
    let (bench, before, acts) = a_run();
    for (lacking, finding) in [("state/inflight", "can't be settled by looking"), ("log/journal", "does not verify")] {
        let is_it = |act: &Act| matches!(act, Act::Sync(path) if path.components().as_path().to_string_lossy().contains(lacking));
        let fewer: Vec<Act> = acts.iter().filter(|act| !is_it(act)).cloned().collect();
        assert!(fewer.len() < acts.len(), "{lacking} is synced somewhere");
        let found = fails_at_each(&bench, &before, &fewer, Left::Synced, usize::MAX, &run_again);
        let found =
            found.unwrap_or_else(|| panic!("without a sync of {lacking} nothing is lost: this disk forgets nothing"));
        assert!(found.contains(finding), "{lacking}: {found}");
    }
}

#[test]
fn a_power_cut_at_any_moment_of_init_leaves_something_that_init_finishes() {
    needs_strace!();
    let bench = bench();
    let before = Disk::of(&bench.file("."));
    let acts = traced(&bench, &["init"]);
    let go_on = |bench: &Bench| {
        ended(bench, &["init"])?;
        bench.plan_and_approve();
        run_again(bench)
    };
    for left in [Left::Written, Left::Synced] {
        assert_eq!(fails_at_each(&bench, &before, &acts, left, tries(), &go_on), None);
    }
}

#[test]
fn a_power_cut_at_any_moment_of_plan_or_approve_leaves_what_can_be_planned_and_approved_again() {
    needs_strace!();
    let bench = bench();
    bench.bewaard(&["init"]).ends(0);
    let go_on = |bench: &Bench| {
        nothing_is_claimed(bench, &Expected::upto(CUSTOMERS))?;
        bench.plan_and_approve();
        run_again(bench)
    };
    let at_each = |before: &Disk, acts: &[Act]| {
        for left in [Left::Written, Left::Synced] {
            assert_eq!(fails_at_each(&bench, before, acts, left, tries(), &go_on), None);
        }
    };
    let before = Disk::of(&bench.file("."));
    at_each(&before, &traced(&bench, &["plan"]));
    let plan = bench.bewaard(&["plan", "--json"]).ends(0).json();
    let id = plan["plans"][0]["id"].as_str().unwrap().to_string();
    let before = Disk::of(&bench.file("."));
    at_each(&before, &traced(&bench, &["approve", &id, "--reason", "test"]));
}

#[test]
fn a_power_cut_while_the_signing_key_changes_leaves_a_log_that_goes_on() {
    needs_strace!();
    let bench = bench();
    bench.approve_all();
    let before = Disk::of(&bench.file("."));
    let acts = traced(&bench, &["key", "rotate", "--reason", "test"]);
    let go_on = |bench: &Bench| run_again(bench);
    for left in [Left::Written, Left::Synced] {
        assert_eq!(fails_at_each(&bench, &before, &acts, left, tries(), &go_on), None);
    }
}

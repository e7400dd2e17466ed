//! No core of the program is left: it would hold keys and what was read of records.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};

use crate::bench::Bench;
use crate::paused::wait_until;

const RULE: &str = "[rule.old]\nsystem = \"shop\"\nrecords.table = \"customers\"\nsince.column = \"seen\"\n\
                    keep = \"2 years\"\nbecause = \"test\"\nthen.delete = true\n";

/// An account without rights, where the test is root: /proc shows everything to root, and whose it is tells whether a
/// process may be dumped.
const NOBODY: u32 = 65_534;

fn bench() -> Bench {
    let bench = Bench::new(RULE, "create table customers (id integer primary key, seen text)");
    let cores = bench.file("cores");
    std::fs::create_dir(&cores).unwrap();
    for (path, mode) in [(bench.file(""), 0o755), (cores, 0o777), (bench.file("bewaard.toml"), 0o644)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    bench
}

/// A program that stays until its input ends, under limits for cores; the folder where a core would lie is its own.
fn waiting(bench: &Bench, limits: &str, program: Option<&str>) -> Child {
    let mut command = Command::new("prlimit");
    command.arg(format!("--core={limits}"));
    if rustix::process::geteuid().is_root() {
        let nobody = NOBODY.to_string();
        command.args(["setpriv", "--reuid", &nobody, "--regid", &nobody, "--clear-groups"]);
    }
    let name = program.unwrap_or("bewaard");
    let mut command = match program {
        None => bench.under(command, &["plan", "old", "--explain", "-"]),
        Some(program) => {
            command.arg(program);
            command
        }
    };
    command.current_dir(bench.file("cores")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let at = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
    wait_until(&format!("{name} waits for its input"), || {
        at("comm").trim() == name && reads_input(&at("syscall"), &at("stat"))
    });
    child
}

/// Whether a process waits in `read` of standard input; where that may not be seen, whether it sleeps.
fn reads_input(syscall: &str, stat: &str) -> bool {
    let sleeps = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S'));
    sleeps && (syscall.is_empty() || syscall.split(' ').nth(1) == Some("0x0"))
}

/// Ends it by a signal that asks for a core; whether there is one.
fn dumped(bench: &Bench, mut child: Child) -> bool {
    let sent = Command::new("kill").args(["-s", "ABRT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let status = child.wait().unwrap();
    assert!(status.signal().is_some(), "{status}");
    status.core_dumped() || std::fs::read_dir(bench.file("cores")).unwrap().next().is_some()
}

#[test]
fn a_fault_of_the_program_leaves_no_core_whatever_limits_were_set() {
    let bench = bench();
    for limits in ["unlimited:unlimited", "0:unlimited", "0:0"] {
        let child = waiting(&bench, limits, None);
        assert!(!dumped(&bench, child), "{limits}");
    }
    // What this machine does with another program that may leave one: without that the test would prove nothing.
    let child = waiting(&bench, "unlimited:unlimited", Some("cat"));
    assert!(dumped(&bench, child), "this machine keeps no cores at all: see /proc/sys/kernel/core_pattern");
}

#[test]
fn where_the_limit_cannot_be_set_the_process_may_not_be_dumped_at_all() {
    let bench = bench();
    let mut child = waiting(&bench, "0:0", None);
    let owner = || std::fs::metadata(format!("/proc/{}/stat", child.id())).unwrap().uid();
    assert_eq!(owner(), 0, "a process that may not be dumped belongs to root in /proc");
    child.kill().unwrap();
    child.wait().unwrap();
    let mut other = waiting(&bench, "0:unlimited", None);
    let ours = if rustix::process::geteuid().is_root() { NOBODY } else { rustix::process::geteuid().as_raw() };
    assert_eq!(std::fs::metadata(format!("/proc/{}/stat", other.id())).unwrap().uid(), ours);
    other.kill().unwrap();
    other.wait().unwrap();
}

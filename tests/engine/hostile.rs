//! What a hostile or unlucky host does to the program: rights, full disks, odd terminals, editors, other clocks, and
//! strings that want to be obeyed. Nothing is lost, nothing is purged that should not be, and the words help.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::{Bench, Said, said};
use crate::customers::{RULE, customers};

/// The user `nobody` of Debian.
const NOBODY: u32 = 65_534;

fn rule() -> String {
    RULE.replace("limits.share = \"100 %\"", "limits = { share = \"100 %\", first-bite = 0 }")
}

fn bench() -> Bench {
    Bench::new(&rule(), &customers(40))
}

/// 1,400 customers are due: three batches.
fn big() -> Bench {
    Bench::new(&rule(), &customers(2_800))
}

fn old_left(bench: &Bench) -> u64 {
    bench.number("select count(*) from customers where id % 2 = 0")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_path_buf()];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Gives the whole bench to a user.
fn give(bench: &Bench, uid: u32) {
    for path in files(&bench.file(".")) {
        chown(&path, Some(uid), Some(uid)).unwrap();
    }
}

/// Waits until something is true; a minute is far beyond what it can take.
fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_mins(1), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The binary where any user can reach it.
fn binary_for_all(bench: &Bench) -> PathBuf {
    let place = bench.file("bewaard");
    std::fs::copy(env!("CARGO_BIN_EXE_bewaard"), &place).unwrap();
    place
}

/// A command as a user for whom rights count: this one, or nobody when the tests run as root.
fn as_plain_user(bench: &Bench, binary: &Path, args: &[&str]) -> Said {
    let mut command = Command::new(binary);
    command.arg("--config").arg(bench.file("bewaard.toml")).args(args).stdin(Stdio::null());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    said(&command.output().unwrap())
}

#[test]
fn a_read_only_state_or_log_folder_stops_purging_in_clear_words() {
    let bench = bench();
    let binary = binary_for_all(&bench);
    if is_root() {
        give(&bench, NOBODY);
    }
    as_plain_user(&bench, &binary, &["init"]).ends(0);
    let plan = as_plain_user(&bench, &binary, &["plan", "--json"]).ends(0).json();
    as_plain_user(&bench, &binary, &["approve", plan["plans"][0]["id"].as_str().unwrap(), "--reason", "x"]).ends(0);
    for folder in ["state", "log/journal"] {
        let all: Vec<(PathBuf, u32)> = files(&bench.file(folder))
            .into_iter()
            .map(|path| (path.clone(), path.metadata().unwrap().mode()))
            .collect();
        for (path, mode) in &all {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & !0o222)).unwrap();
        }
        let refused = as_plain_user(&bench, &binary, &["run"]);
        for (path, mode) in &all {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode)).unwrap();
        }
        assert!([1, 5].contains(&refused.code), "{folder}: {} {}", refused.code, refused.err);
        assert!(refused.err.contains("ermission denied"), "{folder}: {}", refused.err);
        assert_eq!(old_left(&bench), 20, "{folder}: nothing is erased");
    }
    as_plain_user(&bench, &binary, &["run"]).ends(0);
    assert_eq!(old_left(&bench), 0);
    as_plain_user(&bench, &binary, &["log", "verify"]).ends(0);
}

/// Runs the real binary where no file may grow beyond so many KiB: what is written next fails.
fn with_little_room(bench: &Bench, kib: u64, args: &[&str]) -> Said {
    let mut command = Command::new("bash");
    command.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\""));
    command.arg(env!("CARGO_BIN_EXE_bewaard")).arg("--config").arg(bench.file("bewaard.toml")).args(args);
    said(&command.stdin(Stdio::null()).output().unwrap())
}

#[test]
fn a_log_that_can_not_grow_ends_the_run_and_nothing_is_lost() {
    let bench = big();
    bench.approve_all();
    let database = bench.file("shop.db").metadata().unwrap().len() / 1024;
    // Three batches of entries are some 450 KiB, and the database does not grow.
    let room = database.max(200);
    let stopped = with_little_room(&bench, room, &["run"]);
    assert!([1, 5].contains(&stopped.code), "{} {}", stopped.code, stopped.err);
    assert!(stopped.err.contains("log") && stopped.err.contains("too large"), "{}", stopped.err);
    let erased_then = 1_400 - old_left(&bench);
    assert!(erased_then < 1_400, "it was stopped half-way");
    bench.bewaard(&["log", "verify"]).ends(0);
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(old_left(&bench), 0);
    let outcomes = bench.entries("outcome");
    let gone = outcomes.iter().filter(|one| ["erased", "gone-unexplained"].contains(&one["result"].as_str().unwrap()));
    assert_eq!(gone.count(), 1_400, "each record that went has its entry, also the {erased_then} of the stopped run");
    bench.verified();
}

#[test]
fn a_full_disk_stops_before_anything_is_erased() {
    let bench = big();
    let (folder, small) = (bench.file("."), bench.file("small"));
    std::fs::create_dir(&small).unwrap();
    bench.change_policy("path = \"state\"", "path = \"small/state\"");
    bench.change_policy("path = \"log\"", "path = \"small/log\"");
    // Else the run waits for room instead of meeting the end of it.
    bench.change_policy("[system.shop]", "[brakes]\ndisk-free = \"off\"\n\n[system.shop]");
    // A file system of its own, in a mount namespace that goes with the shell.
    let script = "mount -t tmpfs -o size=1M full small && B=\"$0 --config bewaard.toml\"
        $B init >/dev/null && ID=$($B plan --json | sed -n 's/.*\"id\": \"\\([0-9a-f]*\\)\".*/\\1/p') && $B approve $ID --reason x >/dev/null || exit 90
        for ROOM in 0 200K; do
          cat /dev/zero > small/filler 2>/dev/null; truncate -s -$ROOM small/filler
          $B run; echo \"code $?\"; rm small/filler; $B log verify >/dev/null || exit 91
        done
        cp -a small/state small/log . || exit 92";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "bash", "-c", script]);
    let ran = said(&command.arg(env!("CARGO_BIN_EXE_bewaard")).current_dir(&folder).output().unwrap());
    if ran.err.starts_with("unshare:") || ran.err.contains("mount:") {
        // This host lets nobody mount: the same is asked of a file that can't grow.
        assert!(!is_root(), "root may mount: {}", ran.err);
        return a_log_that_can_not_grow_ends_the_run_and_nothing_is_lost();
    }
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let codes: Vec<&str> = ran.out.lines().filter_map(|line| line.strip_prefix("code ")).collect();
    assert!(codes.len() == 2 && codes.iter().all(|code| ["1", "5"].contains(code)), "{}{}", ran.out, ran.err);
    // Without any room it ends at the plan; with a little, where room for the outcomes is kept before the intent.
    assert_eq!(ran.err.matches("No space left").count(), 2, "{}", ran.err);
    assert!(ran.err.contains("the plan's files") && ran.err.contains("keep room in"), "{}", ran.err);
    assert_eq!(old_left(&bench), 1_400, "nothing was erased");
    bench.change_policy("path = \"small/state\"", "path = \"state\"");
    bench.change_policy("path = \"small/log\"", "path = \"log\"");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(old_left(&bench), 0, "with room again it goes on");
    bench.verified();
}

#[test]
fn without_home_terminal_or_colours_it_says_the_same() {
    let bench = bench();
    bench.approve_all();
    let plain = bench.bewaard(&["plan"]).ends(0);
    for environment in
        [&[][..], &[("TERM", "dumb")], &[("NO_COLOR", "1")], &[("TERM", "xterm"), ("HOME", "/nonexistent")]]
    {
        let mut command = bench.command(&["plan"]);
        command.env_clear().env("BEWAARD_CONFIG", bench.file("bewaard.toml")).envs(environment.iter().copied());
        let said = said(&command.output().unwrap()).ends(0);
        assert_eq!(said.out, plain.out, "{environment:?}");
        assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'), "{environment:?}: {}", said.err);
    }
    let mut command = bench.command(&["run"]);
    command.env_clear().env("BEWAARD_CONFIG", bench.file("bewaard.toml")).current_dir("/");
    said(&command.output().unwrap()).ends(0);
    assert_eq!(old_left(&bench), 0);
}

/// Starts a command whose standard output nobody reads.
fn unread(bench: &Bench, args: &[&str]) -> Said {
    let mut child = bench.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    said(&child.wait_with_output().unwrap())
}

#[test]
fn a_closed_pipe_is_a_quiet_end_and_work_is_still_done() {
    let bench = bench();
    bench.approve_all();
    for args in [
        &["plan"][..],
        &["plan", "--json"],
        &["status"],
        &["log", "show"],
        &["explain"],
        &["generate", "config"],
        &["--help"],
        &["check"],
        &["hold", "list"],
    ] {
        let said = unread(&bench, args).ends(0);
        assert!(!said.err.contains("pipe"), "{args:?}: {}", said.err);
    }
    let policy = std::fs::read_to_string(bench.file("bewaard.toml")).unwrap();
    bench.write("bewaard.toml", &format!("{policy}\n{}", rule().replace("[rule.old]", "[rule.twin]")));
    bench.plan_and_approve();
    unread(&bench, &["run"]).ends(0);
    assert_eq!(old_left(&bench), 0);
    assert_eq!(bench.entries("ledger").len(), 2, "every rule ran, though nobody listened");
}

#[test]
fn line_ends_and_byte_order_mark_of_windows_are_read() {
    let bench = bench();
    bench.approve_all();
    let policy = std::fs::read_to_string(bench.file("bewaard.toml")).unwrap();
    bench.write("bewaard.toml", &format!("\u{feff}{}", policy.replace('\n', "\r\n")));
    bench.bewaard(&["check"]).ends(0);
    bench.bewaard(&["init", "--write"]).ends(0);
    let written = std::fs::read_to_string(bench.file("bewaard.toml")).unwrap();
    assert!(
        written.starts_with('\u{feff}') && written.contains("key = \"") && !written.replace("\r\n", "").contains('\n')
    );
    let run = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!(run["runs"][0]["erased"], 20, "it is the same policy, so the approval holds");
}

#[test]
fn an_empty_policy_is_told_with_a_place_to_start() {
    let bench = bench();
    bench.write("bewaard.toml", "");
    for args in [&["status"][..], &["check"], &["run"], &["init"]] {
        let said = bench.bewaard(args).ends(78);
        assert!(said.err.contains("generate config"), "{}", said.err);
    }
    assert!(!bench.file("state").exists() && !bench.file("log").exists(), "and nothing is made");
}

#[test]
fn ten_thousand_rules_are_read_in_seconds() {
    use std::fmt::Write;
    let bench = bench();
    let mut policy = std::fs::read_to_string(bench.file("bewaard.toml")).unwrap();
    for n in 0..10_000 {
        let rule = rule().replace("[rule.old]", &format!("[rule.r{n}]"));
        write!(policy, "{}", rule.replace("since.column", &format!("records.where = \"id = {n}\"\nsince.column")))
            .unwrap();
    }
    bench.write("bewaard.toml", &policy);
    for args in [&["check", "--offline"][..], &["plan", "r5000"]] {
        let start = Instant::now();
        bench.bewaard(args).ends(0);
        assert!(start.elapsed() < Duration::from_secs(20), "{args:?} took {:?}", start.elapsed());
    }
}

#[test]
fn root_becomes_the_owner_of_the_state_folder_and_others_are_refused() {
    let bench = bench();
    if !is_root() {
        // Whoever is not root sees the refusal: the folder of all folders is root's.
        bench.change_policy("path = \"state\"", "path = \"/\"");
        let refused = bench.bewaard(&["init"]).ends(1);
        return assert!(refused.err.contains("sudo -u root "), "{}", refused.err);
    }
    bench.write("wrap", &"0123456789abcdef".repeat(3));
    std::fs::set_permissions(bench.file("wrap"), std::fs::Permissions::from_mode(0o600)).unwrap();
    bench.change_policy("[log]", "[keys]\nwrap = { file = \"wrap\" }\n\n[log]");
    bench.approve_all();
    give(&bench, NOBODY);
    // Root's alone: it is read before the change of user.
    chown(bench.file("wrap"), Some(0), Some(0)).unwrap();
    let hold = ["hold", "add", "--reason", "x", "--review", "2027-01-01"];
    bench.bewaard_with_input(&hold, "email: k2@canary.example\n").ends(0);
    bench.bewaard(&["plan"]).ends(0);
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(old_left(&bench), 1);
    for folder in ["state", "log"] {
        for path in files(&bench.file(folder)) {
            assert_eq!(path.metadata().unwrap().uid(), NOBODY, "{} is not its owner's", path.display());
        }
    }
    assert_eq!(bench.entries("run-started").last().unwrap()["by"]["uid"], 0, "who started it is in the log");
    let binary = binary_for_all(&bench);
    let mut command = Command::new(&binary);
    command.arg("--config").arg(bench.file("bewaard.toml")).args(["approve", "abcdef", "--reason", "it's ok"]);
    let refused = said(&command.uid(4711).gid(4711).output().unwrap());
    // The temporary folder itself is open to its owner alone, so another user may not even get there.
    let line = format!("sudo -u nobody '{}'", binary.display());
    assert_eq!(refused.code, if refused.err.contains("sudo") { 1 } else { 78 });
    std::fs::set_permissions(bench.file("."), std::fs::Permissions::from_mode(0o755)).unwrap();
    let refused = said(&command.output().unwrap()).ends(1);
    assert!(refused.err.contains(&line) && refused.err.contains(r"'it'\''s ok'"), "{}", refused.err);
    bench.verified();
}

/// A run that waits for a database that somebody else has locked.
fn waiting_run(bench: &Bench) -> (Child, Child) {
    let mut locker = Command::new("sqlite3");
    locker.arg(bench.file("shop.db")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut locker = locker.spawn().unwrap();
    {
        use std::io::{Read, Write};
        let stdin = locker.stdin.as_mut().unwrap();
        stdin.write_all(b"begin immediate;\n.print locked\n").unwrap();
        stdin.flush().unwrap();
        let mut said = [0; 6];
        locker.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(&said, b"locked");
    }
    let mut run = bench.command(&["run", "--json"]);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    (run, locker)
}

#[test]
fn an_interrupt_ends_a_run_between_two_batches_and_the_next_one_finishes() {
    let bench = big();
    bench.approve_all();
    let (run, mut locker) = waiting_run(&bench);
    let inflight = bench.file("state").join("inflight");
    wait_for("a batch in flight", || std::fs::read_dir(&inflight).is_ok_and(|mut found| found.next().is_some()));
    let pid = rustix::process::Pid::from_raw(i32::try_from(run.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    drop(locker.stdin.take());
    locker.wait().unwrap();
    let stopped = said(&run.wait_with_output().unwrap()).ends(0);
    assert!(stopped.err.contains("stopped by you"), "{}", stopped.err);
    let told = stopped.json();
    assert_eq!((told["stopped"].as_bool(), told["runs"][0]["how"].as_str()), (Some(true), Some("stopped")));
    assert_eq!(told["runs"][0]["erased"], 500, "the batch in flight is finished, the next one is not begun");
    assert_eq!(old_left(&bench), 900);
    bench.verified();
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(old_left(&bench), 0);
    bench.verified();
}

#[test]
fn a_log_saved_by_an_editor_is_refused() {
    type Edit = fn(String) -> String;
    let edits: [(&str, Edit); 4] = [
        ("a newline at its end", |text| text + "\n"),
        ("a line wrapped", |text| text.replacen(',', ",\n", 1)),
        ("line ends of Windows", |text| text.replace('\n', "\r\n")),
        ("a byte order mark", |text| format!("\u{feff}{text}")),
    ];
    for (edit, change) in edits {
        let bench = bench();
        bench.approve_all();
        let journal = files(&bench.file("log/journal")).into_iter().find(|path| path.is_file()).unwrap();
        let text = std::fs::read_to_string(&journal).unwrap();
        let name = format!("log/journal/{}", journal.file_name().unwrap().to_str().unwrap());
        bench.write(&name, &change(text.clone()));
        let verify = bench.bewaard(&["log", "verify"]).ends(4);
        assert!((verify.out + &verify.err).contains("B4"), "{edit}: a code that is explained");
        for args in [&["run"][..], &["plan"], &["status"]] {
            let refused = bench.bewaard(args).ends(5);
            assert!(refused.err.contains("bewaard explain B4"), "{edit}: {}", refused.err);
        }
        assert_eq!(old_left(&bench), 20, "{edit}");
        bench.write(&name, &text);
        bench.bewaard(&["run"]).ends(0);
        bench.verified();
    }
}

#[test]
fn a_file_that_an_editor_left_in_the_log_is_named() {
    let bench = bench();
    bench.approve_all();
    bench.write("log/journal/.2026-Q4.jsonl.swp", "x");
    let verify = bench.bewaard(&["log", "verify"]).ends(4);
    assert!((verify.out + &verify.err).contains("swp"));
}

#[test]
fn time_set_forward_and_back_purges_nothing_once_the_log_is_ahead() {
    let bench = bench();
    bench.approve_all();
    let at = |shift: &str, args: &[&str]| bench.at(shift, args);
    // SQLite has no time of its own, so only the log's silence contradicts a host that is a year ahead.
    bench.sql("insert into customers values (1001, 'x', '2025-06-01')");
    let ahead = at("+1y", &["plan", "--json"]).ends(0).json();
    assert_eq!((ahead["plans"][0]["due"].as_u64(), ahead["plans"][0]["gate"].as_str()), (Some(21), Some("preview")));
    let refused = at("+1y", &["run"]).ends(5);
    assert!(refused.err.contains("B601") && refused.err.contains("bewaard resume --all"), "{}", refused.err);
    let status = at("+1y", &["status"]).ends(0).out;
    assert!(status.starts_with("STOPPED: doubt about the time"), "{status}");
    assert_eq!(old_left(&bench), 20);
    bench.verified();

    // A month of silence is a holiday, and a person's word is enough for a year; then the way back is closed.
    at("+30d", &["plan"]).ends(0);
    at("+1y", &["resume", "--all", "--reason", "the clock is right"]).ends(0);
    assert_eq!(at("+1y", &["plan", "--json"]).ends(0).json()["plans"][0]["gate"], "open");
    let back = bench.bewaard(&["run"]).ends(5);
    assert!(back.err.contains("set the clock right"), "{}", back.err);
    assert_eq!(old_left(&bench), 20);
    bench.bewaard(&["pause", "--reason", "a stop always works"]).ends(0);
}

#[test]
fn what_a_person_writes_on_a_doubted_clock_does_not_vouch_for_it() {
    let bench = bench();
    bench.approve_all();
    for args in [&["pause", "--reason", "x"][..], &["resume", "--reason", "x"], &["resume", "old", "--reason", "x"]] {
        bench.at("+70d", args).ends(0);
    }
    bench.write("whom", "email: a@b.example\n");
    let mut hold = bench.command_at("+70d", &["hold", "add", "--reason", "x", "--review", "2027-06-01"]);
    said(&hold.stdin(std::fs::File::open(bench.file("whom")).unwrap()).output().unwrap()).ends(0);
    assert_eq!((bench.entries("pause-changed").len(), bench.entries("hold-changed").len()), (2, 1));
    assert!(bench.at("+70d", &["run"]).ends(5).err.contains("B601"));
    assert_eq!(old_left(&bench), 20);
    bench.at("+70d", &["resume", "--all", "--reason", "the clock is right"]).ends(0);
    bench.at("+70d", &["run"]).ends(0);
    assert_eq!(old_left(&bench), 0);
    bench.at("+70d", &["log", "verify"]).ends(0);
}

#[test]
fn a_machine_that_moves_after_a_long_silence_is_adopted_and_then_its_clock_is_vouched_for() {
    let bench = bench();
    bench.approve_all();
    let moved = |args: &[&str]| {
        let mut command = bench.command_at("+70d", args);
        said(&command.env("BEWAARD_TEST_MACHINE_ID", "another").output().unwrap())
    };
    moved(&["run"]).ends(5);
    moved(&["resume", "--all", "--reason", "the clock is right"]).ends(5);
    moved(&["adopt", "--moved", "--reason", "new server"]).ends(0);
    assert!(moved(&["run"]).ends(5).err.contains("B601"), "adopting says nothing of the clock");
    moved(&["resume", "--all", "--reason", "the clock is right"]).ends(0);
    moved(&["run"]).ends(0);
    assert_eq!(old_left(&bench), 0);
    moved(&["log", "verify"]).ends(0);
}

#[test]
fn a_key_or_an_address_is_never_an_argument_and_a_sample_needs_a_terminal() {
    let bench = bench();
    bench.approve_all();
    for args in [
        &["plan", "old", "--explain", "2"][..],
        &["plan", "old", "--explain=k2@canary.example"],
        &["hold", "add", "--reason", "x", "--review", "2027-01-01", "email: k2@canary.example"],
        &["log", "prove", "--rule", "old", "2"],
        &["plan", "--sample", "3"],
    ] {
        let refused = bench.bewaard(args).ends(2);
        assert!(!refused.out.contains("canary"), "{}", refused.out);
    }
    assert!(bench.entries("shown").is_empty());
}

/// What a terminal would obey.
fn obeyed(text: &str) -> Option<char> {
    text.chars().find(|c| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' | '\u{feff}')
    })
}

const HOSTILE: [&str; 7] = [
    "a\u{1b}[2J\u{1b}]0;pwned\u{7}z",
    "a\u{202e}txt.exe\u{2066}\u{200b}",
    "a\"b'c`d;--",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "a\r\nbewaard: all is well",
    "../../etc/passwd",
];

#[test]
fn hostile_names_and_texts_are_shown_and_never_obeyed() {
    let mut carried_out = 0;
    for name in HOSTILE {
        let sql_name = format!("\"{}\"", name.replace('"', "\"\""));
        let text = serde_json::to_string(name).unwrap();
        let policy = format!(
            "[rule.old]\nabout = {text}\nsystem = \"shop\"\nrecords.table = {text}\nperson.email = {text}\n\
             since.column = \"day\"\nkeep = \"2 years\"\nbecause = {text}\nthen.delete = true\nlimits.share = \"100 %\"\n"
        );
        let schema = format!(
            "create table {sql_name} (key text primary key, {sql_name} text, day text);
             create index days on {sql_name}(day);
             insert into {sql_name} values ('{0}', '{0}', '2019-01-01'), ('b', 'b', '2026-10-01');",
            name.replace('\'', "''")
        );
        let bench = Bench::new(&policy, &schema);
        let mut outputs = vec![bench.bewaard(&["check"])];
        // What the policy does not take is refused in harmless words; what it takes is carried out.
        if outputs[0].code == 0 {
            carried_out += 1;
            bench.approve_all();
            for args in [
                &["plan"][..],
                &["plan", "--json"],
                &["plan", "--at", "2030-01-01"],
                &["status"],
                &["status", "--json"],
                &["run"],
                &["log", "show"],
                &["log", "show", "--json"],
                &["log", "verify"],
                &["check", "--json"],
            ] {
                outputs.push(bench.bewaard(args).ends(0));
            }
            let hold = ["hold", "add", "--reason", name, "--review", "2027-01-01", "--json"];
            outputs.push(bench.bewaard_with_input(&hold, &format!("email: {name}\n")));
            outputs.push(bench.bewaard_with_input(&["plan", "old", "--explain", "-"], &format!("{name}\n")));
            assert_eq!(bench.number(&format!("select count(*) from {sql_name}")), 1, "{name:?}");
        } else {
            assert_eq!(outputs[0].code, 78, "{name:?}: {}", outputs[0].err);
        }
        for args in
            [&["plan", name][..], &["explain", name], &["resume", name, "--reason", "x"], &["plan", "show", name]]
        {
            outputs.push(bench.bewaard(args));
        }
        for output in &outputs {
            assert_eq!(obeyed(&output.out), None, "{name:?}: {:?}", output.out);
            assert_eq!(obeyed(&output.err), None, "{name:?}: {:?}", output.err);
        }
    }
    assert!(carried_out >= 4, "most of these are names that a database may have: {carried_out}");
}

//! Each command as a person or a program uses it: what it says, what it ends with, and that it says so in JSON too.

use std::process::{Command, Stdio};

use crate::bench::{Bench, said};
use crate::customers::{RULE, customers};

fn bench() -> Bench {
    Bench::new(RULE, &customers(40))
}

fn plan_id(bench: &Bench) -> String {
    let plan = bench.bewaard(&["plan", "--json"]).ends(0).json();
    plan["plans"][0]["id"].as_str().unwrap().to_string()
}

/// Every command that ends without standard input, and the subcommands of those that have them.
const COMMANDS: [&[&str]; 29] = [
    &["demo"],
    &["init"],
    &["check"],
    &["grants"],
    &["test"],
    &["plan"],
    &["plan", "show"],
    &["approve"],
    &["run"],
    &["hold"],
    &["hold", "add"],
    &["hold", "release"],
    &["hold", "show"],
    &["hold", "list"],
    &["settle"],
    &["resume"],
    &["status"],
    &["log"],
    &["log", "show"],
    &["log", "verify"],
    &["log", "prove"],
    &["log", "checkpoint"],
    &["log", "path"],
    &["log", "continue"],
    &["key", "show"],
    &["key", "rotate"],
    &["adopt"],
    &["generate"],
    &["explain"],
];

#[test]
fn every_command_has_a_help_and_the_first_one_names_them_all() {
    let bench = bench();
    let all = said(&Command::new(env!("CARGO_BIN_EXE_bewaard")).arg("--help").output().unwrap()).ends(0);
    for command in COMMANDS {
        let mut args = command.to_vec();
        args.push("--help");
        let help = bench.bewaard(&args).ends(0);
        assert!(help.out.contains("Usage: bewaard") && help.err.is_empty(), "{command:?}: {}", help.out);
        assert!(help.out.lines().all(|line| line.chars().count() <= 120), "{command:?} is too wide: {}", help.out);
        assert!(all.out.contains(&format!("\n  {} ", command[0])), "the first help lacks {command:?}");
    }
    let nothing = said(&Command::new(env!("CARGO_BIN_EXE_bewaard")).output().unwrap()).ends(2);
    assert!(nothing.err.contains("bewaard demo") && nothing.err.contains("Exit codes"), "{}", nothing.err);
}

#[test]
fn json_has_one_schema_whatever_is_asked() {
    let bench = bench();
    bench.approve_all();
    let id = plan_id(&bench);
    for args in [
        &["init"][..],
        &["check"],
        &["check", "--offline"],
        &["grants", "shop"],
        &["plan"],
        &["plan", "--sql"],
        &["plan", "--at", "2027-01-01"],
        &["plan", "show", &id],
        &["status"],
        &["status", "--why", "old"],
        &["hold", "list"],
        &["run"],
        &["log", "show"],
        &["log", "path"],
        &["log", "verify"],
        &["log", "checkpoint"],
        &["key", "show"],
        &["explain"],
        &["explain", "B105"],
    ] {
        let mut all = args.to_vec();
        all.push("--json");
        let said = bench.bewaard(&all).ends(0);
        assert_eq!(said.json()["schema"], 1, "{args:?}: {}", said.out);
    }
    for (args, code) in [(&["plan", "nope"][..], 2), (&["approve", "ffffffffffff", "--reason", "x"], 2)] {
        let mut all = args.to_vec();
        all.push("--json");
        let failed = bench.bewaard(&all).ends(code).json();
        assert_eq!((failed["schema"].as_u64(), failed["exit"].as_i64()), (Some(1), Some(i64::from(code))), "{args:?}");
    }
    bench.change_policy("keep =", "keeep =");
    let wrong = bench.bewaard(&["status", "--json"]).ends(78).json();
    assert_eq!(wrong["ok"], false);
    assert!(wrong["findings"].as_array().is_some_and(|all| !all.is_empty()));
}

#[test]
fn what_is_not_there_is_a_fault_of_usage() {
    let bench = bench();
    bench.approve_all();
    for args in [
        &["plan", "nope"][..],
        &["run", "nope"],
        &["status", "--why", "nope"],
        &["resume", "nope", "--reason", "x"],
        &["resume", "--system", "nope", "--reason", "x"],
        &["grants", "nope"],
        &["plan", "show", "ffffffffffff"],
        &["approve", "ffffffffffff", "--reason", "x"],
        &["hold", "release", "hold-0000000000000000", "--reason", "x"],
        &["settle", "batch-0000000000000000", "--as", "kept", "--reason", "x"],
        &["explain", "B999"],
        &["plan", "old", "--explain", "4"],
        &["plan", "--sample", "2"],
    ] {
        let said = bench.bewaard(args).ends(2);
        assert!(said.err.starts_with("bewaard: ") && said.out.is_empty(), "{args:?}: {}{}", said.out, said.err);
    }
}

#[test]
fn status_says_why_a_rule_does_not_run_and_what_helps() {
    let bench = bench();
    let why = |bench: &Bench| bench.bewaard(&["status", "--why", "old", "--json"]).ends(0).json();
    assert_eq!(why(&bench)["to_run"][0], "bewaard init");
    bench.bewaard(&["init"]).ends(0);
    let id = plan_id(&bench);
    let waits = why(&bench);
    assert!(waits["why"].as_str().unwrap().contains("nobody has approved"), "{waits}");
    assert_eq!(waits["to_run"][1], format!("bewaard approve {} --reason \"...\"", &id[..12]));
    bench.bewaard(&["approve", &id, "--reason", "x"]).ends(0);
    assert_eq!(why(&bench)["to_run"], serde_json::json!(["bewaard run old"]));
    bench.change_policy("share = \"100 %\"", "share = \"10 %\"");
    let over = why(&bench);
    assert!(over["why"].as_str().unwrap().contains("over its limit (share)"), "{over}");
    assert!(over["to_run"][1].as_str().unwrap().contains("--beyond share"), "{over}");
    bench.change_policy("share = \"10 %\"", "share = \"100 %\"");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(why(&bench)["to_run"], serde_json::json!([]));
    assert_eq!(bench.bewaard(&["status", "--why", "old"]).ends(0).out, "old: nothing is due\n");
}

#[test]
fn a_changed_policy_is_compared_with_the_old_one_and_nothing_is_written() {
    let bench = bench();
    bench.sql("update customers set last_login = '2025-03-04' where id <= 5 and id % 2 = 1");
    bench.approve_all();
    let text = std::fs::read_to_string(bench.file("bewaard.toml")).unwrap();
    bench.write("old.toml", &text);
    bench.change_policy("keep = \"2 years\"", "keep = \"1 year\"");
    let entries = bench.entries("plan-made").len();
    let old = bench.file("old.toml").display().to_string();
    let compared = bench.bewaard(&["plan", "--against", &old, "--json"]).ends(0).json();
    let change = &compared["changes"][0];
    assert_eq!((change["due_before"].as_u64(), change["due"].as_u64()), (Some(20), Some(23)), "{compared}");
    assert_eq!((change["adds"].as_u64(), change["drops"].as_u64()), (Some(3), Some(0)), "{compared}");
    assert_eq!(bench.entries("plan-made").len(), entries);
}

#[test]
fn a_plan_for_a_later_day_is_a_preview() {
    let bench = bench();
    bench.approve_all();
    let entries = bench.entries("plan-made").len();
    let later = bench.bewaard(&["plan", "--at", "2028-10-02", "--json"]).ends(0).json();
    let plan = &later["plans"][0];
    assert_eq!((plan["due"].as_u64(), plan["gate"].as_str(), plan["id"].is_null()), (Some(40), Some("preview"), true));
    let eve = bench.bewaard(&["plan", "--at", "2028-10-01", "--json"]).ends(0).json();
    assert_eq!(eve["plans"][0]["due"], 20, "on the eve the term has not passed");
    assert_eq!(bench.entries("plan-made").len(), entries);
}

#[test]
fn one_record_is_explained_by_its_key_from_standard_input() {
    let bench = bench();
    bench.approve_all();
    let args = ["plan", "old", "--explain", "-", "--json"];
    let goes = bench.bewaard_with_input(&args, "2\n").ends(0).json();
    assert_eq!(
        (goes["parts"][0]["verdict"].as_str(), goes["parts"][0]["due_since"].as_str()),
        (Some("due"), Some("2021-05-07"))
    );
    let stays = bench.bewaard_with_input(&args, "1\n").ends(0).json();
    assert_eq!(stays["parts"][0]["kept"], "not-yet-due");
    let nobody = bench.bewaard_with_input(&args, "4711\n").ends(0).json();
    assert_eq!(nobody["selected"], false);
    assert_eq!(bench.entries("shown").len(), 3, "who looked at a record is in the log");
    let text = bench.bewaard_with_input(&args[..4], "2\n").ends(0).out;
    assert!(text.contains("GOES, due since 2021-05-07") && text.contains("2 years: test"), "{text}");
}

#[test]
fn anybody_counts_the_same_with_the_printed_statements() {
    let bench = bench();
    bench.sql("insert into customers values (90, 'x', null)");
    let plan = bench.bewaard(&["plan", "--json"]).ends(0).json();
    let told = bench.bewaard(&["plan", "--sql"]).ends(0).out;
    let database = bench.file("shop.db");
    let run = |sql: &str| {
        use std::io::Write;
        let mut command = Command::new("sqlite3");
        command.args(["-readonly", "-bail"]).arg(&database).stdin(Stdio::piped());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("sqlite3 is there: apt install sqlite3");
        child.stdin.take().unwrap().write_all(format!("{}\n", sql.trim()).as_bytes()).unwrap();
        said(&child.wait_with_output().unwrap()).ends(0).out
    };
    // As it is printed, in one go: comments and statements, each ended once.
    assert!(!told.contains(";;"), "{told}");
    run(&told);
    let why = bench.bewaard(&["plan", "--sql", "--why"]).ends(0).out;
    assert!(why.starts_with(&told) && !why.contains(";;"), "{why}");
    run(&why);
    let index = "CREATE INDEX \"customers_last_login\" ON \"customers\" (\"last_login\");";
    assert!(!why.contains(index), "it is there: {why}");
    bench.sql("drop index customers_login");
    let why = bench.bewaard(&["plan", "--sql", "--why"]).ends(0).out;
    assert!(why.contains("the table is read whole, from first to last; this index would serve:"), "{why}");
    assert!(why.contains(index) && why.contains("--   SCAN r"), "{why}");
    bench.sql(index);
    bench.bewaard(&["plan", "--why"]).ends(2);
    let statements = bench.bewaard(&["plan", "--sql", "--json"]).ends(0).json();
    let of = |purpose: &str| {
        let all = statements["statements"].as_array().unwrap();
        let found = all.iter().find(|one| one["purpose"].as_str().unwrap().contains(purpose));
        run(found.unwrap_or_else(|| panic!("no statement for: {purpose} in {statements}"))["sql"].as_str().unwrap())
    };
    assert_eq!(of("all records of customers").trim(), plan["plans"][0]["of"].to_string());
    assert_eq!(of("records that the rule selects").trim(), plan["plans"][0]["found"].to_string());
    let due: u64 = of("by clock")
        .lines()
        .filter_map(|line| line.split_once('|'))
        .filter(|(day, _)| !day.is_empty() && *day < "2024-01-01")
        .map(|(_, count)| count.parse::<u64>().unwrap())
        .sum();
    assert_eq!(due, plan["plans"][0]["due"].as_u64().unwrap());
}

#[test]
fn the_shipped_cases_are_decided_as_they_say() {
    let bench = bench();
    let cases = bench.bewaard(&["generate", "cases"]).ends(0).out;
    bench.write("cases.toml", &cases);
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/config/examples/webshop.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bewaard"));
    command.args(["--config", policy, "test", "--verbose"]).arg(bench.file("cases.toml"));
    said(&command.output().unwrap()).ends(0);
}

#[test]
fn what_is_wrong_with_a_command_is_told_in_json_too() {
    let bench = bench();
    let told = bench.bewaard(&["--json", "approve"]).ends(2).json();
    assert_eq!((told["schema"].as_u64(), told["exit"].as_u64()), (Some(1), Some(2)));
    assert!(bench.bewaard(&["log", "show", "--kind", "nonsense"]).ends(2).err.contains("the kinds are"));
}

#[test]
fn a_hold_is_placed_listed_and_released() {
    let bench = bench();
    bench.approve_all();
    let args = ["hold", "add", "--reason", "complaint", "--review", "2020-01-01", "--system", "shop"];
    let placed = bench.bewaard_with_input(&args, "email: k2@canary.example\r\n").ends(0).out;
    let id = placed.split_whitespace().nth(1).unwrap().trim_end_matches(':').to_string();
    let listed = bench.bewaard(&["hold", "list"]).ends(0).out;
    assert!(listed.contains(&id) && listed.contains("shop") && !listed.contains("canary"), "{listed}");
    let status = bench.bewaard(&["status", "--json"]).ends(0).json();
    assert_eq!((status["holds"].as_u64(), status["holds_past_review"].as_u64()), (Some(1), Some(1)));
    bench.bewaard(&["hold", "release", &id, "--reason", "settled"]).ends(0);
    bench.bewaard(&["hold", "release", &id, "--reason", "twice"]).ends(2);
    assert_eq!(bench.bewaard(&["hold", "list"]).ends(0).out, "no holds are in force\n");
    for (input, says) in [
        ("k2@canary.example\n", "lacks its kind"),
        ("mail: x\n", "kind is none of"),
        ("key: 2\n", "need --rule"),
        ("", "nothing came"),
    ] {
        let refused = bench.bewaard_with_input(&args, input).ends(2);
        assert!(refused.err.contains(says) && !refused.err.contains("canary"), "{}", refused.err);
    }
    bench.verified();
}

#[test]
fn resume_ends_a_freeze_and_is_in_the_log() {
    let bench = bench();
    bench.approve_all();
    bench.bewaard(&["resume", "--reason", "x"]).ends(2);
    let said = bench.bewaard(&["resume", "old", "--reason", "looked"]).ends(0).out;
    assert_eq!(said, "rule `old` was not frozen\n");
    bench.bewaard(&["resume", "--all", "--reason", "looked"]).ends(0);
    assert_eq!(bench.entries("resumed").len(), 1);
}

#[test]
fn keys_are_shown_and_rotated_and_the_log_goes_on() {
    let bench = bench();
    bench.bewaard(&["init", "--write"]).ends(0);
    bench.plan_and_approve();
    let before = bench.bewaard(&["key", "show", "--json"]).ends(0).json();
    let vkey = before["vkey"].as_str().unwrap().to_string();
    assert!(std::fs::read_to_string(bench.file("bewaard.toml")).unwrap().contains(&vkey));
    bench.write("key.pem", before["pem"].as_str().unwrap());
    let read =
        Command::new("openssl").args(["pkey", "-pubin", "-noout", "-text", "-in"]).arg(bench.file("key.pem")).output();
    assert!(said(&read.expect("openssl is there: apt install openssl")).ends(0).out.contains("ED25519"));
    let rotated = bench.bewaard(&["key", "rotate", "--reason", "yearly", "--json"]).ends(0).json();
    assert_eq!(rotated["old"], vkey.as_str());
    assert_ne!(rotated["new"], vkey.as_str());
    assert_eq!(bench.bewaard(&["key", "show", "--json"]).ends(0).json()["vkey"], rotated["new"]);
    bench.verified();
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 20);
    bench.verified();
}

#[test]
fn what_is_generated_is_read_back() {
    let bench = bench();
    bench.bewaard(&["generate", "config"]).ends(0);
    bench.write("reference.toml", &bench.bewaard(&["generate", "config"]).ends(0).out);
    bench.bewaard(&["check", "--offline", &bench.file("reference.toml").display().to_string()]).ends(0);
    let schema = bench.bewaard(&["generate", "schema"]).ends(0).json();
    assert!(schema["$defs"]["the-top-level"]["properties"]["rule"].is_object());
}

#[test]
fn every_code_is_explained() {
    let bench = bench();
    let all = bench.bewaard(&["explain"]).ends(0).out;
    assert!(all.lines().count() > 50);
    for line in all.lines().step_by(7) {
        let code = line.split_whitespace().next().unwrap();
        let one = bench.bewaard(&["explain", &code.to_lowercase()]).ends(0).out;
        assert!(one.starts_with(code) && one.lines().count() >= 3, "{one}");
    }
}

#[test]
fn sqlite_knows_no_grants_but_those_of_files() {
    let bench = bench();
    let said = bench.bewaard(&["grants", "shop"]).ends(0).out;
    assert!(said.contains("shop.db") && !said.to_uppercase().contains("GRANT "), "{said}");
}

#[test]
fn a_declared_controller_signs_and_nobody_else() {
    let bench = bench();
    let keygen = |name: &str| {
        let path = bench.file(name);
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&path).output();
        said(&made.expect("ssh-keygen is there: apt install openssh-client")).ends(0);
        std::fs::read_to_string(bench.file(&format!("{name}.pub"))).unwrap().trim().to_string()
    };
    let (controller, processor) = (keygen("anna"), keygen("host"));
    keygen("stranger");
    let policy = std::fs::read_to_string(bench.file("bewaard.toml")).unwrap();
    bench.write(
        "bewaard.toml",
        &format!(
            "{policy}\n[actor.anna]\nrole = \"controller\"\nkey = \"{controller}\"\n\n\
             [actor.host]\nrole = \"processor\"\nkey = \"{processor}\"\n"
        ),
    );
    bench.bewaard(&["init"]).ends(0);
    let id = plan_id(&bench);
    let typed = bench.bewaard(&["approve", &id, "--reason", "typed"]).ends(3);
    assert!(typed.err.contains("ssh-keygen -Y sign -n bewaard"), "the line that works is told: {}", typed.err);
    let sign = |key: &str, text: &str| {
        bench.write("plan.txt", text);
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-Y", "sign", "-n", "bewaard", "-f"]).arg(bench.file(key)).arg(bench.file("plan.txt"));
        let signature = bench.file("plan.txt.sig");
        if signature.exists() {
            bewaard::durable::remove(&signature).unwrap();
        }
        said(&command.output().unwrap()).ends(0);
        signature.display().to_string()
    };
    let text = bench.bewaard(&["plan", "show", &id]).ends(0).out;
    for (key, text, says) in [
        ("stranger", text.clone(), "not accepted"),
        ("host", text.clone(), "no controller"),
        ("anna", text.replace("due: 20", "due: 2"), "not accepted"),
    ] {
        let signature = sign(key, &text);
        let refused = bench.bewaard(&["approve", &id, "--signature", &signature]).ends(3);
        assert!(refused.err.contains(says), "{key}: {}", refused.err);
    }
    bench.bewaard(&["run"]).ends(3);
    let signature = sign("anna", &text);
    bench.bewaard(&["approve", &id, "--signature", &signature]).ends(0);
    let approved = bench.entries("approved");
    assert_eq!(approved.last().unwrap()["by"]["actor"], "anna");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 20);
    bench.verified();
}

#[test]
fn a_damaged_view_cache_changes_nothing() {
    let bench = Bench::new(RULE, &customers(6_000));
    bench.approve_all();
    bench.bewaard(&["run"]).ends(0);
    let cache = bench.file("state").join("view.cache");
    let kept = std::fs::read(&cache).expect("3,000 purges are far enough for a kept view");
    let start = |bench: &Bench| {
        let said = said(&bench.command(&["status", "--json"]).env("BEWAARD_LOG", "debug").output().unwrap()).ends(0);
        let entries = said.err.lines().find(|line| line.contains("the kept view")).unwrap();
        let entries: u64 = entries.rsplit('=').next().unwrap().trim().parse().unwrap();
        (entries, said.json())
    };
    let (entries, healthy) = start(&bench);
    assert!(entries > 2_000, "the kept view is used");
    assert_eq!(healthy["rules"][0]["purged"], 3000);
    let mut flipped = kept.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let other = self::bench();
    other.approve_all();
    let damages: [(&str, Vec<u8>); 4] = [
        ("a flipped bit", flipped),
        ("a cut file", kept[..kept.len() / 2].to_vec()),
        ("an empty file", Vec::new()),
        ("text", b"{\"size\":1}".to_vec()),
    ];
    for (damage, bytes) in damages {
        use std::io::Write;
        std::fs::File::create(&cache).unwrap().write_all(&bytes).unwrap();
        let (entries, status) = start(&bench);
        assert_eq!((entries, &status), (0, &healthy), "{damage}");
        let (entries, status) = start(&bench);
        assert!(entries > 2_000 && status == healthy, "after {damage} it is kept anew");
    }
    bench.verified();
}

#[test]
fn init_writes_the_key_into_the_policy_whichever_way_the_log_is_written() {
    use std::os::unix::fs::PermissionsExt;
    let ways: [(&str, &str, &str); 5] = [
        ("[log]\npath = \"log\"\n", "log.path = \"log\"\n", "dotted"),
        ("[log]\npath = \"log\"\n", "log = { path = \"log\" } # ours\n", "inline"),
        ("[log]\npath = \"log\"\n", "[ log ] # ours\npath = \"log\"\n", "table"),
        ("[log]\npath = \"log\"\n", "", "conf.d"),
        ("\n", "\r\n", "line ends of Windows"),
    ];
    for (from, to, way) in ways {
        let bench = bench();
        let text = std::fs::read_to_string(bench.file("bewaard.toml")).unwrap();
        let head = "time-zone = \"Europe/Amsterdam\"\n";
        let text = match way {
            // Keys of the top level stand above the first table.
            "dotted" | "inline" => text.replace(from, "").replace(head, &format!("{head}{to}")),
            _ => text.replace(from, to),
        };
        bench.write("bewaard.toml", &text);
        let mut written = bench.file("bewaard.toml");
        if way == "conf.d" {
            std::fs::create_dir(bench.file("conf.d")).unwrap();
            bench.write("conf.d/log.toml", "# the log\nlog.path = \"../log\"\n");
            written = bench.file("conf.d/log.toml");
        }
        std::fs::set_permissions(&written, std::fs::Permissions::from_mode(0o664)).unwrap();
        let advice = bench.bewaard(&["init"]).ends(0).out;
        assert!(advice.contains(&crate::quoted(&written)) && advice.contains("key = \""), "{way}: {advice}");
        let before = std::fs::read_to_string(&written).unwrap();
        let said = bench.bewaard(&["init", "--write"]).ends(0);
        assert!(said.out.contains(&format!("added to {}", written.display())), "{way}: {}", said.out);
        let verify = bench.bewaard(&["log", "verify"]).ends(0);
        assert!(verify.out.contains("key from the policy"), "{way}: {}", verify.out);
        let after = std::fs::read_to_string(&written).unwrap();
        let mode = written.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o664, "{way}");
        let key = bench.bewaard(&["key", "show", "--json"]).ends(0).json()["vkey"].as_str().unwrap().to_string();
        assert!(after.len() > before.len() && after.len() < before.len() + key.len() + 20, "{way}: {after}");
        // A rotation keeps the old key beside the new one, in the same place.
        bench.bewaard(&["key", "rotate", "--reason", "test"]).ends(0);
        let verify = bench.bewaard(&["log", "verify"]).ends(0);
        assert!(verify.out.contains("key from the policy"), "{way}: {}", verify.out);
        assert!(std::fs::read_to_string(&written).unwrap().contains(&key), "{way}");
    }
}

//! Lines that somebody else wrote into the journal, behind the newest head: nothing is built on them, and none is signed.

use std::io::Write;

use crate::bench::Bench;

const RULE: &str = r#"[rule.old]
system = "shop"
records.table = "customers"
since.column = "last_login"
keep = "2 years"
because = "test"
then.delete = true
limits.share = "100 %"
"#;

const SCHEMA: &str = "
create table customers (id integer primary key, last_login text);
create index customers_login on customers(last_login);
insert into customers values (1, '2019-05-06'), (2, '2025-06-06'), (3, '2026-10-01');
";

fn journal(bench: &Bench) -> std::path::PathBuf {
    let found = std::fs::read_dir(bench.file("log/journal")).unwrap().map(|entry| entry.unwrap().path());
    found.max().unwrap()
}

/// Appends an entry in the shape of one that is there, changed by `change`.
fn forge(bench: &Bench, kind: &str, change: impl Fn(&mut serde_json::Value)) {
    let path = journal(bench);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut entry = lines.iter().rfind(|line| line["kind"] == kind).unwrap().clone();
    entry["index"] = lines.len().into();
    change(&mut entry);
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(format!("{entry}\n").as_bytes()).unwrap();
}

fn refused(bench: &Bench, left: u64) {
    for command in [&["run"][..], &["plan"], &["status"], &["hold", "list"]] {
        let told = bench.bewaard(command).ends(5);
        assert!(told.err.contains("B424"), "{command:?}: {}", told.err);
    }
    assert_eq!(bench.number("select count(*) from customers"), left);
    let verified = bench.verified();
    assert!(verified.out.contains("nobody has signed"), "what is not sealed is told: {}", verified.out);
}

#[test]
fn a_forged_purge_is_never_signed() {
    let bench = Bench::new(RULE, SCHEMA);
    bench.approve_all();
    bench.bewaard(&["run"]).ends(0);
    bench.sql("delete from customers where id = 2");
    forge(&bench, "batch-intended", |entry| entry["batch"] = "batch-abababababababab".into());
    forge(&bench, "outcome", |entry| {
        entry["batch"] = "batch-abababababababab".into();
        entry["record"] = "ab".repeat(32).into();
    });
    refused(&bench, 1);
}

#[test]
fn a_forged_approval_opens_no_gate() {
    let bench = Bench::new(RULE, SCHEMA);
    bench.approve_all();
    bench.change_policy("keep = \"2 years\"", "keep = \"1 year\"");
    let plan = bench.bewaard(&["plan", "--json"]).ends(0).json()["plans"][0].clone();
    forge(&bench, "approved", |entry| {
        entry["plan"] = plan["id"].clone();
        entry["decision"] = plan["decision"].clone();
    });
    refused(&bench, 3);
    // With its own old mark it fits no better; with the foreign line taken away all goes on.
    let path = journal(&bench);
    let text = std::fs::read_to_string(&path).unwrap();
    let end = text.trim_end().rfind('\n').unwrap() + 1;
    let whole = text.get(..end).unwrap();
    std::fs::File::create(&path).unwrap().write_all(whole.as_bytes()).unwrap();
    bench.bewaard(&["run"]).ends(3);
    bench.verified();
    assert_eq!(bench.number("select count(*) from customers"), 3);
}

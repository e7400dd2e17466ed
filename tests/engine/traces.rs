//! What a SQLite file keeps of erased rows, by looking at its bytes.

use serde_json::Value;

use crate::bench::Bench;

const RULE: &str = r#"[rule.old]
system = "shop"
records.table = "customers"
since.column = "seen"
keep = "2 years"
because = "test"
then.delete = true
limits = { share = "100 %", first-bite = 0 }
"#;

/// 3,000 customers, enough to fill pages of their own: old ones of ours, and some that another program deletes.
const SCHEMA: &str = "
create table customers (id integer primary key, kind text, note text, seen text);
create index customers_seen on customers(seen);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000)
insert into customers select i, case when i <= 1000 then 'theirs' when i <= 2000 then 'ours' else 'stays' end,
case when i <= 1000 then 'THEIR-CANARY-' when i <= 2000 then 'OUR-CANARY-' else 'LIVING-CANARY-' end || i,
case when i between 1001 and 2000 then '2019-01-01' else '2026-10-01' end from n;
";

fn in_file(bench: &Bench, text: &str) -> usize {
    let bytes = std::fs::read(bench.file("shop.db")).unwrap();
    bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count()
}

fn told(bench: &Bench, kind: &str) -> Vec<(Value, String)> {
    let check = bench.bewaard(&["check", "--json"]).ends(0).json();
    let traces = check["keeps"][0]["traces"].as_array().unwrap().clone();
    let of_kind = traces.iter().filter(|trace| trace["kind"] == kind);
    of_kind.map(|trace| (trace["until"].clone(), trace["code"].as_str().unwrap().to_string())).collect()
}

const SECURE_VACUUM: &str = "pragma secure_delete = on; vacuum";

#[test]
fn t21_bytes_stay_in_the_file_where_nobody_writes_them_over_and_ours_do_not() {
    let bench = Bench::new(RULE, SCHEMA);
    bench.sql(SECURE_VACUUM);
    assert_eq!((in_file(&bench, "THEIR-CANARY-"), in_file(&bench, "OUR-CANARY-")), (1000, 1000));
    assert_eq!(told(&bench, "free-pages"), [("unknown".into(), "B273".to_string())]);
    bench.approve_all();
    assert_eq!(bench.bewaard(&["run", "--json"]).ends(0).json()["runs"][0]["erased"], 1000);
    let ours = in_file(&bench, "OUR-CANARY-");
    assert!(ours <= 10, "what we erase is written over, but for rows that SQLite moved within the file: {ours}");
    assert_eq!(in_file(&bench, "LIVING-CANARY-"), 1000);

    bench.sql("pragma secure_delete = off; delete from customers where kind = 'theirs'");
    assert!(in_file(&bench, "THEIR-CANARY-") > 500, "another program leaves most of what it deletes");
    assert_eq!(told(&bench, "free-pages"), [("unknown".into(), "B273".to_string())]);
    let warned = || bench.bewaard(&["check"]).ends(0).err.contains("what other programs deleted may be readable");
    assert!(warned());

    bench.sql(SECURE_VACUUM);
    assert_eq!((in_file(&bench, "THEIR-CANARY-"), in_file(&bench, "OUR-CANARY-")), (0, 0), "the remedy works");
    assert!(!warned());
    assert_eq!(told(&bench, "free-pages"), [("unknown".into(), "B273".to_string())]);
}

#[test]
fn a_write_ahead_log_and_a_left_journal_are_told() {
    let bench = Bench::new(RULE, SCHEMA);
    assert_eq!(told(&bench, "journal-file"), []);
    bench.sql("pragma journal_mode = persist; insert into customers (id) values (9000)");
    assert_eq!(told(&bench, "journal-file"), [("never".into(), "B270".to_string())]);
    bench.sql("pragma journal_mode = wal");
    assert_eq!(told(&bench, "journal-file"), [("unknown".into(), "B271".to_string())]);
}

#[test]
fn a_full_text_index_over_the_records_is_told() {
    let bench = Bench::new(RULE, SCHEMA);
    bench.sql("create virtual table other using fts5(title)");
    assert_eq!(told(&bench, "full-text"), []);
    bench.sql("create virtual table search using fts5(words, content='customers', content_rowid='id')");
    assert_eq!(told(&bench, "full-text"), [("unknown".into(), "B274".to_string())]);
    bench.sql("drop table search; create virtual table notes using fts5(note)");
    assert_eq!(told(&bench, "full-text"), [("unknown".into(), "B274".to_string())]);
}

/// What `status` says of the last trace of what was purged: its JSON.
fn still(bench: &Bench) -> Value {
    bench.bewaard(&["status", "--json"]).ends(0).json()["traces"].clone()
}

#[test]
fn status_and_the_ledger_say_what_is_still_kept_of_what_went() {
    let bench = Bench::new(RULE, SCHEMA);
    bench.sql(SECURE_VACUUM);
    bench.approve_all();
    assert_eq!(still(&bench), serde_json::json!([]), "nothing was purged yet");
    bench.bewaard(&["run"]).ends(0);
    let entries = bench.entries("ledger");
    assert_eq!(entries[0]["traces"], serde_json::json!({ "free-pages": "unknown" }));
    let today = entries[0]["day"].clone();
    let mut kept = serde_json::json!([{
        "system": "shop", "last_purge": today, "asked": true, "last": "unknown", "dies": { "free-pages": "unknown" },
    }]);
    assert_eq!(still(&bench), kept);
    let said = bench.bewaard(&["status"]).ends(0).out;
    assert!(
        said.contains("shop: when the last server-side trace of what was purged dies is not known (free pages)"),
        "{said}"
    );

    bench.sql("pragma secure_delete = off; pragma journal_mode = persist; insert into customers (id) values (9000)");
    bench.bewaard(&["run"]).ends(0);
    kept[0]["last"] = "never".into();
    kept[0]["dies"]["journal-file"] = "never".into();
    assert_eq!(still(&bench), kept, "a run that finds nothing due asks too");
}

#[test]
fn t21_rows_that_were_deleted_and_space_that_was_freed_are_told_apart() {
    let bench = Bench::new(RULE, SCHEMA);
    let size = || std::fs::metadata(bench.file("shop.db")).unwrap().len();
    bench.approve_all();
    let command = "PRAGMA secure_delete = ON; VACUUM";
    let space = bench.bewaard(&["check", "--json"]).ends(0).json()["keeps"][0]["space"].clone();
    assert_eq!(space, serde_json::json!([{ "place": "shop.db", "command": command }]));
    let before = size();
    let said = bench.bewaard(&["run"]).ends(0).out;
    assert!(said.contains("1,000 erased") && said.contains("space: shop.db keeps that of deleted rows"), "{said}");
    assert_eq!(size(), before, "the file is as big as before, and says nothing of what is gone");
    assert!(!bench.bewaard(&["run"]).ends(0).out.contains("space:"), "nothing was deleted");
    bench.sql(command);
    assert!(size() < before);
}

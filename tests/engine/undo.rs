//! What a run took comes back to the byte, for as long as its window lasts, and never over something newer.

use crate::bench::{Bench, Said, said};

const RULE: &str = r#"[rule.old]
system = "shop"
records.table = "customers"
since.column = "last_login"
keep = "2 years"
because = "test"
undo = "7 days"
children = [
  { table = "orders", on = "customer_id", children = [{ table = "lines", on = "order_id" }] },
  { table = "customers", on = "referred_by" },
  { table = "tags", on = "customer_id" },
  { table = "tickets", on = "customer_id", then = "clear" },
  { table = "reviews", on = "customer_id", then = { anonymise = { author = { fixed = "[removed]" } } } },
  { table = "customers", on = "last_seller", then = "clear" },
]
then.delete = true
limits = { share = "100 %", first-bite = 0 }
"#;

const SCHEMA: &str = "
create table customers (id integer primary key, last_login text, name text, odd, photo blob, score real,
  referred_by integer references customers(id), last_seller integer references customers(id),
  upper_name text generated always as (upper(name)) stored);
create index customers_login on customers(last_login);
create index customers_referred on customers(referred_by);
create index customers_seller on customers(last_seller);
create table orders (id integer primary key, customer_id integer not null references customers(id), total numeric);
create index orders_customer on orders(customer_id);
create table lines (order_id integer not null references orders(id), place integer not null, what text, primary key (order_id, place)) without rowid;
create table tags (customer_id integer not null references customers(id), tag text);
create index tags_customer on tags(customer_id);
create table tickets (id integer primary key, customer_id integer references customers(id), text text);
create index tickets_customer on tickets(customer_id);
create table reviews (id integer primary key, customer_id integer, author text, stars integer);
create index reviews_customer on reviews(customer_id);
insert into customers (id, last_login, name, odd, photo, score, referred_by) values
  (1, '2019-01-01', 'Canary Jan', 'text', x'00ff', 1.5, null),
  (2, '2019-01-02', 'Canary Piet \u{1F98A}', 12, x'', -0.0, 1),
  (3, '2019-01-03', null, x'6a', null, 9e99, 2),
  (4, '2026-10-01', 'Stays', null, null, null, null);
update customers set odd = cast(x'ff41' as text) where id = 1;
update customers set last_seller = 1 where id in (2, 4);
update customers set last_seller = 3 where id = 1;
insert into orders values (10, 1, 12.50), (11, 2, 'much'), (12, 4, 1);
insert into lines values (10, 1, 'wheel'), (10, 2, 'bell'), (12, 1, 'lamp');
insert into tags values (1, 'a'), (1, 'a'), (2, 'b'), (4, 'c');
insert into tickets values (20, 1, 'help'), (21, 4, 'later');
insert into reviews values (30, 1, 'Canary Jan', 5), (31, 4, 'Stays', 4);
";

const TABLES: [&str; 6] = ["customers", "orders", "lines", "tags", "tickets", "reviews"];

fn firm() -> Bench {
    let bench = Bench::new(RULE, SCHEMA);
    bench.approve_all();
    bench
}

fn run(bench: &Bench) -> String {
    bench.bewaard(&["run", "--json"]).ends(0);
    last_run(bench)
}

fn last_run(bench: &Bench) -> String {
    bench.entries("run-started").last().unwrap()["run"].as_str().unwrap().to_string()
}

fn undo(bench: &Bench, run: &str) -> Said {
    bench.bewaard(&["undo", run, "--json", "--reason", "wrong rule"])
}

/// Damages a file, as nobody of ours would.
fn overwrite(path: &std::path::Path, bytes: &[u8]) {
    use std::io::Write;
    std::fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

/// Each pair has one answer, and the log verifies.
fn one_answer_each(bench: &Bench, what: &str) {
    let mut seen = std::collections::BTreeSet::new();
    for entry in bench.entries("restored") {
        let pair = (entry["undo"].to_string(), entry["record"].to_string(), entry["part"].to_string());
        assert!(seen.insert(pair), "{what}: a pair has two answers");
    }
    let announced: u64 = bench.entries("undo-intended").iter().map(|entry| entry["count"].as_u64().unwrap()).sum();
    assert_eq!(seen.len() as u64, announced, "{what}: each pair that was announced has its answer");
    bench.verified();
}

#[test]
fn what_was_purged_comes_back_to_the_byte_and_is_held() {
    let bench = firm();
    let before = bench.dump(&TABLES);
    let run_said = bench.bewaard(&["run"]).ends(0);
    let run = last_run(&bench);
    assert!(run_said.out.contains("in quarantine until") && run_said.out.contains(&run), "{}", run_said.out);
    assert_eq!(bench.number("select count(*) from customers"), 1);
    assert_eq!(bench.number("select count(*) from reviews where author = '[removed]'"), 1);
    let status = bench.bewaard(&["status", "--json"]).ends(0).json();
    assert_eq!(status["windows"][0]["kept"], 3, "{status}");
    let outcomes = bench.entries("outcome");
    assert!(outcomes.iter().all(|entry| entry["until"].is_string()), "each says until when it is kept");

    let done = undo(&bench, &run).ends(0).json();
    assert_eq!(done["restored"], 3, "{done}");
    assert_eq!(bench.dump(&TABLES), before);
    assert_eq!(done["holds"].as_array().unwrap().len(), 1);
    let hold = &bench.entries("hold-changed")[0];
    assert!(hold["index"].as_u64() < bench.entries("undo-intended")[0]["index"].as_u64(), "the hold comes first");

    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.dump(&TABLES), before, "what is back is held");
    let again = undo(&bench, &run).ends(0).json();
    assert_eq!((&again["restored"], &again["already-there"]), (&0.into(), &3.into()), "{again}");
    assert_eq!(again["holds"].as_array().unwrap().len(), 0, "and held already");
    one_answer_each(&bench, "twice");

    bench.bewaard(&["hold", "release", done["holds"][0].as_str().unwrap(), "--reason", "looked"]).ends(0);
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 1, "released, they go");
    bench.verified();
}

#[test]
fn a_hold_for_one_rule_alone_does_not_stand_for_the_hold_of_an_undo() {
    let bench = firm();
    let run = run(&bench);
    let add = ["hold", "add", "--reason", "x", "--review", "2027-01-01", "--rule", "old"];
    bench.bewaard_with_input(&add, "key: 1\n").ends(0);
    let for_this_rule = bench.entries("hold-changed").last().unwrap()["hold"].as_str().unwrap().to_string();
    let done = undo(&bench, &run).ends(0).json();
    assert_eq!((&done["restored"], done["holds"].as_array().unwrap().len()), (&3.into(), 1), "{done}");
    let marks = bench.entries("hold-changed").last().unwrap()["marks"].as_array().unwrap().len();
    assert_eq!(marks, 3, "the one that was held for a rule alone, too");
    bench.bewaard(&["hold", "release", &for_this_rule, "--reason", "x"]).ends(0);
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 4, "what was put back is held for every rule");
    bench.verified();
}

#[test]
fn one_record_is_put_back_by_its_key_from_standard_input() {
    let bench = firm();
    let run = run(&bench);
    let args = ["undo", &run, "--json", "--reason", "complaint", "--record"];
    bench.bewaard(&[&args[..], &["1"]].concat()).ends(2);
    let done = bench.bewaard_with_input(&[&args[..], &["-"]].concat(), "1\n").ends(0).json();
    assert_eq!(done["restored"], 1, "{done}");
    assert_eq!(bench.number("select count(*) from customers where id in (1, 4)"), 2);
    assert_eq!(bench.number("select count(*) from orders"), 2);
    assert_eq!(
        bench.number("select count(*) from tags where customer_id = 1"),
        2,
        "rows that are alike both come back"
    );
    bench.bewaard_with_input(&[&args[..], &["-"]].concat(), "4\n").ends(2);
    one_answer_each(&bench, "one record");
}

#[test]
fn a_record_whose_parent_is_gone_fails_with_a_finding_and_comes_back_with_it() {
    let bench = Bench::new(RULE, SCHEMA);
    bench.change_policy("sqlite.path = \"shop.db\"", "sqlite = { path = \"shop.db\", foreign-keys = true }");
    bench.sql("update customers set last_seller = null where id = 1");
    bench.approve_all();
    let run = run(&bench);
    let args = ["undo", &run, "--json", "--reason", "x", "--record", "-"];
    let failed = bench.bewaard_with_input(&args, "3\n").ends(1).json();
    assert_eq!(failed["failed"], 1, "its parent 2 is not back: {failed}");
    assert!(bench.entries("finding").iter().any(|entry| entry["code"] == "B510" && entry["change"] == "opened"));
    let all = undo(&bench, &run).ends(0).json();
    assert_eq!(all["restored"], 3, "{all}");
    assert!(bench.entries("finding").iter().any(|entry| entry["code"] == "B510" && entry["change"] == "closed"));
    one_answer_each(&bench, "a parent that was gone");
}

#[test]
fn nothing_newer_is_ever_overwritten() {
    let bench = firm();
    let run = run(&bench);
    bench.sql("insert into customers (id, last_login, name) values (1, '2026-11-01', 'Somebody else')");
    bench.sql("update tickets set customer_id = 4 where id = 20; update reviews set author = 'New' where id = 30");
    let done = undo(&bench, &run).ends(1).json();
    assert_eq!(done["conflict"], 1, "{done}");
    assert_eq!(done["restored"], 2, "the others hang below the one that has the number now: {done}");
    assert_eq!(bench.number("select count(*) from customers where id = 1 and name = 'Somebody else'"), 1);
    assert_eq!(bench.number("select count(*) from orders where customer_id = 1"), 0, "none of its children either");
    bench.sql("update customers set referred_by = null, last_seller = null; delete from customers where id = 1");
    let done = undo(&bench, &run).json();
    assert_eq!(done["left"], 2, "a ticket and a review that have changed since stay as they are: {done}");
    assert_eq!(bench.number("select count(*) from tickets where id = 20 and customer_id = 4"), 1);
    assert_eq!(bench.number("select count(*) from reviews where id = 30 and author = 'New'"), 1);
    one_answer_each(&bench, "newer rows");
}

#[test]
fn t04_what_is_kept_is_gone_only_when_its_key_is() {
    let bench = firm();
    let run = run(&bench);
    let key = bench.entries("run-started")[0]["window"]["key"].as_str().unwrap().to_string();
    let file = bench.file("state/keys").join(format!("{key}.wrapped"));
    assert!(file.exists());
    bench.at("+6d", &["run"]).ends(0);
    assert!(file.exists(), "its day has not come");
    let said = bench.at("+7d", &["run"]).ends(0);
    assert!(said.err.contains("can't be undone any more"), "{}", said.err);
    assert!(!file.exists() && !bench.file("state/quarantine").join(&run).exists());
    assert!(bench.entries("key-changed").iter().any(|entry| entry["id"] == *key && entry["change"] == "destroyed"));
    let late = bench.at("+7d", &["undo", &run, "--reason", "too late"]).ends(3);
    assert!(late.err.contains("its key is destroyed"), "{}", late.err);
    let status = bench.at("+7d", &["status", "--json"]).ends(0).json();
    assert_eq!(status["windows"].as_array().unwrap().len(), 0);
}

#[test]
fn a_kill_while_a_window_ends_leaves_nothing_that_opens_and_nothing_said_wrongly() {
    for point in ["quarantine-expire", "key-destroy", "quarantine-key-gone", "quarantine-entry"] {
        let bench = firm();
        let run = run(&bench);
        let mut command = bench.command_at("+8d", &["run"]);
        command.env("BEWAARD_CRASH_AT", point);
        assert_ne!(said(&command.output().unwrap()).code, 0, "{point}");
        let key = bench.entries("run-started")[0]["window"]["key"].as_str().unwrap().to_string();
        let destroyed = || {
            bench.entries("key-changed").iter().filter(|one| one["id"] == *key && one["change"] == "destroyed").count()
        };
        let file = bench.file("state/keys").join(format!("{key}.wrapped"));
        assert!(destroyed() == 0 || !file.exists(), "{point}: the log never says so before it is true");
        bench.at("+8d", &["run"]).ends(0);
        assert_eq!(destroyed(), 1, "{point}");
        assert!(!file.exists() && !bench.file("state/quarantine").join(&run).exists(), "{point}");
        bench.verified();
    }
}

#[test]
fn a_kill_at_any_point_of_a_kept_purge_or_of_an_undo_ends_in_one_answer_that_is_true() {
    for point in ["quarantine-key-made", "kept", "before-commit", "after-commit", "erased", "outcomes-written"] {
        let bench = firm();
        let before = bench.dump(&TABLES);
        let killed = said(&bench.command(&["run"]).env("BEWAARD_CRASH_AT", point).output().unwrap());
        assert_eq!(killed.code, -1, "{point}: {}", killed.err);
        bench.bewaard(&["run"]).ends(0);
        bench.verified();
        let runs: std::collections::BTreeSet<String> =
            bench.entries("run-started").iter().map(|entry| entry["run"].as_str().unwrap().to_string()).collect();
        for run in &runs {
            undo(&bench, run);
        }
        assert_eq!(bench.dump(&TABLES), before, "{point}");
        one_answer_each(&bench, point);
    }
    for point in [
        "undo-held",
        "undo-file",
        "undo-intended",
        "undo-statements",
        "undo-before-commit",
        "undo-after-commit",
        "undo-recorded",
    ] {
        let bench = firm();
        let before = bench.dump(&TABLES);
        let run = run(&bench);
        let args = ["undo", &run, "--reason", "x"];
        let killed = said(&bench.command(&args).env("BEWAARD_CRASH_AT", point).output().unwrap());
        assert_eq!(killed.code, -1, "{point}: {}", killed.err);
        let back = bench.number("select count(*) from customers") == 4;
        assert_eq!(back, ["undo-after-commit", "undo-recorded"].contains(&point), "{point}");
        bench.bewaard(&["run"]).ends(0);
        one_answer_each(&bench, point);
        let words: std::collections::BTreeSet<String> =
            bench.entries("restored").iter().map(|entry| entry["result"].as_str().unwrap().to_string()).collect();
        let expected: &[&str] = match (point, back) {
            ("undo-held" | "undo-file", _) => &[],
            (_, true) => &["restored"],
            (_, false) => &["failed"],
        };
        assert_eq!(words.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{point}");
        undo(&bench, &run).ends(0);
        assert_eq!(bench.dump(&TABLES), before, "{point}");
        one_answer_each(&bench, point);
    }
}

#[test]
fn a_kill_in_the_middle_of_any_entry_of_a_kept_purge_loses_nothing_that_was_kept() {
    let mut last = 0;
    for time in 1.. {
        let point = format!("append-half#{time}");
        let bench = firm();
        let before = bench.dump(&TABLES);
        let killed = said(&bench.command(&["run"]).env("BEWAARD_CRASH_AT", &point).output().unwrap());
        if killed.code == 0 {
            break;
        }
        last = time;
        assert_eq!(killed.code, -1, "{point}: {}", killed.err);
        bench.bewaard(&["run"]).ends(0);
        assert_eq!(bench.number("select count(*) from customers"), 1, "{point}");
        for entry in bench.entries("run-started") {
            undo(&bench, entry["run"].as_str().unwrap());
        }
        assert_eq!(bench.dump(&TABLES), before, "{point}");
        one_answer_each(&bench, &point);
    }
    assert!(last >= 3, "a run writes its start, an intent, outcomes and its end: {last}");
}

#[test]
fn what_is_damaged_is_told_and_keeps_nothing_else_from_coming_back() {
    let bench = Bench::new(RULE, SCHEMA);
    bench.sql(
        "with recursive n(i) as (select 101 union all select i + 1 from n where i < 800)
         insert into customers (id, last_login, name) select i, '2018-01-01', 'Canary' from n",
    );
    bench.approve_all();
    let run = run(&bench);
    let folder = bench.file("state/quarantine").join(&run);
    let batches = || {
        let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.extension().is_none()).collect::<Vec<_>>()
    };
    let all = batches();
    assert_eq!(all.len(), 2, "703 records are two batches");
    let damage = |path: &std::path::PathBuf| {
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        overwrite(path, &bytes);
    };
    damage(&all[0]);
    let done = undo(&bench, &run).ends(1).json();
    let (damaged, restored) = (done["damaged"].as_u64().unwrap(), done["restored"].as_u64().unwrap());
    assert!(damaged > 0 && restored > 0 && damaged + restored == 703, "{done}");
    assert!(bench.entries("finding").iter().any(|entry| entry["code"] == "B510" && entry["change"] == "opened"));
    all[1..].iter().for_each(damage);
    let none = undo(&bench, &run).ends(3);
    assert!(none.out.contains("were damaged"), "{}", none.out);
    one_answer_each(&bench, "damaged");
}

#[test]
fn a_damaged_quarantine_keeps_no_batch_from_being_settled() {
    let bench = firm();
    let killed = said(&bench.command(&["run"]).env("BEWAARD_CRASH_AT", "after-commit").output().unwrap());
    assert_eq!(killed.code, -1);
    let run = last_run(&bench);
    for entry in std::fs::read_dir(bench.file("state/quarantine").join(&run)).unwrap() {
        overwrite(&entry.unwrap().path(), b"torn");
    }
    bench.bewaard(&["run"]).ends(0);
    let settled = bench.entries("outcome").into_iter().filter(|entry| entry["recovered"] == true).collect::<Vec<_>>();
    assert!(!settled.is_empty() && settled.iter().all(|entry| entry["until"].is_null()), "none is called kept");
    bench.verified();
}

#[test]
fn one_record_is_forgotten_and_the_others_come_back() {
    let bench = firm();
    let run = run(&bench);
    let loaded = bewaard::config::load(&bench.file("bewaard.toml")).unwrap();
    let engine = bewaard::engine::Engine::open(loaded).unwrap();
    let shop = bewaard::domain::id::SystemId::new("shop").unwrap();
    let key = bewaard::domain::value::Key(vec![bewaard::domain::value::Scalar::Int(3)]);
    assert_eq!(engine.forget_in_quarantine(&shop, "customers", &key).unwrap(), 1);
    assert_eq!(engine.forget_in_quarantine(&shop, "customers", &key).unwrap(), 0, "once");
    drop(engine);
    bench.bewaard_with_input(&["undo", &run, "--reason", "x", "--record", "-"], "3\n").ends(2);
    assert_eq!(undo(&bench, &run).ends(0).json()["restored"], 2);
    assert_eq!(bench.number("select count(*) from customers where id in (1, 2)"), 2);
    assert_eq!(bench.number("select count(*) from customers where id = 3"), 0, "hers alone is closed for ever");
    one_answer_each(&bench, "forgotten");
}

#[test]
fn a_lost_log_closes_its_windows_and_says_so() {
    let bench = firm();
    let run = run(&bench);
    std::fs::remove_dir_all(bench.file("log")).unwrap();
    let go_on = ["log", "continue", "--lost-head", "--without-holds", "--reason", "x"];
    let done = bench.bewaard(&go_on).ends(0);
    assert!(done.err.contains("1 run can't be undone any more"), "{}", done.err);
    bench.plan_and_approve();
    bench.bewaard(&["run"]).ends(0);
    assert!(bench.file("state/quarantine").join(&run).exists(), "it stays sealed until its day");
    let none = undo(&bench, &run).ends(2);
    assert!(none.out.contains("of the log before this one"), "{}", none.out);
    bench.at("+8d", &["run"]).ends(0);
    assert!(!bench.file("state/quarantine").join(&run).exists(), "and no longer");
    let keys = std::fs::read_dir(bench.file("state/keys")).unwrap();
    assert!(keys.into_iter().all(|key| !key.unwrap().file_name().to_string_lossy().starts_with("quarantine-")));
    bench.verified();
}

#[test]
fn an_undo_that_is_killed_while_it_is_settled_is_settled_by_the_next() {
    for point in ["recover-undo", "recover-undo-settled", "recover-undo-recorded"] {
        let bench = firm();
        let before = bench.dump(&TABLES);
        let run = run(&bench);
        for (args, at) in [(vec!["undo", &run, "--reason", "x"], "undo-after-commit"), (vec!["run"], point)] {
            assert_eq!(said(&bench.command(&args).env("BEWAARD_CRASH_AT", at).output().unwrap()).code, -1, "{at}");
        }
        bench.bewaard(&["run"]).ends(0);
        assert_eq!(bench.dump(&TABLES), before);
        one_answer_each(&bench, point);
        assert!(bench.entries("restored").iter().all(|entry| entry["result"] == "restored"), "{point}");
    }
}

#[test]
fn nothing_of_a_person_lies_open_in_quarantine() {
    let bench = firm();
    let run = run(&bench);
    let mut files = 0;
    for folder in
        ["state/quarantine".to_string(), format!("state/quarantine/{run}"), "state/undo".into(), "state/keys".into()]
    {
        for entry in std::fs::read_dir(bench.file(&folder)).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_file() {
                files += 1;
                let bytes = std::fs::read(&path).unwrap();
                for word in ["Canary", "wheel", "2019-01-01"] {
                    assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{}", path.display());
                }
            }
        }
    }
    assert!(files > 2);
    let journal = std::fs::read_dir(bench.file("log/journal")).unwrap().next().unwrap().unwrap().path();
    assert!(!std::fs::read_to_string(journal).unwrap().contains("Canary"));
}

#[test]
fn a_rule_without_a_window_says_so() {
    let bench = Bench::new(&RULE.replace("undo = \"7 days\"\n", ""), SCHEMA);
    bench.approve_all();
    let run = run(&bench);
    let said = undo(&bench, &run).ends(3);
    assert!(said.err.contains("had no undo window"), "{}", said.err);
    undo(&bench, "run-0000000000000000").ends(2);
    assert!(!bench.file("state/quarantine").exists());
}

#[test]
fn a_window_changes_no_decision() {
    let bench = Bench::new(&RULE.replace("undo = \"7 days\"\n", ""), SCHEMA);
    bench.approve_all();
    bench.change_policy("because = \"test\"\n", "because = \"test\"\nundo = \"2 weeks\"\n");
    let plan = bench.bewaard(&["plan"]).ends(0);
    assert!(plan.out.contains("undo window: what goes is kept sealed for 14 days"), "{}", plan.out);
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 1, "the approval stands");
}

#[test]
fn an_incident_has_the_facts_in_order_and_no_value() {
    let bench = firm();
    bench.change_policy("[system.shop]\n", "[system.shop]\ncategories = [\"customers: name, photo\"]\n");
    let run = run(&bench);
    let told = bench.bewaard(&["incident", &run, "--json"]).ends(0).json();
    assert_eq!((&told["records"], &told["undo"]["state"]), (&3.into(), &"kept".into()), "{told}");
    assert_eq!(told["outcomes"]["record"]["erased"], 3, "{told}");
    assert_eq!(told["children"]["orders"], 2, "{told}");
    assert_eq!(told["inventory"]["categories"][0], "customers: name, photo");
    assert_eq!(told["approval"]["method"], "typed");
    let known = "2001-01-01T00:00:00Z";
    bench.bewaard(&["incident", &run, "--known-since", known]).ends(2);
    bench.bewaard(&["incident", "run-0000000000000000"]).ends(2);

    let text = bench.bewaard(&["incident", &run]).ends(0).out;
    let parts = [
        "1. Nature",
        "2. When",
        "72 hours end",
        "3. Contact",
        "4. Likely",
        "5. Measures",
        "bewaard undo",
        "MAY RUN AGAIN",
        "6. What is not known",
    ];
    let places: Vec<usize> =
        parts.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"))).collect();
    assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{text}");
    assert!(!text.contains("Canary") && !text.contains("wheel"), "{text}");

    undo(&bench, &run).ends(0);
    bench.bewaard(&["pause", "--reason", "wrong rule"]).ends(0);
    let told = bench.bewaard(&["incident", &run, "--json"]).ends(0).json();
    assert_eq!((&told["undo"]["back"], &told["undos"][0]["answers"]["restored"]), (&3.into(), &3.into()), "{told}");
    assert_eq!(told["stopped"], "everything is paused");
    bench.bewaard(&["resume", "--reason", "x"]).ends(0);
    bench.at("+8d", &["run"]).ends(0);
    let told = bench.at("+8d", &["incident", &run]).ends(0).out;
    assert!(told.contains("its key is destroyed"), "{told}");
}

#[test]
fn an_incident_without_a_window_points_at_backups() {
    let bench = Bench::new(&RULE.replace("undo = \"7 days\"\n", ""), SCHEMA);
    bench.approve_all();
    let run = run(&bench);
    let told = bench.bewaard(&["incident", &run]).ends(0).out;
    assert!(told.contains("had no undo window. Look for backups"), "{told}");
}

//! The whole way with the real binary on SQLite: plan, approval, run, log; each agreeing with plain SQL.

use crate::bench::Bench;

const RULE: &str = r#"[rule.old]
system = "shop"
records.table = "customers"
person.email = "email"
since.newest = [{ column = "last_login" }, { table = "orders", column = "created", on = "customer_id" }]
keep = "2 years"
because = "test"
children = [{ table = "orders", on = "customer_id" }]
then.delete = true
limits.share = "100 %"
"#;

/// 40 customers, each with an order; those with an even id are old.
const SCHEMA: &str = "
create table customers (id integer primary key, email text, last_login text);
create table orders (id integer primary key, customer_id integer references customers(id), created text);
create index orders_customer on orders(customer_id);
create index customers_login on customers(last_login);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 40)
insert into customers select i, 'k' || i || '@canary.example', case when i % 2 = 0 then '2019-05-06' else '2026-10-01' end from n;
insert into orders select id, id, last_login from customers;
";

fn bench() -> Bench {
    Bench::new(RULE, SCHEMA)
}

#[test]
fn t06_a_rule_previews_until_a_person_approves_and_then_purges_what_was_planned() {
    let bench = bench();
    let preview = bench.bewaard(&["plan", "--json"]).ends(0).json();
    assert_eq!(preview["plans"][0]["gate"], "preview", "without a log everything is a preview");

    bench.bewaard(&["init"]).ends(0);
    bench.bewaard(&["init"]).ends(0);
    let waits = bench.bewaard(&["run", "--json"]).ends(3).json();
    assert_eq!(waits["runs"][0]["gate"], "needs-approval");
    assert_eq!(bench.number("select count(*) from customers"), 40);

    let plan = bench.bewaard(&["plan", "--json"]).ends(0).json();
    let again = bench.bewaard(&["plan", "--json"]).ends(0).json();
    assert_eq!(plan["plans"][0]["id"], again["plans"][0]["id"], "the same day and set give the same id");
    assert_eq!(bench.entries("plan-made").len(), 1, "one plan-made for one id");
    assert_eq!(plan["plans"][0]["due"], 20);
    assert_eq!(plan["plans"][0]["found"], 40);
    assert_eq!(plan["plans"][0]["kept"]["not-yet-due"], 20);
    assert_eq!(plan["plans"][0]["children"]["orders"], 20);

    let id = plan["plans"][0]["id"].as_str().unwrap();
    bench.bewaard(&["approve", &id[..12], "--reason", "looked"]).ends(0);
    let run = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!(run["runs"][0]["erased"], 20);
    for word in ["anonymised", "changed", "withheld", "failed", "unknown"] {
        assert_eq!(run["runs"][0][word], 0, "{word}");
    }
    assert_eq!(bench.number("select count(*) from customers"), 20);
    assert_eq!(bench.number("select count(*) from customers where id % 2 = 0"), 0);
    assert_eq!(bench.number("select count(*) from orders"), 20);
    assert_eq!(bench.entries("outcome").len(), 20);
    bench.verified();

    let nothing = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!(nothing["runs"][0]["erased"], 0);
    let status = bench.bewaard(&["status", "--json"]).ends(0).json();
    assert_eq!(status["state"], "green");
    assert_eq!(status["oldest_days"], 0);
}

#[test]
fn an_order_that_came_since_the_plan_keeps_its_customer() {
    let bench = bench();
    bench.approve_all();
    bench.sql("insert into orders values (1000, 2, '2026-11-01')");
    let run = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!(run["runs"][0]["erased"], 19);
    assert_eq!(bench.number("select count(*) from customers where id = 2"), 1);
    assert_eq!(bench.number("select count(*) from orders where customer_id = 2"), 2);
}

#[test]
fn t09_a_changed_rule_waits_for_a_person_again() {
    let bench = bench();
    bench.approve_all();
    bench.change_policy("keep = \"2 years\"", "keep = \"1 year\"");
    let run = bench.bewaard(&["run", "--json"]).ends(3).json();
    assert_eq!(run["runs"][0]["gate"], "needs-approval");
    assert_eq!(bench.number("select count(*) from customers"), 40);
    bench.change_policy("keep = \"1 year\"", "keep = \"2 years\"");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 20);
}

#[test]
fn t24_a_changed_schema_reopens_by_itself_only_with_the_same_set() {
    let bench = bench();
    bench.approve_all();
    bench.sql("alter table customers add column newsletter integer");
    bench.bewaard(&["run", "--json"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 20, "an unrelated column is no part of the decision");

    let bench = self::bench();
    bench.approve_all();
    bench.sql(
        "pragma foreign_keys = off; create table c2 (id integer primary key, email text, last_login varchar(40)); \
         insert into c2 select * from customers; drop table customers; alter table c2 rename to customers; \
         create index customers_login on customers(last_login)",
    );
    let run = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!(run["runs"][0]["gate"], "open", "the set is the same, so the rule re-opened by itself");
    let approved = bench.entries("approved");
    assert_eq!(approved.last().unwrap()["basis"], "unchanged-set");
}

#[test]
fn a_new_trigger_or_foreign_key_needs_a_person_though_the_set_is_the_same() {
    for change in [
        "create trigger t after delete on customers begin select 1; end",
        "create table notes (id integer primary key, order_id integer references orders(id) on delete set null)",
    ] {
        let bench = bench();
        bench.approve_all();
        bench.change_policy("children = [{ table = \"orders\", on = \"customer_id\" }]", "follow-foreign-keys = true");
        bench.plan_and_approve();
        bench.sql(change);
        let run = bench.bewaard(&["run", "--json"]).ends(3).json();
        assert_eq!(run["runs"][0]["gate"], "needs-approval", "{change}");
        assert_eq!(bench.number("select count(*) from customers"), 40);
    }
}

#[test]
fn limits_refuse_and_one_plan_may_go_beyond() {
    let bench = bench();
    bench.change_policy("limits.share = \"100 %\"", "limits.share = \"10 %\"");
    bench.bewaard(&["init"]).ends(0);
    let plan = bench.bewaard(&["plan", "--json"]).ends(0).json();
    assert_eq!(plan["plans"][0]["gate"], "refused");
    assert_eq!(plan["plans"][0]["limits"][0], "share");
    let id = plan["plans"][0]["id"].as_str().unwrap();
    bench.bewaard(&["approve", id, "--reason", "looked"]).ends(0);
    bench.bewaard(&["run"]).ends(3);
    assert_eq!(bench.number("select count(*) from customers"), 40);
    bench.bewaard(&["approve", id, "--beyond", "share", "--reason", "it is right"]).ends(0);
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 20);
}

#[test]
fn beyond_one_limit_is_not_beyond_another() {
    let bench = bench();
    bench.change_policy("limits.share = \"100 %\"", "limits = { share = \"10 %\", max = 5 }");
    bench.bewaard(&["init"]).ends(0);
    let plan = bench.bewaard(&["plan", "--json"]).ends(0).json()["plans"][0].clone();
    assert_eq!(plan["limits"], serde_json::json!(["share", "max"]));
    let id = plan["id"].as_str().unwrap();
    for limit in ["share", "max"] {
        let said = bench.bewaard(&["approve", id, "--beyond", limit, "--reason", "x"]).ends(0).out;
        assert!(said.contains("will NOT run") && said.contains("--beyond share"), "{said}");
        bench.bewaard(&["run"]).ends(3);
        assert_eq!(bench.number("select count(*) from customers"), 40, "beyond {limit} alone");
    }
    bench.bewaard(&["approve", id, "--beyond", "share", "--beyond", "max", "--reason", "x"]).ends(0);
    bench.change_policy("max = 5", "max = 4");
    bench.change_policy("share = \"10 %\", max = 4", "share = \"10 %\", max = 4, change = \"1 x\"");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 20, "a stricter limit that was gone beyond stays so");

    let bench = self::bench();
    bench.change_policy("limits.share = \"100 %\"", "limits = { share = \"10 %\", max = 1000 }");
    bench.bewaard(&["init"]).ends(0);
    let plan = bench.bewaard(&["plan", "--json"]).ends(0).json()["plans"][0].clone();
    bench.bewaard(&["approve", plan["id"].as_str().unwrap(), "--beyond", "share", "--reason", "x"]).ends(0);
    bench.change_policy("max = 1000", "max = 1");
    bench.bewaard(&["run"]).ends(3);
    assert_eq!(bench.number("select count(*) from customers"), 40, "a limit that came afterwards binds");
}

#[test]
fn t11_pacing_takes_the_oldest_first_over_several_runs() {
    let bench = bench();
    bench.change_policy("limits.share = \"100 %\"", "limits.share = \"100 %\"\nlimits.per-run = 7");
    bench.sql("update customers set last_login = '2018-01-01' where id in (2, 4); update orders set created = '2018-01-01' where customer_id in (2, 4)");
    bench.approve_all();
    let first = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!(first["runs"][0]["erased"], 7);
    assert_eq!(first["runs"][0]["how"], "paced");
    assert_eq!(first["runs"][0]["left"], 13);
    assert_eq!(bench.number("select count(*) from customers where id in (2, 4)"), 0, "the oldest go first");
    bench.bewaard(&["run"]).ends(0);
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 20);
    bench.verified();
}

#[test]
fn t16_a_hold_on_a_person_binds_until_it_is_released() {
    let bench = bench();
    bench.approve_all();
    let args = ["hold", "add", "--reason", "complaint", "--review", "2027-01-01", "--json"];
    let hold = bench.bewaard_with_input(&args, "email: K2@Canary.example\n").ends(0).json();
    let run = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!(run["runs"][0]["erased"], 19);
    assert_eq!(bench.number("select count(*) from customers where id = 2"), 1);
    let status = bench.bewaard(&["status", "--json"]).ends(0).json();
    assert_eq!(status["rules"][0]["kept"]["held"], 1);
    let id = hold["hold"].as_str().unwrap();
    bench.bewaard(&["hold", "release", id, "--reason", "settled"]).ends(0);
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 20);
}

#[test]
fn t25_a_hold_binds_whatever_else_the_field_holds() {
    let bench = bench();
    bench.sql(
        "update customers set email = 'Jan Jansen <K2@canary.example>' where id = 2; \
         update customers set email = 'a@b.example; k2@canary.example' where id = 4; \
         update customers set email = 'onbekend' where id = 6; update customers set email = '' where id = 8",
    );
    bench.approve_all();
    let args = ["hold", "add", "--reason", "complaint", "--review", "2027-01-01", "--json"];
    let hold = bench.bewaard_with_input(&args, "email: Jan <k2@canary.example>\n").ends(0).json();
    assert_eq!(hold["warnings"], serde_json::json!([]));
    let run = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!(run["runs"][0]["erased"], 17);
    assert_eq!(
        bench.number("select count(*) from customers where id in (2, 4, 6)"),
        3,
        "what can't be read may be hers"
    );
}

#[test]
fn a_hold_that_binds_nothing_says_so() {
    let bench = bench();
    bench.approve_all();
    let args = ["hold", "add", "--reason", "x", "--review", "2027-01-01"];
    let said = bench.bewaard_with_input(&args, "phone: 0612345678\n").ends(0);
    assert!(said.err.contains("person.phone") && said.err.contains("NOTHING"), "{}", said.err);
    let by_key = ["hold", "add", "--reason", "x", "--review", "2027-01-01", "--rule", "old"];
    let said = bench.bewaard_with_input(&by_key, "key: 4711\n").ends(0);
    assert!(said.err.contains("no record"), "{}", said.err);
}

#[test]
fn a_hold_on_a_record_is_placed_by_its_key() {
    let bench = bench();
    bench.approve_all();
    let args = ["hold", "add", "--reason", "x", "--review", "2027-01-01", "--rule", "old"];
    bench.bewaard_with_input(&args, "key: 4\n").ends(0);
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers where id % 2 = 0"), 1);
    assert_eq!(bench.number("select count(*) from customers where id = 4"), 1);
}

#[test]
fn t01_records_without_a_usable_clock_are_kept_and_counted() {
    let bench = bench();
    bench.sql(
        "insert into customers values (101, 'a', null), (102, 'b', '0000-00-00'), (103, 'c', '2999-01-01'), \
         (104, 'd', 'gisteren'), (105, 'e', '2020-00-00')",
    );
    bench.approve_all();
    let plan = bench.bewaard(&["plan", "--json"]).ends(0).json();
    let kept = &plan["plans"][0]["kept"];
    for word in ["no-clock", "zero-date", "future-date", "unreadable-date", "partial-date"] {
        assert_eq!(kept[word], 1, "{word}");
    }
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers where id > 100"), 5);
    let status = bench.bewaard(&["status", "--json"]).ends(0).json();
    assert_eq!(status["state"], "undecided", "green only when nothing waits for a decision");
}

#[test]
fn t22_no_value_reaches_log_state_or_output() {
    let bench = bench();
    bench.approve_all();
    let mut said = String::new();
    for args in [&["plan"][..], &["run"], &["status"], &["log", "show"], &["check"], &["plan", "--json"]] {
        let one = bench.bewaard(args);
        said.push_str(&one.out);
        said.push_str(&one.err);
    }
    assert!(!said.contains("canary.example"), "an address reached an output");
    for folder in ["state", "log"] {
        let found = walk(&bench.file(folder));
        assert!(!found.is_empty());
        for path in found {
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("canary"), "an address reached {}", path.display());
        }
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn t27_anonymising_is_done_once_and_leaves_the_record() {
    let policy = r#"[rule.fields]
system = "shop"
records.table = "customers"
since.column = "last_login"
keep = "2 years"
because = "test"
then.anonymise = { email = { template = "gone-{key}@example.invalid" } }
limits.share = "100 %"
"#;
    let bench = Bench::new(policy, SCHEMA);
    bench.approve_all();
    let run = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!(run["runs"][0]["anonymised"], 20);
    assert_eq!(bench.number("select count(*) from customers where email = 'gone-' || id || '@example.invalid'"), 20);
    assert_eq!(bench.number("select count(*) from customers"), 40);
    let again = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!(again["runs"][0]["anonymised"], 0, "t27: what is anonymised is not found again");
    bench.verified();
}

#[test]
fn parts_go_at_their_own_times_and_the_longest_ground_wins() {
    let policy = r#"[rule.invoices]
system = "shop"
records.table = "invoices"
[rule.invoices.part.contact]
fields = ["phone"]
since.column = "day"
keep = "2 years"
because = "warranty"
then.anonymise.phone = "null"
[rule.invoices.part.core]
fields = ["name"]
ground.tax = { since.column = "day", keep = "7 years", from = "end of financial year", because = "nl.awr-52" }
ground.contract = { since.column = "ends", keep = "5 years", because = "contract", optional = true }
then.anonymise.name.fixed = "[verwijderd]"
[rule.invoices.limits]
share = "100 %"
"#;
    let schema = "create table invoices (id integer primary key, day text, ends text, phone text, name text);
        insert into invoices values
        (1, '2015-03-01', null, '06', 'A'),        -- both long past
        (2, '2015-03-01', '2025-01-01', '06', 'B'),-- the contract keeps the core
        (3, '2022-03-01', null, '06', 'C'),        -- contact only
        (4, '2026-03-01', null, '06', 'D')         -- nothing";
    let bench = Bench::new(policy, schema);
    bench.approve_all();
    let run = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!(run["runs"][0]["anonymised"], 4);
    assert_eq!(bench.number("select count(*) from invoices where phone is null and id in (1, 2, 3)"), 3);
    assert_eq!(bench.number("select count(*) from invoices where name = '[verwijderd]' and id = 1"), 1);
    assert_eq!(bench.number("select count(*) from invoices where name = '[verwijderd]'"), 1);
    bench.verified();
}

#[test]
fn two_runs_at_once_are_one_run_and_one_that_is_told() {
    let bench = bench();
    bench.approve_all();
    let lock = bewaard::state::lock::RunLock::take(&bench.file("state")).unwrap();
    assert!(lock.is_some());
    let told = bench.bewaard(&["run"]).ends(75);
    assert!(told.err.contains("another run"), "{}", told.err);
}

#[test]
fn time_set_back_purges_nothing() {
    let bench = bench();
    bench.approve_all();
    let said = bench.at("-1y", &["run"]);
    assert_ne!(said.code, 0, "{}", said.out);
    assert!(said.err.contains("time"), "{}", said.err);
    assert_eq!(bench.number("select count(*) from customers"), 40);
    bench.verified();
}

#[test]
fn an_outside_head_that_cannot_be_written_is_told_and_the_purge_is_done() {
    let bench = bench();
    bench.change_policy("path = \"log\"\n", "path = \"log\"\noutside = [\"outside/head\"]\n");
    std::fs::create_dir(bench.file("outside")).unwrap();
    bench.approve_all();
    assert!(bench.file("outside/head").exists(), "each published head is kept outside too");
    std::fs::remove_dir_all(bench.file("outside")).unwrap();
    let told = bench.bewaard(&["run"]).ends(1);
    assert!(told.err.contains("outside head"), "{}", told.err);
    assert_eq!(bench.number("select count(*) from customers"), 20);
    bench.verified();
}

#[test]
fn a_log_put_back_to_yesterday_is_found_and_continued() {
    let bench = bench();
    bench.approve_all();
    let copy = |from: &str, to: &str| {
        let done = std::process::Command::new("cp").arg("-r").arg(bench.file(from)).arg(bench.file(to)).status();
        assert!(done.unwrap().success());
    };
    copy("log", "yesterday");
    let args = ["hold", "add", "--reason", "x", "--review", "2027-01-01", "--rule", "old"];
    bench.bewaard_with_input(&args, "key: 4\n").ends(0);
    std::fs::remove_dir_all(bench.file("log")).unwrap();
    copy("yesterday", "log");
    bench.bewaard(&["log", "verify"]).ends(4);
    let refused = bench.bewaard(&["run"]);
    assert!([4, 5].contains(&refused.code), "{}{}", refused.out, refused.err);
    assert_eq!(bench.number("select count(*) from customers"), 40, "in doubt about the log nothing is purged");
    bench.bewaard(&["log", "continue", "--lost-head", "--reason", "restored"]).ends(3);
    bench.bewaard(&["log", "continue", "--lost-head", "--without-holds", "--reason", "restored"]).ends(0);
    bench.verified();
    bench.bewaard(&["run"]).ends(3);
    assert_eq!(bench.entries("log-continued").len(), 1);
    bench.plan_and_approve();
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from customers"), 20);
    bench.verified();
}

#[test]
fn a_key_that_was_rotated_signs_on_and_the_old_one_vouches_for_it() {
    let bench = bench();
    bench.bewaard(&["init", "--write"]).ends(0);
    bench.bewaard(&["key", "rotate", "--reason", "yearly"]).ends(0);
    bench.plan_and_approve();
    bench.bewaard(&["run"]).ends(0);
    bench.verified();
    let text = std::fs::read_to_string(bench.file("bewaard.toml")).unwrap();
    assert!(text.contains("key = [\""), "both keys stand in the policy:\n{text}");
}

#[test]
fn a_proof_of_one_record_convinces_a_stranger_and_of_no_other() {
    let bench = bench();
    bench.bewaard(&["init", "--write"]).ends(0);
    bench.plan_and_approve();
    bench.bewaard(&["run"]).ends(0);
    let proof = bench.file("proof");
    let proof = proof.to_str().unwrap();
    bench.bewaard_with_input(&["log", "prove", "--rule", "old", "--output", proof], "2\n").ends(0);
    let told = bench.bewaard(&["log", "verify", "--proof", proof]).ends(0);
    assert!(told.out.contains("about the record"), "{}", told.out);
    let entry = std::fs::read_to_string(bench.file("proof.entry")).unwrap();
    bench.write("proof.entry", &entry.replace("erased", "failed"));
    bench.bewaard(&["log", "verify", "--proof", proof]).ends(4);
    bench.write("proof.entry", &entry);
    let record = std::fs::read_to_string(bench.file("proof.record")).unwrap();
    let key = serde_json::from_str::<serde_json::Value>(&record).unwrap()["record_key"].as_str().unwrap().to_string();
    bench.write("proof.record", &record.replace(&key, &"0".repeat(64)));
    bench.bewaard(&["log", "verify", "--proof", proof]).ends(4);
}

#[test]
fn another_database_with_the_same_keys_and_dates_waits_for_a_person() {
    let bench = bench();
    bench.approve_all();
    let copied = std::process::Command::new("cp").arg(bench.file("shop.db")).arg(bench.file("live.db")).status();
    assert!(copied.unwrap().success());
    bench.change_policy("sqlite.path = \"shop.db\"", "sqlite.path = \"live.db\"");
    let run = bench.bewaard(&["run", "--json"]).ends(3).json();
    assert_eq!(run["runs"][0]["gate"], "needs-approval");
}

#[test]
fn a_record_waits_for_those_below_it_and_each_has_an_outcome_of_its_own() {
    let policy = r#"[rule.replies]
system = "shop"
records.table = "replies"
since.column = "day"
keep = "2 years"
because = "test"
children = [{ table = "replies", on = "parent" }]
then.delete = true
limits.share = "100 %"
"#;
    // 1 <- 2 <- 3: all old. 10 <- 11: the reply is new. 700 is above 20 and has the higher number.
    let schema = "create table replies (id integer primary key, parent integer references replies(id), day text);
        create index p on replies(parent);
        insert into replies values (1, null, '2019-01-01'), (2, 1, '2019-02-01'), (3, 2, '2019-03-01'),
          (10, null, '2019-01-01'), (11, 10, '2026-10-01'), (700, null, '2019-01-01'), (20, 700, '2019-01-01');
        with recursive n(i) as (select 1000 union all select i + 1 from n where i < 2200)
        insert into replies select i, null, '2020-01-01' from n;";
    let bench = Bench::new(policy, schema);
    bench.approve_all();
    let plan = bench.bewaard(&["plan", "--json"]).ends(0).json()["plans"][0].clone();
    assert_eq!((plan["due"].as_u64(), plan["kept"]["record-below"].as_u64()), (Some(1206), Some(1)), "{plan}");
    assert_eq!(plan["kept"]["not-yet-due"], 1);
    let explained = bench.bewaard_with_input(&["plan", "replies", "--explain", "-"], "10\n").ends(0).out;
    assert!(explained.contains("a record below it stays"), "{explained}");
    let run = bench.bewaard(&["run", "--json"]).ends(0).json();
    assert_eq!((run["runs"][0]["erased"].as_u64(), run["runs"][0]["already-gone"].as_u64()), (Some(1206), Some(0)));
    assert_eq!(bench.number("select count(*) from replies"), 2);
    assert_eq!(bench.entries("outcome").len(), 1206);
    bench.sql("update replies set day = '2019-01-01'");
    bench.bewaard(&["run"]).ends(0);
    assert_eq!(bench.number("select count(*) from replies"), 0);
    bench.verified();
}

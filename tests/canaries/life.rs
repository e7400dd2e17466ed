//! The whole life of a policy over the shop. Each step searches; the steps themselves must do what they are there for.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::search::Watch;
use crate::shop::{Place, Shop};
use crate::statements;

/// Everything, in the order in which it happens to a firm.
pub(crate) fn live(place: Place) {
    let server = statements::server(place);
    let shop = Shop::new(place, server);
    let watch = Watch::new(&shop);
    begins(&watch);
    plans(&watch);
    holds(&watch);
    can_not_connect(&watch);
    approves(&watch);
    is_killed(&watch);
    waits(&watch);
    is_refused(&watch);
    undoes(&watch);
    tells(&watch);
    ends(&watch);
    if let Some(server) = server {
        statements::carry_no_value(server, &shop.canaries);
    }
}

fn begins(watch: &Watch<'_>) {
    watch.says(&["check"], "").ends(0);
    watch.says(&["plan"], "").ends(0);
    watch.says(&["check", "--json"], "").ends(0);
    watch.says(&["grants", "shop"], "").ends(0);
    watch.says(&["init", "--write"], "").ends(0);
    watch.shop.bench.write(
        "tests.toml",
        "[[case]]\nname = \"a\"\nrule = \"members\"\nclocks = { seen = \"2019-05-06\" }\ntoday = 2026-01-01\nexpect = \"goes\"\n",
    );
    watch.says(&["test", "--verbose"], "").ends(0);
    watch.files("after init");
}

fn plans(watch: &Watch<'_>) {
    let shop = watch.shop;
    let old = fs::read_to_string(shop.bench.file("bewaard.toml")).unwrap().replace("\"2 years\"", "\"4 years\"");
    shop.bench.write("old.toml", &old);
    let old = shop.bench.file("old.toml");
    let plans = watch.says(&["plan", "--json"], "").ends(0).json();
    assert!(plans["plans"].as_array().unwrap().iter().all(|plan| plan["due"].as_u64() > Some(20)), "{plans}");
    let id = plans["plans"][0]["id"].as_str().unwrap();
    for args in [
        &["plan"][..],
        &["plan", "customers", "--at", "2027-06-01"],
        &["plan", "--sql"],
        &["plan", "--sql", "--json"],
        &["plan", "--against", old.to_str().unwrap()],
        &["plan", "--against", old.to_str().unwrap(), "--json"],
        &["plan", "show", id],
        &["plan", "show", id, "--json"],
    ] {
        watch.says(args, "").ends(0);
    }
    watch.says(&["plan", "members", "--sample", "3"], "").ends(2);
    let (key, mail, code) = (shop.customers[0].id.to_string(), &shop.members[0], &shop.contacts[0]);
    for (rule, key) in [("customers", &key), ("members", mail), ("contacts", code)] {
        for args in [&["plan", rule, "--explain", "-"][..], &["plan", rule, "--explain", "-", "--json"]] {
            assert!(watch.says(args, key).ends(0).out.contains("due"), "{rule}");
        }
    }
    // A key that is none, and one part too many.
    watch.says(&["plan", "customers", "--explain", "-"], mail);
    watch.says(&["plan", "members", "--explain", "-", "--json"], &format!("{mail}\n{code}\n")).ends(1);
    watch.paused("publish-checkpoint", &["pause", "--reason", "look"], "").ends(0);
    watch.says(&["resume", "--reason", "looked"], "").ends(0);
    // To a person at a terminal a sample shows keys, and nothing else of a record.
    let line = format!("'{}' plan members --sample 3", env!("CARGO_BIN_EXE_bewaard"));
    let mut terminal = Command::new("script");
    terminal.args(["-q", "-e", "-c", &line, "/dev/null"]).env("BEWAARD_CONFIG", shop.bench.file("bewaard.toml"));
    let shown =
        Some((": key", "`--sample` is asked for by a person, writes to a terminal only and is noted in the log"));
    watch.ends(terminal, "", shown).ends(0);
    assert_eq!(shop.bench.entries("shown").last().unwrap()["command"], "plan --sample");
    watch.files("after plans");
}

fn holds(watch: &Watch<'_>) {
    let (shop, add) = (watch.shop, ["hold", "add", "--reason", "complaint", "--review", "2027-01-01"]);
    let mut placed = Vec::new();
    let [one, two, three, four] = [20, 21, 22, 23].map(|place| shop.customers[place].clone());
    for input in [
        format!("email: {}\n", one.email.to_uppercase()),
        format!("phone: {}\ncustomer-number: {}\n", two.phone, two.number),
        format!("login: {}\nemail: Jan <{}>\n", three.login, three.email),
    ] {
        placed.push(watch.says(&[&add[..], &["--json"]].concat(), &input).ends(0).json()["hold"].clone());
    }
    for (rule, key) in [("customers", four.id.to_string()), ("members", shop.members[23].clone())] {
        watch.says(&[&add[..], &["--rule", rule, "--json"]].concat(), &format!("key: {key}\n")).ends(0);
    }
    for input in [
        format!("{}\n", one.email),
        format!("mail: {}\n", one.email),
        format!("email: {}\n", one.phone),
        format!("phone: {}\n", one.email),
        format!("key: {}\n", one.id),
    ] {
        for json in [&[][..], &["--json"]] {
            watch.says(&[&add[..], json].concat(), &input).ends(2);
        }
    }
    let holds = watch.says(&["hold", "list", "--json"], "").ends(0).json();
    assert_eq!(holds["holds"].as_array().unwrap().len(), 5);
    let hold = placed[0].as_str().unwrap();
    watch.says(&["hold", "list"], "").ends(0);
    watch.says(&["hold", "show", hold], "").ends(0);
    watch.paused("append-fsync", &add, &format!("email: {}\n", one.email)).ends(0);
    watch.says(&["hold", "release", hold, "--reason", "settled"], "").ends(0);
    watch.files("after holds");
}

/// Each of these once, in words and in JSON; none succeeds.
fn each(watch: &Watch<'_>) {
    for args in [&["check"][..], &["plan"], &["plan", "members", "--explain", "-"], &["run"]] {
        for json in [&[][..], &["--json"]] {
            let said = watch.says(&[args, json].concat(), &watch.shop.members[0]);
            assert!([1, 69, 78].contains(&said.code), "{args:?}: {}{}", said.out, said.err);
        }
    }
    watch.files("after it could not connect");
}

fn can_not_connect(watch: &Watch<'_>) {
    let shop = watch.shop;
    let Some(database) = &shop.database else {
        shop.bench.change_policy("shop.db", "nowhere.db");
        each(watch);
        shop.bench.write("nowhere.db", "no database at all");
        each(watch);
        shop.bench.change_policy("nowhere.db", "shop.db");
        return;
    };
    let secret = shop.secret().unwrap();
    let name = secret.file_name().unwrap().to_str().unwrap();
    let right = fs::read_to_string(&secret).unwrap();
    shop.bench.write(name, &format!("{right}-wrong"));
    each(watch);
    shop.bench.write(name, &right);
    let user = format!("user = \"{}\"", database.user);
    shop.bench.change_policy(&user, "user = \"nobody-knows\"");
    each(watch);
    shop.bench.change_policy("user = \"nobody-knows\"", &user);
    let wanted = format!("database = \"{}\"", database.name);
    shop.bench.change_policy(&wanted, "database = \"elsewhere\"");
    each(watch);
    shop.bench.change_policy("database = \"elsewhere\"", &wanted);
    // Who must mend the file of a secret needs its path.
    let may = Some(("the file of the password", "whoever mends the rights of a secret's file needs its path"));
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    watch.says_but(&["plan"], "", may);
    watch.says_but(&["check", "--json"], "", may);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    watch.files("after it could not connect");
}

fn approves(watch: &Watch<'_>) {
    watch.says(&["approve", "ffffffff", "--reason", "no such plan"], "").ends(2);
    let plans = watch.says(&["plan", "--json"], "").ends(0).json();
    for plan in plans["plans"].as_array().unwrap() {
        let id = plan["id"].as_str().unwrap();
        watch.paused("append-done", &["approve", id, "--reason", "looked at it", "--json"], "").ends(0);
    }
}

/// The rules of the shop.
const RULES: [&str; 3] = ["customers", "members", "contacts"];

/// Killed in its life, and again while it settles.
fn is_killed(watch: &Watch<'_>) {
    let points = [
        ("quarantine-key-made", None),
        ("inflight-written", None),
        ("intent-written", Some("recover-batch")),
        ("after-read", None),
        ("kept", Some("recover-settled")),
        ("before-commit", None),
        ("after-commit", Some("recover-recorded")),
        ("erased", None),
        ("append-half", None),
        ("outcomes-written", None),
        ("after-lock", Some("publish-checkpoint")),
    ];
    for ((point, again), rule) in points.into_iter().zip(RULES.into_iter().cycle()) {
        watch.killed(point, &["run", rule], "");
        let lies_there = watch.count("inflight");
        assert!(lies_there > 0 || point == "quarantine-key-made", "nothing is in flight at {point}");
        watch.says(&["status"], "").ends(0);
        if let Some(again) = again {
            watch.killed(again, &["run", rule], "");
        }
    }
    watch.killed("after-commit#2", &["run"], "");
    assert!(watch.count("quarantine") > 0, "an undo window keeps what went");
    // A fault of the program itself tells its place, and not its words.
    let mut broken = watch.command(&["run"]);
    broken.env("BEWAARD_PANIC_AT", "after-read").env("BEWAARD_PANIC_WITH", &watch.shop.members[0]);
    let said = watch.ends(broken, "", None);
    assert!(said.code == -1 && said.err.contains("a fault of the program at"), "{}", said.err);
    watch.files("after a fault of the program");
    assert!(watch.says(&["log", "verify"], "").code == 0);
}

/// Waits at each kind of point; a batch that nobody can settle is settled by a word.
fn waits(watch: &Watch<'_>) {
    watch.killed("after-commit", &["run"], "");
    watch.paused("recover-batch", &["run"], "");
    watch.killed("intent-written", &["run", "customers"], "");
    let flying = crate::search::walk(&watch.shop.bench.file("state/inflight"));
    let batch = flying.iter().find(|path| path.extension().is_none()).unwrap();
    assert!(Command::new("rm").args(&flying).status().unwrap().success());
    watch.says(&["run"], "").ends(3);
    watch.says(&["status", "--why", "customers"], "").ends(0);
    let name = batch.file_name().unwrap().to_str().unwrap();
    watch.says(&["settle", name, "--as", "kept", "--reason", "looked"], "").ends(0);
    let points =
        ["inflight-written", "after-lock", "after-children", "kept", "before-commit", "after-commit", "erased"];
    for (point, rule) in points.into_iter().zip(RULES.into_iter().cycle()) {
        watch.paused(point, &["run", rule, "--json"], "");
    }
    for _ in 0..20 {
        let run = watch.says(&["run", "--json"], "").json();
        let purged = |one: &Value| one["erased"].as_u64().unwrap() + one["anonymised"].as_u64().unwrap();
        if run["runs"].as_array().unwrap().iter().map(purged).sum::<u64>() == 0 {
            break;
        }
    }
    watch.says(&["run"], "");
    let left = watch.shop.number("select count(*) from members");
    assert_eq!(left, 6 + 1, "six were seen lately, one is held");
    assert!(!watch.shop.bench.entries("finding").is_empty(), "copies of addresses are left, and told");
    watch.files("after all runs");
}

fn is_refused(watch: &Watch<'_>) {
    let shop = watch.shop;
    statements::refusing(watch);
    let plans = watch.says(&["plan", "--json"], "").ends(0).json();
    let of = |plan: &&Value| plan["rule"].as_str().unwrap().starts_with("refused");
    let refused: Vec<&Value> = plans["plans"].as_array().unwrap().iter().filter(of).collect();
    assert!(refused.len() > 2, "{plans}");
    for plan in refused {
        watch.says(&["approve", plan["id"].as_str().unwrap(), "--reason", "x"], "").ends(0);
    }
    for args in [&["run"][..], &["run", "--json"]] {
        watch.says(args, "").ends(1);
    }
    assert!(shop.bench.entries("finding").iter().any(|one| one["code"] == "B503"), "what was refused is told");
    for args in [&["check"][..], &["check", "--json"], &["status"], &["status", "--json"]] {
        watch.says(args, "");
    }
    watch.files("after refusals");
}

/// The runs that purged something of a rule.
fn runs(watch: &Watch<'_>, rule: &str) -> Vec<String> {
    let outcomes = watch.shop.bench.entries("outcome");
    let purged: BTreeSet<&str> = outcomes
        .iter()
        .filter(|one| ["erased", "anonymised"].contains(&one["result"].as_str().unwrap()))
        .map(|one| one["batch"].as_str().unwrap())
        .collect();
    let mut runs = Vec::new();
    for batch in watch.shop.bench.entries("batch-intended") {
        let run = batch["run"].as_str().unwrap().to_string();
        if batch["rule"] == rule && purged.contains(batch["batch"].as_str().unwrap()) && !runs.contains(&run) {
            runs.push(run);
        }
    }
    assert!(runs.len() > 4, "{rule}: {runs:?}");
    runs
}

fn undoes(watch: &Watch<'_>) {
    let shop = watch.shop;
    let (members, customers) = (runs(watch, "members"), runs(watch, "customers"));
    for run in members.iter().chain(&customers).take(4) {
        watch.says(&["incident", run], "").ends(0);
        watch.says(&["incident", run, "--json"], "").ends(0);
    }
    // Each run is asked for one record; one of them has it.
    let back = members.iter().filter(|run| {
        let said = watch.says(&["undo", run, "--record", "-", "--reason", "x", "--json"], &shop.members[9]);
        said.code == 0 && said.json()["restored"] == 1
    });
    assert_eq!(back.count(), 1, "one record came back by its key");
    watch.says(&["undo", &members[0], "--record", "-", "--reason", "x"], &shop.contacts[0]);
    let mut others = customers.iter().chain(&members).filter(|run| {
        let told = shop.bench.bewaard(&["incident", run, "--json"]).ends(0).json();
        told["undo"]["state"] == "kept" && told["records"].as_u64() > Some(1)
    });
    for point in ["undo-file", "undo-before-commit", "undo-after-commit"] {
        watch.killed(point, &["undo", others.next().unwrap(), "--reason", "x"], "");
        assert!(watch.count("undo") > 0, "{point}");
    }
    for point in ["undo-intended", "undo-statements"] {
        watch.paused(point, &["undo", others.next().unwrap(), "--reason", "x", "--json"], "").ends(0);
    }
    // Something newer has the same key: a conflict, of which a server tells the key.
    let run = members.last().unwrap();
    shop.sql(&format!(
        "insert into members select mail, 'somebody else', '2026-10-01 10:00:00' from ({}) gone where mail not in (select mail from members)",
        shop.members.iter().map(|mail| format!("select '{mail}' as mail")).collect::<Vec<_>>().join(" union all ")
    ));
    let said = watch.says(&["undo", run, "--reason", "x", "--json"], "").ends(1).json();
    assert!(said["conflict"].as_u64() > Some(0), "{said}");
    watch.says(&["undo", run, "--reason", "x"], "").ends(1);
    watch.files("after undoing");
}

fn tells(watch: &Watch<'_>) {
    let shop = watch.shop;
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["status", "--why", "members"],
        &["log", "show"],
        &["log", "show", "--json"],
        &["log", "verify"],
        &["log", "verify", "--json"],
        &["log", "checkpoint"],
        &["log", "path"],
        &["log", "prove", "--entry", "3"],
        &["key", "show"],
        &["hold", "list"],
    ] {
        watch.says(args, "").ends(0);
    }
    watch.says(&["key", "rotate", "--reason", "yearly"], "").ends(0);
    // A proof that is asked for by a record's key says which record it is about, and shows nothing else of it.
    let why = "`log prove --rule` links one entry to one record, for who gave its key";
    let [member, contact] = [&shop.members[3], &shop.contacts[3]];
    for (rule, key, may) in [("members", member, "member 3: key"), ("contacts", contact, "contact 3: key")] {
        watch.says_but(&["log", "prove", "--rule", rule], key, Some((may, why))).ends(0);
        watch.says_but(&["log", "prove", "--rule", rule, "--json"], key, Some((may, why))).ends(0);
    }
    watch.says(&["log", "prove", "--rule", "members"], &shop.contacts[0]).ends(1);
    watch.files("after everything was told");
}

/// Windows end, and the log is lost.
fn ends(watch: &Watch<'_>) {
    let kept = watch.count("quarantine");
    let later = "+8d";
    watch.says_at(later, &["run"]);
    if watch.shop.place == Place::Sqlite {
        assert!(watch.count("quarantine") < kept, "windows ended");
    }
    watch.files("after the windows ended, or while the server's clock says otherwise");
    let heads = watch.shop.bench.file("log/heads");
    assert!(Command::new("truncate").args(["-s", "-1"]).arg(heads).status().unwrap().success());
    watch.says(&["log", "verify"], "").ends(4);
    watch.says_at(later, &["run"]).ends(5);
    watch.says_at(later, &["log", "continue", "--lost-head", "--reason", "a disk"]).ends(0);
    watch.says(&["log", "verify"], "").ends(0);
    watch.files("at the end");
}

//! The configuration: what a person writes, and what they are told.
#![cfg(test)]

use std::path::Path;

use bewaard::config::load::load_text;

const SHORT: &str = r#"
version = "v1"
time-zone = "Europe/Amsterdam"
controller = "Voorbeeld Fietsen B.V."

[system.shop]
sqlite = "shop.db"

[rule.inactive]
system = "shop"
records.table = "customers"
since.column = "last_contact"
keep = "2 years"
because = "Privacy statement, 4"
then.delete = true
"#;

#[test]
fn the_short_form_loads() {
    let loaded = load_text(Path::new("/etc/bewaard/bewaard.toml"), SHORT).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(loaded.policy.rules.len(), 1);
}

/// Each broken configuration and all that a person is told about it. Read them: a tired engineer at 3 a.m. must know what
/// to type.
#[test]
fn broken_configurations_say_what_to_type() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    files.sort();
    assert!(files.len() >= 14, "only {} fixtures", files.len());
    for path in files {
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let told = match load_text(Path::new(&format!("{name}.toml")), &text) {
            Ok(loaded) => loaded.warnings,
            Err(faults) => faults,
        };
        assert!(!told.is_empty(), "{name} is not broken");
        insta::assert_snapshot!(name, told.render(false, 110));
    }
}

fn load_ok(name: &str, text: &str) -> bewaard::config::Loaded {
    load_text(Path::new(name), text).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn the_reference_and_every_example_load_without_a_warning() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let mut texts = vec![("reference.toml".to_string(), bewaard::config::REFERENCE.to_string())];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        texts.push((path.display().to_string(), std::fs::read_to_string(path).unwrap()));
    }
    assert!(texts.len() >= 3, "the examples are gone");
    for (name, text) in texts {
        let loaded = load_ok(&name, &text);
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }
}

/// `BEWAARD_BLESS=1 cargo test` writes it anew.
#[test]
fn the_committed_schema_is_the_one_of_the_keys() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/bewaard.schema.json");
    let schema = bewaard::config::schema();
    if std::env::var_os("BEWAARD_BLESS").is_some() {
        bewaard::durable::replace(&path, schema.as_bytes(), bewaard::durable::PUBLIC, path.parent().unwrap()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), schema, "run: BEWAARD_BLESS=1 cargo test --test config");
}

const CASES: &str = r#"
[[case]]
name = "A customer whose last order was on 14 March 2023: the last day"
rule = "inactive-customers"
clocks = { last_login_at = "01-02-2020", "orders.created_at" = [2019-01-01, 2023-03-14] }
today = 2025-03-14
expect = "stays"
goes-on = 2025-03-15

[[case]]
name = "The same customer, a day later"
rule = "inactive-customers"
clocks = { last_login_at = "01-02-2020", "orders.created_at" = "14-03-2023" }
today = "15-03-2025"
expect = "goes"

[[case]]
name = "The same, in a dispute"
rule = "inactive-customers"
clocks = { last_login_at = "none", "orders.created_at" = "14-03-2023" }
today = 2025-03-15
held = true
expect = "stays"

[[case]]
name = "An invoice of 2024: all but its contact data stays"
rule = "invoices"
clocks.invoice_date = 2024-05-06
today = 2026-06-01
expect = { record = "stays", contact = "goes" }
goes-on = { contact = 2026-05-07, record = 2032-01-01 }

[[case]]
name = "An invoice without a date"
rule = "invoices"
clocks.invoice_date = "zero"
today = 2040-01-01
expect = "stays"
"#;

#[test]
fn cases_are_decided_without_a_server_and_say_why() {
    let policy = load_ok("webshop.toml", include_str!("../config/examples/webshop.toml")).policy;
    let report = bewaard::config::cases::run(&policy, CASES, Path::new("cases.toml")).unwrap();
    assert!(report.passed(), "{}", report.render(true));
    let wrong = CASES.replace("2026-05-07", "2026-05-06").replace("today = \"15-03-2025\"", "today = \"14-03-2025\"");
    let report = bewaard::config::cases::run(&policy, &wrong, Path::new("cases.toml")).unwrap();
    assert!(!report.passed());
    insta::assert_snapshot!("cases-that-fail", report.render(true));
}

#[test]
fn cases_that_make_no_sense_are_told() {
    let policy = load_ok("webshop.toml", include_str!("../config/examples/webshop.toml")).policy;
    let text = "[[case]]\nrule = \"invoice\"\n[[case]]\nrule = \"invoices\"\nclocks.invoicedate = \"31-02-2024\"\nexpect = \"gone\"\n\
                [[case]]\nrule = \"invoices\"\nclocks.invoice_date = \"31-02-2024\"\nexpect = { rest = \"goes\" }\n[[case]]\nrule = \"invoices\"\n";
    let faults = bewaard::config::cases::run(&policy, text, Path::new("cases.toml")).unwrap_err();
    insta::assert_snapshot!("cases-that-make-no-sense", faults.render(false, 110));
}

mod files {
    use std::fs::{self, Permissions};
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};

    use bewaard::config::{Diagnostics, load};
    use bewaard::domain::policy::Access;

    use super::SHORT;

    fn put(path: &Path, bytes: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(bytes).unwrap();
    }

    fn folder(files: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            put(&folder.path().join(name), bytes);
        }
        let main = folder.path().join("bewaard.toml");
        (folder, main)
    }

    fn codes(faults: &Diagnostics) -> Vec<&'static str> {
        faults.iter().map(|one| one.code.id).collect()
    }

    const SECOND: &[u8] = b"[rule.old-orders]\nsystem = \"shop\"\nrecords = \"orders\"\nsince.column = \"created\"\n\
        keep = \"3 years\"\nbecause = \"No need\"\nthen.delete = true\n[system.crm]\nsqlite = \"crm.db\"\n";

    #[test]
    fn files_beside_are_put_together_in_order_and_paths_start_at_their_folder() {
        let (folder, main) = folder(&[
            ("bewaard.toml", SHORT.as_bytes()),
            ("conf.d/20-orders.toml", SECOND),
            ("conf.d/10-time.toml", b"financial-year = \"07-01\"\n"),
            ("conf.d/.hidden.toml", b"nonsense"),
            ("conf.d/20-orders.toml~", b"nonsense"),
        ]);
        let loaded = load(&main).unwrap_or_else(|faults| panic!("{faults}"));
        let names: Vec<_> = loaded.files.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["bewaard.toml", "10-time.toml", "20-orders.toml"]);
        assert_eq!(loaded.policy.rules.len(), 2);
        assert_eq!(loaded.policy.year.month, 7);
        let paths: Vec<_> = loaded
            .policy
            .systems
            .values()
            .map(|system| match &system.access {
                Access::Sqlite(sqlite) => PathBuf::from(&sqlite.path),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(paths, [folder.path().join("conf.d/crm.db"), folder.path().join("shop.db")]);
        assert!(loaded.sources.show("rule.old-orders.since.column").unwrap().ends_with("20-orders.toml:4:16"));
    }

    #[test]
    fn a_name_in_two_files_is_told_with_both_places() {
        let (_folder, main) = folder(&[
            ("bewaard.toml", SHORT.as_bytes()),
            ("conf.d/a.toml", b"time-zone = \"UTC\"\n[system.shop]\nsqlite = \"other.db\"\n"),
        ]);
        let told = load(&main).unwrap_err();
        assert_eq!(codes(&told), ["B111", "B111"]);
        let drawn = told.render(false, 100);
        assert!(drawn.contains("a.toml:2:9") && drawn.contains("bewaard.toml:6:9"), "{drawn}");
        assert!(drawn.is_ascii(), "{drawn}");
    }

    #[test]
    fn editors_of_other_systems_change_nothing() {
        let (_one, unix) = folder(&[("bewaard.toml", SHORT.as_bytes())]);
        let windows_text = format!("\u{feff}{}", SHORT.replace('\n', "\r\n"));
        let (_two, windows) = folder(&[("bewaard.toml", windows_text.as_bytes())]);
        assert_eq!(load(&unix).unwrap().policy.digest, load(&windows).unwrap().policy.digest);
    }

    #[test]
    fn files_that_can_not_be_used_are_told() {
        let (folder, main) = folder(&[("conf.d/x.toml", b"")]);
        assert_eq!(codes(&load(&main).unwrap_err()), ["B102"]);
        assert_eq!(codes(&load(folder.path()).unwrap_err()), ["B103"]);
        for (bytes, code) in [
            (&b""[..], "B105"),
            (b" \n\t\n", "B105"),
            (b"version = \"v1\"\n# caf\xe9\n", "B104"),
            (b"\xff\xfev\0e\0r\0", "B104"),
            (b"version = \"v1\"\nx = \0\n", "B101"),
        ] {
            put(&main, bytes);
            assert_eq!(codes(&load(&main).unwrap_err()), [code], "{bytes:?}");
        }
        put(&main, SHORT.as_bytes());
        fs::set_permissions(&main, Permissions::from_mode(0o666)).unwrap();
        let told = load(&main).unwrap_err();
        assert_eq!(codes(&told), ["B106"]);
        assert!(told.render(false, 100).contains("chmod o-w"), "{told}");
        fs::set_permissions(&main, Permissions::from_mode(0o644)).unwrap();
        assert!(load(&main).is_ok());
        fs::set_permissions(folder.path().join("conf.d"), Permissions::from_mode(0o777)).unwrap();
        assert_eq!(codes(&load(&main).unwrap_err()), ["B106"]);
    }

    #[test]
    fn a_pipe_in_the_place_of_a_policy_is_refused_and_never_waited_for() {
        let (folder, main) = folder(&[("bewaard.toml", SHORT.as_bytes())]);
        // Nobody ever writes to it: who opens it to read waits for ever.
        let pipe = |path: &Path| {
            let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
            assert!(made.success());
        };
        pipe(&folder.path().join("pipe.toml"));
        assert_eq!(codes(&load(&folder.path().join("pipe.toml")).unwrap_err()), ["B103"]);
        assert_eq!(codes(&load(Path::new("/dev/zero")).unwrap_err()), ["B103"]);
        assert!(load(&main).is_ok());
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        pipe(&folder.path().join("conf.d/a.toml"));
        let told = load(&main).unwrap_err();
        assert_eq!(codes(&told), ["B103"]);
        assert!(told.render(false, 200).contains("conf.d/a.toml"), "{told}");
    }

    #[test]
    fn ten_thousand_rules_are_read_in_seconds() {
        let mut text = String::from(SHORT);
        for n in 0..10_000 {
            let rule = format!(
                "[rule.r{n}]\nsystem = \"shop\"\nrecords = {{ table = \"t{n}\", where = \"role = 'x' AND kind IN (1, 2)\" }}\n\
                 since.column = \"at\"\nkeep = \"2 years\"\nbecause = \"nl.awr-52\"\nfrom = \"end of financial year\"\nthen.delete = true\n\
                 schedule = \"30 2 * * *\"\n"
            );
            text.push_str(&rule);
        }
        let begun = std::time::Instant::now();
        // Each is shorter than the law that it names.
        let told = load::load_text(Path::new("big.toml"), &text).unwrap_err();
        assert_eq!(told.len(), 10_000);
        let drawn = told.render(false, 100);
        assert!(drawn.contains("9800 not shown"), "{}", drawn.len());
        let loaded = load::load_text(Path::new("big.toml"), &text.replace("2 years", "7 years")).unwrap();
        assert_eq!(loaded.policy.rules.len(), 10_001);
        assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    }
}

mod meaning {
    use bewaard::codes;
    use bewaard::config::Severity;
    use bewaard::domain::rule::{Action, Because};
    use bewaard::domain::selection::{ClockSource, Protect, Selection};
    use bewaard::domain::term::{Alignment, Term};

    use super::load_ok;

    #[test]
    fn parts_grounds_and_the_catalogue_become_what_they_say() {
        let policy = load_ok("webshop.toml", include_str!("../config/examples/webshop.toml")).policy;
        let rule = policy.rules.values().find(|rule| rule.id.as_str() == "invoices").unwrap();
        let [contact, record] = rule.parts.as_slice() else { panic!("{:?}", rule.parts) };
        assert!(matches!(&contact.action, Action::Anonymise(recipes) if recipes.len() == 2));
        assert_eq!(contact.grounds[0].keep, Term::parse("2 years").unwrap());
        assert!(record.is_record());
        assert_eq!(
            (record.grounds[0].keep, record.grounds[0].from),
            (Term::parse("7 years").unwrap(), Alignment::EndOfFinancialYear)
        );
        assert!(matches!(&record.grounds[0].because, Because::Catalogue { id, .. } if id == "nl.awr-52"));
        assert_eq!((rule.sources.len(), &contact.grounds[0].clock, &record.grounds[0].clock), (1, &vec![0], &vec![0]));
        let rule = policy.rules.values().find(|rule| rule.id.as_str() == "inactive-customers").unwrap();
        let Selection::Sql(sql) = &rule.selection;
        assert!(sql.filter.is_some() && sql.children.len() == 1 && matches!(sql.protect[0], Protect::Where(_)));
        let ClockSource::Sql { relation, .. } = &rule.sources[1];
        assert_eq!(relation.as_ref().unwrap().on, ["customer_id"]);
        assert_eq!((rule.limits.per_run, rule.limits.share), (20_000, Some(10_000)));
    }

    #[test]
    fn protections_of_a_system_reach_the_rules_of_their_table_only() {
        let loaded = load_ok("reference.toml", bewaard::config::REFERENCE);
        for rule in loaded.policy.rules.values() {
            let Selection::Sql(sql) = &rule.selection;
            let expected = if rule.id.as_str() == "inactive-customers" { 3 } else { 0 };
            assert_eq!(sql.protect.len(), expected, "{}", rule.id);
        }
    }

    #[test]
    fn a_finding_is_drawn_under_the_key_that_causes_it_or_the_longest_known_part() {
        let sources = load_ok("webshop.toml", include_str!("../config/examples/webshop.toml")).sources;
        let drawn = |at: &str| {
            let found =
                sources.diagnostic(codes::UNREACHABLE, Severity::Fault, at, "there is no such column", "look at it");
            found.show_place().unwrap()
        };
        assert_eq!(drawn("rule.invoices.since.column"), "webshop.toml:29:16");
        assert_eq!(drawn("rule.inactive-customers.children.0.table"), "webshop.toml:21:23");
        assert_eq!(drawn("rule.inactive-customers.children[0].on"), "webshop.toml:21:41");
        assert_eq!(drawn("rule.inactive-customers.records.key"), drawn("rule.inactive-customers.records"));
        assert_eq!(drawn("system.webshop.mariadb.host"), "webshop.toml:11:20");
        assert_eq!(drawn("nowhere.at.all"), "webshop.toml");
    }
}

mod anything {
    use std::path::Path;

    use bewaard::config::load::load_text;
    use proptest::prelude::*;

    /// Lines that a person may put together in any order.
    fn any_line() -> impl Strategy<Value = String> {
        let lines: Vec<&'static str> =
            super::SHORT.lines().chain(bewaard::config::REFERENCE.lines()).chain(super::CASES.lines()).collect();
        (prop::sample::select(lines), 0usize..60, "[ -~é\"'\\[\\]{}=.]{0,3}").prop_map(|(line, at, noise)| {
            let at = line.char_indices().nth(at).map_or(line.len(), |(at, _)| at);
            let (before, after) = line.split_at(at);
            if noise.len() == 3 { line.to_string() } else { format!("{before}{noise}{after}") }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_bytes_make_it_crash(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = String::from_utf8_lossy(&bytes);
            if let Err(faults) = load_text(Path::new("x.toml"), &text) {
                prop_assert!(!faults.is_empty() && !faults.render(false, 80).is_empty());
            }
        }

        #[test]
        fn no_lines_make_it_crash(lines in prop::collection::vec(any_line(), 0..40)) {
            let text = format!("version = \"v1\"\n{}", lines.join("\n"));
            match load_text(Path::new("x.toml"), &text) {
                Ok(loaded) => { loaded.warnings.render(true, 80); }
                Err(faults) => {
                    prop_assert!(faults.has_faults(), "{}", text);
                    prop_assert!(!faults.render(false, 80).is_empty());
                    prop_assert!(faults.to_json().is_array());
                }
            }
        }
    }
}

#[test]
fn what_a_file_hides_is_shown_and_reaches_no_terminal() {
    for text in [
        "version = \"v1\"\n\"a\u{202e}b\" = 1\n",
        "version = \"v1\"\n\"a\\u001b[31m\" = 1\n",
        "version = \"v1\"\nx = \u{1b}[31m\n",
        "version = \"v1\"\n[rule.\"\u{2066}x\"]\nsystem = \"\u{200f}\u{9b}31m\"\n",
    ] {
        let told = load_text(Path::new("x.toml"), text).unwrap_err().render(false, 100);
        let hidden =
            |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{2069}').contains(&c) || c == '\u{200f}';
        assert!(!told.contains(hidden), "{told:?}");
    }
}

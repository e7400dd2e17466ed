use std::collections::BTreeMap;

use sqlx::Row;

use super::*;
use crate::domain::clock::{ClockFormat, Reading, newest, read};
use crate::domain::term::{Alignment, FinancialYear, Term, due_day};
use crate::domain::value::Scalar;

const AMSTERDAM: chrono_tz::Tz = chrono_tz::Europe::Amsterdam;

fn today() -> NaiveDate {
    "2026-11-23".parse().unwrap()
}

fn run<T>(act: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(act)
}

async fn number(folder: &Path, file: &str, query: &'static str) -> i64 {
    let mut on = open(&folder.join(file)).await.unwrap();
    sqlx::query(query).fetch_one(&mut on).await.unwrap().get(0)
}

#[test]
fn the_same_day_makes_the_same_firm() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = run(build(one.path(), today())).unwrap();
    assert_eq!(run(build(two.path(), today())).unwrap(), first);
    for file in [WEBSHOP, CRM] {
        let same = std::fs::read(one.path().join(file)).unwrap() == std::fs::read(two.path().join(file)).unwrap();
        assert!(same, "{file}");
    }
    // again in the same folder, over what is there
    assert_eq!(run(build(one.path(), today())).unwrap(), first);
    let mut names: Vec<_> = std::fs::read_dir(one.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [CRM, WEBSHOP], "nothing else is left in the folder");
}

#[test]
fn the_firm_is_large_and_untidy_and_its_truth_is_what_the_domain_says() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(async {
        let truth = build(folder, today()).await.unwrap();
        is_large(&truth);
        is_untidy(folder, &truth).await;
        agrees_with_the_domain(folder, &truth).await;
        for day in ["2027-03-01", "2028-02-29"] {
            let then = count(folder, day.parse().unwrap()).await.unwrap();
            agrees_with_the_domain(folder, &then).await;
        }
        // a quiet year later more is due, and the count says so without a new firm
        let later = count(folder, "2027-11-23".parse().unwrap()).await.unwrap();
        for (rule, part) in truth.verdicts.keys() {
            assert!(later.due(rule, part) > truth.due(rule, part), "{rule} {part}");
        }
    });
}

fn is_large(truth: &Truth) {
    assert!(truth.rows("customers") >= 50_000);
    for (table, least) in [
        ("addresses", 50_000),
        ("carts", 2_000),
        ("orders", 40_000),
        ("order_lines", 60_000),
        ("invoices", 40_000),
        ("newsletter", 10_000),
        ("contacts", 5_000),
        ("notes", 5_000),
        ("contact_tags", 3_000),
    ] {
        assert!(truth.rows(table) >= least, "{table}: {}", truth.rows(table));
    }
    // Every plan has something to do and is within its limit of 60 %.
    for (rule, part, table) in [
        ("inactive-customers", "record", "customers"),
        ("invoices", "contact", "invoices"),
        ("invoices", "core", "invoices"),
        ("unconfirmed-newsletter", "record", "newsletter"),
        ("crm-contacts", "record", "contacts"),
    ] {
        let (due, of) = (truth.due(rule, part), truth.rows(table));
        assert!(due * 100 > of * 5 && due * 100 < of * 58, "{rule} {part}: {due} of {of}");
        assert!(truth.of(rule, part, "not-yet-due") > 0, "{rule} {part}");
    }
    assert_eq!(truth.verdicts.len(), 5);
    assert_eq!(truth.due_of_rule("invoices"), truth.due("invoices", "contact") + truth.due("invoices", "core"));
}

async fn is_untidy(folder: &Path, truth: &Truth) {
    for (rule, part, verdicts) in [
        ("inactive-customers", "record", &["no-clock", "zero-date", "future-date", "protected"][..]),
        ("invoices", "contact", &["no-clock", "zero-date", "future-date", "protected", "settled"]),
        ("invoices", "core", &["no-clock", "zero-date", "future-date", "protected"]),
        ("unconfirmed-newsletter", "record", &["zero-date"]),
        ("crm-contacts", "record", &["no-clock", "zero-date", "future-date", "unreadable-date"]),
    ] {
        for verdict in verdicts {
            assert!(truth.of(rule, part, verdict) > 0, "{rule} {part} {verdict}");
        }
    }
    for (file, what) in [
        (WEBSHOP, "SELECT count(*) FROM customers WHERE last_login_at IS NULL"),
        (WEBSHOP, "SELECT count(*) FROM customers WHERE last_login_at = ''"),
        (WEBSHOP, "SELECT count(*) FROM customers a JOIN customers b ON lower(a.email) = b.email AND a.id <> b.id"),
        (WEBSHOP, "SELECT count(*) FROM customers WHERE role = 'staff' AND last_login_at < '2024-01-01'"),
        (WEBSHOP, "SELECT count(*) FROM invoices WHERE paid = 0 AND date(invoice_date, '+3 years') < '2026-11-23'"),
        (CRM, "SELECT count(*) FROM contacts WHERE last_contact GLOB '[0-3][0-9]-[01][0-9]-2*'"),
        (CRM, "SELECT count(*) FROM contacts WHERE last_contact IS NULL"),
        (CRM, "SELECT count(*) FROM contacts WHERE email <> lower(email)"),
    ] {
        assert!(number(folder, file, what).await > 0, "{what}");
    }
    for file in [WEBSHOP, CRM] {
        assert_eq!(number(folder, file, "SELECT count(*) FROM pragma_foreign_key_check").await, 0);
        assert_eq!(
            number(folder, file, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'delete'").await,
            1
        );
    }
}

/// How a rule's own clock is written; that of related rows is ISO 8601.
#[derive(Clone, Copy)]
enum Written {
    Iso,
    Epoch,
    Dutch,
}

type Clocks = (&'static str, &'static str, &'static str, Written, (&'static str, Alignment), &'static str);

/// The clocks of each part's records that are not protected and not settled.
const CLOCKS: [Clocks; 5] = [
    (
        WEBSHOP,
        "inactive-customers",
        "record",
        Written::Iso,
        ("2 years", Alignment::Day),
        "SELECT last_login_at, (SELECT max(created_at) FROM orders WHERE customer_id = c.id) FROM customers c
             WHERE role = 'customer' AND id NOT IN (SELECT customer_id FROM invoices WHERE paid = 0)",
    ),
    (
        WEBSHOP,
        "invoices",
        "contact",
        Written::Iso,
        ("2 years", Alignment::Day),
        "SELECT invoice_date, NULL FROM invoices WHERE paid = 1 AND (phone IS NOT NULL OR notes IS NOT NULL)",
    ),
    (
        WEBSHOP,
        "invoices",
        "core",
        Written::Iso,
        ("7 years", Alignment::EndOfFinancialYear),
        "SELECT invoice_date, NULL FROM invoices WHERE paid = 1",
    ),
    (
        WEBSHOP,
        "unconfirmed-newsletter",
        "record",
        Written::Epoch,
        ("90 days", Alignment::Day),
        "SELECT CAST(subscribed_at AS TEXT), NULL FROM newsletter WHERE confirmed_at IS NULL",
    ),
    (
        CRM,
        "crm-contacts",
        "record",
        Written::Dutch,
        ("2 years", Alignment::Day),
        "SELECT last_contact, (SELECT max(written_at) FROM notes WHERE contact_id = c.id) FROM contacts c",
    ),
];

/// Every clock of every record, read by the domain, gives the same number of due records as the plain SQL.
async fn agrees_with_the_domain(folder: &Path, truth: &Truth) {
    for (file, rule, part, written, (keep, from), query) in CLOCKS {
        let mut on = open(&folder.join(file)).await.unwrap();
        let term = Term::parse(keep).unwrap();
        let own = match written {
            Written::Iso => ClockFormat::Iso,
            Written::Epoch => ClockFormat::Epoch,
            Written::Dutch => ClockFormat::Patterns(vec!["%Y-%m-%d".into(), "%d-%m-%Y".into()]),
        };
        let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
        for row in sqlx::query(query).fetch_all(&mut on).await.unwrap() {
            let reading = newest([&own, &ClockFormat::Iso].into_iter().enumerate().map(|(column, format)| {
                let value = row.get::<Option<String>, _>(column).map_or(Scalar::Null, Scalar::Text);
                read(&value, format, AMSTERDAM, AMSTERDAM)
            }));
            let verdict = match reading {
                Reading::Day(day) if day > truth.today => "future-date",
                Reading::Day(day) if due_day(day, term, from, FinancialYear::default()).unwrap() <= truth.today => {
                    "due"
                }
                Reading::Day(_) => "not-yet-due",
                Reading::Absent => "no-clock",
                Reading::Zero => "zero-date",
                Reading::Unreadable => "unreadable-date",
                Reading::Partial | Reading::Implausible => "odd",
            };
            *seen.entry(verdict).or_default() += 1;
        }
        for (verdict, count) in seen {
            assert_eq!(truth.of(rule, part, verdict), count, "{rule} {part} {verdict}");
        }
    }
}

#[test]
fn the_policy_is_toml_in_short_form_with_one_key_a_line() {
    let text = policy_text();
    let policy: toml::Table = text.parse().unwrap();
    let rules: Vec<_> = policy["rule"].as_table().unwrap().keys().cloned().collect();
    assert_eq!(rules, ["crm-contacts", "inactive-customers", "invoices", "unconfirmed-newsletter"]);
    assert_eq!(policy["system"]["webshop"]["sqlite"]["path"].as_str(), Some(WEBSHOP));
    assert_eq!(policy["system"]["crm"]["sqlite"]["path"].as_str(), Some(CRM));
    assert!(text.lines().any(|line| line == "version = \"v1\""));
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let header = line.starts_with('[') && line.ends_with(']');
        let key = line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(" = ");
        assert!(header || key, "{line}");
    }
}

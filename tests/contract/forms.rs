//! What a column makes of what a recipe writes: `check` says it before, and it is what the writing shows.

use bewaard::connect::{Connector, EraseError, Finding, Severity};
use bewaard::domain::outcome::Outcome;
use bewaard::domain::recipe::Recipe;
use bewaard::domain::rule::Rule;

use super::harness::{Harness, clock, due, erase, no_holds, open, outcomes, part, rule};
use super::servers::Served;
use super::sqlite::Sqlite;
use super::support::servers::Kind;

/// What `check` should say of a fixed value.
#[derive(Clone, Copy)]
enum Says {
    /// Nothing: it stays as it is.
    Fine,
    /// It comes back in another form, and this one stays.
    Write(&'static str),
    /// It comes back in another form, and none that can be offered stays.
    Altered,
    /// It is refused.
    Refused,
    /// It is too long.
    TooLong,
}
use Says::{Altered, Fine, Refused, TooLong, Write};

/// A type, a value that stands in it, what is written over it, and what is said of that.
type Case = (&'static str, &'static str, &'static str, Says);

fn fixed(text: &str) -> Rule {
    let mut rule = rule("t", vec![clock("seen", None)]);
    rule.parts = vec![part(&rule, "v", [("v".to_string(), Recipe::Fixed(text.into()))].into())];
    rule
}

async fn faults(connector: &dyn Connector, rule: &Rule) -> Vec<Finding> {
    let findings = connector.probe(rule).await.unwrap().findings;
    findings.into_iter().filter(|one| one.severity == Severity::Fault).collect()
}

/// Writes it, and says whether the record then is done for good.
async fn is_done(harness: &dyn Harness, text: &str) -> bool {
    let (connector, rule) = (open(&harness.system()), fixed(text));
    let items = due(connector.as_ref(), &rule, &no_holds()).await;
    assert_eq!(items.len(), 1, "{text:?} is not there yet");
    let erased = erase(connector.as_ref(), &rule, &items, &no_holds()).await;
    let left = due(connector.as_ref(), &rule, &no_holds()).await.len();
    connector.release().await.unwrap();
    harness.sql("DROP TABLE IF EXISTS bewaard_batch;").await;
    match erased {
        Ok(receipts) if outcomes(&receipts) == [Outcome::Anonymised] => {
            assert_eq!(left, 0, "{text:?} is found again");
            true
        }
        Ok(receipts) => {
            assert_eq!((outcomes(&receipts), left), (vec![Outcome::Failed], 1), "{text:?}");
            false
        }
        Err(EraseError::NotDone(_)) => false,
        Err(other) => panic!("{other:?}"),
    }
}

async fn cases(harness: &dyn Harness, cases: &[Case]) {
    for (ty, seed, text, says) in cases {
        let named = format!("{text:?} in {ty}");
        let fill = format!(
            "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, v {ty}, seen DATE); INSERT INTO t VALUES (1, {seed}, '2020-01-01');"
        );
        harness.sql(&fill).await;
        let before = harness.rows("SELECT id, v, seen FROM t").await;
        let told = faults(open(&harness.system()).as_ref(), &fixed(text)).await;
        let now = harness.rows("SELECT id, v, seen FROM t").await;
        assert_eq!(now, before, "{named}: nothing was written");
        let code = match says {
            Fine => None,
            Write(_) | Altered => Some("B234"),
            Refused => Some("B235"),
            TooLong => Some("B213"),
        };
        let codes: Vec<&str> = told.iter().map(|one| one.code.id).collect();
        assert_eq!(codes, Vec::from_iter(code), "{named}: {told:?}");
        assert!(told.iter().all(|one| one.at == "rule.old.part.v.then.anonymise.v"), "{told:?}");
        assert_eq!(is_done(harness, text).await, matches!(says, Fine), "{named}: what was said is what happens");
        if let Write(instead) = says {
            assert_eq!(told[0].remedy, format!("write {instead:?}"), "{named}");
            assert_eq!(faults(open(&harness.system()).as_ref(), &fixed(instead)).await, [], "{named}");
            assert!(is_done(harness, instead).await, "{named}: {instead:?}");
        }
        harness.sql("DROP TABLE t;").await;
    }
}

#[tokio::test]
async fn a_value_that_comes_back_in_another_form_is_told_before_on_sqlite() {
    let harness = Sqlite::start().await;
    let all: &[Case] = &[
        ("TEXT", "'x'", "0", Fine),
        ("TEXT", "'x'", " weg ", Fine),
        ("VARCHAR(2)", "'x'", "verwijderd", Fine),
        ("DECIMAL(10,2)", "7", "0.00", Fine),
        ("DECIMAL(10,2)", "7", "1e2", Write("100")),
        ("INTEGER", "7", "0x1F", Fine),
        ("REAL", "7", "0", Fine),
        ("REAL", "7", "-0.0", Write("0")),
        ("BOOLEAN", "1", "false", Fine),
        ("DATE", "'2021-01-01'", "1900-01-01", Fine),
        ("", "7", "1e2", Fine),
        ("\"we\"\"ird INT\"", "7", "1e2", Write("100")),
        ("BLOB", "x'00'", "x", Fine),
    ];
    cases(&harness, all).await;
    harness.sql("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, v REAL, seen TEXT) STRICT; INSERT INTO t VALUES (1, 7, '2020-01-01');").await;
    let told = faults(open(&harness.system()).as_ref(), &fixed("weg")).await;
    assert_eq!(told.iter().map(|one| one.code.id).collect::<Vec<_>>(), ["B235"], "{told:?}");
    assert_eq!(faults(open(&harness.system()).as_ref(), &fixed("0")).await, []);
}

#[tokio::test]
async fn a_value_that_comes_back_in_another_form_is_told_before_on_mariadb() {
    let harness = Served::start(Kind::Mariadb).await;
    let all: &[Case] = &[
        ("DECIMAL(10,2)", "7", "0.00", Fine),
        ("DECIMAL(10,2)", "7", "0", Write("0.00")),
        ("DECIMAL(10,2)", "7", "123456789.00", Refused),
        ("DECIMAL(10,2)", "7", "weg", Refused),
        ("INT", "7", "00", Fine),
        ("INT", "7", "9999999999", Refused),
        ("TINYINT(1)", "7", "false", Refused),
        ("YEAR", "2005", "70", Write("1970")),
        ("FLOAT", "7", "0.1", Write("0.10000000149011612")),
        ("DOUBLE", "7", "0.1", Fine),
        ("DATE", "'2021-01-01'", "1900-01-01", Fine),
        ("DATE", "'2021-01-01'", "1900-1-1", Write("1900-01-01")),
        ("DATE", "'2021-01-01'", "weg", Refused),
        ("DATETIME", "'2021-01-01'", "1900-01-01", Write("1900-01-01 00:00:00")),
        ("TIMESTAMP NULL", "'2021-01-01'", "1980-01-01 00:00:00", Write("1980-01-01 00:00:00+00:00")),
        ("TIME", "'10:00:00'", "0:00", Write("00:00:00")),
        ("CHAR(5)", "'x'", "weg ", Write("weg")),
        ("VARCHAR(5)", "'x'", "weg ", Fine),
        ("VARCHAR(5)", "'x'", "verwijderd", TooLong),
        ("TINYTEXT", "'x'", "ë", Fine),
        ("VARCHAR(5) CHARACTER SET latin1", "'x'", "漢", Refused),
        ("BINARY(4)", "'x'", "weg", Altered),
        ("VARBINARY(4)", "'x'", "weg", Fine),
        ("VARBINARY(4)", "'x'", "verwijderd", Refused),
        ("ENUM('a','weg') COLLATE utf8mb4_general_ci", "'a'", "weg", Fine),
        ("ENUM('a','weg') COLLATE utf8mb4_general_ci", "'a'", "WEG", Write("weg")),
        ("ENUM('a','weg')", "'a'", "niets", Refused),
        ("SET('x','y','z')", "'z'", "y,x", Write("x,y")),
        ("UUID", "UUID()", "00000000-0000-0000-0000-00000000000A", Write("00000000-0000-0000-0000-00000000000a")),
        ("JSON", "'{}'", "{\"a\":1}", Fine),
        ("JSON", "'{}'", "weg", Refused),
        ("INT CHECK (v > 5)", "7", "0", Refused),
    ];
    cases(&harness, all).await;
}

#[tokio::test]
async fn a_value_that_comes_back_in_another_form_is_told_before_on_postgres() {
    let harness = Served::start(Kind::Postgres).await;
    harness
        .sql("CREATE TYPE mood AS ENUM ('a', 'weg'); CREATE DOMAIN price AS numeric(10,2) CHECK (VALUE >= 0);")
        .await;
    let all: &[Case] = &[
        ("numeric(10,2)", "7", "0.00", Fine),
        ("numeric(10,2)", "7", "0", Write("0.00")),
        ("numeric(10,2)", "7", "123456789", Refused),
        ("numeric", "7", "0", Fine),
        ("price", "7", "0", Write("0.00")),
        ("price", "7", "-1.00", Refused),
        ("int", "7", "00", Fine),
        ("int", "7", "9999999999", Refused),
        ("boolean", "true", "false", Write("0")),
        ("real", "7", "0.1", Write("0.10000000149011612")),
        ("double precision", "7", "0.1", Fine),
        ("date", "'2021-01-01'", "1900-01-01", Fine),
        ("date", "'2021-01-01'", "1900-1-1", Write("1900-01-01")),
        ("date", "'2021-01-01'", "weg", Refused),
        ("timestamp", "'2021-01-01'", "1900-01-01", Write("1900-01-01 00:00:00")),
        ("timestamptz", "'2021-01-01'", "1980-01-01", Write("1980-01-01 00:00:00+00")),
        ("char(5)", "'x'", "weg ", Write("weg")),
        ("varchar(5)", "'x'", "weg ", Fine),
        ("varchar(5)", "'x'", "verwijderd", TooLong),
        ("bit(4)", "B'1111'", "0", Write("0000")),
        ("mood", "'a'", "weg", Fine),
        ("mood", "'a'", "niets", Refused),
        ("json", "'{}'", "{\"a\":1}", Fine),
        ("jsonb", "'{}'", "{\"a\":1}", Write("{\"a\": 1}")),
        ("bytea", "'\\x00'", "weg", Fine),
        ("jsonb", "'{}'", "weg", Refused),
        (
            "uuid",
            "gen_random_uuid()",
            "00000000-0000-0000-0000-00000000000A",
            Write("00000000-0000-0000-0000-00000000000a"),
        ),
        ("inet", "'10.0.0.1'", "0.0.0.0", Write("0.0.0.0/32")),
        ("int[]", "'{1}'", "{ 0 }", Write("{0}")),
        ("int CHECK (v > 5)", "7", "0", Refused),
    ];
    cases(&harness, all).await;
}

/// A template, a pseudonym and a marker write texts of their own, in children too.
pub(crate) async fn other_recipes_that_a_column_does_not_keep_are_faults(harness: &dyn Harness) {
    harness.sql("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, v CHAR(8), d DATE, seen DATE);").await;
    let connector = open(&harness.system());
    let of = |field: &str, recipe: Recipe| {
        let mut rule = rule("t", vec![clock("seen", None)]);
        rule.parts = vec![part(&rule, "v", [(field.to_string(), recipe)].into())];
        rule
    };
    assert_eq!(faults(connector.as_ref(), &of("d", Recipe::Marker)).await, []);
    assert_eq!(faults(connector.as_ref(), &of("v", Recipe::Template("{key}-x".into()))).await, []);
    assert_eq!(faults(connector.as_ref(), &of("v", Recipe::Pseudonym { length: 8 })).await, []);
    if harness.typed_dates() {
        let code = async |rule: Rule| faults(connector.as_ref(), &rule).await.first().map(|one| one.code.id);
        assert_eq!(code(of("v", Recipe::Template("{key}- ".into()))).await, Some("B234"), "blanks at the end go");
        assert_eq!(code(of("v", Recipe::Marker)).await, Some("B235"), "no moment fits into eight characters");
    }
}

/// What a unique index over more than plain columns says of a fixed value: (column, severity).
async fn unique(harness: &dyn Harness, indexes: &str, expected: &[(&str, Option<Severity>)]) {
    harness.sql(&format!("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, a VARCHAR(40), b VARCHAR(40), c VARCHAR(40), seen DATE); {indexes}")).await;
    let connector = open(&harness.system());
    for (column, severity) in expected {
        let mut rule = rule("t", vec![clock("seen", None)]);
        rule.parts = vec![part(&rule, "v", [((*column).to_string(), Recipe::Fixed("weg".into()))].into())];
        let findings = connector.probe(&rule).await.unwrap().findings;
        let told = findings.iter().find(|one| one.code.id == "B211").map(|one| one.severity);
        assert_eq!(told, *severity, "{column}: {findings:?}");
    }
}

const FAULT: Option<Severity> = Some(Severity::Fault);
const WARNING: Option<Severity> = Some(Severity::Warning);

#[tokio::test]
async fn a_unique_index_over_part_of_a_column_refuses_one_value_for_all_on_mariadb() {
    let indexes = "CREATE UNIQUE INDEX ua ON t (a(10)); CREATE INDEX ub ON t (b(10));";
    unique(&Served::start(Kind::Mariadb).await, indexes, &[("a", FAULT), ("b", None)]).await;
}

#[tokio::test]
async fn a_unique_index_over_an_expression_or_some_rows_is_told_on_postgres() {
    let indexes = "CREATE UNIQUE INDEX ON t (lower(a)); CREATE UNIQUE INDEX ON t (b) WHERE seen IS NULL; CREATE INDEX ON t (lower(c));";
    unique(&Served::start(Kind::Postgres).await, indexes, &[("a", FAULT), ("b", WARNING), ("c", None)]).await;
}

#[tokio::test]
async fn a_unique_index_over_some_rows_is_told_on_sqlite() {
    let indexes = "CREATE UNIQUE INDEX ub ON t (b) WHERE seen IS NULL; CREATE INDEX uc ON t (c) WHERE seen IS NULL;";
    unique(&Sqlite::start().await, indexes, &[("b", WARNING), ("c", None)]).await;
}

//! Dates that are none among the related rows of a clock, of every kind of column: a newer row never hides them.

use bewaard::domain::clock::ClockFormat;
use bewaard::domain::decide::{KeepReason, Verdict, decide};
use bewaard::domain::rule::Rule;
use bewaard::domain::selection::ClockSource;

use super::harness::{Harness, all, clock, due, erase, moment, no_holds, open, outcomes, relation, rule};
use super::servers::Served;
use super::sqlite::Sqlite;
use super::support::servers::Kind;
use KeepReason::{ImplausibleDate, PartialDate, UnreadableDate};
use bewaard::domain::outcome::Outcome;

/// A type, its format, a plain old date, a plain newer one that is due too, an odd one, and what it is called.
type Case = (&'static str, ClockFormat, [&'static str; 3], KeepReason);

fn visited(format: ClockFormat) -> Rule {
    let relation = Some(relation("visits", "who"));
    rule("t", vec![ClockSource::Sql { column: "at".into(), relation, format, zone: None }])
}

async fn cases(harness: &dyn Harness, lenient: &str, all_cases: Vec<Case>) {
    for (ty, format, [old, newer, odd], reason) in all_cases {
        harness
            .sql(&format!(
                "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY);
                 CREATE TABLE visits (id INTEGER NOT NULL PRIMARY KEY, who INTEGER, at {ty});
                 INSERT INTO t VALUES (1), (2), (3);
                 {lenient}
                 INSERT INTO visits VALUES (1,1,{old}),(2,1,{odd}),(3,1,{newer}),(4,1,NULL),(5,2,{old}),(6,2,{newer}),(7,3,NULL);"
            ))
            .await;
        let connector = open(&harness.system());
        let rule = visited(format);
        let found = all(connector.as_ref(), &rule, Some(moment()), 100).await;
        let verdicts: Vec<Verdict> = found.iter().map(|one| decide(&rule, one, &no_holds(), moment())[0]).collect();
        assert_eq!(verdicts[0], Verdict::Kept(reason), "{odd} in {ty}");
        assert!(matches!(verdicts[1], Verdict::Due(_)), "{ty}: {verdicts:?}");
        assert_eq!(verdicts[2], Verdict::Kept(KeepReason::NoClock), "{ty}");
        // and who got such a row after it was found due is not erased
        let items = due(connector.as_ref(), &rule, &no_holds()).await;
        harness.sql(&format!("{lenient} INSERT INTO visits VALUES (9,2,{odd});")).await;
        let receipts = erase(connector.as_ref(), &rule, &items, &no_holds()).await.unwrap();
        assert_eq!(outcomes(&receipts), [Outcome::Changed], "{odd} in {ty}");
        connector.release().await.unwrap();
        harness.sql("DROP TABLE visits; DROP TABLE t; DROP TABLE IF EXISTS bewaard_batch;").await;
    }
}

fn patterns(pattern: &str) -> ClockFormat {
    ClockFormat::Patterns(vec![pattern.into()])
}

#[tokio::test]
async fn a_newer_row_hides_no_odd_date_on_mariadb() {
    let harness = Served::start(Kind::Mariadb).await;
    let (iso, old, newer) = (ClockFormat::Iso, "'2019-01-01'", "'2021-01-01'");
    cases(
        &harness,
        "SET sql_mode = '', time_zone = '+00:00';",
        vec![
            ("DATE", iso.clone(), [old, newer, "'2020-00-00'"], PartialDate),
            ("DATE", iso.clone(), [old, newer, "'2020-05-00'"], PartialDate),
            ("DATE", iso.clone(), [old, newer, "'1969-05-05'"], ImplausibleDate),
            ("DATETIME", iso.clone(), [old, newer, "'2020-00-00 10:00:00'"], PartialDate),
            ("DATETIME(6)", iso.clone(), [old, newer, "'0001-01-01'"], ImplausibleDate),
            ("TIMESTAMP NULL", iso.clone(), [old, newer, "'1970-01-01 00:00:01'"], ImplausibleDate),
            ("VARCHAR(20)", iso.clone(), [old, newer, "'2020-00-00'"], PartialDate),
            ("VARCHAR(20)", iso, [old, newer, "'gisteren'"], UnreadableDate),
            ("CHAR(10)", patterns("%d-%m-%Y"), ["'01-01-2019'", "'01-01-2021'", "'2020'"], UnreadableDate),
            ("INT", ClockFormat::Epoch, ["1546300800", "1609459200", "-5"], ImplausibleDate),
            ("BIGINT", ClockFormat::EpochMillis, ["1546300800000", "1609459200000", "5"], ImplausibleDate),
            ("INT", patterns("%Y%m%d"), ["20190101", "20210101", "20200000"], UnreadableDate),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_newer_row_hides_no_odd_date_on_postgres() {
    let harness = Served::start(Kind::Postgres).await;
    let (iso, old, newer) = (ClockFormat::Iso, "'2019-01-01'", "'2021-01-01'");
    cases(
        &harness,
        "",
        vec![
            ("date", iso.clone(), [old, newer, "'-infinity'"], ImplausibleDate),
            ("date", iso.clone(), [old, newer, "'infinity'"], ImplausibleDate),
            ("date", iso.clone(), [old, newer, "'0044-03-15 BC'"], ImplausibleDate),
            ("timestamp", iso.clone(), [old, newer, "'1969-05-05'"], ImplausibleDate),
            ("timestamptz", iso.clone(), [old, newer, "'-infinity'"], ImplausibleDate),
            ("text", iso.clone(), [old, newer, "'2020-00-00'"], PartialDate),
            ("varchar(20)", iso, [old, newer, "'gisteren'"], UnreadableDate),
            ("char(10)", patterns("%d-%m-%Y"), ["'01-01-2019'", "'01-01-2021'", "'2020'"], UnreadableDate),
            ("int", ClockFormat::Epoch, ["1546300800", "1609459200", "-5"], ImplausibleDate),
            ("int8", ClockFormat::EpochMillis, ["1546300800000", "1609459200000", "5"], ImplausibleDate),
            ("int", patterns("%Y%m%d"), ["20190101", "20210101", "20200000"], UnreadableDate),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_newer_row_hides_no_odd_date_on_sqlite() {
    let harness = Sqlite::start().await;
    let (iso, old, newer) = (ClockFormat::Iso, "'2019-01-01'", "'2021-01-01'");
    cases(
        &harness,
        "",
        vec![
            ("DATE", iso.clone(), [old, newer, "'2020-00-00'"], PartialDate),
            ("DATETIME", iso.clone(), [old, newer, "'1969-05-05'"], ImplausibleDate),
            ("TEXT", iso, [old, newer, "'gisteren'"], UnreadableDate),
            ("INTEGER", ClockFormat::Epoch, ["1546300800", "1609459200", "-5"], ImplausibleDate),
            ("INTEGER", ClockFormat::Epoch, ["1546300800", "1609459200", "'gisteren'"], UnreadableDate),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_partial_date_is_read_and_not_left_out_for_being_new_on_mariadb() {
    let harness = Served::start(Kind::Mariadb).await;
    harness
        .sql(
            "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, a DATE, b DATETIME);
             SET sql_mode = '';
             INSERT INTO t VALUES (1,'2026-05-00',NULL),(2,'2026-05-05','2026-00-00'),(3,'2026-05-05',NULL),(4,'0000-00-00',NULL);",
        )
        .await;
    let connector = open(&harness.system());
    let rule = rule("t", vec![clock("a", None), clock("b", None)]);
    let found = all(connector.as_ref(), &rule, Some(moment()), 100).await;
    let verdicts: Vec<Verdict> = found.iter().map(|one| decide(&rule, one, &no_holds(), moment())[0]).collect();
    assert_eq!(verdicts, [PartialDate, PartialDate, KeepReason::ZeroDate].map(Verdict::Kept), "3 alone is left out");
}

#[tokio::test]
async fn an_empty_text_among_numbers_hides_no_newer_row_on_sqlite() {
    let harness = Sqlite::start().await;
    harness
        .sql(
            "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, seen DATE);
             CREATE TABLE visits (id INTEGER NOT NULL PRIMARY KEY, who INTEGER, at INTEGER);
             INSERT INTO t VALUES (1, '2019-01-01'), (2, '2019-01-01');
             INSERT INTO visits VALUES (1, 1, 1777000000), (2, 1, ''), (3, 2, '');",
        )
        .await;
    let connector = open(&harness.system());
    let mut rule = visited(ClockFormat::Epoch);
    rule.sources.push(clock("seen", None));
    rule.parts[0].grounds[0].clock = vec![0, 1];
    let found = all(connector.as_ref(), &rule, Some(moment()), 100).await;
    let verdicts: Vec<Verdict> = found.iter().map(|one| decide(&rule, one, &no_holds(), moment())[0]).collect();
    assert_eq!(verdicts[0], Verdict::Kept(KeepReason::NotYetDue), "it was visited lately");
    assert!(matches!(verdicts[1], Verdict::Due(_)), "{verdicts:?}");
}

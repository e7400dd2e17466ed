//! What the server leaves out of a walk is counted as if it had been read: random clocks of every kind, one or two
//! grounds, own columns and related rows, with and without indexes, held against a walk over every record.

use std::collections::BTreeSet;

use bewaard::domain::clock::ClockFormat;
use bewaard::domain::decide::{Found, Moment, Verdict, decide};
use bewaard::domain::id::GroundId;
use bewaard::domain::plan::Survey;
use bewaard::domain::predicate::{Comparison, Literal, Predicate};
use bewaard::domain::recipe::Recipe;
use bewaard::domain::rule::{Ground, Rule};
use bewaard::domain::selection::{ClockSource, Protect};
use bewaard::domain::term::{Alignment, FinancialYear, Term};
use bewaard::engine::survey::{Reach, Silent, walk};
use chrono::{Days, NaiveDate};
use chrono_tz::Tz;

use super::dice::{Dice, by_tier};
use super::harness::{Harness, all, moment, no_holds, open_in, part, relation, rule, sql};
use super::servers::Served;
use super::sqlite::Sqlite;
use super::support::servers::Kind;

impl Dice {
    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    fn in_ten(&mut self, times: u64) -> bool {
        self.below(10) < times
    }
}

/// A kind of clock column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Column {
    Day,
    Time,
    Moment,
    Epoch,
    Millis,
    Text,
}

impl Column {
    const ALL: [Self; 6] = [Self::Day, Self::Time, Self::Moment, Self::Epoch, Self::Millis, Self::Text];

    fn ty(self, engine: Option<Kind>) -> &'static str {
        match (self, engine) {
            (Self::Day, _) => "DATE",
            (Self::Time, Some(Kind::Postgres)) => "TIMESTAMP",
            (Self::Time, _) => "DATETIME",
            (Self::Moment, Some(Kind::Postgres)) => "TIMESTAMPTZ",
            (Self::Moment, _) => "TIMESTAMP NULL",
            (Self::Epoch | Self::Millis, _) => "BIGINT",
            (Self::Text, _) => "VARCHAR(30)",
        }
    }

    fn format(self) -> ClockFormat {
        match self {
            Self::Epoch => ClockFormat::Epoch,
            Self::Millis => ClockFormat::EpochMillis,
            _ => ClockFormat::Iso,
        }
    }

    fn odd(self, engine: Option<Kind>, dice: &mut Dice) -> &'static str {
        match (self, engine) {
            (Self::Epoch | Self::Millis, _) => dice.one(&["0", "-5", "5", "9999999999999"]),
            (Self::Text, _) => dice.one(&["''", "'gisteren'", "'2024-00-00'", "'0000-00-00'"]),
            (Self::Moment, Some(Kind::Mariadb)) => dice.one(&["'0000-00-00'", "'1970-01-01 00:00:01'", "'2037-01-01'"]),
            (_, Some(Kind::Mariadb)) => dice.one(&[
                "'0000-00-00'",
                "'2025-00-00'",
                "'2025-11-00'",
                "'2025-01-00'",
                "'1969-05-05'",
                "'2031-01-01'",
            ]),
            (_, Some(Kind::Postgres)) => {
                dice.one(&["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'1969-05-05'", "'2031-01-01'"])
            }
            (_, None) => dice.one(&["'0000-00-00'", "'2025-00-00'", "'1969-05-05'", "'2031-01-01'", "'gisteren'"]),
        }
    }

    fn value(self, day: NaiveDate, engine: Option<Kind>, dice: &mut Dice) -> String {
        match dice.below(12) {
            0 => return "NULL".into(),
            1 => return self.odd(engine, dice).into(),
            _ => {}
        }
        let hour = dice.one(&[0, 1, 2, 3, 12, 21, 22, 23]);
        let at = day.and_hms_opt(hour, dice.one(&[0, 30, 59]), 0).unwrap();
        match self {
            Self::Day => format!("'{day}'"),
            Self::Epoch => at.and_utc().timestamp().to_string(),
            Self::Millis => at.and_utc().timestamp_millis().to_string(),
            // In UTC: the hour that a DST switch of the session's zone leaves out can't be stored.
            Self::Moment if engine == Some(Kind::Postgres) => format!("'{at}+00'"),
            Self::Time | Self::Moment | Self::Text => format!("'{at}'"),
        }
    }
}

const ALIGNMENTS: [Alignment; 4] =
    [Alignment::Day, Alignment::EndOfMonth, Alignment::EndOfCalendarYear, Alignment::EndOfFinancialYear];
/// Days beside switches to and from DST, a leap day, some on which what happened two years ago comes due: at midnight São
/// Paulo put its clocks back, and a day that Apia never had. And one that is like any other.
const DAYS: [&str; 7] =
    ["2026-03-30", "2026-10-25", "2026-04-05", "2024-02-29", "2020-02-18", "2013-12-31", "2026-06-01"];
/// Where the policy counts its days.
const ZONES: [Tz; 6] = [
    Tz::Europe__Amsterdam,
    Tz::UTC,
    Tz::Pacific__Auckland,
    Tz::America__New_York,
    Tz::America__Sao_Paulo,
    Tz::Pacific__Apia,
];

struct Case {
    rule: Rule,
    moment: Moment,
    zone: Tz,
    schema: String,
}

fn ground(id: &str, clock: Vec<usize>, dice: &mut Dice) -> Ground {
    let template = rule("t", vec![]).parts[0].grounds[0].clone();
    let keep = dice.one(&[
        "2 years",
        "18 months",
        "90 days",
        "1 month",
        "2 years 40 days",
        "40 years",
        "70 years",
        "200 years",
    ]);
    Ground {
        id: GroundId::new(id).unwrap(),
        clock,
        keep: Term::parse(keep).unwrap(),
        from: dice.one(&ALIGNMENTS),
        optional: dice.in_ten(3),
        ..template
    }
}

/// The tables, some of their indexes, and rows that lie mostly near the day on which they become due.
fn schema(engine: Option<Kind>, rule: &Rule, today: NaiveDate, columns: [Column; 3], dice: &mut Dice) -> String {
    let [a, b, at] = columns;
    let terms: Vec<Term> = rule.parts[0].grounds.iter().map(|ground| ground.keep).collect();
    let mut schema = format!(
        "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, vip INTEGER, kind INTEGER, a {}, b {});
         CREATE TABLE visits (id INTEGER NOT NULL PRIMARY KEY, who INTEGER, at {});",
        a.ty(engine),
        b.ty(engine),
        at.ty(engine)
    );
    for (name, on) in [("ta", "t(a)"), ("tb", "t(b)"), ("vw", "visits(who)"), ("va", "visits(at)")] {
        if dice.in_ten(8) {
            schema += &format!("CREATE INDEX {name} ON {on};\n");
        }
    }
    if engine == Some(Kind::Mariadb) {
        schema += "SET sql_mode = '', time_zone = '+00:00';\n";
    }
    let day = |dice: &mut Dice| {
        let term = dice.one(&terms);
        // Mostly near the day on which it becomes due, or near today.
        let near = match dice.below(4) {
            0 => today,
            1 => today.checked_sub_days(Days::new(dice.below(1500))).unwrap(),
            _ => term.before(today).unwrap().max("1970-02-01".parse().unwrap()),
        };
        let days = Days::new(dice.below(8));
        if dice.in_ten(5) { near.checked_sub_days(days).unwrap() } else { near.checked_add_days(days).unwrap() }
    };
    let rows: Vec<String> = (0..150)
        .map(|id| {
            let (vip, kind) = (dice.one(&["0", "1", "NULL"]), dice.one(&["0", "1", "1"]));
            let (on_a, on_b) = (day(dice), day(dice));
            let (a, b) = (a.value(on_a, engine, dice), b.value(on_b, engine, dice));
            format!("({}, {vip}, {kind}, {a}, {b})", id * 3)
        })
        .collect();
    schema += &format!("INSERT INTO t VALUES {};\n", rows.join(","));
    let rows: Vec<String> = (0..200)
        .map(|id| {
            let on = day(dice);
            format!("({id}, {}, {})", dice.below(150) * 3, at.value(on, engine, dice))
        })
        .collect();
    schema += &format!("INSERT INTO visits VALUES {};\n", rows.join(","));
    schema
}

fn case(engine: Option<Kind>, dice: &mut Dice) -> Case {
    let today: NaiveDate = dice.one(&DAYS).parse().unwrap();
    let moment = Moment { today, year: FinancialYear { month: 7, day: 1 } };
    let zone = dice.one(&ZONES);
    let zones = [None, Some(Tz::UTC), Some(Tz::America__New_York), Some(Tz::Pacific__Auckland)];
    let source = |column: Column, name: &str, relation, dice: &mut Dice| ClockSource::Sql {
        column: name.into(),
        relation,
        format: column.format(),
        zone: dice.one(&zones),
    };
    // Text is compared by no server: with a clock of text nothing is left out, which is worth a case now and then.
    let kind = |dice: &mut Dice| if dice.in_ten(1) { Column::Text } else { dice.one(&Column::ALL[..5]) };
    let (a, b, at) = (kind(dice), kind(dice), kind(dice));
    let mut sources = vec![source(a, "a", None, dice)];
    let (two, related) = (dice.in_ten(5), dice.in_ten(5));
    if two {
        sources.push(source(b, "b", None, dice));
    }
    if related {
        sources.push(source(at, "at", Some(relation("visits", "who")), dice));
        if dice.in_ten(2) {
            sources.remove(0);
        }
    }
    let all: Vec<usize> = (0..sources.len()).collect();
    let mut rule = rule("t", sources);
    rule.parts[0].grounds = match dice.below(3) {
        0 if all.len() > 1 => vec![ground("x", vec![0], dice), ground("y", all[1..].to_vec(), dice)],
        _ => vec![ground("x", all, dice)],
    };
    let flag = |column: &str| Predicate::Compare {
        column: column.into(),
        op: Comparison::Equal,
        with: Literal::Number("1".into()),
    };
    if dice.in_ten(4) {
        sql(&mut rule).protect = vec![Protect::Where(flag("vip"))];
    }
    if dice.in_ten(4) {
        sql(&mut rule).filter = Some(flag("kind"));
    }
    let schema = schema(engine, &rule, today, [a, b, at], dice);
    Case { rule, moment, zone, schema }
}

/// The rule with a part for fields besides, which has a ground of its own.
fn with_fields(rule: &Rule, dice: &mut Dice) -> Rule {
    let mut rule = rule.clone();
    let mut fields = part(&rule, "fields", [("vip".to_string(), Recipe::Null)].into());
    let clock = usize::try_from(dice.below(rule.sources.len() as u64)).unwrap();
    fields.grounds = vec![ground("z", vec![clock], dice)];
    rule.parts.push(fields);
    rule
}

/// The survey and the due records of a walk.
async fn walked(harness: &dyn Harness, case: &Case, reach: Reach) -> (Survey, BTreeSet<String>) {
    let connector = open_in(&harness.system(), case.zone);
    let mut due = BTreeSet::new();
    let (rule, holds) = (&case.rule, no_holds());
    let mut each = |found: &Found, verdicts: &[Verdict]| {
        if let Verdict::Due(day) = verdicts[0] {
            due.insert(format!("{} since {day}", found.key.show()));
        }
        Ok(())
    };
    let walked = walk(connector.as_ref(), rule, case.moment, &holds, reach, &Silent, &mut each).await;
    let survey = walked.unwrap().survey;
    (survey, due)
}

async fn cases(harness: &dyn Harness, engine: Option<Kind>) {
    let (mut left_out, mut seen_due) = (0, 0);
    for number in 0..by_tier(40, 120, 400) {
        let case = case(engine, &mut Dice::of(&[number]));
        harness.sql(&case.schema).await;
        let (whole, due) = walked(harness, &case, Reach::All).await;
        let (narrowed, due_narrowed) = walked(harness, &case, Reach::MayBeDue).await;
        assert_eq!(due_narrowed, due, "case {number}: {:?}\n{}", case.rule, case.schema);
        assert_eq!(narrowed, whole, "case {number}: {:?}\n{}", case.rule, case.schema);
        // over small pages: each once, and in the order of the whole
        let connector = open_in(&harness.system(), case.zone);
        let keys = |found: Vec<Found>| -> Vec<String> { found.iter().map(|one| one.key.show()).collect() };
        let mut order = keys(all(connector.as_ref(), &case.rule, None, 1000).await);
        let small = keys(all(connector.as_ref(), &case.rule, Some(case.moment), 7).await);
        left_out += order.len() - small.len();
        order.retain(|key| small.contains(key));
        assert_eq!(small, order, "case {number}");
        seen_due += due.len();
        let fields = with_fields(&case.rule, &mut Dice::of(&[number, 1]));
        let going = |found: Vec<Found>| -> Vec<String> {
            let goes = |one: &Found| {
                let verdicts = decide(&fields, one, &no_holds(), case.moment);
                verdicts.iter().any(|verdict| matches!(verdict, Verdict::Due(_)))
            };
            found.iter().filter(|one| goes(one)).map(|one| one.key.show()).collect()
        };
        let whole = going(all(connector.as_ref(), &fields, None, 1000).await);
        let found = going(all(connector.as_ref(), &fields, Some(case.moment), 60).await);
        assert_eq!(found, whole, "case {number}: {fields:?}\n{}", case.schema);
        harness.sql("DROP TABLE visits; DROP TABLE t;").await;
    }
    assert!(seen_due > 100, "{seen_due} were due");
    assert_eq!(left_out > 100, harness.typed_dates(), "{left_out} were left out");
}

#[tokio::test]
async fn a_narrowed_walk_counts_as_the_whole_one_on_mariadb() {
    cases(&Served::start(Kind::Mariadb).await, Some(Kind::Mariadb)).await;
}

#[tokio::test]
async fn a_narrowed_walk_counts_as_the_whole_one_on_postgres() {
    cases(&Served::start(Kind::Postgres).await, Some(Kind::Postgres)).await;
}

#[tokio::test]
async fn a_narrowed_walk_counts_as_the_whole_one_on_sqlite() {
    cases(&Sqlite::start().await, None).await;
}

/// Visits of the moment zero say nothing, and where none says anything an optional ground does not apply; a term that reaches
/// back behind 1970 must not take that zero for something new.
async fn a_zero_under_a_term_of_a_lifetime(harness: &dyn Harness, on: &str) {
    harness
        .sql(
            "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, a DATE);
             CREATE TABLE visits (id INTEGER NOT NULL PRIMARY KEY, who INTEGER, at BIGINT);
             CREATE INDEX ta ON t(a);
             CREATE INDEX vw ON visits(who);
             CREATE INDEX va ON visits(at);
             INSERT INTO t VALUES (1, '2020-01-01'), (2, '2020-01-01'), (3, '2026-05-31');
             INSERT INTO visits VALUES (1, 1, 0), (2, 3, 0);",
        )
        .await;
    let clock =
        |column: &str, relation, format| ClockSource::Sql { column: column.into(), relation, format, zone: None };
    let visits = clock("at", Some(relation("visits", "who")), ClockFormat::Epoch);
    let mut rule = rule("t", vec![clock("a", None, ClockFormat::Iso), visits]);
    let grounds = &mut rule.parts[0].grounds;
    grounds[0].clock = vec![0];
    let keep = Term::parse("70 years").unwrap();
    grounds.push(Ground {
        id: GroundId::new("life").unwrap(),
        clock: vec![1],
        keep,
        optional: true,
        ..grounds[0].clone()
    });
    let connector = open_in(&harness.system(), Tz::Europe__Amsterdam);
    // By the list, and by the whole key where no index serves one.
    for indexed in [true, false] {
        if !indexed {
            harness.sql(&format!("DROP INDEX ta{on};")).await;
        }
        let found = all(connector.as_ref(), &rule, Some(moment()), 10).await;
        let due = |one: &&Found| matches!(decide(&rule, one, &no_holds(), moment())[0], Verdict::Due(_));
        let keys: Vec<String> = found.iter().filter(due).map(|one| one.key.show()).collect();
        assert_eq!(keys, ["1", "2"], "with an index: {indexed}");
    }
}

#[tokio::test]
async fn a_zero_under_a_term_of_a_lifetime_is_nothing_new_on_mariadb() {
    a_zero_under_a_term_of_a_lifetime(&Served::start(Kind::Mariadb).await, " ON t").await;
}

#[tokio::test]
async fn a_zero_under_a_term_of_a_lifetime_is_nothing_new_on_postgres() {
    a_zero_under_a_term_of_a_lifetime(&Served::start(Kind::Postgres).await, "").await;
}

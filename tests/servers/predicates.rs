//! `where` selects exactly what its brackets mean, never more: random conditions against a model of SQL's logic.
//!
//! Class number i of rows stands 2^i times in the table, so the count of what is found says which classes were.

use std::fmt::Write as _;

use crate::bench::Bench;
use crate::firm::{Firm, by_kind};
use crate::support::servers::Kind;

on_both!(a_random_where_selects_what_its_brackets_mean);

#[test]
fn a_random_where_selects_what_its_brackets_mean_on_sqlite() {
    let (policy, expected, seed) = rules("sqlite");
    let bench = Bench::new(&policy, &table("id integer", "integer", "text", "text"));
    compare(&bench, &expected, seed);
}

fn a_random_where_selects_what_its_brackets_mean(kind: Kind) {
    let (policy, expected, seed) = rules(by_kind(kind, "mariadb", "postgres"));
    let id = by_kind(kind, "id int auto_increment", "id int generated always as identity");
    let firm = Firm::new(kind, &policy, &table(id, "int", "varchar(20)", by_kind(kind, "datetime", "timestamp")));
    compare(&firm, &expected, seed);
}

/// The classes of rows: NULLs, an empty text, and texts that patterns tell apart.
const CLASSES: [(Option<i64>, Option<&str>); 9] = [
    (None, None),
    (None, Some("x")),
    (Some(0), None),
    (Some(0), Some("")),
    (Some(1), Some("x")),
    (Some(2), Some("xy")),
    (Some(-5), Some("o'x")),
    (Some(7), Some("a%b")),
    (Some(1), Some("yx")),
];

fn table(id: &str, number: &str, text: &str, moment: &str) -> String {
    let mut sql = format!(
        "create table t ({id}, n {number}, s {text}, seen {moment}, primary key (id));\n\
         create index t_seen on t(seen);\n"
    );
    for (place, (n, s)) in CLASSES.iter().enumerate() {
        let n = n.map_or("null".to_string(), |n| n.to_string());
        let s = s.map_or("null".to_string(), |s| format!("'{}'", s.replace('\'', "''")));
        let rows = vec![format!("({n}, {s}, '2019-05-06 10:00:00')"); 1 << place].join(", ");
        writeln!(sql, "insert into t (n, s, seen) values {rows};").unwrap();
    }
    sql
}

#[derive(Debug)]
enum Condition {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Number(&'static str, i64),
    Text(&'static str, &'static str),
    NumberIn(Vec<i64>, bool),
    TextIn(Vec<&'static str>, bool),
    Between(i64, i64, bool),
    Like(&'static str, bool),
    Null(&'static str, bool),
}

const OPERATORS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];
const TEXTS: [&str; 6] = ["", "x", "xy", "yx", "o'x", "a%b"];
const PATTERNS: [&str; 7] = ["%", "x%", "%x", "_", "x_", "%'%", "a%b"];

/// A small generator of numbers, so that a seed repeats a failure.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 20).unwrap() % most
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 0
    }

    fn number(&mut self) -> i64 {
        self.of(&[-5, 0, 1, 2, 7, 8])
    }

    fn condition(&mut self, depth: usize) -> Condition {
        let kinds = if depth == 0 { 7 } else { 13 };
        match self.below(kinds) {
            0 => Condition::Number(self.of(&OPERATORS), self.number()),
            1 => Condition::Text(self.of(&["=", "<>"]), self.of(&TEXTS)),
            2 => Condition::NumberIn((0..=self.below(3)).map(|_| self.number()).collect(), self.flag()),
            3 => Condition::TextIn((0..=self.below(3)).map(|_| self.of(&TEXTS)).collect(), self.flag()),
            4 => Condition::Between(self.number(), self.number(), self.flag()),
            5 => Condition::Like(self.of(&PATTERNS), self.flag()),
            6 => Condition::Null(self.of(&["n", "s"]), self.flag()),
            7 | 8 => Condition::And(self.several(depth)),
            9..=11 => Condition::Or(self.several(depth)),
            _ => Condition::Not(Box::new(self.condition(depth - 1))),
        }
    }

    fn several(&mut self, depth: usize) -> Vec<Condition> {
        (0..2 + self.below(2)).map(|_| self.condition(depth - 1)).collect()
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Condition {
    /// As somebody writes it: brackets only where SQL needs them.
    fn text(&self) -> String {
        let not = |flag: &bool| if *flag { "NOT " } else { "" };
        let list = |all: Vec<String>| all.join(", ");
        match self {
            Self::And(all) => {
                let side = |one: &Self| match one {
                    Self::Or(_) => format!("({})", one.text()),
                    _ => one.text(),
                };
                all.iter().map(side).collect::<Vec<_>>().join(" AND ")
            }
            Self::Or(all) => all.iter().map(Self::text).collect::<Vec<_>>().join(" OR "),
            Self::Not(one) => match **one {
                Self::And(_) | Self::Or(_) => format!("NOT ({})", one.text()),
                _ => format!("NOT {}", one.text()),
            },
            Self::Number(op, n) => format!("n {op} {n}"),
            Self::Text(op, s) => format!("s {op} {}", quoted(s)),
            Self::NumberIn(all, n) => {
                format!("n {}IN ({})", not(n), list(all.iter().map(ToString::to_string).collect()))
            }
            Self::TextIn(all, n) => format!("s {}IN ({})", not(n), list(all.iter().map(|s| quoted(s)).collect())),
            Self::Between(a, b, n) => format!("n {}BETWEEN {a} AND {b}", not(n)),
            Self::Like(pattern, n) => format!("s {}LIKE {}", not(n), quoted(pattern)),
            Self::Null(column, n) => format!("{column} IS {}NULL", not(n)),
        }
    }

    /// True, false, or neither, as SQL has it.
    fn holds(&self, n: Option<i64>, s: Option<&str>) -> Option<bool> {
        let negated = |holds: Option<bool>, not: bool| holds.map(|holds| holds != not);
        match self {
            Self::And(all) => {
                let all: Vec<Option<bool>> = all.iter().map(|one| one.holds(n, s)).collect();
                if all.contains(&Some(false)) { Some(false) } else { (!all.contains(&None)).then_some(true) }
            }
            Self::Or(all) => {
                let all: Vec<Option<bool>> = all.iter().map(|one| one.holds(n, s)).collect();
                if all.contains(&Some(true)) { Some(true) } else { (!all.contains(&None)).then_some(false) }
            }
            Self::Not(one) => negated(one.holds(n, s), true),
            Self::Number(op, with) => n.map(|n| match *op {
                "=" => n == *with,
                "<>" => n != *with,
                "<" => n < *with,
                "<=" => n <= *with,
                ">" => n > *with,
                _ => n >= *with,
            }),
            Self::Text(op, with) => s.map(|s| (s == *with) == (*op == "=")),
            Self::NumberIn(all, not) => negated(n.map(|n| all.contains(&n)), *not),
            Self::TextIn(all, not) => negated(s.map(|s| all.contains(&s)), *not),
            Self::Between(a, b, not) => negated(n.map(|n| n >= *a && n <= *b), *not),
            Self::Like(pattern, not) => negated(s.map(|s| like(pattern.as_bytes(), s.as_bytes())), *not),
            Self::Null(column, not) => {
                let null = if *column == "n" { n.is_none() } else { s.is_none() };
                Some(null != *not)
            }
        }
    }
}

fn like(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'%', rest @ ..] => (0..=text.len()).any(|skip| like(rest, &text[skip..])),
        [b'_', rest @ ..] => !text.is_empty() && like(rest, &text[1..]),
        [one, rest @ ..] => text.first() == Some(one) && like(rest, &text[1..]),
    }
}

/// What each rule's text is and what it must find.
type Expected = Vec<(String, u64)>;

fn rules(salt: &str) -> (String, Expected, u64) {
    let seed: u64 = std::env::var("BEWAARD_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_124);
    let salted = salt.bytes().fold(seed, |all, byte| all.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut random = Random(salted.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let deep = std::env::var("BEWAARD_TEST_TIER").is_ok_and(|tier| tier == "deep" || tier == "long");
    let (mut policy, mut expected) = (String::new(), Vec::new());
    for place in 0..if deep { 250 } else { 30 } {
        let depth = 1 + random.below(3);
        let condition = random.condition(depth);
        let text = condition.text();
        writeln!(
            policy,
            "[rule.r{place}]\nsystem = \"shop\"\nrecords = {{ table = \"t\", where = \"\"\"{text}\"\"\" }}\n\
             since.column = \"seen\"\nkeep = \"2 years\"\nbecause = \"test\"\nthen.delete = true\nlimits.share = \"100 %\"\n"
        )
        .unwrap();
        let chosen = CLASSES.iter().enumerate().filter(|(_, (n, s))| condition.holds(*n, *s) == Some(true));
        expected.push((text, chosen.map(|(class, _)| 1 << class).sum()));
    }
    (policy, expected, seed)
}

#[track_caller]
fn compare(bench: &Bench, expected: &Expected, seed: u64) {
    let plans = bench.bewaard(&["plan", "--json"]).ends(0).json();
    let plans = plans["plans"].as_array().unwrap();
    assert_eq!(plans.len(), expected.len());
    for (place, (text, count)) in expected.iter().enumerate() {
        let plan = plans.iter().find(|plan| plan["rule"] == format!("r{place}")).unwrap();
        assert_eq!(plan["found"], *count, "seed {seed}: {text} (classes as bits: {count:09b})");
        assert_eq!(plan["due"], *count, "seed {seed}: {text}");
    }
}

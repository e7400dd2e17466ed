//! Cases for `bewaard test`: what becomes of a record, written so that an accountant can read it, and decided without a
//! server by the very function that decides in a run.
//!
//! ```toml
//! [[case]]
//! name = "A customer without orders since 14 March 2023"
//! rule = "inactive-customers"
//! clocks = { last_login_at = "01-02-2020", "orders.created_at" = "14-03-2023" }
//! today = 2025-03-14
//! expect = "stays"
//! goes-on = 2025-03-15
//! ```

mod judge;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::shape::Kind::{Any, Date, Flag, List, Map, Table, Text, Word};
use super::shape::{Check, Key, Kind, Shape, nearest};
use super::source::{Place, SourceFile, shown};
use super::tree::{self, Entry, Node, Value};
use crate::codes;
use crate::domain::clock::Reading;
use crate::domain::policy::Policy;
use crate::domain::rule::Rule;
use crate::domain::selection::ClockSource;

/// A file of cases that explains itself: `bewaard generate cases` prints it.
pub const EXAMPLE: &str = include_str!("../../config/cases.toml");

const DAY: Kind = Any(&[Date, Text]);

const fn key(name: &'static str, kind: Kind, about: &'static str, example: &'static str) -> Key {
    Key { name, kind, about, example, required: false }
}

static FILE: Shape = Shape {
    name: "a file of cases",
    keys: &[key("case", List(&Table(&CASE)), "One record and what becomes of it.", "[[case]]")],
};

static CASE: Shape = Shape {
    name: "[[case]]",
    keys: &[
        key("name", Text, "What the case is about, in words.", "name = \"An invoice of 2017\""),
        key("rule", Text, "The rule.", "rule = \"invoices\""),
        key("today", DAY, "The day on which it is looked at.", "today = 2025-03-15"),
        key(
            "clocks",
            Map(&Any(&[Date, Text, List(&DAY)])),
            "What the clocks say, by column, or table.column.",
            "clocks = { \"orders.created_at\" = \"14-03-2023\" }",
        ),
        key("held", Flag, "A hold binds it.", "held = true"),
        key("protected", Flag, "A protection applies.", "protected = true"),
        key("expect", Any(&[OUTCOME, Map(&OUTCOME)]), "What becomes of it, or of each part.", "expect = \"goes\""),
        key("goes-on", Any(&[Date, Text, Map(&DAY)]), "From which day it goes, or each part.", "goes-on = 2025-03-15"),
    ],
};

const OUTCOME: Kind = Word(&["goes", "stays"]);

/// One case, as it was read.
struct Case<'a> {
    name: String,
    rule: &'a Rule,
    today: NaiveDate,
    clocks: Vec<Reading>,
    held: bool,
    protected: bool,
    /// Goes (true) or stays, by place of the part.
    expect: BTreeMap<usize, bool>,
    goes_on: BTreeMap<usize, NaiveDate>,
    place: Place,
}

/// What came out of all cases of a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CaseReport {
    /// Each case, in the order of the file.
    pub cases: Vec<CaseResult>,
}

/// What came out of one case.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CaseResult {
    /// Its name.
    pub name: String,
    /// Its rule.
    pub rule: String,
    /// `file:line:column`.
    pub at: String,
    /// What differs from what was expected; empty where the case passed.
    pub differs: Vec<String>,
    /// Why, in words: each part, and each of its grounds with clock, term and day.
    pub why: Vec<String>,
}

impl CaseReport {
    /// Whether every case came out as expected.
    pub fn passed(&self) -> bool {
        self.cases.iter().all(|case| case.differs.is_empty())
    }

    /// For a person: one line a case that passed, and the whole reasoning of one that did not (of all, if `verbose`).
    pub fn render(&self, verbose: bool) -> String {
        let mut lines = Vec::new();
        for case in &self.cases {
            let word = if case.differs.is_empty() { "ok  " } else { "FAIL" };
            lines.push(format!("{word} {} ({})", shown(&case.name), case.rule));
            lines.extend(case.differs.iter().map(|line| format!("     {line}")));
            if verbose || !case.differs.is_empty() {
                lines.extend(case.why.iter().map(|line| format!("     {line}")));
                lines.push(format!("     at {}", case.at));
            }
        }
        let failed = self.cases.iter().filter(|case| !case.differs.is_empty()).count();
        lines.push(format!("{} passed, {failed} failed", self.cases.len() - failed));
        lines.join("\n") + "\n"
    }
}

/// Decides every case of a file.
///
/// # Errors
/// Everything that is wrong with the text of the cases; a case that comes out otherwise is no error but in the report.
pub fn run(policy: &Policy, text: &str, file: &Path) -> Result<CaseReport, Diagnostics> {
    let mut out = Vec::new();
    let file = SourceFile::new(file.to_path_buf(), text);
    let root = tree::parse(&file, &mut out);
    let Some(root) = root else { return Err(Diagnostics::new(out)) };
    Check::new(&FILE, &mut out).file(&root);
    let nodes = root.get("case").map(Node::items).unwrap_or_default();
    if nodes.is_empty() && out.is_empty() {
        let fault = Diagnostic::new(codes::BAD_CASE, Severity::Fault, "the file has no cases").in_file(&file.path);
        out.push(fault.help("write [[case]], and under it rule, clocks, today and expect"));
    }
    let cases: Vec<Case<'_>> = nodes.iter().filter_map(|node| read(policy, node, &mut out)).collect();
    if !out.is_empty() {
        return Err(Diagnostics::new(out));
    }
    Ok(CaseReport { cases: cases.iter().map(|case| judge::judge(policy, case)).collect() })
}

fn read<'a>(policy: &'a Policy, node: &Node, out: &mut Vec<Diagnostic>) -> Option<Case<'a>> {
    let before = out.len();
    let rule = rule(policy, node, out)?;
    let clocks = clocks(rule, node, out);
    let expect = by_part(rule, node.entry("expect"), |node| node.text().map(|text| text == "goes"), out);
    let goes_on = by_part(rule, node.entry("goes-on"), day, out);
    if expect.is_empty() && goes_on.is_empty() && out.len() == before {
        out.push(lacks(node, "expects nothing", "add: expect = \"goes\", expect = \"stays\" or goes-on = 2025-03-15"));
    }
    let today = match node.entry("today") {
        Some(entry) => day_of(&entry.node, out),
        None => goes_on.values().min().copied().or_else(|| {
            out.push(lacks(node, "does not say when it is looked at", "add: today = 2025-03-15"));
            None
        }),
    };
    if out.len() > before {
        return None;
    }
    Some(Case {
        name: node.text_of("name").unwrap_or("case").to_string(),
        rule,
        today: today?,
        clocks,
        held: node.flag_of("held"),
        protected: node.flag_of("protected"),
        expect,
        goes_on,
        place: node.place.clone(),
    })
}

fn lacks(node: &Node, what: &str, help: &str) -> Diagnostic {
    Diagnostic::fault(codes::BAD_CASE, format!("the case {what}"), &node.place).help(help)
}

fn rule<'a>(policy: &'a Policy, node: &Node, out: &mut Vec<Diagnostic>) -> Option<&'a Rule> {
    let Some(entry) = node.entry("rule") else {
        out.push(lacks(node, "does not name its rule", "add: rule = \"invoices\""));
        return None;
    };
    let text = entry.node.text()?;
    let found = policy.rules.values().find(|rule| rule.id.as_str() == text);
    if found.is_none() {
        let fault =
            Diagnostic::fault(codes::BAD_CASE, format!("there is no rule `{}`", shown(text)), &entry.node.place);
        let names = || policy.rules.keys().map(crate::domain::id::RuleId::as_str);
        out.push(match nearest(text, names()) {
            Some(near) => fault.help(format!("did you mean \"{near}\"?")),
            None => fault.help(format!("the policy has: {}", names().take(20).collect::<Vec<_>>().join(", "))),
        });
    }
    found
}

/// The name of a clock in cases: its column, or table.column.
fn clock_name(source: &ClockSource) -> String {
    match source {
        ClockSource::Sql { column, relation: None, .. } => column.clone(),
        ClockSource::Sql { column, relation: Some(relation), .. } => format!("{}.{column}", relation.table),
    }
}

/// What the rule's clock sources say; what a case leaves out is absent.
fn clocks(rule: &Rule, node: &Node, out: &mut Vec<Diagnostic>) -> Vec<Reading> {
    let names: Vec<String> = rule.sources.iter().map(clock_name).collect();
    let mut readings = vec![Reading::Absent; names.len()];
    for entry in node.get("clocks").map(Node::entries).unwrap_or_default() {
        if !names.contains(&entry.key) {
            let text = format!("the rule `{}` has no clock `{}`", rule.id, shown(&entry.key));
            let fault = Diagnostic::fault(codes::BAD_CASE, text, &entry.key_place);
            let near = nearest(&entry.key, names.iter().map(String::as_str));
            out.push(match near {
                Some(near) => fault.help(format!("did you mean \"{near}\"?")),
                None => fault.help(format!("its clocks are: {}", shown(&names.join(", ")))),
            });
            continue;
        }
        let found: Vec<Reading> = entry.node.items().iter().filter_map(|item| reading(item, out)).collect();
        let newest = crate::domain::clock::newest(found);
        for (place, _) in names.iter().enumerate().filter(|(_, name)| **name == entry.key) {
            if let Some(reading) = readings.get_mut(place) {
                *reading = newest;
            }
        }
    }
    readings
}

fn reading(node: &Node, out: &mut Vec<Diagnostic>) -> Option<Reading> {
    match node.text().map(str::trim) {
        Some("" | "none") => Some(Reading::Absent),
        Some("0000-00-00" | "00-00-0000" | "zero") => Some(Reading::Zero),
        Some("unreadable") => Some(Reading::Unreadable),
        _ => day_of(node, out).map(Reading::Day),
    }
}

fn day_of(node: &Node, out: &mut Vec<Diagnostic>) -> Option<NaiveDate> {
    let found = day(node);
    if found.is_none() {
        let fault = Diagnostic::fault(codes::BAD_CASE, "this is no day of the calendar", &node.place);
        out.push(
            fault.help("write 2025-03-14 or \"14-03-2025\"; for a clock also \"none\", \"zero\" or \"unreadable\""),
        );
    }
    found
}

/// A TOML date, or text as 14-03-2025 or 2025-03-14.
fn day(node: &Node) -> Option<NaiveDate> {
    match &node.value {
        Value::Date(date) => {
            let date = date.date?;
            NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into())
        }
        Value::Text(text) => {
            let read = |pattern| NaiveDate::parse_from_str(text.trim(), pattern).ok();
            read("%d-%m-%Y").or_else(|| read("%Y-%m-%d"))
        }
        _ => None,
    }
}

/// What is said of each part: one value is about the whole record, or about every part where none is the whole record.
fn by_part<T: Copy>(
    rule: &Rule,
    entry: Option<&Entry>,
    read: impl Fn(&Node) -> Option<T>,
    out: &mut Vec<Diagnostic>,
) -> BTreeMap<usize, T> {
    let mut found = BTreeMap::new();
    let Some(entry) = entry else { return found };
    let mut put = |places: Vec<usize>, node: &Node, out: &mut Vec<Diagnostic>| {
        if let Some(value) = read(node) {
            found.extend(places.into_iter().map(|place| (place, value)));
        } else if out.is_empty() {
            // Of several faults the check of the shape has told this one already.
            let fault = Diagnostic::fault(codes::BAD_CASE, "this can't be expected", &node.place);
            out.push(fault.help("write \"goes\" or \"stays\", and days as 2025-03-14 or \"14-03-2025\""));
        }
    };
    if !matches!(entry.node.value, Value::Table(_)) {
        let whole = rule.parts.iter().position(crate::domain::rule::Part::is_record);
        put(whole.map_or_else(|| (0..rule.parts.len()).collect(), |place| vec![place]), &entry.node, out);
        return found;
    }
    for one in entry.node.entries() {
        let names = || rule.parts.iter().map(|part| part.id.as_str());
        let place = names().position(|name| name == one.key);
        if let Some(place) = place {
            put(vec![place], &one.node, out);
        } else {
            let text = format!("the rule `{}` has no part `{}`", rule.id, shown(&one.key));
            let fault = Diagnostic::fault(codes::BAD_CASE, text, &one.key_place);
            out.push(fault.help(format!("its parts are: {}", names().collect::<Vec<_>>().join(", "))));
        }
    }
    found
}

//! One case: a database with some rules, taken through the whole way.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::calendar::{Day, read_day, show};
use super::data::fill;
use super::draw::Draw;
use super::engines::{Engine, Printed, Site, time};
use super::family::family;
use super::oracle::{Hold, World};
use super::purge::Tally;
use super::rules::{Rule, quoted};
use super::texts::EMAILS;
use crate::sweep::{Dice, by_tier};

/// Rules in one case.
const RULES: u64 = 6;

/// What the model said, counted over cases, so that a test of nothing is noticed.
type Seen = BTreeMap<&'static str, u64>;

/// What even a handful of cases must have had.
const COMMON: [&str; 3] = ["erased", "anonymised", "not-yet-due"];
/// What a dozen of cases must have had.
const USUAL: [&str; 6] = ["erased", "anonymised", "rows that go along", "not-yet-due", "protected", "no-clock"];
/// All that many cases must have had.
const EVERYTHING: [&str; 15] = [
    "erased",
    "anonymised",
    "due and not let go",
    "left",
    "rows that go along",
    "not-yet-due",
    "held",
    "protected",
    "record-below",
    "no-clock",
    "zero-date",
    "partial-date",
    "future-date",
    "implausible-date",
    "unreadable-date",
];

/// What is held against what.
struct Case {
    /// Schema, policy and rows, to be read where the case differs.
    story: String,
    seen: Seen,
    world: World,
    rules: Vec<Rule>,
    site: Site,
    shift: Option<String>,
}

/// Every case of a tier, or the one that is named.
pub(crate) fn all(engine: Engine) {
    let only = std::env::var("BEWAARD_TEST_CASE").ok().map(|text| text.parse::<u64>().unwrap());
    let cases = if engine == Engine::Sqlite { by_tier(6, 30, 2_000) } else { by_tier(3, 12, 1_000) };
    let numbers = only.map_or((0..cases).collect(), |one| vec![one]);
    let (mut failed, mut seen) = (Vec::new(), Seen::new());
    for number in numbers {
        let (case, held) = tried(engine, number, None);
        if held {
            for (what, count) in case.seen {
                *seen.entry(what).or_default() += count;
            }
            continue;
        }
        // One of its rules alone is easier to read.
        let smaller = (0..RULES).map(|rule| tried(engine, number, Some(rule))).find(|(_, held)| !held);
        println!("{engine:?}, case {number}: {}", smaller.map_or(case, |(smaller, _)| smaller).story);
        failed.push(number);
    }
    println!("{engine:?}: {seen:?}");
    assert!(failed.is_empty(), "{engine:?}: {} of {cases} cases differ from the model: {failed:?}", failed.len());
    // A few cases have no room for everything.
    let must: &[&str] = match cases {
        _ if only.is_some() => &[],
        0..10 => &COMMON,
        10..200 => &USUAL,
        _ => &EVERYTHING,
    };
    for what in must {
        assert!(seen.contains_key(what), "no case had anything `{what}`: {seen:?}");
    }
}

/// Takes a case through the whole way, and says whether it is as the model has it; why not stands in the output.
fn tried(engine: Engine, number: u64, only: Option<u64>) -> (Case, bool) {
    let mut case = Case::new(engine, number, only);
    let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.hold_against()));
    (case, held.is_ok())
}

impl Case {
    /// A case, or one of its rules alone.
    fn new(engine: Engine, number: u64, only: Option<u64>) -> Self {
        let mut dice = Dice::of(&[engine as u64, number]);
        let zone = super::ZONES[usize::try_from(dice.below(7)).unwrap()];
        // A server's time can't be shifted, and must be that of the host.
        let shift = (engine == Engine::Sqlite && dice.below(2) == 0).then(|| format!("+{}d", dice.below(900)));
        let today = read_day(&time(shift.as_ref(), zone.name(), "+%F")).unwrap();
        let mut draw = Draw { dice, engine, zone, today, terms: Vec::new() };
        let enforced = engine != Engine::Sqlite || draw.chance(50);
        let year = draw.pick(&[(1, 1), (1, 1), (4, 6), (7, 1), (12, 28), (2, 28)]);
        let (mut rules, mut tables) = (Vec::new(), BTreeMap::new());
        for number in 0..RULES {
            let mut family = family(&mut draw, number);
            fill(&mut draw, &mut family);
            if only.is_some_and(|only| only != number) {
                continue;
            }
            tables.extend(family.tables.into_iter().map(|table| (table.name.clone(), table)));
            rules.push(family.rule);
        }
        let mut world = World { engine, enforced, zone, year, tables, holds: Vec::new() };
        world.holds = holds(&mut draw, &world, &rules);
        let site = Site::new(&world, &policy(&rules), shift.clone());
        let mut case = Self { story: String::new(), seen: Seen::new(), world, rules, site, shift };
        case.story = case.story();
        case
    }

    fn story(&self) -> String {
        let mut text = format!("zone {}, shift {:?}, enforced {}\n", self.world.zone, self.shift, self.world.enforced);
        writeln!(text, "holds {:?}\n{}", self.world.holds, policy(&self.rules)).unwrap();
        for table in self.world.tables.values() {
            text += &table.create(self.world.engine);
            text += &table.insert(self.world.engine);
        }
        text
    }

    /// The whole way.
    fn hold_against(&mut self) {
        self.site.bewaard(&["init"]).ends(0);
        let check = self.site.bewaard(&["check", "--json"]);
        assert_eq!(check.code, 0, "the policy is refused: {}\n{}", check.out, check.err);
        self.place_holds();
        self.site.about_copy(true);
        let preview = self.plans();
        self.site.about_copy(false);
        let plans = self.plans();
        let today = self.same_as_the_model(&plans);
        for (rule, plan) in &plans {
            for key in ["set", "due", "due_by_part", "kept", "children", "cutoff", "of", "found", "oldest_due"] {
                assert_eq!(plan[key], preview[rule][key], "{rule}: {key} of the plan and of a preview over a copy");
            }
        }
        let mut approve = vec!["approve", "--reason", "test"];
        approve.extend(plans.values().map(|plan| plan["id"].as_str().unwrap()));
        self.site.bewaard(&approve).ends(0);
        let before = (self.world.clone(), self.site.print(&self.world));
        assert_eq!(self.differs(&before.1, &(String::new(), String::new())), "", "the rows are not what was put in");
        let runs = self.run(today, &plans);
        self.run_again(today);
        self.site.bewaard(&["log", "verify"]).ends(0);
        self.undo(&runs, &before);
    }

    fn place_holds(&self) {
        for hold in &self.world.holds {
            let args = ["hold", "add", "--reason", "test", "--review", "2030-01-01"];
            match hold {
                Hold::Email(whose) => {
                    self.site.bewaard_with_input(&args, &format!("email: {}\n", whose.to_uppercase()))
                }
                Hold::Key(rule, key) => {
                    let line = |part: &super::value::Value| match part {
                        super::value::Value::Int(number) => format!("key: {number}\n"),
                        super::value::Value::Text(text) => format!("key: {text}\n"),
                        other => panic!("no key to type: {other:?}"),
                    };
                    let lines: String = key.iter().map(line).collect();
                    self.site.bewaard_with_input(&[&args[..], &["--rule", rule]].concat(), &lines)
                }
            }
            .ends(0);
        }
    }

    fn plans(&self) -> BTreeMap<String, Json> {
        let said = self.site.bewaard(&["plan", "--json"]).ends(0).json();
        assert_eq!(said["failures"], serde_json::json!([]), "a rule could not be planned");
        let plans = said["plans"].as_array().unwrap().iter();
        plans.map(|plan| (plan["rule"].as_str().unwrap().to_string(), plan.clone())).collect()
    }

    /// Each plan counts what the model counts. The day on which it was made.
    fn same_as_the_model(&mut self, plans: &BTreeMap<String, Json>) -> Day {
        let days = [(); 2].map(|()| time(self.shift.as_ref(), self.world.zone.name(), "+%F"));
        let mut today = 0;
        for rule in &self.rules {
            let plan = &plans[&rule.name];
            let cutoff = plan["cutoff"].as_str().unwrap().to_string();
            assert!(days.contains(&cutoff), "the plan's day is {cutoff}, and it is {days:?}");
            today = read_day(&cutoff).unwrap();
            let expected = self.world.plan(rule, today);
            let along = expected.children.values().map(|count| ("rows that go along", *count));
            for (what, count) in expected.kept.iter().map(|(reason, count)| (*reason, *count)).chain(along) {
                *self.seen.entry(what).or_default() += count;
            }
            let kept: BTreeMap<&str, u64> = counts(&plan["kept"]);
            assert_eq!(kept, expected.kept.clone(), "{}: what stays, and why", rule.name);
            let due = expected.due.iter().map(|(part, count)| (part.as_str(), *count)).collect();
            assert_eq!(counts(&plan["due_by_part"]), due, "{}: what is due", rule.name);
            let children = expected.children.iter().map(|(table, count)| (table.as_str(), *count)).collect();
            assert_eq!(counts(&plan["children"]), children, "{}: rows that go along", rule.name);
            assert_eq!(plan["of"], expected.of, "{}: records in the table", rule.name);
            assert_eq!(
                plan["oldest_due"].as_str().map(String::from),
                expected.oldest.map(show),
                "{}: oldest",
                rule.name
            );
            assert_eq!(plan["gate"], "needs-approval", "{}", rule.name);
        }
        today
    }

    /// Runs until nothing is left for later; the runs that can be undone.
    fn run(&mut self, today: Day, plans: &BTreeMap<String, Json>) -> Vec<String> {
        let after: BTreeMap<String, Tally> =
            self.rules.clone().iter().map(|rule| (rule.name.clone(), self.world.purge(rule, today))).collect();
        // Of a rule that goes on in later runs it is open which of them meets what stays or is left.
        let paced = |name: &String| self.rules.iter().any(|rule| rule.name == *name && rule.is_paced());
        let tells = |tally: &Tally| tally.stays > 0 || !tally.left.is_empty();
        let sure = after.iter().any(|(name, tally)| !paced(name) && tells(tally));
        let always = after.iter().any(|(name, tally)| !paced(name) && tally.stays > 0);
        let perhaps = after.iter().any(|(name, tally)| paced(name) && tells(tally));
        self.note(after.values());
        let from = time(self.shift.as_ref(), "UTC", "+%F %T");
        let (mut sums, mut runs): (BTreeMap<String, (u64, u64)>, _) = (BTreeMap::new(), Vec::new());
        for turn in 0..20 {
            let before = sums.clone();
            let said = self.site.bewaard(&["run", "--json"]);
            let code = i32::from(if turn == 0 { sure } else { always });
            let said = if perhaps && said.code == 1 { said.json() } else { said.ends(code).json() };
            let told = said["runs"].as_array().unwrap();
            for one in told {
                let name = one["rule"].as_str().unwrap().to_string();
                let number = |key: &str| one[key].as_u64().unwrap_or_else(|| panic!("{key} of {one}"));
                let sum = sums.entry(name.clone()).or_default();
                *sum = (sum.0 + number("erased"), sum.1 + number("anonymised"));
                let windows = one["windows"].as_array().unwrap().iter();
                runs.extend(windows.map(|window| window["run"].as_str().unwrap().to_string()));
                self.same_run(&name, one, (turn == 0).then(|| (&after[&name], &plans[&name]["due"])));
            }
            if sums == before || told.iter().all(|one| !["paced", "first-bite"].contains(&one["how"].as_str().unwrap()))
            {
                break;
            }
        }
        let until = time(self.shift.as_ref(), "UTC", "+%F %T");
        for rule in &self.rules {
            let expected = &after[&rule.name];
            assert_eq!(sums[&rule.name], (expected.erased, expected.anonymised), "{}: erased, anonymised", rule.name);
        }
        let printed = self.site.print(&self.world);
        assert_eq!(self.differs(&printed, &(from, until)), "", "rows after the run");
        runs
    }

    fn note<'t>(&mut self, tallies: impl Iterator<Item = &'t Tally>) {
        for tally in tallies {
            let left = tally.left.values().sum();
            let all = [("erased", tally.erased), ("anonymised", tally.anonymised), ("due and not let go", tally.stays)];
            for (what, count) in all.into_iter().chain([("left", left)]).filter(|(_, count)| *count > 0) {
                *self.seen.entry(what).or_default() += count;
            }
        }
    }

    /// What a run says of a rule; of the first one also what it found due and what is left.
    fn same_run(&self, name: &str, one: &Json, first: Option<(&Tally, &Json)>) {
        let number = |key: &str| one[key].as_u64().unwrap_or_else(|| panic!("{key} of {one}"));
        for key in ["back", "unknown", "withheld", "already-gone", "not-done", "not_looked_for", "gone-unexplained"] {
            assert_eq!(number(key), 0, "{key} of {one}");
        }
        let rule = self.rules.iter().find(|rule| rule.name == name).unwrap();
        let most = rule.per_run.unwrap_or(u64::MAX);
        assert!(number("erased") <= most, "{one} took more than {most}");
        let Some((expected, due)) = first else { return };
        assert_eq!(&one["due"], due, "{name}: what the run found due");
        let left = expected.left.iter().map(|(place, count)| (place.as_str(), *count)).collect();
        assert!(rule.is_paced() || counts(&one["left_behind"]) == left, "{one}: {left:?}");
        // What stays is `changed` in one walk of the run, and may be refused in the next: then it has both words.
        assert!(number("failed").max(number("changed")) <= expected.stays, "{one}: {expected:?}");
    }

    /// What is done is done: only what the new rows make due goes now, and mostly that is nothing.
    fn run_again(&mut self, today: Day) {
        let before = self.site.print(&self.world);
        let world = self.world.clone();
        let tallies: Vec<(String, Tally)> =
            self.rules.clone().iter().map(|rule| (rule.name.clone(), self.world.purge(rule, today))).collect();
        let stays = tallies.iter().any(|(_, tally)| tally.stays > 0);
        let idle = tallies.iter().all(|(_, tally)| tally.erased + tally.anonymised == 0);
        if !idle {
            // Conditions ask for what was anonymised.
            self.world = world;
            return;
        }
        let said = self.site.bewaard(&["run", "--json"]).ends(i32::from(stays)).json();
        for one in said["runs"].as_array().unwrap() {
            assert_eq!((&one["erased"], &one["anonymised"]), (&0.into(), &0.into()), "a second run: {one}");
        }
        assert_eq!(self.site.print(&self.world), before, "a second run changes nothing");
    }

    /// What rules with a window took comes back to the byte.
    fn undo(&self, runs: &[String], before: &(World, Printed)) {
        for run in runs.iter().rev() {
            self.site.bewaard(&["undo", run, "--json", "--reason", "test"]).ends(0);
        }
        let printed = self.site.print(&self.world);
        for rule in self.rules.iter().filter(|rule| rule.undo.is_some()) {
            let own = |name: &String| *name == rule.table || name.starts_with(&format!("{}_", rule.table));
            for (table, rows) in printed.iter().filter(|(name, _)| own(name)) {
                assert_eq!(rows, &before.1[table], "{table}: what was undone is not what was there");
            }
        }
    }

    /// Rows that are not the model's.
    fn differs(&self, printed: &Printed, between: &(String, String)) -> String {
        let mut out = String::new();
        for table in self.world.tables.values() {
            let mut left: Vec<&Vec<String>> = printed[&table.name].iter().collect();
            let row = |row: &super::schema::Row| -> Vec<super::value::Value> {
                table.columns.iter().map(|column| row[&column.name].clone()).collect()
            };
            for wanted in table.rows.iter().map(row) {
                let fits = |found: &&Vec<String>| {
                    wanted.iter().zip(found.iter()).all(|(one, printed)| one.is(printed, table_engine(self), between))
                };
                match left.iter().position(fits) {
                    Some(place) => _ = left.remove(place),
                    None => writeln!(out, "{}: the model has {wanted:?}", table.name).unwrap(),
                }
            }
            for found in left {
                writeln!(out, "{}: the database has {found:?}", table.name).unwrap();
            }
        }
        out
    }
}

fn table_engine(case: &Case) -> Engine {
    case.world.engine
}

/// Counts by word, without those that are zero.
fn counts(json: &Json) -> BTreeMap<&str, u64> {
    let all = json.as_object().unwrap().iter().map(|(word, count)| (word.as_str(), count.as_u64().unwrap()));
    all.filter(|(_, count)| *count > 0).collect()
}

fn policy(rules: &[Rule]) -> String {
    let protect: Vec<String> = rules
        .iter()
        .flat_map(|rule| rule.by_system.iter().map(move |one| (rule, one)))
        .map(|(rule, one)| format!("{{ records = {}, where = {} }}", quoted(&rule.table), quoted(&one.text())))
        .collect();
    let rules: String = rules.iter().map(|rule| rule.toml() + "\n").collect();
    if protect.is_empty() { rules } else { format!("protect = [{}]\n\n{rules}", protect.join(", ")) }
}

/// Some people and records that are held.
fn holds(draw: &mut Draw, world: &World, rules: &[Rule]) -> Vec<Hold> {
    let mut holds = Vec::new();
    let whose: Vec<&'static str> = EMAILS.iter().flat_map(|(_, known)| known.iter().copied()).collect();
    if rules.iter().any(|rule| rule.person) && draw.chance(40) {
        holds.push(Hold::Email(draw.pick(&whose)));
    }
    if draw.chance(40) {
        let rule = draw.pick(rules);
        let row = draw.pick(&world.tables[&rule.table].rows);
        let key: Vec<_> = rule.key.iter().map(|column| row[column].clone()).collect();
        let typed = |value: &super::value::Value| match value {
            super::value::Value::Int(_) => true,
            // A line of the input is taken without the spaces around it.
            super::value::Value::Text(text) => text.trim() == text,
            _ => false,
        };
        if key.iter().all(typed) {
            holds.push(Hold::Key(rule.name, key));
        }
    }
    holds
}

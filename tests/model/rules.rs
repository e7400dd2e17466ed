//! Rules as the model holds them, and as the policy writes them.

use std::fmt::Write as _;

use chrono_tz::Tz;

use super::calendar::{From, Term};
use super::condition::Condition;

/// How rows of another table belong to a record.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) table: String,
    pub(crate) on: Vec<String>,
    pub(crate) to: Vec<String>,
    /// Whether the policy names these columns, or leaves them to what is the default.
    pub(crate) spelled: (bool, bool),
    pub(crate) condition: Option<Condition>,
}

/// What becomes of rows that belong to a record that goes.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Delete,
    Clear,
    Anonymise(Recipes),
}

/// Rows that belong to a record.
#[derive(Debug, Clone)]
pub(crate) struct Child {
    pub(crate) link: Link,
    pub(crate) act: Act,
    pub(crate) children: Vec<Child>,
    /// Whether the policy names it; else it is found by its foreign key.
    pub(crate) named: bool,
}

/// What becomes of a field.
#[derive(Debug, Clone)]
pub(crate) enum Recipe {
    Null,
    Fixed(String),
    Template(String),
    Pseudonym(Option<usize>),
    Truncate(&'static str),
    Marker,
    Json(&'static str, Box<Recipe>),
    Php(&'static str, Box<Recipe>),
}

/// Recipes by column.
pub(crate) type Recipes = Vec<(String, Recipe)>;

/// How a clock is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Iso,
    Epoch,
    EpochMillis,
    Dutch,
}

/// Where a clock's moment stands.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    pub(crate) column: String,
    pub(crate) link: Option<Link>,
    pub(crate) format: Format,
    pub(crate) zone: Option<Tz>,
}

/// A reason to keep.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) name: String,
    pub(crate) clocks: Vec<Clock>,
    pub(crate) term: Term,
    /// The term as the policy writes it; empty where the catalogue brings term and period.
    pub(crate) written: String,
    pub(crate) from: From,
    pub(crate) because: String,
    pub(crate) optional: bool,
}

/// A part: fields, or the whole record where there are no recipes.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) grounds: Vec<Ground>,
    pub(crate) recipes: Option<Recipes>,
    /// Whether it names its fields as well.
    pub(crate) lists: bool,
}

/// What is never due.
#[derive(Debug, Clone)]
pub(crate) enum Protect {
    Where(Condition),
    Related(Link),
}

/// A rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) key: Vec<String>,
    pub(crate) names_key: bool,
    pub(crate) condition: Option<Condition>,
    pub(crate) protect: Vec<Protect>,
    /// Conditions of `protect` on the system, about this table.
    pub(crate) by_system: Vec<Condition>,
    pub(crate) children: Vec<Child>,
    pub(crate) parts: Vec<Part>,
    /// Whether it is written in the short form, without parts.
    pub(crate) short: bool,
    /// Whether the first ground's clock, period and reason stand at the rule, for all that have no other.
    pub(crate) inherits: bool,
    pub(crate) person: bool,
    pub(crate) follow: bool,
    pub(crate) per_run: Option<u64>,
    pub(crate) first_bite: u64,
    pub(crate) undo: Option<u64>,
}

/// A text as TOML has it.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn names(columns: &[String]) -> String {
    match columns {
        [one] => quoted(one),
        all => format!("[{}]", all.iter().map(|one| quoted(one)).collect::<Vec<_>>().join(", ")),
    }
}

impl Link {
    /// Its keys, without the braces.
    fn toml(&self) -> String {
        let mut text = format!("table = {}", quoted(&self.table));
        if self.spelled.0 {
            write!(text, ", on = {}", names(&self.on)).unwrap();
        }
        if self.spelled.1 {
            write!(text, ", to = {}", names(&self.to)).unwrap();
        }
        if let Some(condition) = &self.condition {
            write!(text, ", where = {}", quoted(&condition.text())).unwrap();
        }
        text
    }
}

impl Recipe {
    fn toml(&self) -> String {
        match self {
            Self::Null => "\"null\"".into(),
            Self::Fixed(text) => format!("{{ fixed = {} }}", quoted(text)),
            Self::Template(text) => format!("{{ template = {} }}", quoted(text)),
            Self::Pseudonym(None) => "\"pseudonym\"".into(),
            Self::Pseudonym(Some(length)) => format!("{{ pseudonym = {{ length = {length} }} }}"),
            Self::Truncate(how) => format!("{{ truncate = \"{how}\" }}"),
            Self::Marker => "\"marker\"".into(),
            Self::Json(path, inner) => format!("{{ json = {{ {} = {} }} }}", quoted(path), inner.toml()),
            Self::Php(path, inner) => format!("{{ php = {{ {} = {} }} }}", quoted(path), inner.toml()),
        }
    }
}

fn anonymise(recipes: &Recipes) -> String {
    let all: Vec<String> = recipes.iter().map(|(column, recipe)| format!("{column} = {}", recipe.toml())).collect();
    format!("anonymise = {{ {} }}", all.join(", "))
}

impl Child {
    fn toml(&self) -> String {
        let mut text = format!("{{ {}", self.link.toml());
        match &self.act {
            Act::Delete => {}
            Act::Clear => text += ", then = \"clear\"",
            Act::Anonymise(recipes) => write!(text, ", then = {{ {} }}", anonymise(recipes)).unwrap(),
        }
        let below = children(&self.children);
        if !below.is_empty() {
            write!(text, ", children = {below}").unwrap();
        }
        text + " }"
    }
}

fn children(all: &[Child]) -> String {
    let named: Vec<String> = all.iter().filter(|child| child.named).map(Child::toml).collect();
    if named.is_empty() { String::new() } else { format!("[{}]", named.join(", ")) }
}

impl Clock {
    fn toml(&self) -> String {
        let mut text = format!("column = {}", quoted(&self.column));
        if let Some(link) = &self.link {
            text = format!("{}, {text}", link.toml());
        }
        match self.format {
            Format::Iso => {}
            Format::Epoch => text += ", format = \"epoch\"",
            Format::EpochMillis => text += ", format = \"epoch-ms\"",
            Format::Dutch => text += ", format = [\"%d-%m-%Y\", \"%d-%m-%Y %H:%M\"]",
        }
        if let Some(zone) = self.zone {
            write!(text, ", zone = {}", quoted(zone.name())).unwrap();
        }
        text
    }
}

impl Ground {
    /// Its keys as lines or members, without those that the rule has for all of its grounds.
    fn keys(&self, of_rule: &[String]) -> Vec<String> {
        let mut keys = Vec::new();
        keys.push(match self.clocks.as_slice() {
            [one] if one.link.is_none() => format!("since = {{ {} }}", one.toml()),
            all => {
                let all: Vec<String> = all.iter().map(|clock| format!("{{ {} }}", clock.toml())).collect();
                format!("since.newest = [{}]", all.join(", "))
            }
        });
        if !self.written.is_empty() {
            keys.push(format!("keep = {}", quoted(&self.written)));
            keys.push(format!("from = {}", quoted(self.from.word())));
        }
        keys.push(format!("because = {}", quoted(&self.because)));
        if self.optional {
            keys.push("optional = true".into());
        }
        keys.retain(|key| !of_rule.contains(key));
        keys
    }
}

impl Part {
    fn keys(&self, of_rule: &[String]) -> Vec<String> {
        let mut keys = match self.grounds.as_slice() {
            [one] if one.name == "term" => one.keys(of_rule),
            all => {
                let named = |one: &Ground| format!("ground.{} = {{ {} }}", one.name, one.keys(of_rule).join(", "));
                all.iter().map(named).collect()
            }
        };
        match &self.recipes {
            None => keys.push("then.delete = true".into()),
            Some(recipes) => {
                if self.lists {
                    let fields: Vec<String> = recipes.iter().map(|(column, _)| column.clone()).collect();
                    keys.push(format!("fields = {}", names(&fields)));
                }
                keys.push(format!("then.{}", anonymise(recipes)));
            }
        }
        keys
    }
}

impl Rule {
    /// Whether it may take several runs.
    pub(crate) fn is_paced(&self) -> bool {
        self.per_run.is_some() || self.first_bite > 0
    }

    /// Every table that it names beside its records.
    pub(crate) fn declared(&self) -> Vec<&Link> {
        let children = self.children.iter().filter(|child| child.named).map(|child| &child.link);
        let protect = self.protect.iter().filter_map(|one| match one {
            Protect::Related(link) => Some(link),
            Protect::Where(_) => None,
        });
        let grounds = self.parts.iter().flat_map(|part| &part.grounds);
        let clocks = grounds.flat_map(|ground| &ground.clocks).filter_map(|clock| clock.link.as_ref());
        children.chain(protect).chain(clocks).collect()
    }

    /// As the policy writes it.
    pub(crate) fn toml(&self) -> String {
        let mut keys = vec!["system = \"shop\"".to_string()];
        let mut records = format!("table = {}", quoted(&self.table));
        if self.names_key {
            let columns: Vec<String> = self.key.iter().map(|one| quoted(one)).collect();
            write!(records, ", key = [{}]", columns.join(", ")).unwrap();
        }
        if let Some(condition) = &self.condition {
            write!(records, ", where = {}", quoted(&condition.text())).unwrap();
        }
        keys.push(format!("records = {{ {records} }}"));
        if self.person {
            keys.push("person = { email = \"email\" }".into());
        }
        let below = children(&self.children);
        if !below.is_empty() {
            keys.push(format!("children = {below}"));
        }
        if self.follow {
            keys.push("follow-foreign-keys = true".into());
        }
        if !self.protect.is_empty() {
            let one = |one: &Protect| match one {
                Protect::Where(condition) => format!("{{ where = {} }}", quoted(&condition.text())),
                Protect::Related(link) => format!("{{ {} }}", link.toml()),
            };
            keys.push(format!("protect = [{}]", self.protect.iter().map(one).collect::<Vec<_>>().join(", ")));
        }
        let per_run = self.per_run.map(|n| format!(", per-run = {n}")).unwrap_or_default();
        keys.push(format!("limits = {{ share = \"100 %\", first-bite = {}{per_run} }}", self.first_bite));
        if let Some(days) = self.undo {
            keys.push(format!("undo = \"{days} days\""));
        }
        let plain = self.short && self.parts[0].grounds[0].name == "term";
        let mut of_rule: Vec<String> = Vec::new();
        if self.inherits && !plain {
            of_rule = self.parts[0].grounds[0].keys(&[]);
            of_rule.retain(|key| ["since", "from", "because"].iter().any(|one| key.starts_with(one)));
            keys.extend(of_rule.iter().cloned());
        }
        if self.short {
            keys.extend(self.parts[0].keys(&of_rule));
        }
        let mut text = format!("[rule.{}]\n{}\n", self.name, keys.join("\n"));
        if !self.short {
            for part in &self.parts {
                write!(text, "[rule.{}.part.{}]\n{}\n", self.name, part.name, part.keys(&of_rule).join("\n")).unwrap();
            }
        }
        text
    }
}

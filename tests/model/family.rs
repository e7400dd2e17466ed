//! A random rule with its tables: records, what hangs below them, clocks and protections.

use super::asked::{condition, simple};
use super::condition::Condition;
use super::draw::Draw;
use super::engines::Engine;
use super::fields::{child_recipes, field_parts, grounds};
use super::rules::{Act, Child, Clock, Link, Part, Protect, Recipe, Rule};
use super::schema::{Reference, Table, Then};
use super::value::Kind;

/// A rule and its tables, parents first.
pub(crate) struct Family {
    pub(crate) rule: Rule,
    pub(crate) tables: Vec<Table>,
}

/// The columns that every table of records has beside its key and its clocks.
const FIELDS: [(&str, Kind); 13] = [
    ("sort", Kind::Text),
    ("num", Kind::Int),
    ("flag", Kind::Bool),
    ("seen", Kind::DateTime),
    ("name", Kind::Text),
    ("note", Kind::Exact),
    ("email", Kind::Text),
    ("postcode", Kind::Text),
    ("ip", Kind::Text),
    ("born", Kind::Date),
    ("meta", Kind::Json),
    ("php", Kind::Text),
    ("cleaned", Kind::DateTime),
];

/// The kinds of a key's columns, by name.
type Key = Vec<(String, Kind)>;

fn key(draw: &mut Draw) -> Key {
    let one = |kind| vec![("id".to_string(), kind)];
    match draw.below(7) {
        0 | 1 => one(Kind::Int),
        2 => one(Kind::Exact),
        3 => one(Kind::Text),
        4 => one(Kind::Uuid),
        5 => one(Kind::Binary),
        _ => vec![("shop".to_string(), Kind::Int), ("code".to_string(), Kind::Exact)],
    }
}

/// The table of the records; by `no` its rows are known as well.
fn records(draw: &mut Draw, name: &str, key: &Key, by_no: bool) -> Table {
    let mut table = Table::new(name);
    for (column, kind) in key {
        table.add(column, *kind, false);
    }
    table.add("no", Kind::Int, false);
    for (column, kind) in FIELDS {
        let kind = if column == "born" && draw.chance(50) { Kind::IsoText } else { kind };
        table.add(column, kind, true);
    }
    table.key = key.iter().map(|(column, _)| column.clone()).collect();
    table.unique.push(vec!["no".into()]);
    if by_no && draw.chance(50) {
        // No primary key at all: the unique column must do.
        table.key.clear();
        table.unique.push(key.iter().map(|(column, _)| column.clone()).collect());
    }
    table
}

struct Maker<'d> {
    draw: &'d mut Draw,
    rule: Rule,
    tables: Vec<Table>,
    /// Clocks in related tables.
    clocks: Vec<Clock>,
}

/// Makes one.
pub(crate) fn family(draw: &mut Draw, number: u64) -> Family {
    let name = format!("r{number}");
    let columns = key(draw);
    let by_no = draw.chance(15);
    let mut root = records(draw, &name, &columns, by_no);
    let mut rule = Rule {
        name: format!("rule-{number}"),
        table: name,
        key: if by_no { vec!["no".into()] } else { columns.iter().map(|(column, _)| column.clone()).collect() },
        names_key: by_no || draw.chance(20),
        condition: None,
        protect: Vec::new(),
        by_system: Vec::new(),
        children: Vec::new(),
        parts: Vec::new(),
        short: true,
        inherits: draw.chance(30),
        person: draw.chance(50),
        follow: draw.chance(15),
        per_run: draw.chance(12).then_some(7),
        first_bite: if draw.chance(12) { 3 } else { 0 },
        undo: draw.chance(30).then(|| 1 + draw.below(30)),
    };
    // What is left of those that went is counted for a rule that takes all at once.
    rule.person &= !rule.is_paced();
    let deletes = draw.chance(65);
    let mut maker = Maker { draw, rule, tables: Vec::new(), clocks: Vec::new() };
    if deletes {
        maker.loops(&mut root);
    }
    for place in 0..maker.draw.below(4) {
        maker.related(&root, place, deletes);
    }
    maker.tables.insert(0, root);
    maker.finish(deletes)
}

impl Maker<'_> {
    /// References of the records to themselves.
    fn loops(&mut self, root: &mut Table) {
        if !self.draw.chance(35) {
            return;
        }
        let columns: Vec<String> = self.rule.key.iter().map(|column| format!("up_{column}")).collect();
        for (column, to) in columns.iter().zip(&self.rule.key) {
            root.add(column, root.kind(to), true);
        }
        root.indexes.push(columns.clone());
        let act = if self.draw.chance(70) { Act::Delete } else { Act::Clear };
        let mut link = self.link(&root.name.clone(), columns, self.rule.key.clone());
        let then = match act {
            _ if self.draw.chance(40) => None,
            Act::Delete => Some(self.then(&[Then::NoAction, Then::NoAction, Then::Cascade])),
            _ => Some(self.then(&[Then::NoAction, Then::SetNull])),
        };
        self.refer(root, &mut link, then);
        self.rule.children.push(Child { link, act, children: Vec::new(), named: true });
    }

    fn link(&mut self, table: &str, on: Vec<String>, to: Vec<String>) -> Link {
        let to_key = to == self.rule.key;
        let spelled = (true, !to_key || self.draw.chance(30));
        Link { table: table.to_string(), on, to, spelled, condition: None }
    }

    fn then(&mut self, all: &[Then]) -> Then {
        match self.draw.pick(all) {
            Then::NoAction if self.draw.engine == Engine::Postgres && self.draw.chance(25) => Then::Deferred,
            Then::NoAction if self.draw.chance(30) => Then::Restrict,
            then => then,
        }
    }

    /// A foreign key for a link, where it has one; then its columns need not be named.
    fn refer(&mut self, table: &mut Table, link: &mut Link, then: Option<Then>) {
        let Some(then) = then else { return };
        table.references.push(Reference {
            on: link.on.clone(),
            target: self.rule.table.clone(),
            to: link.to.clone(),
            then,
        });
        if self.draw.chance(30) {
            link.spelled = (false, false);
        }
    }

    /// A table of rows that refer to the records.
    fn related(&mut self, root: &Table, place: u64, deletes: bool) {
        let name = format!("{}_{}", self.rule.table, ["a", "b", "c", "d"][usize::try_from(place).unwrap()]);
        let to = if self.draw.chance(25) { vec!["no".to_string()] } else { self.rule.key.clone() };
        let on: Vec<String> = to.iter().map(|column| format!("own_{column}")).collect();
        let act = match self.draw.below(if deletes { 9 } else { 4 }) {
            0 | 1 => None,
            2 => Some("protect"),
            3 => Some("clock"),
            4..=6 => Some("delete"),
            7 => Some("clear"),
            _ => Some("anonymise"),
        };
        let condition = self.draw.chance(25);
        let keyless = act == Some("delete") && !condition && self.draw.chance(15);
        let mut table = Table::new(&name);
        let nullable = act == Some("clear") || self.draw.chance(70);
        if !keyless {
            table.add("id", Kind::Int, false);
            table.key = vec!["id".into()];
        }
        on.iter().zip(&to).for_each(|(on, to)| table.add(on, root.kind(to), nullable));
        table.indexes.push(on.clone());
        let clock = self.draw.clock_kind();
        table.add("at", clock, true);
        for (column, kind) in [("sort", Kind::Text), ("num", Kind::Int), ("author", Kind::Text), ("body", Kind::Exact)]
        {
            table.add(column, kind, true);
        }
        let mut link = self.link(&name, on, to);
        if condition && act.is_some() {
            link.condition = Some(simple(self.draw, &table));
        }
        self.play(act, table, link, keyless);
    }

    /// Gives a related table its part in the rule.
    fn play(&mut self, act: Option<&str>, mut table: Table, mut link: Link, keyless: bool) {
        let whole = link.condition.is_none();
        let then = match act {
            Some("delete") if whole => self.maybe(&[Then::NoAction, Then::NoAction, Then::Cascade]),
            Some("clear") if whole => self.maybe(&[Then::NoAction, Then::SetNull]),
            Some("delete" | "clear") => self.maybe(&[Then::NoAction]),
            _ => None,
        };
        self.refer(&mut table, &mut link, then);
        let mut also_clock = act == Some("clock") || (act.is_some() && self.draw.chance(35));
        let named = !(self.rule.follow && whole && then.is_some() && self.draw.chance(60));
        let (mut below, mut deeper) = (Vec::new(), None);
        let child = match act {
            Some("delete") => {
                if !keyless {
                    // Where rows hang across records a purge of one moves the clock of another: the order would count.
                    also_clock &= !self.rows_below(&mut table, &mut below, named);
                    deeper = self.table_below(&table, &mut below, named);
                }
                Some(Act::Delete)
            }
            Some("clear") => Some(Act::Clear),
            Some("anonymise") => Some(Act::Anonymise(child_recipes(self.draw))),
            Some("protect") => {
                self.rule.protect.push(Protect::Related(link.clone()));
                None
            }
            _ => None,
        };
        // What follows a foreign key takes what the schema itself empties for somebody else's.
        let child = if !named && then == Some(Then::SetNull) { Some(Act::Clear) } else { child };
        if let Some(act) = child {
            let act = if !named && then != Some(Then::SetNull) { Act::Delete } else { act };
            self.rule.children.push(Child { link: link.clone(), act, children: below, named });
        }
        if also_clock {
            let mut link = link.clone();
            if self.draw.chance(30) {
                link.condition = Some(simple(self.draw, &table));
            }
            let zone = self.zone();
            let format = Draw::format(table.kind("at"));
            self.clocks.push(Clock { column: "at".into(), link: Some(link), format, zone });
        }
        self.tables.push(table);
        self.tables.extend(deeper);
    }

    fn maybe(&mut self, all: &[Then]) -> Option<Then> {
        if self.draw.chance(45) { None } else { Some(self.then(all)) }
    }

    fn zone(&mut self) -> Option<chrono_tz::Tz> {
        self.draw.chance(25).then(|| self.draw.pick(&super::ZONES))
    }

    /// Rows of a child's own table below its rows. Whether there are.
    fn rows_below(&mut self, table: &mut Table, below: &mut Vec<Child>, named: bool) -> bool {
        if !self.draw.chance(20) {
            return false;
        }
        let then = if self.draw.chance(50) { Some(Then::NoAction) } else { None };
        let followed = self.rule.follow && then.is_some();
        let named = named && !followed;
        if !(named || followed) {
            return false;
        }
        table.add("up", Kind::Int, true);
        table.indexes.push(vec!["up".into()]);
        let link = by_id(&table.name, "up");
        table.references.extend(then.map(|then| reference(&link, &table.name, then)));
        below.push(Child { link, act: Act::Delete, children: Vec::new(), named });
        true
    }

    /// Another table below a child.
    fn table_below(&mut self, table: &Table, below: &mut Vec<Child>, named: bool) -> Option<Table> {
        if !self.draw.chance(35) {
            return None;
        }
        let then = self.maybe(&[Then::NoAction, Then::NoAction, Then::Cascade]);
        let followed = self.rule.follow && then.is_some();
        let named = named && !(followed && self.draw.chance(50));
        if !(named || followed) {
            return None;
        }
        let mut deeper = Table::new(&format!("{}_x", table.name));
        for (column, kind, null) in [
            ("id", Kind::Int, false),
            ("own_id", Kind::Int, true),
            ("sort", Kind::Text, true),
            ("author", Kind::Text, true),
        ] {
            deeper.add(column, kind, null);
        }
        deeper.key = vec!["id".into()];
        deeper.indexes.push(vec!["own_id".into()]);
        let link = by_id(&deeper.name, "own_id");
        deeper.references.extend(then.map(|then| reference(&link, &table.name, then)));
        let act = match self.draw.below(4) {
            0 if named => Act::Clear,
            1 if named && then.is_none() => Act::Anonymise(vec![("author".into(), Recipe::Null)]),
            _ => Act::Delete,
        };
        below.push(Child { link, act, children: Vec::new(), named });
        Some(deeper)
    }

    /// Conditions, protections and parts, now that the tables are there.
    fn finish(mut self, deletes: bool) -> Family {
        self.rule.parts = self.parts(deletes);
        let root = self.tables[0].clone();
        let links = self.askable();
        if self.draw.chance(50) {
            self.rule.condition = Some(condition(self.draw, &root, &self.tables, &links));
        }
        if self.draw.chance(25) {
            let protect = condition(self.draw, &root, &self.tables, &links);
            self.rule.protect.push(Protect::Where(Condition::And(vec![protect, Condition::Null("num".into(), true)])));
        }
        if self.draw.chance(12) {
            let only = Condition::Compare("sort".into(), "=", super::condition::Literal::Text("VIP".into()));
            self.rule.by_system.push(only);
        }
        Family { rule: self.rule, tables: self.tables }
    }

    /// The tables that a condition may ask for: it is plain which of their rows are meant.
    fn askable(&self) -> Vec<String> {
        let links = self.rule.declared();
        let plain = |link: &&&Link| {
            let all: Vec<_> = links.iter().filter(|one| one.table == link.table).collect();
            all.len() == 1 || all.iter().any(|one| one.condition.is_none())
        };
        let mut tables: Vec<String> = links.iter().filter(plain).map(|link| link.table.clone()).collect();
        tables.sort();
        tables.dedup();
        tables.retain(|table| *table != self.rule.table);
        tables
    }

    fn parts(&mut self, deletes: bool) -> Vec<Part> {
        let long = self.draw.chance(if deletes { 40 } else { 50 });
        self.rule.short = !long;
        let fields = match (deletes, long) {
            (true, false) => 0,
            (true, true) => 1 + self.draw.below(2),
            (false, false) => 1,
            (false, true) => 1 + self.draw.below(3),
        };
        let mut parts = field_parts(self.draw, usize::try_from(fields).unwrap());
        if deletes {
            let lists = false;
            parts.push(Part { name: "whole".into(), grounds: Vec::new(), recipes: None, lists });
        }
        if let (false, [one]) = (long, parts.as_mut_slice()) {
            one.name = if deletes { "record" } else { "fields" }.into();
        }
        for part in &mut parts {
            part.lists &= long;
            part.grounds = grounds(self.draw, &mut self.tables[0], &self.clocks);
        }
        // The parts stand in the policy's own order, by name.
        parts.sort_by(|a, b| a.name.cmp(&b.name));
        parts
    }
}

fn by_id(table: &str, on: &str) -> Link {
    let (on, to) = (vec![on.to_string()], vec!["id".to_string()]);
    Link { table: table.to_string(), on, to, spelled: (true, false), condition: None }
}

fn reference(link: &Link, target: &str, then: Then) -> Reference {
    Reference { on: link.on.clone(), target: target.to_string(), to: link.to.clone(), then }
}

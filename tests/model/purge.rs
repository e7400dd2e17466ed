//! What the model does with its verdicts: what goes with a record, what a plan counts, what a run changes.

use std::collections::{BTreeMap, BTreeSet};

use super::calendar::Day;
use super::oracle::{Place, Verdict, World, is_loop, loops, written};
use super::rules::{Act, Child, Link, Recipes, Rule};
use super::schema::Row;
use super::texts::applied;
use super::value::{Value, compare};

/// What goes and changes with one record.
#[derive(Debug, Default, Clone)]
struct Taken {
    gone: BTreeSet<Place>,
    cleared: BTreeMap<Place, Vec<String>>,
    rewritten: BTreeMap<Place, Recipes>,
}

/// What a plan must say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) of: u64,
    pub(crate) due: BTreeMap<String, u64>,
    pub(crate) kept: BTreeMap<&'static str, u64>,
    pub(crate) children: BTreeMap<String, u64>,
    pub(crate) oldest: Option<Day>,
}

/// What a run must say.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) erased: u64,
    pub(crate) anonymised: u64,
    /// Due, and the database does not let it go.
    pub(crate) stays: u64,
    /// What is still there of those that went, by place.
    pub(crate) left: BTreeMap<String, u64>,
}

impl World {
    /// What goes with these rows of a table.
    fn take(&self, table: &str, roots: BTreeSet<usize>, children: &[Child], taken: &mut Taken) {
        let mut rows = roots.clone();
        let mut open: Vec<usize> = roots.into_iter().collect();
        while let Some(above) = open.pop() {
            for link in loops(table, children) {
                for found in self.related(table, &self.table(table).rows[above], link) {
                    if rows.insert(found) {
                        open.push(found);
                    }
                }
            }
        }
        taken.gone.extend(rows.iter().map(|place| (table.to_string(), *place)));
        for child in children.iter().filter(|child| !is_loop(table, child)) {
            let own = &self.table(table).rows;
            let found: BTreeSet<usize> =
                rows.iter().flat_map(|place| self.related(table, &own[*place], &child.link)).collect();
            let places = found.iter().map(|place| (child.link.table.clone(), *place));
            match &child.act {
                Act::Delete => self.take(&child.link.table, found, &child.children, taken),
                Act::Clear => taken.cleared.extend(places.map(|place| (place, child.link.on.clone()))),
                Act::Anonymise(recipes) => taken.rewritten.extend(places.map(|place| (place, recipes.clone()))),
            }
        }
    }

    /// What a plan of this rule must say.
    pub(crate) fn plan(&self, rule: &Rule, today: Day) -> Expected {
        let mut expected = Expected { of: self.table(&rule.table).rows.len() as u64, ..Expected::default() };
        let mut going = BTreeSet::new();
        for (place, verdicts) in self.verdicts(rule, today) {
            for (part, verdict) in rule.parts.iter().zip(verdicts) {
                match verdict {
                    Verdict::Due(day) => {
                        *expected.due.entry(part.name.clone()).or_default() += 1;
                        expected.oldest = Some(expected.oldest.map_or(day, |oldest| oldest.min(day)));
                        if part.recipes.is_none() {
                            going.insert(place);
                        }
                    }
                    Verdict::Kept(reason) => *expected.kept.entry(reason).or_default() += 1,
                    Verdict::Settled => {}
                }
            }
        }
        let mut taken = Taken::default();
        self.take(&rule.table, going.clone(), &rule.children, &mut taken);
        let mut rows: BTreeSet<Place> = taken.gone.clone();
        rows.extend(taken.cleared.into_keys().chain(taken.rewritten.into_keys()));
        for (table, place) in rows {
            if table != rule.table || !going.contains(&place) {
                *expected.children.entry(table).or_default() += 1;
            }
        }
        expected
    }

    /// Whether rows that stay refer to rows that would go, by a foreign key that refuses.
    fn is_blocked(&self, gone: &BTreeSet<Place>, all: &Taken) -> bool {
        self.enforced
            && self.tables.values().any(|table| {
                table.references.iter().filter(|key| key.then.refuses()).any(|key| {
                    let target = self.table(&key.target);
                    let link = Link {
                        table: table.name.clone(),
                        on: key.on.clone(),
                        to: key.to.clone(),
                        spelled: (true, true),
                        condition: None,
                    };
                    gone.iter().filter(|(name, _)| *name == key.target).any(|(_, place)| {
                        self.related(&key.target, &target.rows[*place], &link).into_iter().any(|found| {
                            let found = (table.name.clone(), found);
                            let cleared = all.cleared.get(&found).is_some_and(|on| on == &key.on);
                            !all.gone.contains(&found) && !cleared
                        })
                    })
                })
            })
    }

    /// The records that go whole: all that are due, less those that the database does not let go and what is above them.
    fn going(&self, rule: &Rule, due: &BTreeSet<usize>) -> (BTreeSet<usize>, Taken) {
        let mut going = due.clone();
        loop {
            let mut all = Taken::default();
            self.take(&rule.table, going.clone(), &rule.children, &mut all);
            let blocked = |place: &usize| {
                let mut own = Taken::default();
                self.take(&rule.table, BTreeSet::from([*place]), &rule.children, &mut own);
                self.is_blocked(&own.gone, &all)
            };
            let stay: BTreeSet<usize> = going.iter().copied().filter(blocked).collect();
            if stay.is_empty() {
                return (going, all);
            }
            going.retain(|place| !stay.contains(place));
        }
    }

    /// Carries the rule out, all of it at once.
    pub(crate) fn purge(&mut self, rule: &Rule, today: Day) -> Tally {
        let (mut tally, mut due, mut writes) = (Tally::default(), BTreeSet::new(), Vec::new());
        for (place, verdicts) in self.verdicts(rule, today) {
            for (part, verdict) in rule.parts.iter().zip(verdicts) {
                match (verdict, &part.recipes) {
                    (Verdict::Due(_), None) => _ = due.insert(place),
                    (Verdict::Due(_), Some(recipes)) => writes.push((place, recipes)),
                    _ => {}
                }
            }
        }
        let (going, taken) = self.going(rule, &due);
        let old = |place: &usize| self.table(&rule.table).rows[*place].clone();
        let gone: Vec<Row> = going.iter().map(old).collect();
        let addresses = writes.iter().filter(|(_, recipes)| recipes.iter().any(|(column, _)| column == "email"));
        let rewritten: Vec<Row> = addresses.map(|(place, _)| old(place)).collect();
        tally.erased = going.len() as u64;
        tally.stays = (due.len() - going.len()) as u64;
        tally.anonymised = writes.len() as u64;
        for (place, recipes) in writes {
            self.rewrite(&rule.table, &rule.key, place, recipes);
        }
        for ((table, place), recipes) in &taken.rewritten {
            let key = self.table(table).key.clone();
            self.rewrite(table, &key, *place, recipes);
        }
        for ((table, place), on) in &taken.cleared {
            let row = &mut self.tables.get_mut(table).unwrap().rows[*place];
            for column in on {
                row.insert(column.clone(), Value::Null);
            }
        }
        for (table, place) in taken.gone.iter().rev() {
            self.tables.get_mut(table).unwrap().rows.remove(*place);
        }
        tally.left = self.left(rule, &gone, &rewritten);
        tally
    }

    /// What is looked for and found of records that went, or lost their address: records with the same address that the
    /// rule neither selects nor protects, and rows of clocks that are no children.
    fn left(&self, rule: &Rule, gone: &[Row], rewritten: &[Row]) -> BTreeMap<String, u64> {
        let mut left = BTreeMap::new();
        let table = self.table(&rule.table);
        if let (true, Some(condition)) = (rule.person, &rule.condition) {
            let old: Vec<&Value> = gone.iter().chain(rewritten).map(|row| &row["email"]).collect();
            let says = |value: &&&Value| !matches!(value, Value::Text(text) if text.trim().is_empty());
            let same = |row: &&Row| {
                let equal = |old: &&Value| compare(self.engine, table.kind("email"), old, &row["email"]);
                old.iter().filter(says).any(|old| equal(old).is_some_and(std::cmp::Ordering::is_eq))
            };
            let accounted = |row: &&Row| self.fits(rule, condition, row) || self.protected(rule, row);
            let count = table.rows.iter().filter(same).filter(|row| !accounted(row)).count();
            left.insert(format!("{}.email", rule.table), count as u64);
        }
        let mut named = BTreeSet::from([&rule.table]);
        tables(&rule.children, &mut named);
        let grounds = rule.parts.iter().flat_map(|part| &part.grounds);
        let mut links: BTreeMap<&String, &Link> = BTreeMap::new();
        let clocks = grounds.flat_map(|ground| &ground.clocks).filter_map(|clock| clock.link.as_ref());
        links.extend(clocks.filter(|link| !named.contains(&link.table)).map(|link| (&link.table, link)));
        for (name, link) in links {
            let rows: BTreeSet<usize> = gone.iter().flat_map(|row| self.related(&rule.table, row, link)).collect();
            left.insert(format!("child rows of {name}"), rows.len() as u64);
        }
        left.retain(|_, count| *count > 0);
        left
    }

    fn rewrite(&mut self, table: &str, key: &[String], place: usize, recipes: &Recipes) {
        let table = self.tables.get_mut(table).unwrap();
        let key = written(key, &table.rows[place]);
        for (column, recipe) in recipes {
            let new = applied(recipe, &table.rows[place][column], &key);
            table.rows[place].insert(column.clone(), new);
        }
    }
}

fn tables<'r>(children: &'r [Child], out: &mut BTreeSet<&'r String>) {
    for child in children {
        out.insert(&child.link.table);
        tables(&child.children, out);
    }
}

//! Child rows: reading them level by level, and counting them.

use std::collections::{BTreeMap, BTreeSet};

use super::engine::{Session, Statement};
use super::maps::{HashMap, HashSet};
use super::records::{ReadFault, Reader, aliased, chunk_size, flat, usable_key};
use super::relate::{Link, Node, NodeAction};
use super::resolve::{RECORD, RELATED};
use crate::domain::decide::{Below as RecordBelow, Found};
use crate::domain::selection::TableName;
use crate::domain::value::{Key, Scalar};

/// One row of a node.
#[derive(Clone)]
pub(super) struct ChildRow {
    /// Its key; empty where its table has none.
    pub(super) key: Key,
    /// The values of its referring columns.
    pub(super) reference: Vec<Scalar>,
    /// The values of the columns that would be anonymised.
    pub(super) values: Vec<Scalar>,
    /// The item of the batch that it belongs to.
    pub(super) owner: usize,
    /// How deep it hangs below another row of its own table.
    pub(super) level: usize,
    /// Whether it refers to itself.
    pub(super) itself: bool,
}

impl ChildRow {
    /// A record itself, above all its rows.
    fn root(owner: usize, key: &Key) -> Self {
        Self { key: key.clone(), reference: Vec::new(), values: Vec::new(), owner, level: 0, itself: false }
    }
}

/// Records of one table and which hangs below which.
struct Family {
    keys: Vec<Key>,
    places: HashMap<Key, usize>,
    children: Vec<Vec<usize>>,
}

impl Family {
    /// Records of which nothing is known yet.
    fn of(keys: impl Iterator<Item = Key>) -> Self {
        let keys: Vec<Key> = keys.collect();
        let places = keys.iter().enumerate().map(|(place, key)| (key.clone(), place)).collect();
        let children = vec![Vec::new(); keys.len()];
        Self { keys, places, children }
    }

    /// Takes in that one hangs below another; gives its place and key where it is new.
    fn add(&mut self, above: usize, key: Key) -> Option<(usize, Key)> {
        let known = self.places.get(&key).copied();
        let place = known.unwrap_or(self.keys.len());
        if let Some(children) = self.children.get_mut(above) {
            children.push(place);
        }
        if known.is_some() {
            return None;
        }
        self.places.insert(key.clone(), place);
        self.keys.push(key.clone());
        self.children.push(Vec::new());
        Some((place, key))
    }

    /// All that hangs below a record, at any depth, in the order of the places; never the record itself.
    fn below(&self, root: usize) -> Vec<usize> {
        let (mut seen, mut open) = (BTreeSet::from([root]), vec![root]);
        while let Some(place) = open.pop() {
            for child in self.children.get(place).into_iter().flatten() {
                if seen.insert(*child) {
                    open.push(*child);
                }
            }
        }
        seen.remove(&root);
        seen.into_iter().collect()
    }
}

/// The rows of each node, in the order of the nodes. Those of the first node are the records themselves and the rows
/// of their own table that hang below them.
pub(super) struct Below {
    pub(super) rows: Vec<Vec<ChildRow>>,
}

impl Reader<'_> {
    /// Reads every row that belongs to these records.
    pub(super) async fn below(
        &self,
        session: &mut dyn Session,
        roots: &[(usize, &Key)],
        lock: bool,
    ) -> Result<Below, ReadFault> {
        let root = |(owner, key): &(usize, &Key)| ChildRow::root(*owner, key);
        let mut rows: Vec<Vec<ChildRow>> = Vec::new();
        for (place, node) in self.resolved.nodes.iter().enumerate() {
            let mut own = match (node.parent, &node.link) {
                (Some(parent), Some(link)) => {
                    let above = rows.get(parent).map_or(&[][..], Vec::as_slice);
                    self.rows_of(session, place, link, above, lock).await?
                }
                _ => roots.iter().map(root).collect(),
            };
            self.descend(session, place, &mut own, lock).await?;
            rows.push(own);
        }
        Ok(Below { rows })
    }

    /// Fills in the records of the rule's own table that hang below these, where it refers to itself.
    pub(super) async fn read_below(
        &self,
        session: &mut dyn Session,
        found: &mut [Found],
        identities: bool,
    ) -> Result<(), ReadFault> {
        let Some(node) = self.resolved.nodes.first().filter(|node| !node.loops.is_empty()) else { return Ok(()) };
        let mut family = Family::of(found.iter().map(|one| one.key.clone()));
        let mut frontier: Vec<ChildRow> =
            family.keys.iter().enumerate().map(|(place, key)| ChildRow::root(place, key)).collect();
        while !frontier.is_empty() {
            let mut next = Vec::new();
            for link in &node.loops {
                for row in self.rows_of(session, 0, link, &frontier, false).await? {
                    next.extend(family.add(row.owner, row.key).map(|(place, key)| ChildRow::root(place, &key)));
                }
            }
            frontier = next;
        }
        let below: Vec<Vec<usize>> = (0..found.len()).map(|root| family.below(root)).collect();
        let wanted: BTreeSet<usize> = below.iter().flatten().copied().collect();
        let keys: Vec<&Key> = wanted.iter().filter_map(|place| family.keys.get(*place)).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let records = self.by_key(session, &keys, identities).await?;
        let known: HashMap<&Key, RecordBelow> = records
            .iter()
            .map(|record| (&record.key, RecordBelow { found: self.found(record), selected: record.selected }))
            .collect();
        for (one, below) in found.iter_mut().zip(below) {
            let keys = below.into_iter().filter_map(|place| family.keys.get(place));
            one.below = keys.filter_map(|key| known.get(key)).cloned().collect();
        }
        Ok(())
    }

    /// The rows of a node below rows of the node above; each row once.
    pub(super) async fn rows_of(
        &self,
        session: &mut dyn Session,
        place: usize,
        link: &Link,
        above: &[ChildRow],
        lock: bool,
    ) -> Result<Vec<ChildRow>, ReadFault> {
        let Some(node) = self.resolved.nodes.get(place) else { return Ok(Vec::new()) };
        let parent_key = match node.parent.and_then(|parent| self.resolved.nodes.get(parent)) {
            Some(parent) if !is_loop(node, link) => parent,
            _ => node,
        };
        let owners: HashMap<&[Scalar], (usize, usize)> =
            above.iter().map(|row| (row.key.0.as_slice(), (row.owner, row.level))).collect();
        let keys: Vec<&Key> = above.iter().map(|row| &row.key).collect();
        let mut out: Vec<ChildRow> = Vec::new();
        let mut seen: HashMap<Key, usize> = HashMap::default();
        for chunk in keys.chunks(chunk_size(self.dialect, parent_key.key.len())) {
            let statement = self.rows_statement(node, parent_key, link, chunk, lock);
            for row in session.rows(&statement).await? {
                let mut rest = row.into_iter();
                let parent: Vec<Scalar> = rest.by_ref().take(parent_key.key.len()).collect();
                let Some((owner, level)) = owners.get(parent.as_slice()).copied() else { continue };
                let key: Vec<Scalar> = rest.by_ref().take(node.key.len()).collect();
                let key = usable_key(key)?;
                let itself = is_loop(node, link) && key.0 == parent;
                let reference = rest.by_ref().take(link.on.len()).collect();
                if !node.key.is_empty() && seen.insert(key.clone(), owner).is_some() {
                    continue;
                }
                let level = if is_loop(node, link) && !itself { level + 1 } else { 0 };
                out.push(ChildRow { key, reference, values: rest.collect(), owner, level, itself });
            }
        }
        Ok(out)
    }

    fn rows_statement(&self, node: &Node, above: &Node, link: &Link, keys: &[&Key], lock: bool) -> Statement {
        let dialect = self.dialect;
        let parent = aliased(dialect, RECORD, &above.key);
        let read = |alias: &str, column| dialect.read(&format!("{alias}.{}", dialect.name(name_of(column))), column);
        let mut items: Vec<String> = above.key.iter().map(|column| read(RECORD, column)).collect();
        items.extend(node.key.iter().chain(&link.on).map(|column| read(RELATED, column)));
        if let NodeAction::Anonymise(fields) = &node.action {
            items.extend(fields.iter().map(|(column, _)| read(RELATED, column)));
        }
        let text = format!(
            "SELECT {} FROM {} {RECORD} JOIN {} {RELATED} ON {} WHERE {}{}",
            items.join(", "),
            dialect.table(&above.table.name),
            dialect.table(&link.table.name),
            link.joined(dialect, RECORD),
            dialect.key_in(&parent, keys.len(), 1),
            if lock { dialect.lock() } else { "" }
        );
        Statement { text, values: flat(keys) }
    }

    /// Follows a table's references to itself, level by level, until nothing new is found.
    async fn descend(
        &self,
        session: &mut dyn Session,
        place: usize,
        rows: &mut Vec<ChildRow>,
        lock: bool,
    ) -> Result<(), ReadFault> {
        let Some(node) = self.resolved.nodes.get(place).filter(|node| !node.loops.is_empty()) else { return Ok(()) };
        let mut known: HashMap<Key, usize> = rows.iter().enumerate().map(|(at, row)| (row.key.clone(), at)).collect();
        let mut frontier: Vec<ChildRow> = rows.clone();
        while !frontier.is_empty() {
            let mut next = Vec::new();
            for link in &node.loops {
                for found in self.rows_of(session, place, link, &frontier, lock).await? {
                    match known.get(&found.key).copied() {
                        None => {
                            known.insert(found.key.clone(), rows.len());
                            rows.push(found.clone());
                            next.push(found);
                        }
                        // Already known, and deeper than it seemed. A circle of rows ends at the number of rows.
                        Some(at) if found.itself => {
                            if let Some(row) = rows.get_mut(at) {
                                row.itself = true;
                            }
                        }
                        Some(at) => {
                            let most = rows.len();
                            if let Some(row) =
                                rows.get_mut(at).filter(|row| row.level < found.level && found.level < most)
                            {
                                row.level = found.level;
                                next.push(row.clone());
                            }
                        }
                    }
                }
            }
            frontier = next;
        }
        Ok(())
    }

    /// How many rows go or change with each record, by the place in the tree. A row that hangs in two places of it is
    /// counted once, and as one that goes where it goes.
    pub(super) fn tally(&self, below: &Below, records: usize) -> HashMap<usize, BTreeMap<String, u64>> {
        let mut out: HashMap<usize, BTreeMap<String, u64>> = HashMap::default();
        // The records themselves go, whatever else hangs on them: they are nobody's child rows.
        let roots = below.rows.first().into_iter().flatten().take(records);
        let mut seen: HashSet<(&TableName, &Key)> = roots.map(|row| (&self.resolved.table.name, &row.key)).collect();
        let all = || self.resolved.nodes.iter().zip(&below.rows).enumerate();
        let goes = |node: &Node| node.action == NodeAction::Delete;
        let those_that_go = all().filter(|(_, (node, _))| goes(node));
        for (place, (node, rows)) in those_that_go.chain(all().filter(|(_, (node, _))| !goes(node))) {
            let skipped = if place == 0 { records } else { 0 };
            for row in rows.iter().skip(skipped) {
                if row.key.0.is_empty() || seen.insert((&node.table.name, &row.key)) {
                    *out.entry(row.owner).or_default().entry(node.label.clone()).or_default() += 1;
                }
            }
        }
        out
    }
}

fn name_of(column: &super::catalogue::Column) -> &str {
    &column.name
}

/// Whether a link is one of the node's references to itself.
pub(super) fn is_loop(node: &Node, link: &Link) -> bool {
    node.loops.iter().any(|one| std::ptr::eq(one, link))
}

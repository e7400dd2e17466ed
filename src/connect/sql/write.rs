//! The statements of an erasing transaction that write.
//!
//! Every one of them names the exact rows that were read and locked, and its count must be theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use super::catalogue::Column;
use super::children::{Below, ChildRow};
use super::engine::{Session, Statement};
use super::erase::{Eraser, Halt, Intent};
use super::maps::{HashMap, HashSet};
use super::records::{aliased, chunk_size};
use super::relate::{Node, NodeAction};
use crate::domain::outcome::Outcome;
use crate::domain::selection::TableName;
use crate::domain::value::{Key, Scalar};

type Tallies = HashMap<usize, BTreeMap<String, u64>>;

impl Eraser<'_> {
    /// (b) and (c): clears and anonymises child rows that stay, deletes those that go, deepest first, and looks before
    /// each table whether anything new hangs on its rows.
    pub(super) async fn erase_children(
        &self,
        session: &mut dyn Session,
        below: &Below,
        intent: &Intent,
    ) -> Result<Tallies, Halt> {
        let records = intent.delete.len();
        if records == 0 || self.resolved().stand_alone() {
            return Ok(Tallies::default());
        }
        let goes = self.rows_that_go(below);
        for (place, node) in self.resolved().nodes.iter().enumerate() {
            let rows = below.rows.get(place).map_or(&[][..], Vec::as_slice);
            let stay: Vec<&ChildRow> = rows
                .iter()
                .filter(|row| !goes.contains(&(&node.table.name, &row.key)) || row.key.0.is_empty())
                .collect();
            match &node.action {
                NodeAction::Delete => {}
                // Also of rows that go themselves: else two records of which one refers to the other would seem to have
                // got something new below them, and InnoDB would not let the one go before the other.
                NodeAction::Clear => self.clear(session, node, &rows.iter().collect::<Vec<_>>()).await?,
                NodeAction::Anonymise(fields) => self.anonymise_children(session, node, fields, &stay).await?,
            }
        }
        for place in self.order() {
            self.nothing_new_below(session, place, below).await?;
            if place != 0 {
                self.delete_rows(session, place, below).await?;
            }
        }
        Ok(self.reader.tally(below, records))
    }

    /// The rows that go, by table and key: what else was to be done to one of them is left.
    pub(super) fn rows_that_go<'b>(&'b self, below: &'b Below) -> HashSet<(&'b TableName, &'b Key)> {
        let nodes = self.resolved().nodes.iter().zip(&below.rows);
        nodes
            .filter(|(node, _)| node.action == NodeAction::Delete)
            .flat_map(|(node, rows)| rows.iter().map(move |row| (&node.table.name, &row.key)))
            .collect()
    }

    /// The nodes whose rows go, in an order in which no row goes before those that refer to it. The first node, the
    /// records themselves, is the last.
    pub(super) fn order(&self) -> Vec<usize> {
        let nodes = &self.resolved().nodes;
        let mut left: Vec<usize> = (0..nodes.len())
            .rev()
            .filter(|place| nodes.get(*place).is_some_and(|node| node.action == NodeAction::Delete))
            .collect();
        let mut out = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let free = left.iter().position(|place| {
                let others = left.iter().filter(|other| *other != place);
                others.filter_map(|other| nodes.get(*other).map(|node| (*other, node))).all(|(_, other)| {
                    nodes.get(*place).is_none_or(|node| !refers(other, node)) && other.parent != Some(*place)
                })
            });
            // A circle of tables has no such order; the server then says whether it minds.
            out.push(left.remove(free.unwrap_or(0)));
        }
        out
    }

    /// (c): each node below this one has been emptied or rewritten; what still hangs here came in between.
    async fn nothing_new_below(&self, session: &mut dyn Session, place: usize, below: &Below) -> Result<(), Halt> {
        let above = below.rows.get(place).map_or(&[][..], Vec::as_slice);
        let mut changed: BTreeSet<usize> = BTreeSet::new();
        for (child, node) in self.resolved().nodes.iter().enumerate() {
            let (Some(link), true) = (&node.link, node.parent == Some(place)) else { continue };
            let known: HashSet<&Key> = match &node.action {
                NodeAction::Anonymise(_) => below.rows.get(child).into_iter().flatten().map(|row| &row.key).collect(),
                NodeAction::Delete | NodeAction::Clear => HashSet::default(),
            };
            let found = self.reader.rows_of(session, child, link, above, false).await?;
            changed.extend(found.iter().filter(|row| !known.contains(&row.key)).map(|row| row.owner));
        }
        if changed.is_empty() {
            return Ok(());
        }
        Err(Halt::Again(changed.into_iter().map(|item| (item, Outcome::Changed)).collect()))
    }

    /// Deletes a node's rows, the deepest level of its own table first.
    async fn delete_rows(&self, session: &mut dyn Session, place: usize, below: &Below) -> Result<(), Halt> {
        let Some(node) = self.resolved().nodes.get(place) else { return Ok(()) };
        let rows = below.rows.get(place).map_or(&[][..], Vec::as_slice);
        let earlier = self.deleted_by_an_earlier_node(place, below);
        let rows: Vec<&ChildRow> =
            rows.iter().filter(|row| row.key.0.is_empty() || !earlier.contains(&row.key)).collect();
        self.delete_levels(session, node, place, &rows).await
    }

    /// The same table may hang in two places of the tree, and one row in both.
    fn deleted_by_an_earlier_node<'b>(&self, place: usize, below: &'b Below) -> HashSet<&'b Key> {
        let nodes = &self.resolved().nodes;
        let order = self.order();
        let before = order.iter().take_while(|one| **one != place);
        let same = before.filter(|one| {
            nodes.get(**one).map(|node| &node.table.name) == nodes.get(place).map(|node| &node.table.name)
        });
        same.filter_map(|one| below.rows.get(*one)).flatten().map(|row| &row.key).collect()
    }

    async fn delete_levels(
        &self,
        session: &mut dyn Session,
        node: &Node,
        place: usize,
        rows: &[&ChildRow],
    ) -> Result<(), Halt> {
        let mut levels: BTreeMap<usize, Vec<&ChildRow>> = BTreeMap::new();
        for row in rows {
            levels.entry(row.level).or_default().push(row);
        }
        let deepest = levels.keys().next_back().copied().unwrap_or(0);
        self.let_go_of_themselves(session, node, rows).await?;
        for (level, rows) in levels.iter().rev() {
            if *level < deepest {
                self.nothing_new_in_loops(session, node, place, rows).await?;
            }
            self.delete_exactly(session, node, rows, place == 0).await?;
        }
        Ok(())
    }

    /// Clears references of rows to themselves, for engines that would not delete them otherwise.
    async fn let_go_of_themselves(
        &self,
        session: &mut dyn Session,
        node: &Node,
        rows: &[&ChildRow],
    ) -> Result<(), Halt> {
        let dialect = self.reader.dialect;
        let rows: Vec<&ChildRow> = rows.iter().copied().filter(|row| row.itself).collect();
        if rows.is_empty() || dialect.deletes_rows_that_refer_to_themselves() {
            return Ok(());
        }
        for link in node.loops.iter().filter(|link| link.on.iter().all(|column| column.nullable)) {
            let nothing: Vec<String> =
                link.on.iter().map(|column| format!("{} = NULL", dialect.name(&column.name))).collect();
            for (condition, values, expected) in self.conditions(node, &rows, 1) {
                let table = dialect.table(&node.table.name);
                let text = format!("UPDATE {table} SET {} WHERE {condition}", nothing.join(", "));
                if session.execute(&Statement { text, values }).await? != expected {
                    return Err(Halt::Mismatch);
                }
            }
        }
        Ok(())
    }

    /// Rows of the same table that came to hang below one of these in between.
    async fn nothing_new_in_loops(
        &self,
        session: &mut dyn Session,
        node: &Node,
        place: usize,
        rows: &[&ChildRow],
    ) -> Result<(), Halt> {
        let above: Vec<ChildRow> = rows.iter().map(|row| (*row).clone()).collect();
        let mut changed: BTreeSet<usize> = BTreeSet::new();
        for link in &node.loops {
            let found = self.reader.rows_of(session, place, link, &above, false).await?;
            let level = |row: &ChildRow| rows.iter().any(|one| one.key == row.key);
            changed.extend(found.iter().filter(|row| !level(row)).map(|row| row.owner));
        }
        if changed.is_empty() {
            return Ok(());
        }
        Err(Halt::Again(changed.into_iter().map(|item| (item, Outcome::Changed)).collect()))
    }

    async fn delete_exactly(
        &self,
        session: &mut dyn Session,
        node: &Node,
        rows: &[&ChildRow],
        record: bool,
    ) -> Result<(), Halt> {
        let table = self.reader.dialect.table(&node.table.name);
        for (condition, values, expected) in self.conditions(node, rows, 1) {
            let text = format!("DELETE FROM {table} WHERE {condition}");
            let gone = session.execute(&Statement { text, values }).await?;
            if gone != expected {
                return Err(if record {
                    Halt::Stop("the database deleted another number of records than those that were locked")
                } else {
                    Halt::Mismatch
                });
            }
        }
        Ok(())
    }

    /// Conditions that name exactly these rows, with their values and how many rows each must meet: by key, or where a
    /// table has none, by reference.
    fn conditions(&self, node: &Node, rows: &[&ChildRow], first: usize) -> Vec<(String, Vec<Scalar>, u64)> {
        let dialect = self.reader.dialect;
        let by_reference = node.key.is_empty();
        let on = node.link.as_ref().map_or(&[][..], |link| link.on.as_slice());
        let columns: &[Column] = if by_reference { on } else { &node.key };
        let names: Vec<(String, &Column)> = columns.iter().map(|column| (dialect.name(&column.name), column)).collect();
        let mut counts: BTreeMap<&[Scalar], u64> = BTreeMap::new();
        for row in rows {
            let value = if by_reference { row.reference.as_slice() } else { row.key.0.as_slice() };
            *counts.entry(value).or_default() += 1;
        }
        let all: Vec<(&[Scalar], u64)> = counts.into_iter().collect();
        all.chunks(chunk_size(dialect, columns.len()))
            .map(|chunk| {
                let values = chunk.iter().flat_map(|(value, _)| value.iter().cloned()).collect();
                let expected = chunk.iter().map(|(_, count)| count).sum();
                (dialect.key_in(&names, chunk.len(), first), values, expected)
            })
            .collect()
    }

    async fn clear(&self, session: &mut dyn Session, node: &Node, rows: &[&ChildRow]) -> Result<(), Halt> {
        let dialect = self.reader.dialect;
        let Some(link) = &node.link else { return Ok(()) };
        let mut nothing: Vec<String> =
            link.on.iter().map(|column| format!("{} = NULL", dialect.name(&column.name))).collect();
        for column in node.table.columns.iter().filter(|column| column.set_by_updates) {
            let name = dialect.name(&column.name);
            nothing.push(format!("{name} = {name}"));
        }
        for (condition, values, expected) in self.conditions(node, rows, 1) {
            let text =
                format!("UPDATE {} SET {} WHERE {condition}", dialect.table(&node.table.name), nothing.join(", "));
            if session.execute(&Statement { text, values }).await? != expected {
                return Err(Halt::Mismatch);
            }
        }
        Ok(())
    }

    /// (d): the records, those that hang below another first.
    pub(super) async fn erase_records(
        &self,
        session: &mut dyn Session,
        below: &Below,
        intent: &Intent,
    ) -> Result<(), Halt> {
        let (Some(node), Some(rows)) = (self.resolved().nodes.first(), below.rows.first()) else { return Ok(()) };
        let rows: Vec<&ChildRow> = rows.iter().collect();
        if rows.is_empty() {
            return Ok(());
        }
        let keys: Vec<&Key> = rows.iter().map(|row| &row.key).collect();
        let locked = intent.span.as_ref().filter(|_| node.loops.is_empty() && rows.len() == intent.delete.len());
        if let Some(delete) = locked.and_then(|locked| self.reader.delete_span(locked, &keys, self.batch.due_by)) {
            let gone = session.execute(&delete).await?;
            if gone == rows.len() as u64 {
                return Ok(());
            }
            // Another row came into the range: all is rolled back and done again by the keys.
            self.by_span.store(false, Ordering::SeqCst);
            return Err(Halt::Again(Vec::new()));
        }
        self.delete_levels(session, node, 0, &rows).await
    }

    /// A trigger may have put a record back, one that this account may not see among them: the count of deleted rows does
    /// not tell.
    pub(super) async fn look_whether_gone(
        &self,
        session: &mut dyn Session,
        below: &Below,
        intent: &Intent,
    ) -> Result<(), Halt> {
        let Some(rows) = below.rows.first().filter(|rows| !rows.is_empty()) else { return Ok(()) };
        let mut keys: Vec<&Key> = rows.iter().map(|row| &row.key).collect();
        if let Some(locked) = &intent.span {
            self.reader.retain_there(session, locked.span, &mut keys).await?;
        }
        let back = self.reader.rows_by_key(session, &keys, false, false).await?;
        let owners: HashMap<&Key, usize> = rows.iter().map(|row| (&row.key, row.owner)).collect();
        let owners: BTreeSet<usize> = back.iter().filter_map(|record| owners.get(&record.key)).copied().collect();
        match (back.is_empty(), owners.is_empty()) {
            (true, _) => Ok(()),
            (false, true) => Err(Halt::Mismatch),
            (false, false) => Err(Halt::Again(owners.into_iter().map(|item| (item, Outcome::Failed)).collect())),
        }
    }
}

/// Whether a foreign key leads from one table to the other.
fn refers(from: &Node, to: &Node) -> bool {
    from.table.name != to.table.name && from.table.references.iter().any(|key| key.target == to.table.name)
}

/// The columns of a key as a condition for one row, for the records' own table.
pub(super) fn one_row(dialect: &dyn super::engine::Dialect, alias: &str, key: &[Column]) -> String {
    dialect.key_in(&aliased(dialect, alias, key), 1, 1)
}

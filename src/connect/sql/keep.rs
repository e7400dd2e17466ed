//! What goes is read whole before it goes, so that it can be put back.
//!
//! Rows are read after they were locked, in the erasing transaction, and before its first write. What is rewritten
//! (cleared references, anonymised fields) is read before and, as the database then has it, after: an undo writes an old
//! value only over exactly the final form that this purge left.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::catalogue::{Column, Table};
use super::children::Below;
use super::engine::{Session, Statement};
use super::erase::{Eraser, Halt, Intent};
use super::maps::{HashMap, HashSet};
use super::records::{chunk_size, flat};
use super::relate::{Node, NodeAction};
use crate::connect::Kept;
use crate::domain::selection::TableName;
use crate::domain::value::{Key, Scalar};

/// The form of [`Whole`] that this program writes and reads.
pub(super) const FORM: u32 = 1;

/// Everything that it takes to put one item back.
#[derive(Serialize, Deserialize)]
pub(super) struct Whole {
    pub(super) form: u32,
    /// Rows that went, in the order in which they can come back.
    pub(super) rows: Vec<WholeRow>,
    /// What was rewritten.
    pub(super) writes: Vec<Written>,
}

/// A row that went.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct WholeRow {
    pub(super) table: TableName,
    /// The columns that name it; empty where its table has no key.
    pub(super) key: Vec<String>,
    /// Every column that is not computed by the database.
    pub(super) columns: Vec<String>,
    pub(super) values: Vec<Scalar>,
    /// References that close a circle: they are written when all rows are back.
    pub(super) late: Vec<String>,
    /// Its place: the table's, then how deep it hangs below a row of its own table.
    rank: (usize, usize),
}

/// Columns of a row that stays, before and after.
#[derive(Serialize, Deserialize)]
pub(super) struct Written {
    /// The part of the rule that it belongs to; `None` where it went with the record.
    pub(super) part: Option<String>,
    pub(super) table: TableName,
    pub(super) key: Vec<String>,
    pub(super) row: Key,
    pub(super) columns: Vec<String>,
    pub(super) before: Vec<Scalar>,
    pub(super) after: Vec<Scalar>,
}

/// Rows of one table that are to be rewritten in the same columns.
struct Group<'r> {
    part: Option<String>,
    table: &'r Table,
    key: &'r [Column],
    columns: Vec<Column>,
    owners: Vec<(Key, usize)>,
    before: HashMap<Key, Vec<Scalar>>,
}

/// What was read before the first write.
pub(super) struct Keeping<'r> {
    rows: BTreeMap<usize, Vec<WholeRow>>,
    groups: Vec<Group<'r>>,
}

impl<'r> Eraser<'r> {
    /// Reads all that goes or is rewritten.
    pub(super) async fn read_whole(
        &self,
        session: &mut dyn Session,
        intent: &Intent,
        below: &Below,
    ) -> Result<Keeping<'r>, Halt> {
        let mut keeping = Keeping { rows: BTreeMap::new(), groups: Vec::new() };
        let late = self.circles(below);
        let mut taken: HashSet<(&TableName, Key)> = HashSet::default();
        for (place, node) in self.resolved().nodes.iter().enumerate() {
            if node.action == NodeAction::Delete {
                for (owner, row) in self.whole_rows(session, place, node, below).await? {
                    let key = row_key(&row);
                    let first = key.0.is_empty() || taken.insert((&node.table.name, key.clone()));
                    if first {
                        let late = late.get(&(&node.table.name, key)).cloned().unwrap_or_default();
                        keeping.rows.entry(owner).or_default().push(WholeRow { late, ..row });
                    }
                }
            }
        }
        keeping.groups = self.groups(intent, below);
        for group in &mut keeping.groups {
            let keys: Vec<&Key> = group.owners.iter().map(|(key, _)| key).collect();
            group.before = self.values_of(session, group.table, group.key, &group.columns, &keys).await?;
        }
        Ok(keeping)
    }

    /// The rows of a node that go, each with the item that it belongs to.
    async fn whole_rows(
        &self,
        session: &mut dyn Session,
        place: usize,
        node: &Node,
        below: &Below,
    ) -> Result<Vec<(usize, WholeRow)>, Halt> {
        let rows = below.rows.get(place).map_or(&[][..], Vec::as_slice);
        let columns: Vec<Column> = node.table.columns.iter().filter(|column| !column.generated).cloned().collect();
        let on = node.link.as_ref().map_or(&[][..], |link| link.on.as_slice());
        let by: &[Column] = if node.key.is_empty() { on } else { &node.key };
        let names = |columns: &[Column]| columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
        let key_of = |row: &super::children::ChildRow| {
            if node.key.is_empty() { Key(row.reference.clone()) } else { row.key.clone() }
        };
        let owners: HashMap<Key, (usize, usize)> =
            rows.iter().map(|row| (key_of(row), (row.owner, row.level))).collect();
        let keys: Vec<&Key> = owners.keys().collect();
        let found = self.rows_by(session, &node.table, by, &columns, &keys).await?;
        let order = self.order_back(place);
        let whole = found.into_iter().filter_map(|(key, values)| {
            let (owner, level) = owners.get(&key).copied()?;
            let row = WholeRow {
                table: node.table.name.clone(),
                key: names(&node.key),
                columns: names(&columns),
                values,
                late: Vec::new(),
                rank: (order, level),
            };
            Some((owner, row))
        });
        Ok(whole.collect())
    }

    /// The place of a node among those that come back: the last to go is the first.
    fn order_back(&self, place: usize) -> usize {
        self.order().iter().rev().position(|one| *one == place).unwrap_or(usize::MAX)
    }

    /// References that are cleared in rows which go themselves.
    fn circles<'s>(&'s self, below: &Below) -> HashMap<(&'s TableName, Key), Vec<String>> {
        let mut out: HashMap<(&TableName, Key), Vec<String>> = HashMap::default();
        for (node, rows) in self.resolved().nodes.iter().zip(&below.rows) {
            let (NodeAction::Clear, Some(link)) = (&node.action, &node.link) else { continue };
            for row in rows {
                out.entry((&node.table.name, row.key.clone())).or_default().extend(link.on_names());
            }
        }
        out
    }

    fn groups(&self, intent: &Intent, below: &Below) -> Vec<Group<'r>> {
        let resolved = self.resolved();
        let goes = self.rows_that_go(below);
        let mut out = Vec::new();
        for (node, rows) in resolved.nodes.iter().zip(&below.rows) {
            let columns: Vec<Column> = match (&node.action, &node.link) {
                (NodeAction::Anonymise(fields), _) => fields.iter().map(|(column, _)| column.clone()).collect(),
                (NodeAction::Clear, Some(link)) => link.on.clone(),
                _ => continue,
            };
            let stay = rows.iter().filter(|row| !goes.contains(&(&node.table.name, &row.key)));
            let owners = stay.map(|row| (row.key.clone(), row.owner)).collect();
            let (table, key) = (&node.table, node.key.as_slice());
            out.push(Group { part: None, table, key, columns, owners, before: HashMap::default() });
        }
        for (place, part) in self.reader.rule.parts.iter().enumerate() {
            let fields = resolved.parts.get(place).map_or(&[][..], Vec::as_slice);
            let columns = fields.iter().map(|(column, _)| column.clone()).collect();
            let writes = intent.write.iter().filter(|(_, parts)| parts.contains(&place));
            let owners = writes.filter_map(|(item, _)| self.key(*item).map(|key| (key.clone(), *item))).collect();
            let (table, key, part) = (&resolved.table, resolved.key.as_slice(), Some(part.id.to_string()));
            out.push(Group { part, table, key, columns, owners, before: HashMap::default() });
        }
        out.retain(|group| !group.owners.is_empty());
        out
    }

    /// Reads again what was rewritten, and gives everything in its canonical bytes.
    pub(super) async fn read_written(
        &self,
        session: &mut dyn Session,
        keeping: Keeping<'_>,
    ) -> Result<Vec<Kept>, Halt> {
        let mut writes: BTreeMap<usize, Vec<Written>> = BTreeMap::new();
        for group in &keeping.groups {
            let keys: Vec<&Key> = group.owners.iter().map(|(key, _)| key).collect();
            let after = self.values_of(session, group.table, group.key, &group.columns, &keys).await?;
            for (key, owner) in &group.owners {
                let (Some(before), Some(after)) = (group.before.get(key), after.get(key)) else { continue };
                writes.entry(*owner).or_default().extend(written(group, key, before, after));
            }
        }
        let mut rows = keeping.rows;
        let items: std::collections::BTreeSet<usize> = rows.keys().chain(writes.keys()).copied().collect();
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            let mut rows = rows.remove(&item).unwrap_or_default();
            rows.sort_by(|a, b| (a.rank, &a.values).cmp(&(b.rank, &b.values)));
            let whole = Whole { form: FORM, rows, writes: writes.remove(&item).unwrap_or_default() };
            let bytes = serde_json::to_vec(&whole).map_err(|_| Halt::Watch)?;
            out.push(Kept { item, bytes });
        }
        Ok(out)
    }

    /// The values of columns, by key.
    async fn values_of(
        &self,
        session: &mut dyn Session,
        table: &Table,
        key: &[Column],
        columns: &[Column],
        keys: &[&Key],
    ) -> Result<HashMap<Key, Vec<Scalar>>, Halt> {
        Ok(self.rows_by(session, table, key, columns, keys).await?.into_iter().collect())
    }

    async fn rows_by(
        &self,
        session: &mut dyn Session,
        table: &Table,
        by: &[Column],
        columns: &[Column],
        keys: &[&Key],
    ) -> Result<Vec<(Key, Vec<Scalar>)>, Halt> {
        let dialect = self.reader.dialect;
        let read = |column: &Column| dialect.read(&dialect.name(&column.name), column);
        let items: Vec<String> = by.iter().chain(columns).map(read).collect();
        let names: Vec<(String, &Column)> = by.iter().map(|column| (dialect.name(&column.name), column)).collect();
        let mut out = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(chunk_size(dialect, by.len())) {
            let text = format!(
                "SELECT {} FROM {} WHERE {}",
                items.join(", "),
                dialect.table(&table.name),
                dialect.key_in(&names, chunk.len(), 1)
            );
            for row in session.rows(&Statement { text, values: flat(chunk) }).await? {
                let mut rest = row.into_iter();
                let key = Key(rest.by_ref().take(by.len()).collect());
                out.push((key, rest.collect()));
            }
        }
        Ok(out)
    }
}

/// The key of a whole row; empty where its table has none.
pub(super) fn row_key(row: &WholeRow) -> Key {
    let value = |name: &String| row.columns.iter().position(|one| one == name).and_then(|at| row.values.get(at));
    Key(row.key.iter().filter_map(value).cloned().collect())
}

/// What changed in one row, where anything did.
fn written(group: &Group<'_>, key: &Key, before: &[Scalar], after: &[Scalar]) -> Option<Written> {
    let changed: Vec<(&Column, &Scalar, &Scalar)> = group
        .columns
        .iter()
        .zip(before.iter().zip(after))
        .filter(|(_, (before, after))| before != after)
        .map(|(column, (before, after))| (column, before, after))
        .collect();
    (!changed.is_empty()).then(|| Written {
        part: group.part.clone(),
        table: group.table.name.clone(),
        key: group.key.iter().map(|column| column.name.clone()).collect(),
        row: key.clone(),
        columns: changed.iter().map(|(column, _, _)| column.name.clone()).collect(),
        before: changed.iter().map(|(_, before, _)| (*before).clone()).collect(),
        after: changed.iter().map(|(_, _, after)| (*after).clone()).collect(),
    })
}

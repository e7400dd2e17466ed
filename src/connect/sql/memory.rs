//! What the erasing transaction remembers of the records that it takes, so that they can be looked for afterwards.
//!
//! The values live here only until they were looked for once, or a few more batches have begun, and are wiped then. They
//! are written nowhere: what a crash leaves is looked for by key alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zeroize::Zeroize;

use super::catalogue::Column;
use super::children::Below;
use super::copies::Copy;
use super::engine::{Session, Statement};
use super::erase::{Eraser, Halt, Intent};
use super::maps::HashMap;
use super::records::{aliased, chunk_size, flat};
use super::relate::{Link, NodeAction};
use super::resolve::{BIG, RECORD, Resolved};
use crate::domain::id::BatchId;
use crate::domain::selection::TableName;
use crate::domain::value::{Key, Scalar};

/// One way of looking.
pub(super) enum Path<'r> {
    /// Rows of the record's own table that still have these columns' old values.
    Own(Vec<&'r Column>),
    /// Rows that refer to a row of the node of this place, which went.
    Child(usize, &'r Link),
    /// Rows of a clock's table that refer to the record.
    Related(&'r Link),
    /// A declared copy.
    Copy(&'r Copy),
}

impl<'r> Path<'r> {
    /// The record's columns whose old values are looked for; `None` where the keys of child rows are.
    pub(super) fn source(&self) -> Option<Vec<&'r Column>> {
        match self {
            Self::Own(columns) => Some(columns.clone()),
            Self::Child(0, link) | Self::Related(link) => Some(link.to.iter().collect()),
            Self::Child(..) => None,
            Self::Copy(copy) => Some(vec![&copy.of]),
        }
    }

    /// Whether it is of use for a record that stays, of which only these columns were rewritten.
    fn after_writing(&self, written: &BTreeSet<&str>) -> bool {
        match self {
            Self::Own(columns) => columns.iter().all(|column| written.contains(column.name.as_str())),
            Self::Copy(copy) => written.contains(copy.of.name.as_str()),
            Self::Child(..) | Self::Related(_) => false,
        }
    }
}

/// Every path of a rule, in an order that is the same each time.
pub(super) fn paths(resolved: &Resolved) -> Vec<Path<'_>> {
    let mut out = Vec::new();
    let table = &resolved.table;
    let identities = resolved.identities.iter().map(|(_, column)| vec![column.name.clone()]);
    let key: BTreeSet<&String> = resolved.key.iter().map(|column| &column.name).collect();
    let mut own: Vec<Vec<String>> = identities.chain(table.unique.iter().cloned()).collect();
    own.sort();
    own.dedup();
    for names in own {
        // Reading a big table whole after every batch would be felt; `check` says so.
        let cheap = table.estimate <= BIG || table.has_index_on(&names);
        let columns: Vec<&Column> = names.iter().filter_map(|name| table.column(name)).collect();
        if cheap && columns.len() == names.len() && names.iter().any(|name| !key.contains(name)) {
            out.push(Path::Own(columns));
        }
    }
    for node in resolved.nodes.iter().filter(|node| !matches!(node.action, NodeAction::Anonymise(_))) {
        if let (Some(parent), Some(link)) = (node.parent, &node.link) {
            out.push(Path::Child(parent, link));
        }
    }
    for (place, node) in resolved.nodes.iter().enumerate() {
        out.extend(node.loops.iter().map(|link| Path::Child(place, link)));
    }
    let children: BTreeSet<&TableName> = resolved.nodes.iter().map(|node| &node.table.name).collect();
    let clocks = resolved.sources.iter().filter_map(|source| source.link.as_ref());
    out.extend(clocks.filter(|link| !children.contains(&link.table.name)).map(Path::Related));
    out.extend(resolved.copies.iter().map(Path::Copy));
    out
}

/// Old values, by path.
pub(super) type Values = BTreeMap<usize, Vec<Vec<Scalar>>>;

/// Old values of one batch.
pub(super) struct Memory {
    batch: BatchId,
    /// The rule as it was held against the catalogue then: the paths are counted in it.
    resolved: Arc<Resolved>,
    /// Of transactions that were committed.
    kept: Values,
    /// Of the transaction that is open.
    open: Values,
}

impl Memory {
    /// Of this batch, still empty.
    pub(super) fn of(batch: &BatchId, resolved: &Arc<Resolved>) -> Self {
        Self { batch: batch.clone(), resolved: Arc::clone(resolved), kept: Values::new(), open: Values::new() }
    }

    /// Of a batch whose values were kept elsewhere meanwhile; `None` where they can't be read.
    pub(super) fn recalled(batch: &BatchId, resolved: &Arc<Resolved>, bytes: &[u8]) -> Option<Self> {
        let mut memory = Self::of(batch, resolved);
        memory.kept = serde_json::from_slice(bytes).ok()?;
        Some(memory)
    }

    /// What a transaction that begins is about to take. What is known of one that was rolled back is forgotten.
    fn opened(&mut self, values: Values) {
        wipe_all(&mut self.open);
        self.open = values;
    }

    /// The open transaction was committed.
    pub(super) fn committed(&mut self) {
        for (path, values) in std::mem::take(&mut self.open) {
            self.kept.entry(path).or_default().extend(values);
        }
    }

    /// The rule as it was when these values were read.
    pub(super) fn resolved(&self) -> Arc<Resolved> {
        Arc::clone(&self.resolved)
    }

    /// The values of a path, each once.
    pub(super) fn values(&self, path: usize) -> Vec<&Vec<Scalar>> {
        let mut values: Vec<&Vec<Scalar>> = self.kept.get(&path).into_iter().flatten().collect();
        values.sort();
        values.dedup();
        values
    }
}

/// The last few batches whose values were not looked for yet, the newest first.
#[derive(Default)]
pub(super) struct Memories(Vec<Memory>);

impl Memories {
    /// Batches of one connector that may be open, or still to be looked for, at one time.
    const MOST: usize = 3;

    /// Keeps what a batch left; the oldest is forgotten. Of a batch that was tried again the last try counts.
    pub(super) fn keep(&mut self, memory: Memory) {
        self.0.retain(|one| one.batch != memory.batch);
        self.0.truncate(Self::MOST - 1);
        self.0.insert(0, memory);
    }

    /// What is remembered of this batch, once.
    pub(super) fn take(&mut self, batch: &BatchId) -> Option<Memory> {
        let place = self.0.iter().position(|one| one.batch == *batch)?;
        Some(self.0.remove(place))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        wipe_all(&mut self.kept);
        wipe_all(&mut self.open);
    }
}

pub(super) fn wipe_all(values: &mut Values) {
    values.values_mut().flatten().flatten().for_each(wipe);
    values.clear();
}

fn wipe(value: &mut Scalar) {
    match value {
        Scalar::Text(text) | Scalar::Typed { text, .. } => text.zeroize(),
        Scalar::Bytes(bytes) => bytes.zeroize(),
        Scalar::Int(number) => number.zeroize(),
        Scalar::UInt(number) | Scalar::Real(number) => number.zeroize(),
        Scalar::Null => {}
    }
}

impl Eraser<'_> {
    /// Reads what will be looked for, while it is still there: one more statement for each chunk of the batch's records.
    pub(super) async fn remember(&self, session: &mut dyn Session, intent: &Intent, below: &Below) -> Result<(), Halt> {
        let paths = paths(self.resolved());
        let mut found = self.keys_below(&paths, below);
        let mut columns: Vec<&Column> = Vec::new();
        for column in paths.iter().filter_map(Path::source).flatten() {
            if !columns.iter().any(|known| known.name == column.name) {
                columns.push(column);
            }
        }
        let written = self.written(intent);
        let items = intent.delete.iter().chain(written.keys());
        let items: HashMap<&Key, usize> = items.filter_map(|item| Some((self.key(*item)?, *item))).collect();
        let keys: Vec<&Key> = if columns.is_empty() { Vec::new() } else { items.keys().copied().collect() };
        for chunk in keys.chunks(chunk_size(self.reader.dialect, self.resolved().key.len())) {
            for mut row in session.rows(&self.old_values(&columns, chunk)).await? {
                let mut rest = row.split_off(self.resolved().key.len());
                let item = items.get(&Key(row));
                for (place, path) in paths.iter().enumerate() {
                    let fits = |item| written.get(item).is_none_or(|written| path.after_writing(written));
                    let Some(source) = path.source().filter(|_| item.is_some_and(fits)) else { continue };
                    let at = |column: &&Column| columns.iter().position(|one| one.name == column.name);
                    let values: Option<Vec<Scalar>> =
                        source.iter().map(|column| rest.get(at(column)?).cloned()).collect();
                    found.entry(place).or_default().extend(values.filter(|values| !values.iter().any(Scalar::is_null)));
                }
                rest.iter_mut().for_each(wipe);
            }
        }
        self.memory().opened(found);
        Ok(())
    }

    /// The keys of child rows, which their own children refer to. By another column than the key nothing is known of them.
    fn keys_below(&self, paths: &[Path<'_>], below: &Below) -> Values {
        let mut found = Values::new();
        for (place, path) in paths.iter().enumerate() {
            let Path::Child(parent, link) = path else { continue };
            let above = self.resolved().nodes.get(*parent).filter(|_| path.source().is_none());
            if above.is_some_and(|node| !node.key.is_empty() && node.key == link.to) {
                let rows = below.rows.get(*parent).into_iter().flatten();
                found.entry(place).or_default().extend(rows.map(|row| row.key.0.clone()));
            }
        }
        found
    }

    /// The columns that are rewritten of records that stay.
    fn written(&self, intent: &Intent) -> HashMap<usize, BTreeSet<&str>> {
        let names = |parts: &Vec<usize>| {
            let fields = parts.iter().filter_map(|part| self.reader.resolved.parts.get(*part)).flatten();
            fields.map(|(column, _)| column.name.as_str()).collect()
        };
        intent.write.iter().map(|(item, parts)| (*item, names(parts))).collect()
    }

    fn old_values(&self, columns: &[&Column], keys: &[&Key]) -> Statement {
        let (dialect, resolved) = (self.reader.dialect, self.resolved());
        let all = resolved.key.iter().chain(columns.iter().copied());
        let read: Vec<String> =
            all.map(|column| dialect.read(&format!("{RECORD}.{}", dialect.name(&column.name)), column)).collect();
        let text = format!(
            "SELECT {} FROM {} {RECORD} WHERE {}",
            read.join(", "),
            dialect.table(&resolved.table.name),
            dialect.key_in(&aliased(dialect, RECORD, &resolved.key), keys.len(), 1)
        );
        Statement { text, values: flat(keys) }
    }
}

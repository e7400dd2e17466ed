//! What is still there of records that were purged, looked for by other paths than the one that erased them: by old
//! values of unique columns and of the person's identities, in child and related tables by reference, in declared copies.
//!
//! The work is bounded. It is done only for a batch that purged something, on the connection that may only read, under
//! the server's limit for one statement. Each path takes one statement for each chunk of the batch's values (a copy that is
//! found takes a second), and each is served by an index, or reads a table of at most [`BIG`](super::resolve::BIG) rows, or one that the erasing
//! itself reads in the same way, or one for which the rule says `allow-scan`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::catalogue::Column;
use super::connector::SqlConnector;
use super::copies::Copy;
use super::engine::{Dialect, Session, Statement};
use super::fault;
use super::maps::HashMap;
use super::memory::{Memory, Path, paths};
use super::records::{ReadFault, Reader, aliased, chunk_size};
use super::relate::Link;
use super::resolve::{RECORD, RELATED, Resolved};
use super::span::Span;
use crate::connect::{Absence, ConnectError, Item, Look};
use crate::domain::selection::{Normal, TableName};
use crate::domain::value::{Key, Scalar};

impl SqlConnector {
    /// Looks on another connection than the one that erased.
    pub(super) async fn look_for(&self, look: &Look<'_>) -> Result<Absence, ConnectError> {
        let doing = "look for what is left of a batch";
        let memory = self.remembered(look.batch);
        let resolved = match memory.as_ref().map(Memory::resolved) {
            // The paths are those of the moment when the values were read.
            Some(resolved) => resolved,
            None => self.resolved(look.rule, doing).await?,
        };
        let (collection, mut same, mut others) = (look.rule.selection.collection(), Vec::new(), Vec::new());
        for rule in look.rules.iter().filter(|rule| rule.id != look.rule.id) {
            // Another rule's own faults are told where it is checked.
            let Ok(found) = self.resolved(rule, doing).await else { continue };
            others.push(found.table.name.clone());
            if rule.selection.collection() == collection {
                same.push(found);
            }
        }
        let same = std::iter::once(resolved.as_ref()).chain(same.iter().map(Arc::as_ref)).collect();
        let search = Search { reader: self.reader(look.rule, &resolved), same, others };
        let failed = |found| fault::from_read(&self.system, doing, &found);
        let items = look.purged();
        let mut lease = self.reading(doing).await?;
        let back = search.back(lease.session(), &items).await.map_err(failed)?;
        let found = match memory {
            None => Absence { back, unlooked: items.len() as u64, ..Absence::default() },
            Some(memory) => {
                let left = search.left(lease.session(), &memory).await.map_err(failed)?;
                Absence { back, left, looked: items.len() as u64, ..Absence::default() }
            }
        };
        lease.keep();
        Ok(found)
    }
}

/// A look after a batch.
struct Search<'a> {
    reader: Reader<'a>,
    /// This rule and the others of its table, resolved: what one of them selects or protects is not left behind.
    same: Vec<&'a Resolved>,
    /// Tables that other rules are about: their rows are looked after there.
    others: Vec<TableName>,
}

impl Search<'_> {
    fn dialect(&self) -> &dyn Dialect {
        self.reader.dialect
    }

    /// How many of these records, which went, are there by their own key or not in final form.
    async fn back(&self, session: &mut dyn Session, items: &[Item]) -> Result<u64, ReadFault> {
        let mut keys: Vec<&Key> = items.iter().map(|item| &item.key).collect();
        if let Some(span) = Span::of(keys.iter().copied()).filter(|_| self.reader.rule.record_part().is_some()) {
            self.reader.retain_there(session, span, &mut keys).await?;
        }
        let mut back = 0;
        let records = self.reader.by_key(session, &keys, false).await?;
        let done: HashMap<&Key, Vec<bool>> = records.iter().map(|one| (&one.key, self.reader.done(one))).collect();
        for item in items {
            let Some(done) = done.get(&item.key) else { continue };
            back += u64::from(item.parts.iter().any(|part| done.get(*part) != Some(&true)));
        }
        Ok(back)
    }

    /// What is left, by place.
    async fn left(&self, session: &mut dyn Session, memory: &Memory) -> Result<BTreeMap<String, u64>, ReadFault> {
        let mut left: BTreeMap<String, u64> = BTreeMap::new();
        for (place, path) in paths(self.reader.resolved).iter().enumerate() {
            let values = memory.values(place);
            let (name, count) = match path {
                Path::Own(columns) => {
                    // An empty text is nobody's: other records have it too.
                    let says =
                        |values: &&Vec<Scalar>| !values.iter().all(|value| value.as_text().is_some_and(is_blank));
                    let values: Vec<&Vec<Scalar>> = values.into_iter().filter(says).collect();
                    self.own(session, columns, &values).await?
                }
                Path::Related(link) if self.others.contains(&link.table.name) => continue,
                Path::Child(_, link) | Path::Related(link) => self.referring(session, link, &values).await?,
                Path::Copy(copy) => self.copied(session, copy, &values).await?,
            };
            if count > 0 {
                *left.entry(name).or_default() += count;
            }
        }
        Ok(left)
    }

    /// A condition that is true for records that some rule of this table keeps or will purge by itself; `None` where
    /// that is every record.
    fn accounted_for(&self) -> Option<String> {
        let mut all = Vec::new();
        for rule in &self.same {
            all.push(rule.filter.as_ref()?.clone());
            all.extend(rule.protect.iter().cloned());
        }
        Some(all.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" OR "))
    }

    /// A value that another record shares is no leftover of this one where a rule accounts for that record.
    async fn own(
        &self,
        session: &mut dyn Session,
        columns: &[&Column],
        values: &[&Vec<Scalar>],
    ) -> Result<(String, u64), ReadFault> {
        let table = &self.reader.resolved.table;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let name = format!("{}.{}", table.name.name, names.join("+"));
        let Some(accounted) = self.accounted_for() else { return Ok((name, 0)) };
        let rest = format!(" AND CASE WHEN {accounted} THEN 1 ELSE 0 END = 0");
        let columns: Vec<Column> = columns.iter().map(|column| (*column).clone()).collect();
        Ok((name, self.count(session, (&table.name, RECORD), &columns, values, &rest).await?))
    }

    async fn referring(
        &self,
        session: &mut dyn Session,
        link: &Link,
        values: &[&Vec<Scalar>],
    ) -> Result<(String, u64), ReadFault> {
        let rest = link.filter.as_ref().map(|filter| format!(" AND {filter}")).unwrap_or_default();
        let name = format!("child rows of {}", link.table.name.name);
        Ok((name, self.count(session, (&link.table.name, RELATED), &link.on, values, &rest).await?))
    }

    async fn count(
        &self,
        session: &mut dyn Session,
        (table, alias): (&TableName, &str),
        columns: &[Column],
        values: &[&Vec<Scalar>],
        rest: &str,
    ) -> Result<u64, ReadFault> {
        let dialect = self.dialect();
        let mut count = 0;
        for chunk in values.chunks(chunk_size(dialect, columns.len())) {
            let named = aliased(dialect, alias, columns);
            let among = dialect.key_in(&named, chunk.len(), 1);
            let text = format!("SELECT COUNT(*) FROM {} {alias} WHERE {among}{rest}", dialect.table(table));
            let values = chunk.iter().flat_map(|values| values.iter().cloned()).collect();
            count += session.rows(&Statement { text, values }).await?.first().map_or(0, |row| number(row, 0));
        }
        Ok(count)
    }

    /// A copy is no leftover where another record that a rule accounts for has the same value.
    async fn copied(
        &self,
        session: &mut dyn Session,
        copy: &Copy,
        values: &[&Vec<Scalar>],
    ) -> Result<(String, u64), ReadFault> {
        let name = format!("{}.{}", copy.table.name.name, copy.column.name);
        let mut by_form: BTreeMap<Scalar, Vec<&Vec<Scalar>>> = BTreeMap::new();
        for value in values {
            let form = value.first().and_then(|value| written_as(value, copy.normalised));
            by_form.entry(form.unwrap_or(Scalar::Null)).or_default().push(value);
        }
        // Nothing but punctuation leaves nothing to look for.
        let empty = |form: &Scalar| form.is_null() || form.as_text().is_some_and(str::is_empty);
        by_form.retain(|form, _| !empty(form));
        let forms: Vec<Vec<Scalar>> = by_form.keys().map(|form| vec![form.clone()]).collect();
        let forms: Vec<&Vec<Scalar>> = forms.iter().collect();
        let there = self.grouped(session, (&copy.table.name, RELATED), &copy.column, &forms, "").await?;
        let mut found: BTreeMap<Scalar, u64> = BTreeMap::new();
        for (value, count) in there {
            *found.entry(compared(&value, copy.normalised)).or_default() += count;
        }
        let shared: Vec<&Vec<Scalar>> = by_form
            .iter()
            .filter(|(form, _)| found.contains_key(&compared(form, copy.normalised)))
            .flat_map(|(_, values)| values.iter().copied())
            .collect();
        let table = &self.reader.resolved.table.name;
        let rest = self.accounted_for().map(|one| format!(" AND ({one})")).unwrap_or_default();
        for (value, _) in self.grouped(session, (table, RECORD), &copy.of, &shared, &rest).await? {
            found.remove(&compared(&value, copy.normalised));
        }
        Ok((name, found.values().sum()))
    }

    /// The values of a column that are among these, and how often each is there.
    async fn grouped(
        &self,
        session: &mut dyn Session,
        (table, alias): (&TableName, &str),
        column: &Column,
        values: &[&Vec<Scalar>],
        rest: &str,
    ) -> Result<Vec<(Scalar, u64)>, ReadFault> {
        let dialect = self.dialect();
        let named = [(format!("{alias}.{}", dialect.name(&column.name)), column)];
        let mut out = Vec::new();
        for chunk in values.chunks(chunk_size(dialect, 1)) {
            let among = dialect.key_in(&named, chunk.len(), 1);
            let expression = named.first().map(|(expression, _)| expression.as_str()).unwrap_or_default();
            let text = format!(
                "SELECT {}, COUNT(*) FROM {} {alias} WHERE {among}{rest} GROUP BY {expression}",
                dialect.read(expression, column),
                dialect.table(table)
            );
            let values = chunk.iter().flat_map(|values| values.iter().cloned()).collect();
            for row in session.rows(&Statement { text, values }).await? {
                out.extend(row.first().cloned().map(|value| (value, number(&row, 1))));
            }
        }
        Ok(out)
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn number(row: &[Scalar], at: usize) -> u64 {
    row.get(at).and_then(|value| value.show().parse().ok()).unwrap_or(0)
}

/// A value as its copy is written.
fn written_as(value: &Scalar, normalised: Option<Normal>) -> Option<Scalar> {
    match normalised {
        None => Some(value.clone()),
        Some(normal) => value.as_text().map(|text| Scalar::Text(normal.of(text))),
    }
}

/// What two values are held against each other by: a server may compare without regard to case.
fn compared(value: &Scalar, normalised: Option<Normal>) -> Scalar {
    let value = written_as(value, normalised).unwrap_or(Scalar::Null);
    value.as_text().map(|text| Scalar::Text(text.trim_end().to_lowercase())).unwrap_or(value)
}

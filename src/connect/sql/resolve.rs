//! A rule held against the catalogue: every name found, every type known, every relation complete.
//!
//! Pure: `gather` reads the tables that a rule speaks of, and [`resolve`] judges them. What does not fit is a finding;
//! a rule with a fault is not run.

use chrono_tz::Tz;

use super::catalogue::{Column, Table, TableKind, TypeClass};
use super::copies::{Copy, copies};
use super::engine::Dialect;
use super::nearest::nearest;
use super::predicate::{Misfit, Printer, no_relations};
use super::relate::{Link, Node};
use super::tables::Tables;
use crate::codes::{self, Code};
use crate::connect::{Finding, Severity};
use crate::domain::clock::ClockFormat;
use crate::domain::identity::IdentityKind;
use crate::domain::predicate::Predicate;
use crate::domain::recipe::{Recipe, Recipes};
use crate::domain::rule::{Action, Part, Rule};
use crate::domain::selection::{ClockSource, Protect, Relation, Selection, SqlSelection};

/// The alias of the rule's own table in every statement.
pub(super) const RECORD: &str = "r";
/// From this many rows a full reading is felt.
pub(super) const BIG: u64 = 50_000;
/// The alias of a related table.
pub(super) const RELATED: &str = "c";

/// A rule with its names found.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) table: Table,
    pub(super) key: Vec<Column>,
    pub(super) sources: Vec<Source>,
    /// The selection, printed; `None` selects all.
    pub(super) filter: Option<String>,
    /// Each protection, printed.
    pub(super) protect: Vec<String>,
    /// Whether filter or protection look into other tables.
    pub(super) looks_aside: bool,
    /// The tables that they look into.
    pub(super) aside: Vec<Table>,
    /// The table of children, in pre-order; the first is the rule's own table.
    pub(super) nodes: Vec<Node>,
    pub(super) identities: Vec<(IdentityKind, Column)>,
    /// Per part, the fields that it writes.
    pub(super) parts: Vec<Vec<(Column, Recipe)>>,
    /// Every column that a part writes, once.
    pub(super) touched: Vec<Column>,
    pub(super) allow_no_transactions: bool,
    /// Columns of other tables that repeat fields.
    pub(super) copies: Vec<Copy>,
}

impl Resolved {
    /// Whether nothing hangs below its records.
    pub(super) fn stand_alone(&self) -> bool {
        self.nodes.len() == 1 && self.nodes.iter().all(|node| node.loops.is_empty())
    }

    /// Whether what a batch of this rule reads and writes is its records' alone, so that two batches don't meet.
    pub(super) fn is_plain(&self) -> bool {
        let alone = |node: &Node| {
            node.action == super::relate::NodeAction::Delete && node.loops.is_empty() && node.table.transactional
        };
        !self.looks_aside && self.nodes.iter().all(alone)
    }
}

/// A clock source with its column found.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) column: Column,
    pub(super) link: Option<Link>,
    pub(super) format: ClockFormat,
    pub(super) zone: Tz,
}

/// Collects what is wrong.
pub(super) struct Faults {
    pub(super) findings: Vec<Finding>,
}

impl Faults {
    pub(super) fn add(&mut self, severity: Severity, code: &'static Code, at: &str, text: String, remedy: &str) {
        let finding = Finding { code, severity, at: at.to_string(), text, remedy: remedy.to_string() };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    pub(super) fn fault(&mut self, code: &'static Code, at: &str, text: String, remedy: &str) {
        self.add(Severity::Fault, code, at, text, remedy);
    }

    /// A column by its exact name; a fault with the nearest name otherwise.
    pub(super) fn column(&mut self, table: &Table, name: &str, at: &str) -> Option<Column> {
        let found = table.column(name).cloned();
        if found.is_none() {
            let names = table.columns.iter().map(|column| column.name.as_str());
            let hint = nearest(name, names).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let text = format!("table `{}` has no column `{name}`{hint}", table.name.name);
            self.fault(codes::COLUMN_MISSING, at, text, "name a column as the database has it, letter for letter");
        }
        found
    }

    /// A predicate printed, or a fault.
    pub(super) fn printed(&mut self, printed: Result<String, Misfit>, table: &Table, at: &str) -> Option<String> {
        match printed {
            Ok(text) => return Some(text),
            Err(Misfit::Column(name)) => {
                self.column(table, &name, at);
            }
            Err(Misfit::Kind { column, ty, wants }) => self.fault(
                codes::LITERAL_KIND,
                at,
                format!("column `{column}` is of type `{ty}`: it is compared with {wants}"),
                "write the literal in the kind of its column, so that the server converts nothing",
            ),
            Err(Misfit::Like(column)) => self.fault(
                codes::LIKE_ESCAPE,
                at,
                format!("the pattern for column `{column}` holds a backslash"),
                "leave the backslash out: engines read it differently; use `_` for one character",
            ),
            Err(Misfit::Ambiguous(name)) => self.fault(
                codes::RELATION_UNKNOWN,
                at,
                format!("`{name}` stands for several relations of this rule, which are not the same rows"),
                "declare the table with the same columns and the same `where` in each place, or only once",
            ),
            Err(Misfit::Relation(name)) => self.fault(
                codes::RELATION_UNKNOWN,
                at,
                format!("`{name}` is no relation of this rule here"),
                "declare the table as a clock, a child or a protection of the rule first",
            ),
        }
        None
    }
}

/// Holds a rule against the tables that it speaks of. Where its own table is there, so is a result, by which more can be
/// checked; it may be run only when there is no fault.
pub(super) fn resolve(
    rule: &Rule,
    tables: &Tables,
    dialect: &dyn Dialect,
    zone: Tz,
) -> (Option<Resolved>, Vec<Finding>) {
    let Selection::Sql(sql) = &rule.selection;
    let mut faults = Faults { findings: Vec::new() };
    let at = |what: &str| format!("rule.{}.{what}", rule.id);
    let Some(table) = own_table(tables, sql, &at("records.table"), &mut faults) else {
        return (None, faults.findings);
    };
    let key = key_columns(&table, sql, &at("records.key"), &mut faults);
    let exists = |name: &str, matching: Option<&Predicate>| exists(rule, tables, dialect, &table, &key, name, matching);
    let printer = Printer { dialect, table: &table, alias: RECORD, exists: &exists };
    let filter =
        sql.filter.as_ref().and_then(|filter| faults.printed(printer.print(filter), &table, &at("records.where")));
    let mut protect = Vec::new();
    let mut looks_aside = sql.filter.as_ref().is_some_and(asks_relations);
    for one in &sql.protect {
        let text = match one {
            Protect::Where(predicate) => {
                looks_aside |= asks_relations(predicate);
                faults.printed(printer.print(predicate), &table, &at("records.protect"))
            }
            Protect::Related(relation) => {
                looks_aside = true;
                Link::resolve(relation, &table, &key, tables, dialect, &at("records.protect"), &mut faults)
                    .map(|link| link.exists(dialect, RECORD, None))
            }
        };
        protect.extend(text);
    }
    let sources = sources(rule, &table, &key, tables, dialect, zone, &mut faults);
    let nodes = super::relate::nodes(rule, sql, &table, &key, tables, dialect, &mut faults);
    let identities = rule
        .person
        .iter()
        .filter_map(|(kind, field)| faults.column(&table, field, &at("person")).map(|column| (*kind, column)))
        .collect();
    let (parts, copies) = (fields(rule, &table, &key, &mut faults), copies(rule, &table, tables, &mut faults));
    let mut touched: Vec<Column> = Vec::new();
    for (column, _) in parts.iter().flatten() {
        if !touched.contains(column) {
            touched.push(column.clone());
        }
    }
    let resolved = Resolved {
        aside: aside(rule, sql, tables),
        allow_no_transactions: sql.allow_no_transactions,
        copies,
        table,
        key,
        sources,
        filter,
        protect,
        looks_aside,
        nodes,
        identities,
        parts,
        touched,
    };
    (Some(resolved), faults.findings)
}

/// The tables that filter and protections look into.
fn aside(rule: &Rule, sql: &SqlSelection, tables: &Tables) -> Vec<Table> {
    let mut names: Vec<&str> = Vec::new();
    let predicates = sql.protect.iter().filter_map(|one| match one {
        Protect::Where(predicate) => Some(predicate),
        Protect::Related(_) => None,
    });
    for predicate in sql.filter.iter().chain(predicates) {
        predicate.visit_relations(&mut |name, _| names.push(name));
    }
    let asked = declared(rule)
        .into_iter()
        .filter(|one| names.contains(&one.table.name.as_str()) || names.contains(&one.table.to_string().as_str()));
    let protecting = sql.protect.iter().filter_map(|one| match one {
        Protect::Related(relation) => Some(relation),
        Protect::Where(_) => None,
    });
    asked.chain(protecting).filter_map(|relation| tables.get(&relation.table).cloned()).collect()
}

fn own_table(tables: &Tables, sql: &SqlSelection, at: &str, faults: &mut Faults) -> Option<Table> {
    let table = known_table(tables, &sql.table, at, faults)?;
    Some(table.clone())
}

/// A table that is there and is one.
pub(super) fn known_table<'a>(
    tables: &'a Tables,
    name: &crate::domain::selection::TableName,
    at: &str,
    faults: &mut Faults,
) -> Option<&'a Table> {
    let Some(table) = tables.get(name) else {
        faults.fault(
            codes::TABLE_MISSING,
            at,
            format!("there is no table `{name}` that this account can see"),
            "name a table as the database has it, letter for letter; the account needs SELECT on it",
        );
        return None;
    };
    if table.kind != TableKind::Table {
        faults.fault(
            codes::NOT_A_TABLE,
            at,
            format!("`{name}` is no table (a view, a virtual or a foreign table)"),
            "name the table that really holds the rows",
        );
        return None;
    }
    Some(table)
}

fn key_columns(table: &Table, sql: &SqlSelection, at: &str, faults: &mut Faults) -> Vec<Column> {
    let names = if sql.key.is_empty() { &table.primary_key } else { &sql.key };
    if names.is_empty() {
        let text = format!("table `{}` has no primary key", table.name.name);
        faults.fault(codes::NO_KEY, at, text, "name the columns of a unique index without NULL in `key = [..]`");
        return Vec::new();
    }
    let columns: Vec<Column> = names.iter().filter_map(|name| faults.column(table, name, at)).collect();
    if columns.len() == names.len() && !table.is_key(names) {
        let text =
            format!("these columns name no single row of `{}`: no unique index over NOT NULL columns", table.name.name);
        faults.fault(codes::NO_KEY, at, text, "use the primary key, or a unique index whose columns are NOT NULL");
    }
    for column in &columns {
        if column.class == TypeClass::Float {
            let text = format!("key column `{}` holds floating-point numbers", column.name);
            faults.fault(codes::FLOAT_KEY, at, text, "use a key of whole numbers, decimals, text or uuids");
        }
    }
    columns
}

fn asks_relations(predicate: &Predicate) -> bool {
    let mut asks = false;
    predicate.visit_relations(&mut |_, _| asks = true);
    asks
}

/// The relation that a name stands for: where the table is declared several times, that of all its rows. Declarations that
/// belong to the record in different ways, or of which each takes other rows, stand for nothing.
fn by_name<'r>(rule: &'r Rule, name: &str) -> Result<&'r Relation, Misfit> {
    let mut named: Vec<&Relation> =
        declared(rule).into_iter().filter(|one| one.table.to_string() == name || one.table.name == name).collect();
    named.sort_by_key(|one| one.filter.is_some());
    let first = *named.first().ok_or_else(|| Misfit::Relation(name.to_string()))?;
    let place = |one: &Relation| (one.table.clone(), one.on.clone(), one.to.clone());
    let same = |one: &&&Relation| place(one) == place(first) && (first.filter.is_none() || one.filter == first.filter);
    if named.iter().all(|one| same(&one)) { Ok(first) } else { Err(Misfit::Ambiguous(name.to_string())) }
}

/// `EXISTS` over a relation that the rule declares, by its table's name.
fn exists(
    rule: &Rule,
    tables: &Tables,
    dialect: &dyn Dialect,
    table: &Table,
    key: &[Column],
    name: &str,
    matching: Option<&Predicate>,
) -> Result<String, Misfit> {
    let relation = by_name(rule, name)?;
    // Faults of the relation itself are told where it is declared.
    let mut aside = Faults { findings: Vec::new() };
    let link = Link::resolve(relation, table, key, tables, dialect, "", &mut aside)
        .ok_or_else(|| Misfit::Relation(name.to_string()))?;
    let matching = matching
        .map(|one| Printer { dialect, table: &link.table, alias: RELATED, exists: &no_relations }.print(one))
        .transpose()?;
    Ok(link.exists(dialect, RECORD, matching.as_deref()))
}

/// Every relation that hangs directly on the record.
pub(super) fn declared(rule: &Rule) -> Vec<&Relation> {
    let Selection::Sql(sql) = &rule.selection;
    let clocks = rule.sources.iter().filter_map(|source| {
        let ClockSource::Sql { relation, .. } = source;
        relation.as_ref()
    });
    let protections = sql.protect.iter().filter_map(|one| match one {
        Protect::Related(relation) => Some(relation),
        Protect::Where(_) => None,
    });
    sql.children.iter().map(|child| &child.relation).chain(clocks).chain(protections).collect()
}

fn sources(
    rule: &Rule,
    table: &Table,
    key: &[Column],
    tables: &Tables,
    dialect: &dyn Dialect,
    zone: Tz,
    faults: &mut Faults,
) -> Vec<Source> {
    let mut out = Vec::new();
    for (place, source) in rule.sources.iter().enumerate() {
        let ClockSource::Sql { column, relation, format, zone: written } = source;
        let at = since_path(rule, place);
        let link = match relation {
            None => None,
            Some(relation) => match Link::resolve(relation, table, key, tables, dialect, &at, faults) {
                Some(link) => Some(link),
                None => continue,
            },
        };
        let Some(column) =
            faults.column(link.as_ref().map_or(table, |link| &link.table), column, &format!("{at}.column"))
        else {
            continue;
        };
        if matches!(
            column.class,
            TypeClass::Binary | TypeClass::Json | TypeClass::Time | TypeClass::Bool | TypeClass::Uuid
        ) {
            let text = format!("clock column `{}` is of type `{}`: no moment stands in it", column.name, column.ty);
            faults.fault(codes::CLOCK_TYPE, &at, text, "name a column that holds a date, a date and time, or an epoch");
        }
        if column.class == TypeClass::Integer && matches!(format, ClockFormat::Iso) {
            let text = format!(
                "clock column `{}` holds whole numbers (`{}`): what they count is not said",
                column.name, column.ty
            );
            faults.fault(
                codes::CLOCK_TYPE,
                &at,
                text,
                "say it: format = \"epoch\" for seconds since 1970, \"epoch-ms\", or a pattern such as \"%Y%m%d\" or \"%Y\"",
            );
        }
        // A moment is stored in UTC whatever the session; everything else was written in the declared zone.
        let zone = if column.class == TypeClass::Moment { Tz::UTC } else { written.unwrap_or(zone) };
        out.push(Source { column, link, format: format.clone(), zone });
    }
    out
}

/// The key of the policy under which a clock source stands.
pub(super) fn since_path(rule: &Rule, source: usize) -> String {
    for part in &rule.parts {
        for ground in &part.grounds {
            let Some(number) = ground.clock.iter().position(|one| *one == source) else { continue };
            let part = part_path(rule, part);
            let ground_at = if ground.id.as_str() == "term" { part } else { format!("{part}.ground.{}", ground.id) };
            let number = if ground.clock.len() == 1 { String::new() } else { format!(".{number}") };
            return format!("{ground_at}.since{number}");
        }
    }
    format!("rule.{}.since", rule.id)
}

/// The key of the policy under which a part stands.
pub(super) fn part_path(rule: &Rule, part: &Part) -> String {
    if rule.parts.len() == 1 && part.id.as_str() == "record" {
        format!("rule.{}", rule.id)
    } else {
        format!("rule.{}.part.{}", rule.id, part.id)
    }
}

fn fields(rule: &Rule, table: &Table, key: &[Column], faults: &mut Faults) -> Vec<Vec<(Column, Recipe)>> {
    let mut out = Vec::new();
    for part in &rule.parts {
        let then = format!("{}.then", part_path(rule, part));
        out.push(match &part.action {
            Action::Delete => Vec::new(),
            Action::Anonymise(recipes) => writable(recipes, table, key, &then, faults),
        });
    }
    out
}

/// The columns that recipes write: they are there, not computed and no part of the key. `then` is the path of what
/// becomes of them.
pub(super) fn writable(
    recipes: &Recipes,
    table: &Table,
    key: &[Column],
    then: &str,
    faults: &mut Faults,
) -> Vec<(Column, Recipe)> {
    let mut out = Vec::new();
    for (field, recipe) in recipes {
        let at = format!("{then}.anonymise.{field}");
        let Some(column) = faults.column(table, field, &at) else { continue };
        if column.generated || key.iter().any(|one| one.name == column.name) {
            let why = if column.generated { "is computed by the database" } else { "is part of the key" };
            let text = format!("column `{field}` of `{}` {why}", table.name.name);
            faults.fault(
                codes::FIELD_NOT_WRITABLE,
                &at,
                text,
                "anonymise the columns that it is made from, or delete the record",
            );
        }
        out.push((column, recipe.clone()));
    }
    out
}

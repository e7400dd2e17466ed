//! `check` against a live database: what a rule needs, and what the database shows of it.

use super::catalogue::{Column, ForeignKey, OnDelete, Table, TypeClass};
use super::connector::SqlConnector;
use super::copies;
use super::partition;
use super::predicate::null_traps;
use super::reads_back;
use super::relate::{Link, Node, NodeAction, covers, named};
use super::resolve::{self, BIG, Faults, Resolved, part_path, since_path};
use super::schema::facts;
use super::tables::{self, Tables};
use crate::codes;
use crate::connect::{ConnectError, Probe, Severity};
use crate::domain::recipe::Recipe;
use crate::domain::rule::Rule;
use crate::domain::selection::{Protect, Selection};

/// How the facts begin that say what else happens when a record goes.
const EFFECTS: [&str; 3] = ["foreign-key ", "trigger ", partition::FACT];

impl SqlConnector {
    pub(super) async fn probe_rule(&self, rule: &Rule) -> Result<Probe, ConnectError> {
        let doing = "check a rule";
        let mut lease = self.reading(doing).await?;
        let session = lease.session();
        let tables = tables::gather(self.engine.as_ref(), session, rule).await.map_err(self.sql(doing))?;
        let server = self.engine.server_findings(session).await.map_err(self.sql(doing))?;
        let (resolved, findings) = resolve::resolve(rule, &tables, self.engine.dialect(), self.zone);
        self.checked(rule, resolved.as_ref()).await;
        let mut faults = Faults { findings };
        faults.findings.extend(server);
        let facts = match &resolved {
            Some(resolved) => {
                let mut check = Check { rule, resolved, tables: &tables, faults: &mut faults };
                check.run();
                let (engine, pseudonym) = (self.engine.as_ref(), &self.keys.pseudonym);
                partition::ask(engine, session, rule, resolved, &mut faults).await.map_err(self.sql(doing))?;
                reads_back::ask(engine, session, pseudonym, rule, resolved, &mut faults)
                    .await
                    .map_err(self.sql(doing))?;
                if faults.findings.iter().any(|one| one.severity == Severity::Fault) {
                    String::new()
                } else {
                    partition::with_fact(rule, facts(resolved))
                }
            }
            None => String::new(),
        };
        lease.keep();
        faults.findings.sort_by(|a, b| (a.severity, a.code.id, &a.at).cmp(&(b.severity, b.code.id, &b.at)));
        let effects: Vec<&str> =
            facts.lines().filter(|line| EFFECTS.iter().any(|kind| line.starts_with(kind))).collect();
        let effects = effects.join("\n");
        Ok(Probe { facts, effects, findings: faults.findings })
    }
}

struct Check<'a> {
    rule: &'a Rule,
    resolved: &'a Resolved,
    tables: &'a Tables,
    faults: &'a mut Faults,
}

impl Check<'_> {
    fn run(&mut self) {
        self.clocks();
        self.references();
        copies::served(self.rule, self.resolved, self.faults);
        for place in 0..self.resolved.nodes.len() {
            self.blocking(place);
        }
        self.recipes();
        self.tables();
        self.nulls();
    }

    fn at(&self, what: &str) -> String {
        format!("rule.{}.{what}", self.rule.id)
    }

    /// An index on the clock, or a table small enough to be read.
    fn clocks(&mut self) {
        let Selection::Sql(sql) = &self.rule.selection;
        for (place, source) in self.resolved.sources.iter().enumerate().filter(|(_, source)| source.link.is_none()) {
            let table = &self.resolved.table;
            if table.has_index_on(std::slice::from_ref(&source.column.name)) {
                continue;
            }
            let text = format!(
                "no index serves clock `{}` of `{}` (about {} rows)",
                source.column.name, table.name.name, table.estimate
            );
            let grave = table.estimate > BIG && !sql.allow_scan;
            let severity = if grave { Severity::Fault } else { Severity::Note };
            let at = since_path(self.rule, place);
            self.faults.add(
                severity,
                codes::NO_CLOCK_INDEX,
                &at,
                text,
                "add an index on the clock, or accept a full reading with `allow-scan = true`",
            );
        }
    }

    /// An index on each reference: without one every batch reads the whole child table.
    fn references(&mut self) {
        let clocks = self.resolved.sources.iter().filter_map(|source| source.link.as_ref());
        let children = self.resolved.nodes.iter().flat_map(|node| node.link.iter().chain(&node.loops));
        for link in clocks.chain(children) {
            let names = link.on_names();
            if !link.table.has_index_on(&names) {
                let text = format!("no index of `{}` starts with {}", link.table.name.name, names.join(", "));
                self.faults.add(
                    Severity::Warning,
                    codes::NO_REFERENCE_INDEX,
                    &link.table_at(),
                    text,
                    "add an index on the referring columns",
                );
            }
        }
    }

    /// Foreign keys into what goes, from tables that the rule does not name.
    fn blocking(&mut self, place: usize) {
        let Some(node) = self.resolved.nodes.get(place) else { return };
        let goes = node.action == NodeAction::Delete && (place > 0 || self.rule.record_part().is_some());
        if !goes {
            return;
        }
        for key in node.table.referenced_by.iter().filter(|key| !covers(&self.resolved.nodes, place, key)) {
            let (code, what) = match key.on_delete {
                OnDelete::Refuse => (codes::FK_BLOCKS, "would block the erasing"),
                OnDelete::Cascade => (codes::FK_CASCADES, "would go unseen by cascade"),
                OnDelete::Clear => (codes::FK_CASCADES, "would lose their reference unseen"),
            };
            // Rows that another node of the same tree takes are gone before this one.
            if self.taken_elsewhere(key) {
                continue;
            }
            let text = format!(
                "rows of `{}` ({}) refer to `{}` and {what}",
                key.table.name,
                key.columns.join(", "),
                node.table.name.name
            );
            if let Some(child) = named(&self.resolved.nodes, place, key) {
                let text = format!("{text}, though they are children: not all of them go or are cleared before it");
                let remedy = "let the child take all rows (no `where`) and delete or clear them, or give the foreign key \
                              another ON DELETE";
                let at = if child.filter.is_some() { "where" } else { "then" };
                self.faults.fault(code, &format!("{}.{at}", child.at), text, remedy);
                continue;
            }
            let at = self.unnamed(node);
            self.faults.fault(code, &at, text, "name the table in `children`, or set `follow-foreign-keys = true`");
        }
        self.conditional(node, place);
    }

    /// Where the policy should have named a table that refers to this one.
    fn unnamed(&self, node: &Node) -> String {
        let Selection::Sql(sql) = &self.rule.selection;
        match (&node.link, self.rule.record_part()) {
            (Some(link), _) => link.table_at(),
            (None, Some(part)) if sql.children.is_empty() => format!("{}.then", part_path(self.rule, part)),
            (None, _) => self.at("children"),
        }
    }

    /// A foreign key within the tree, between two tables that both hang on the same record.
    fn taken_elsewhere(&self, key: &ForeignKey) -> bool {
        key.on_delete == OnDelete::Refuse
            && self.resolved.nodes.iter().any(|node| {
                node.table.name == key.table
                    && node.action == NodeAction::Delete
                    && node.link.as_ref().is_some_and(|link| link.filter.is_none())
            })
    }

    /// A child with a condition leaves rows behind that its foreign key will not leave.
    fn conditional(&mut self, node: &Node, place: usize) {
        let below = self.resolved.nodes.iter().filter(|child| child.parent == Some(place));
        for link in below.filter_map(|child| child.link.as_ref()).filter(|link| link.filter.is_some()) {
            let bound = node
                .table
                .referenced_by
                .iter()
                .any(|key| key.table == link.table.name && key.columns == link.on_names());
            if bound {
                let text = format!(
                    "only some rows of `{}` are children, and the others refer to the record too",
                    link.table.name.name
                );
                self.faults.add(
                    Severity::Warning,
                    codes::FK_BLOCKS,
                    &format!("{}.where", link.at),
                    text,
                    "records with such other rows will stay; leave the condition out to take them all",
                );
            }
        }
    }

    /// Recipes against the constraints of their columns.
    fn recipes(&mut self) {
        for field in reads_back::fields(self.rule, self.resolved) {
            self.recipe(field.table, field.column, field.recipe, &field.at);
        }
    }

    /// A column that other rows refer to: the server refuses another value, or carries it on to them.
    fn referred(&mut self, table: &Table, column: &Column, named: &str, at: &str) {
        for key in table.referenced_by.iter().filter(|key| key.target_columns.contains(&column.name)) {
            let text = format!(
                "rows of `{}` ({}) refer to {named}: the database would not let it change, or change them too, unseen",
                key.table.name,
                key.columns.join(", ")
            );
            self.faults.fault(codes::FK_CASCADES, at, text, "leave this column as it is, and anonymise the others");
        }
    }

    fn recipe(&mut self, table: &Table, column: &Column, recipe: &Recipe, at: &str) {
        let named = format!("`{}`.`{}`", table.name.name, column.name);
        if *recipe == Recipe::Null && !column.nullable {
            let text = format!("{named} may not be NULL");
            self.faults.fault(codes::NULL_CONFLICT, at, text, "use a fixed text instead of \"null\"");
        }
        if *recipe == Recipe::Marker && !column.nullable {
            let text = format!("{named} may not be NULL, so a marker would stand in every row already");
            self.faults.fault(codes::NULL_CONFLICT, at, text, "use a column that may be NULL as the marker");
        }
        self.referred(table, column, &named, at);
        let unique = table.unique.iter().any(|key| key.contains(&column.name));
        let same = matches!(recipe, Recipe::Fixed(_) | Recipe::Truncate(_));
        if unique && same {
            let text = format!("{named} is unique: a second record can't get the same value");
            self.faults.fault(codes::UNIQUE_CONFLICT, at, text, "use a template with {key}, a pseudonym, or \"null\"");
        }
        let partly = table.partly_unique.iter().filter(|(name, _)| *name == column.name).map(|(_, rows)| *rows).max();
        if let (false, true, Some(all_rows)) = (unique, same, partly) {
            let severity = if all_rows { Severity::Fault } else { Severity::Warning };
            let text = format!("a unique index speaks of {named}: a second record may not get the same value");
            let remedy =
                "read that index; use a template with {key}, a pseudonym, or \"null\" where it covers these records";
            self.faults.add(severity, codes::UNIQUE_CONFLICT, at, text, remedy);
        }
        let length = match recipe {
            Recipe::Fixed(text) => Some(text.chars().count() as u64),
            Recipe::Template(text) => Some(text.replace("{key}", "").chars().count() as u64 + 1),
            Recipe::Pseudonym { length } => Some(u64::from(*length)),
            _ => None,
        };
        if let (Some(length), Some(most)) = (length, column.max_chars)
            && length > most
        {
            let text = format!("{named} holds {most} characters, and this recipe writes {length} or more");
            self.faults.fault(codes::TOO_LONG, at, text, "write less");
        }
        let text_only = matches!(recipe, Recipe::Template(_) | Recipe::Pseudonym { .. });
        let no_text = matches!(
            column.class,
            TypeClass::Integer
                | TypeClass::Decimal
                | TypeClass::Float
                | TypeClass::Bool
                | TypeClass::Date
                | TypeClass::DateTime
                | TypeClass::Moment
                | TypeClass::Time
                | TypeClass::Uuid
        );
        if text_only && no_text {
            let text = format!("{named} is of type `{}`, and this recipe writes text", column.ty);
            self.faults.fault(codes::RECIPE_TYPE, at, text, "use \"null\", or a fixed value of that type");
        }
    }

    fn tables(&mut self) {
        let Selection::Sql(sql) = &self.rule.selection;
        let mut seen: Vec<&str> = Vec::new();
        for node in &self.resolved.nodes {
            if seen.contains(&node.table.name.name.as_str()) {
                continue;
            }
            seen.push(&node.table.name.name);
            let at = node.link.as_ref().map_or_else(|| self.at("records.table"), Link::table_at);
            self.table(&node.table, &at, sql.allow_no_transactions);
        }
    }

    fn table(&mut self, table: &Table, at: &str, allowed: bool) {
        let name = &table.name.name;
        if !table.triggers.is_empty() {
            let text = format!("triggers of `{name}` fire when rows go or change: {}", table.triggers.join(", "));
            self.faults.add(
                Severity::Warning,
                codes::TRIGGERS,
                at,
                text,
                "read them: a trigger may copy what is erased into another table",
            );
        }
        if !table.transactional {
            let text = format!("`{name}` has no transactions: what is half done can't be rolled back");
            let severity = if allowed { Severity::Warning } else { Severity::Fault };
            self.faults.add(
                severity,
                codes::NO_TRANSACTIONS,
                at,
                text,
                "convert the table, or accept it with `allow-no-transactions = true`",
            );
        }
        if table.partitioned {
            self.faults.add(
                Severity::Note,
                codes::PARTITIONED,
                at,
                format!("`{name}` is partitioned"),
                "nothing to do: rows are erased in whichever partition they are",
            );
        }
        if table.row_security {
            let text = format!("row-level security hides rows of `{name}` from this account");
            self.faults.fault(
                codes::ROW_SECURITY,
                at,
                text,
                "give the account BYPASSRLS, or a policy that shows it every row",
            );
        }
        if table.versioned {
            let text = format!("`{name}` is system-versioned: deleted rows stay readable in its history");
            self.faults.add(
                Severity::Warning,
                codes::VERSIONED,
                at,
                text,
                "drop the history on a schedule, or drop system versioning",
            );
        }
    }

    /// What NULL does to `where` and `protect`.
    fn nulls(&mut self) {
        let Selection::Sql(sql) = &self.rule.selection;
        let table = &self.resolved.table;
        if let Some(filter) = &sql.filter {
            for name in null_traps(filter, table) {
                let text = format!(
                    "records whose `{name}` is NULL are not selected: a comparison with NULL is neither true nor false"
                );
                let at = self.at("records.where");
                self.faults.add(
                    Severity::Note,
                    codes::NULL_IN_WHERE,
                    &at,
                    text,
                    "add `OR column IS NULL` if they belong to the rule",
                );
            }
        }
        for predicate in sql.protect.iter().filter_map(|one| match one {
            Protect::Where(predicate) => Some(predicate),
            Protect::Related(_) => None,
        }) {
            for name in null_traps(predicate, table) {
                let text = format!(
                    "records whose `{name}` is NULL are not protected: a comparison with NULL is neither true nor false"
                );
                let at = self.at("records.protect");
                self.faults.add(
                    Severity::Warning,
                    codes::NULL_IN_WHERE,
                    &at,
                    text,
                    "add `OR column IS NULL` if they must be protected",
                );
            }
        }
        debug_assert!(self.tables.get(&table.name).is_some(), "a resolved table was gathered");
    }
}

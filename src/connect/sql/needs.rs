//! The rights that rules need.

use super::connector::SqlConnector;
use super::copies::copy_path;
use super::engine::{BATCH_TABLE, Dialect, FaultKind, Need, Session, SqlFault};
use super::relate::{Link, NodeAction};
use super::resolve::{self, Resolved, declared, since_path};
use super::{fault, tables};
use crate::connect::{ConnectError, Finding};
use crate::domain::id::SystemId;
use crate::domain::predicate::Predicate;
use crate::domain::rule::{Action, Rule};
use crate::domain::selection::{Child, ChildAction, ClockSource, Protect, Selection, TableName};

impl SqlConnector {
    pub(super) async fn rights_of(&self, rules: &[&Rule]) -> Result<Vec<Finding>, ConnectError> {
        let doing = "check the account's rights";
        let mut lease = self.reading(doing).await?;
        let needs = self.needs(lease.session(), rules).await.map_err(self.sql(doing))?;
        let findings = self.engine.rights(lease.session(), &needs).await.map_err(self.sql(doing))?;
        lease.keep();
        Ok(findings)
    }

    /// The statements for an account that may do what these rules need. Where the database shows the account nothing
    /// yet, from the policy alone, and they say so.
    pub(super) async fn grants_for(&self, rules: &[&Rule]) -> Result<Vec<String>, ConnectError> {
        let doing = "list the rights that rules need";
        let batch = self.batch_table.then(|| batch_need(&self.system)).into_iter();
        let mut lease = match self.read.lease(self.engine.as_ref()).await {
            Ok(lease) => lease,
            Err(found) if matches!(found.kind, FaultKind::Refused | FaultKind::NoRight) => {
                let needs = rules.iter().flat_map(|rule| by_policy(rule)).chain(batch);
                return Ok(self.granted(needs, Some(&found.to_string())));
            }
            Err(found) => return Err(self.sql(doing)(found)),
        };
        let hidden = self.engine.hides_tables(lease.session()).await.map_err(self.sql(doing))?;
        let (mut needs, mut unseen) = (Vec::new(), false);
        for rule in rules {
            let Selection::Sql(sql) = &rule.selection;
            unseen |= hidden && sql.follow_foreign_keys;
            let tables = tables::gather(self.engine.as_ref(), lease.session(), rule).await.map_err(self.sql(doing))?;
            // Of tables that foreign keys lead from the catalogue may show the name alone.
            let closed = tables
                .without_columns()
                .map(|table| plain(&table.name, format!("rule.{}.follow-foreign-keys", rule.id)));
            needs.extend(closed.inspect(|_| unseen = true));
            let (resolved, findings) = resolve::resolve(rule, &tables, self.engine.dialect(), self.zone);
            match resolved {
                Some(resolved) => needs.extend(needs_of(rule, &resolved, self.engine.dialect())),
                // A name that is wrong looks just like one that is hidden: the administrator's database tells them apart.
                None if hidden => {
                    unseen = true;
                    needs.extend(by_policy(rule));
                }
                None => return Err(fault::from_findings(&self.system, doing, &findings)),
            }
        }
        lease.keep();
        let owned = rules.iter().filter(|rule| rule.drop_partitions);
        let owned: Vec<String> = owned
            .map(|rule| {
                let (rule, table) = (&rule.id, rule.selection.collection());
                format!("-- Rule {rule} drops partitions of {table}: let the account own each of them (ALTER TABLE .. OWNER TO ..).")
            })
            .collect();
        let why = unseen.then_some("the account is not shown every table yet");
        let mut out = self.granted(needs.into_iter().chain(batch), why);
        out.extend(owned);
        Ok(out)
    }

    fn granted(&self, needs: impl Iterator<Item = Need>, from_policy: Option<&str>) -> Vec<String> {
        let mut all: Vec<Need> = Vec::new();
        for need in needs {
            merge(&mut all, need);
        }
        let mut out = Vec::new();
        if let Some(why) = from_policy {
            out.push(format!("-- From what can be seen so far, for {why}."));
            out.push(
                "-- Let an administrator of the database run these (and make the account first, if need be).".into(),
            );
            out.push(format!("-- Then ask `bewaard grants {}` again: it will see more.", self.system));
        }
        if self.batch_table {
            out.extend(self.engine.batch_table_by_administrator());
        }
        out.extend(self.engine.grants(&all));
        out
    }

    /// What the account needs for these rules, each table once; of a rule that does not fit, what does.
    async fn needs(&self, session: &mut dyn Session, rules: &[&Rule]) -> Result<Vec<Need>, SqlFault> {
        let mut needs: Vec<Need> = Vec::new();
        for rule in rules {
            let tables = tables::gather(self.engine.as_ref(), session, rule).await?;
            let (resolved, _) = resolve::resolve(rule, &tables, self.engine.dialect(), self.zone);
            for need in resolved.iter().flat_map(|resolved| needs_of(rule, resolved, self.engine.dialect())) {
                merge(&mut needs, need);
            }
        }
        if self.batch_table {
            merge(&mut needs, batch_need(&self.system));
        }
        Ok(needs)
    }
}

fn merge(needs: &mut Vec<Need>, need: Need) {
    match needs.iter_mut().find(|one| one.table == need.table) {
        Some(one) => {
            one.delete |= need.delete;
            one.insert |= need.insert;
            one.lock |= need.lock;
            one.update.extend(need.update);
            one.update.sort();
            one.update.dedup();
        }
        None => needs.push(need),
    }
}

fn plain(table: &TableName, at: String) -> Need {
    Need { table: table.clone(), select: true, delete: false, insert: false, update: Vec::new(), lock: false, at }
}

/// The table that proves batches is read and written.
fn batch_need(system: &SystemId) -> Need {
    plain(&TableName { schema: None, name: BATCH_TABLE.into() }, format!("system.{system}.batch-table"))
}

/// What a rule needs, as far as its text says it: no foreign key that is followed, and no column that the server sets.
fn by_policy(rule: &Rule) -> Vec<Need> {
    fn below(children: &[Child], above: &TableName, insert: bool, at: &str, out: &mut Vec<Need>) {
        for (number, child) in children.iter().enumerate() {
            let table = &child.relation.table;
            let at = format!("{at}.children.{number}");
            let mut need = Need { lock: true, ..plain(table, format!("{at}.table")) };
            match &child.then {
                ChildAction::Delete => {
                    need.delete = true;
                    need.insert = insert;
                }
                ChildAction::Clear => need.update.clone_from(&child.relation.on),
                ChildAction::Anonymise(recipes) => need.update = recipes.keys().cloned().collect(),
            }
            // Some servers want a reference of a row to itself cleared before it goes.
            if table == above {
                need.update.extend(child.relation.on.iter().cloned());
            }
            out.push(need);
            below(&child.children, table, insert, &at, out);
        }
    }
    let Selection::Sql(sql) = &rule.selection;
    let at = |what: &str| format!("rule.{}.{what}", rule.id);
    let mut record = Need { lock: true, ..plain(&sql.table, at("records.table")) };
    record.delete = rule.record_part().is_some();
    for part in &rule.parts {
        if let Action::Anonymise(recipes) = &part.action {
            record.update.extend(recipes.keys().cloned());
        }
    }
    let deletes = record.delete;
    record.insert = deletes && rule.undo.is_some();
    let insert = record.insert;
    let mut out = vec![record];
    if deletes {
        below(&sql.children, &sql.table, insert, &format!("rule.{}", rule.id), &mut out);
    }
    // What filter and protections look into: a child only where one of them asks for it.
    let mut asked: Vec<String> = Vec::new();
    let mut protecting: Vec<&TableName> = Vec::new();
    let mut note = |predicate: &Predicate| predicate.visit_relations(&mut |name, _| asked.push(name.to_string()));
    sql.filter.iter().for_each(&mut note);
    for one in &sql.protect {
        match one {
            Protect::Where(predicate) => note(predicate),
            Protect::Related(relation) => protecting.push(&relation.table),
        }
    }
    let named = declared(rule).into_iter().map(|relation| &relation.table);
    let named = named.filter(|table| asked.contains(&table.name) || asked.contains(&table.to_string()));
    out.extend(named.chain(protecting).map(|table| plain(table, at("records.where"))));
    let clocks = rule.sources.iter().enumerate().filter_map(|(place, ClockSource::Sql { relation, .. })| {
        relation.as_ref().map(|relation| (format!("{}.table", since_path(rule, place)), relation))
    });
    out.extend(clocks.map(|(at, relation)| Need { lock: true, ..plain(&relation.table, at) }));
    let copies = rule.copies.iter().enumerate();
    out.extend(copies.map(|(place, copy)| plain(&copy.table, format!("{}.table", copy_path(rule, place)))));
    out
}

fn needs_of(rule: &Rule, resolved: &Resolved, dialect: &dyn Dialect) -> Vec<Need> {
    let at = |what: &str| format!("rule.{}.{what}", rule.id);
    let mut out = Vec::new();
    let deletes = rule.record_part().is_some();
    for (place, node) in resolved.nodes.iter().enumerate() {
        let at = node.link.as_ref().map_or_else(|| at("records.table"), Link::table_at);
        let mut one = plain(&node.table.name, at);
        one.lock = true;
        match &node.action {
            NodeAction::Delete => {
                one.delete = deletes;
                one.insert = deletes && rule.undo.is_some();
            }
            NodeAction::Clear => one.update = node.link.as_ref().map(Link::on_names).unwrap_or_default(),
            NodeAction::Anonymise(fields) => {
                one.update = fields.iter().map(|(column, _)| column.name.clone()).collect();
            }
        }
        if place > 0 && !deletes {
            // Children go only with their record.
            continue;
        }
        if deletes && !dialect.deletes_rows_that_refer_to_themselves() {
            one.update.extend(node.loops.iter().flat_map(Link::on_names));
        }
        if place == 0 {
            one.update.extend(resolved.touched.iter().map(|column| column.name.clone()));
        }
        let writes = matches!(node.action, NodeAction::Anonymise(_) | NodeAction::Clear)
            || (place == 0 && !resolved.touched.is_empty());
        if writes {
            // Written as they are, so that our own update does not move them.
            let kept = node.table.columns.iter().filter(|column| column.set_by_updates);
            one.update.extend(kept.map(|column| column.name.clone()));
        }
        out.push(one);
    }
    for source in resolved.sources.iter().filter_map(|source| source.link.as_ref()) {
        let mut one = plain(&source.table.name, source.table_at());
        one.lock = true;
        out.push(one);
    }
    out.extend(resolved.aside.iter().map(|table| plain(&table.name, at("records.where"))));
    let copies = resolved.copies.iter();
    out.extend(copies.map(|copy| plain(&copy.table.name, format!("{}.table", copy.at))));
    out
}

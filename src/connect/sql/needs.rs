//! The rights that rules need.

use super::catalogue::Table;
use super::connector::SqlConnector;
use super::engine::{Dialect, Need};
use super::relate::{Link, NodeAction};
use super::resolve::Resolved;
use crate::connect::{ConnectError, Finding};
use crate::domain::rule::Rule;

impl SqlConnector {
    pub(super) async fn rights_of(&self, rules: &[&Rule]) -> Result<Vec<Finding>, ConnectError> {
        let needs = self.needs(rules).await?;
        let doing = "check the account's rights";
        let mut lease = self.reading(doing).await?;
        let findings = self.engine.rights(lease.session(), &needs).await.map_err(self.sql(doing))?;
        lease.keep();
        Ok(findings)
    }

    pub(super) async fn grants_for(&self, rules: &[&Rule]) -> Result<Vec<String>, ConnectError> {
        Ok(self.engine.grants(&self.needs(rules).await?))
    }

    /// What the account needs for these rules, each table once.
    async fn needs(&self, rules: &[&Rule]) -> Result<Vec<Need>, ConnectError> {
        let mut needs: Vec<Need> = Vec::new();
        for rule in rules {
            let resolved = self.resolved(rule, "list the rights that rules need").await?;
            for need in needs_of(rule, &resolved, self.engine.dialect()) {
                match needs.iter_mut().find(|one| one.table == need.table) {
                    Some(one) => {
                        one.delete |= need.delete;
                        one.lock |= need.lock;
                        one.update.extend(need.update);
                        one.update.sort();
                        one.update.dedup();
                    }
                    None => needs.push(need),
                }
            }
        }
        Ok(needs)
    }
}

fn needs_of(rule: &Rule, resolved: &Resolved, dialect: &dyn Dialect) -> Vec<Need> {
    let need = |table: &Table, what: &str| Need {
        table: table.name.clone(),
        select: true,
        delete: false,
        update: Vec::new(),
        lock: false,
        at: format!("rule.{}.{what}", rule.id),
    };
    let mut out = Vec::new();
    let deletes = rule.record_part().is_some();
    for (place, node) in resolved.nodes.iter().enumerate() {
        let mut one = need(&node.table, if place == 0 { "records.table" } else { "children" });
        one.lock = true;
        match &node.action {
            NodeAction::Delete => one.delete = deletes,
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
        let writes = matches!(node.action, NodeAction::Anonymise(_)) || (place == 0 && !resolved.touched.is_empty());
        if writes {
            // Written as they are, so that our own update does not move them.
            let kept = node.table.columns.iter().filter(|column| column.set_by_updates);
            one.update.extend(kept.map(|column| column.name.clone()));
        }
        out.push(one);
    }
    for source in resolved.sources.iter().filter_map(|source| source.link.as_ref()) {
        let mut one = need(&source.table, "since");
        one.lock = true;
        out.push(one);
    }
    out.extend(resolved.aside.iter().map(|table| need(table, "records.where")));
    out
}

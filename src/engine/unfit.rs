//! A rule that does not fit its system, told whole: every fault, and how many rows would have gone along unseen.

use std::collections::BTreeMap;
use std::fmt;

use super::Engine;
use super::survey::{Progress, Reach, walk};
use crate::codes;
use crate::connect::{Connector, Finding, Severity};
use crate::domain::decide::Moment;
use crate::domain::rule::Rule;
use crate::domain::selection::Selection;

/// Why a rule can't be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Every fault that the system shows.
    pub faults: Vec<Finding>,
    /// What the records that are due would take along by foreign keys of tables that the rule does not name, where that
    /// is a fault and was asked for.
    pub unseen: Option<Unseen>,
}

/// Rows that nobody named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unseen {
    /// Counted.
    Rows {
        /// Records that are due.
        due: u64,
        /// Rows that would go with them, or lose their reference, by table.
        tables: BTreeMap<String, u64>,
    },
    /// Why they could not be counted.
    NotCounted(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, one) in self.faults.iter().enumerate() {
            let apart = if number == 0 { "" } else { "\n  and: " };
            write!(f, "{apart}{} ({}): {}", one.text, one.code.id, one.remedy)?;
        }
        match &self.unseen {
            None => Ok(()),
            Some(Unseen::NotCounted(why)) => {
                write!(f, "\n  how many rows that would be can't be counted: {why}")
            }
            Some(Unseen::Rows { due, tables }) => {
                write!(f, "\n  with the records that are due now ({due}) would go, or lose their reference:")?;
                for (table, rows) in tables {
                    write!(f, "\n    rows of {table}: {rows}")?;
                }
                Ok(())
            }
        }
    }
}

impl Engine {
    /// The faults among what a probe found, with what the system would do unseen where `count` asks for it.
    pub(super) async fn unfit(
        &self,
        connector: &dyn Connector,
        rule: &Rule,
        moment: Moment,
        found: &[Finding],
        count: Option<&dyn Progress>,
    ) -> Option<Unfit> {
        let fault = |one: &&Finding| one.severity == Severity::Fault;
        let faults: Vec<Finding> = found.iter().filter(fault).cloned().collect();
        if faults.is_empty() {
            return None;
        }
        let along = |one: &Finding| one.code.id == codes::FK_CASCADES.id || one.code.id == codes::FK_BLOCKS.id;
        // With any other fault what is due can't be told.
        let unseen = match count {
            Some(progress) if faults.iter().all(along) => Some(self.unseen(connector, rule, moment, progress).await),
            _ => None,
        };
        Some(Unfit { faults, unseen })
    }

    /// What would go along if the rule named every table from which a foreign key leads to what goes.
    async fn unseen(&self, connector: &dyn Connector, rule: &Rule, moment: Moment, progress: &dyn Progress) -> Unseen {
        let mut wider = rule.clone();
        let Selection::Sql(sql) = &mut wider.selection;
        sql.follow_foreign_keys = true;
        let counted = async {
            let named = connector.dependants(rule, &[]).await?;
            let walked =
                walk(connector, &wider, moment, &self.holds, Reach::OnlyDue, progress, &mut |_, _| Ok(())).await?;
            let mut tables = walked.survey.children;
            tables.retain(|table, _| !named.contains_key(table));
            let whole = rule.record_part().and_then(|part| walked.survey.due_by_part.get(&part.id));
            Ok::<_, super::EngineError>(Unseen::Rows { due: whole.copied().unwrap_or(0), tables })
        };
        counted.await.unwrap_or_else(|error| Unseen::NotCounted(error.to_string()))
    }
}

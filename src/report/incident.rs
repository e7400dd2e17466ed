//! `bewaard incident`: what a controller needs when a purge was wrong, in the order of GDPR art. 33(3). No values.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::Serialize;

use super::words::{count, number};

/// Everything that the log and the policy say of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Incident {
    /// The run.
    pub run: String,
    /// Its rule.
    pub rule: String,
    /// What the rule does, a line for each part; empty where the policy no longer has it.
    pub does: Vec<String>,
    /// The system; `None` where the policy no longer has the rule.
    pub system: Option<String>,
    /// When the run began.
    pub began: DateTime<Utc>,
    /// When its last entry was written.
    pub last: DateTime<Utc>,
    /// How it ended; `None` while it runs, or after a crash.
    pub how: Option<String>,
    /// The user id that started it.
    pub uid: u32,
    /// Pairs by part and outcome.
    pub outcomes: BTreeMap<String, BTreeMap<String, u64>>,
    /// Distinct records of which something went, or may have.
    pub records: u64,
    /// The table of the records.
    pub table: Option<String>,
    /// Rows of other tables that went or were changed with them.
    pub children: BTreeMap<String, u64>,
    /// The lines of the policy's inventory for the system: categories, purposes and the like.
    pub inventory: BTreeMap<String, Vec<String>>,
    /// The plan that it carried out.
    pub plan: String,
    /// When that plan was made.
    pub plan_made: Option<DateTime<Utc>>,
    /// Who opened the gate.
    pub approval: Option<Approved>,
    /// The controller that the policy names.
    pub controller: String,
    /// Actors that the policy declares for the controller.
    pub contacts: Vec<String>,
    /// Since when it is known.
    pub known_since: DateTime<Utc>,
    /// 72 hours later: art. 33(1).
    pub notify_by: DateTime<Utc>,
    /// Where what went is.
    pub undo: UndoState,
    /// Undos so far.
    pub undos: Vec<Undone>,
    /// Pairs of which nobody knows what became.
    pub unknown: u64,
    /// What keeps the rule from running again now; `None`: nothing does.
    pub stopped: Option<String>,
}

/// Who opened the gate for a run.
#[derive(Debug, Clone, Serialize)]
pub struct Approved {
    /// When.
    pub at: DateTime<Utc>,
    /// The plan that was approved.
    pub plan: String,
    /// `typed`, or `signed`.
    pub method: String,
    /// The user id.
    pub uid: u32,
    /// The declared actor of a signed approval.
    pub actor: Option<String>,
    /// `person`, or `unchanged-set`.
    pub basis: String,
    /// Limits that it went beyond.
    pub beyond: Vec<String>,
}

/// One undo.
#[derive(Debug, Clone, Serialize)]
pub struct Undone {
    /// When.
    pub at: DateTime<Utc>,
    /// Answers, counted.
    pub answers: BTreeMap<String, u64>,
}

/// Where what went is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum UndoState {
    /// The rule had no undo window.
    None,
    /// It is in quarantine.
    Kept {
        /// Until then.
        until: NaiveDate,
        /// Pairs that were kept.
        kept: u64,
        /// Pairs that are back.
        back: u64,
    },
    /// Its key was destroyed.
    Gone {
        /// It was kept until then.
        until: NaiveDate,
        /// Pairs that were put back before.
        back: u64,
    },
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn listed(counts: &BTreeMap<String, u64>) -> String {
    let words: Vec<String> = counts.iter().map(|(word, n)| format!("{} {word}", number(*n))).collect();
    if words.is_empty() { "none".into() } else { words.join(", ") }
}

impl Incident {
    /// The text for a person.
    pub fn text(&self) -> String {
        let mut lines =
            vec![format!("Facts for a breach notification about {} (GDPR art. 33)", self.run), String::new()];
        lines.extend(self.nature());
        lines.extend(self.when());
        lines.extend(self.contact());
        lines.push("4. Likely consequences (art. 33(3)(c))".into());
        lines.push(
            "   [to be filled in by a person: bewaard knows tables and counts, not what they mean to anybody]".into(),
        );
        lines.push(String::new());
        lines.extend(self.measures());
        lines.extend(self.not_known());
        lines.join("\n")
    }

    fn nature(&self) -> Vec<String> {
        let mut lines = vec!["1. Nature (art. 33(3)(a)): personal data were erased or changed".to_string()];
        let system = self.system.as_deref().unwrap_or("no longer in the policy");
        lines.push(format!("   rule {}, system {system}", self.rule));
        if self.does.is_empty() {
            lines.push("   the policy no longer has this rule: what it did stands in the policy of that day".into());
        }
        lines.extend(self.does.iter().map(|does| format!("   {does}")));
        for (part, outcomes) in &self.outcomes {
            lines.push(format!("   part {part}: {}", listed(outcomes)));
        }
        let table = self.table.as_ref().map_or(String::new(), |table| format!(" of {table}"));
        lines.push(format!("   records concerned{table}: {}", number(self.records)));
        lines.push(format!(
            "   persons concerned: at most {}, if each record is about one person; rows below may be about others",
            number(self.records)
        ));
        for (table, rows) in &self.children {
            lines.push(format!("   with them, in {table}: {}", count(*rows, "row", "rows")));
        }
        for (line, texts) in &self.inventory {
            lines.push(format!("   {line} (inventory of the policy): {}", texts.join("; ")));
        }
        lines.push(String::new());
        lines
    }

    fn when(&self) -> Vec<String> {
        let how = self.how.as_deref().unwrap_or("has not ended");
        let mut lines = vec![
            "2. When, and on whose word".to_string(),
            format!("   began {} by user id {}, last entry {}, {how}", moment(self.began), self.uid, moment(self.last)),
        ];
        let made = self.plan_made.map_or(String::new(), |at| format!(", made {}", moment(at)));
        lines.push(format!("   carried out plan {}{made}", self.plan));
        lines.push(match &self.approval {
            None => "   no approval stands in the log before it".into(),
            Some(approval) => {
                let who = approval.actor.as_ref().map_or(String::new(), |actor| format!(", actor {actor}"));
                let beyond = if approval.beyond.is_empty() {
                    String::new()
                } else {
                    format!(", beyond its limit ({})", approval.beyond.join(", "))
                };
                format!(
                    "   the gate was opened {} with plan {}: {} by user id {}{who}, basis {}{beyond}",
                    moment(approval.at),
                    approval.plan,
                    approval.method,
                    approval.uid,
                    approval.basis
                )
            }
        });
        lines.push(format!("   known since {} (--known-since)", moment(self.known_since)));
        lines.push(format!("   72 hours end {} (art. 33(1))", moment(self.notify_by)));
        lines.push(String::new());
        lines
    }

    fn contact(&self) -> Vec<String> {
        let named = if self.controller.is_empty() { "not named in the policy" } else { &self.controller };
        let mut lines = vec!["3. Contact (art. 33(3)(b))".to_string(), format!("   controller: {named}")];
        if !self.contacts.is_empty() {
            lines.push(format!("   actors of the controller: {}", self.contacts.join(", ")));
        }
        lines.push("   [data protection officer or contact point: to be filled in by a person]".into());
        lines.push(String::new());
        lines
    }

    fn measures(&self) -> Vec<String> {
        let mut lines = vec!["5. Measures (art. 33(3)(d))".to_string()];
        match &self.undo {
            UndoState::None => lines.push(
                "   bewaard can't put it back: the rule had no undo window. Look for backups: the system's own, and the host's"
                    .into(),
            ),
            UndoState::Kept { until, kept, back } => {
                let left = kept.saturating_sub(*back);
                lines.push(format!("   in quarantine until {until}: {} kept, {} put back, {} still can be", number(*kept), number(*back), number(left)));
                if left > 0 {
                    lines.push(format!("   put it back:  bewaard undo {} --reason \"...\"", self.run));
                }
            }
            UndoState::Gone { until, back } => lines.push(format!(
                "   was in quarantine until {until}; its key is destroyed, and what was not put back ({} was) is gone for good. \
                 Look for backups",
                number(*back)
            )),
        }
        for undone in &self.undos {
            lines.push(format!("   undo of {}: {}", moment(undone.at), listed(&undone.answers)));
        }
        lines.push(match &self.stopped {
            Some(why) => format!("   the rule does not run now: {why}"),
            None => {
                "   the rule MAY RUN AGAIN: `bewaard pause --reason \"...\"` stops everything until a person resumes"
                    .into()
            }
        });
        lines.push("   [other measures, and those against its happening again: to be filled in by a person]".into());
        lines.push(String::new());
        lines
    }

    fn not_known(&self) -> Vec<String> {
        let mut lines = vec!["6. What is not known".to_string()];
        if self.unknown > 0 {
            lines.push(format!("   what became of {}", count(self.unknown, "purge", "purges")));
        }
        if self.how.is_none() {
            lines.push("   how the run ended: it is going on, or a crash ended it (`bewaard run` settles that)".into());
        }
        lines.push("   whether copies are in backups, replicas, exports and the server's own logs".into());
        lines.push(
            "   who the persons are: the log holds commitments, no names (`bewaard log prove` finds one by its key)"
                .into(),
        );
        lines
    }
}

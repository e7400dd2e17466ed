//! What the suite needs of an engine, and what it needs of the engine room above.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bewaard::connect::{Batch, CommitWatch, Connector, EraseError, FieldKeys, Item, Judge, NotNow, Query};
use bewaard::domain::clock::ClockFormat;
use bewaard::domain::decide::{Found, KeepReason, Moment, Verdict, decide};
use bewaard::domain::digest::MacKey;
use bewaard::domain::hold::Holds;
use bewaard::domain::id::{BatchId, GroundId, PartId, RuleId, SystemId};
use bewaard::domain::outcome::{Outcome, Receipt};
use bewaard::domain::policy::System;
use bewaard::domain::recipe::Recipes;
use bewaard::domain::rule::{Action, Because, Ground, Limits, Mode, Part, Rule};
use bewaard::domain::selection::{Child, ChildAction, ClockSource, Relation, Selection, SqlSelection, TableName};
use bewaard::domain::term::{Alignment, FinancialYear, Term};
use bewaard::domain::value::Key;
use chrono::{NaiveDate, TimeZone, Utc};

/// An engine with an empty database of its own.
#[async_trait]
pub(crate) trait Harness: Send + Sync {
    /// The system as a policy would declare it.
    fn system(&self) -> System;
    /// Runs statements, as the owner of the database; each ends with `;` at the end of a line.
    async fn sql(&self, text: &str);
    /// Asks, as the owner: every value as text, NULL as `NULL`.
    async fn rows(&self, text: &str) -> Vec<Vec<String>>;
    /// A quoted name.
    fn quote(&self, name: &str) -> String;
    /// The type and a literal of bytes.
    fn bytes(&self, hex: &str) -> (&'static str, String);
    /// The type of a day and time without zone.
    fn datetime(&self) -> &'static str;
    /// The type of a text that is the same in another case.
    async fn caseless(&self) -> &'static str;
    /// A trigger behind each row to which an event happens (`DELETE`, `UPDATE`).
    fn after(&self, event: &str, name: &str, table: &str, statement: &str) -> String;
    /// Whether the server itself compares dates, so that a preselection leaves something out.
    fn typed_dates(&self) -> bool;
}

pub(crate) const TODAY: &str = "2026-06-01";

pub(crate) fn today() -> NaiveDate {
    TODAY.parse().unwrap()
}

pub(crate) fn open(system: &System) -> Box<dyn Connector> {
    open_in(system, chrono_tz::Europe::Amsterdam)
}

/// The same for a policy that counts its days elsewhere.
pub(crate) fn open_in(system: &System, zone: chrono_tz::Tz) -> Box<dyn Connector> {
    let keys = FieldKeys { fingerprint: MacKey::new(&[1; 32]), pseudonym: MacKey::new(&[2; 32]) };
    bewaard::connect::open::open(system, zone, keys).unwrap()
}

pub(crate) fn name(text: &str) -> TableName {
    TableName { schema: None, name: text.into() }
}

pub(crate) fn relation(table: &str, on: &str) -> Relation {
    Relation { table: name(table), on: vec![on.into()], to: vec![], filter: None }
}

pub(crate) fn child(table: &str, on: &str, children: Vec<Child>) -> Child {
    Child { relation: relation(table, on), then: ChildAction::Delete, children }
}

pub(crate) fn clock(column: &str, relation: Option<Relation>) -> ClockSource {
    ClockSource::Sql { column: column.into(), relation, format: ClockFormat::Iso, zone: None }
}

fn ground(clock: Vec<usize>) -> Ground {
    Ground {
        id: GroundId::new("term").unwrap(),
        clock,
        keep: Term::parse("2 years").unwrap(),
        from: Alignment::Day,
        because: Because::Text("test".into()),
        optional: false,
    }
}

/// Delete rows of a table two years after the newest of these clocks.
pub(crate) fn rule(table: &str, sources: Vec<ClockSource>) -> Rule {
    let all = (0..sources.len()).collect();
    Rule {
        id: RuleId::new("old").unwrap(),
        system: SystemId::new("shop").unwrap(),
        selection: Selection::Sql(SqlSelection {
            table: name(table),
            key: vec![],
            filter: None,
            protect: vec![],
            children: vec![],
            follow_foreign_keys: false,
            allow_no_transactions: false,
            allow_scan: false,
        }),
        person: BTreeMap::new(),
        sources,
        parts: vec![Part { id: PartId::record(), action: Action::Delete, grounds: vec![ground(all)] }],
        limits: Limits::default(),
        schedule: None,
        mode: Mode::Enforce,
        undo: None,
        drop_partitions: false,
        copies: vec![],
    }
}

pub(crate) fn part(rule: &Rule, id: &str, recipes: Recipes) -> Part {
    let all = (0..rule.sources.len()).collect();
    Part { id: PartId::new(id).unwrap(), action: Action::Anonymise(recipes), grounds: vec![ground(all)] }
}

pub(crate) fn sql(rule: &mut Rule) -> &mut SqlSelection {
    let Selection::Sql(sql) = &mut rule.selection;
    sql
}

pub(crate) fn moment() -> Moment {
    Moment { today: today(), year: FinancialYear::default() }
}

pub(crate) fn no_holds() -> Holds {
    Holds::new(MacKey::new(&[3; 32]))
}

/// Every record that a query gives, over small pages.
pub(crate) async fn all(connector: &dyn Connector, rule: &Rule, due_by: Option<Moment>, limit: usize) -> Vec<Found> {
    let query = Query { rule, due_by, identities: true, limit };
    let (mut out, mut after) = (Vec::new(), None::<Key>);
    loop {
        let page = connector.find(&query, after.as_ref()).await.unwrap();
        assert!(page.found.len() <= limit);
        out.extend(page.found);
        match page.next {
            Some(next) => after = Some(next),
            None => return out,
        }
    }
}

/// What is due, as items of a batch.
pub(crate) async fn due(connector: &dyn Connector, rule: &Rule, holds: &Holds) -> Vec<Item> {
    let mut items = Vec::new();
    for found in all(connector, rule, None, 100).await {
        let parts: Vec<usize> = decide(rule, &found, holds, moment())
            .iter()
            .enumerate()
            .filter(|(_, verdict)| matches!(verdict, Verdict::Due(_)))
            .map(|(part, _)| part)
            .collect();
        if !parts.is_empty() {
            items.push(Item { key: found.key, fingerprint: found.fingerprint, parts });
        }
    }
    items
}

/// Judges as the engine does: the same decision, on the record as it is now.
pub(crate) struct Decider<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) items: &'a [Item],
    pub(crate) holds: &'a Holds,
}

impl Judge for Decider<'_> {
    fn judge(&self, item: usize, found: &Found) -> Vec<(usize, Result<(), Outcome>)> {
        let verdicts = decide(self.rule, found, self.holds, moment());
        let answer = |part: &usize| match verdicts[*part] {
            Verdict::Due(_) => Ok(()),
            Verdict::Kept(KeepReason::Held | KeepReason::Protected) => Err(Outcome::Withheld),
            _ => Err(Outcome::Changed),
        };
        self.items[item].parts.iter().map(|part| (*part, answer(part))).collect()
    }
    fn wants_identities(&self) -> bool {
        !self.holds.is_empty()
    }
}

/// Remembers the points that were passed.
#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) points: Mutex<Vec<&'static str>>,
    pub(crate) disk_fails: bool,
    pub(crate) intent_fails: bool,
}

#[async_trait]
impl CommitWatch for Watch {
    async fn before_write(&self) -> Result<(), NotNow> {
        // As one that is still being written: whoever does not wait goes on meanwhile.
        tokio::task::yield_now().await;
        self.point("before-write");
        if self.intent_fails { Err(NotNow::Never) } else { Ok(()) }
    }
    fn before_commit(&self, _ticket: Option<&str>) -> std::io::Result<()> {
        if self.disk_fails { Err(std::io::Error::other("disk")) } else { Ok(()) }
    }
    fn point(&self, name: &'static str) {
        self.points.lock().unwrap().push(name);
    }
}

pub(crate) async fn erase(
    connector: &dyn Connector,
    rule: &Rule,
    items: &[Item],
    holds: &Holds,
) -> Result<Vec<Receipt>, EraseError> {
    erase_with(connector, rule, items, holds, &Watch::default(), [7; 8]).await
}

pub(crate) async fn erase_with(
    connector: &dyn Connector,
    rule: &Rule,
    items: &[Item],
    holds: &Holds,
    watch: &Watch,
    id: [u8; 8],
) -> Result<Vec<Receipt>, EraseError> {
    assert!(connector.claim().await.unwrap());
    let id = BatchId::from_random(id);
    let now = Utc.with_ymd_and_hms(2026, 6, 1, 2, 0, 0).unwrap();
    let batch = Batch { id: &id, rule, items, now, due_by: moment() };
    connector.erase(&batch, &Decider { rule, items, holds }, watch).await
}

pub(crate) fn outcomes(receipts: &[Receipt]) -> Vec<Outcome> {
    receipts.iter().map(|receipt| receipt.outcome).collect()
}

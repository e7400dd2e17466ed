//! Effects on other people's data: one object-safe contract, one implementation per kind of system.

mod batch;
mod look;
pub mod open;
mod partition;
pub mod sql;
mod strain;
mod why;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::codes::Code;
use crate::domain::decide::{Found, Moment};
use crate::domain::digest::MacKey;
use crate::domain::id::{BatchId, RuleId, SystemId};
use crate::domain::outcome::Receipt;
use crate::domain::rule::Rule;
use crate::domain::trace::{TraceKind, Until};
use crate::domain::value::Key;

pub use self::batch::{Back, Batch, CommitWatch, EraseError, Fate, Item, Judge, Keeper, Kept, NotNow, Presence, Undo};
pub use self::look::{Absence, Look};
pub use self::partition::{Dropping, Partition, Pile, TakePile, Versions};
pub use self::strain::{STRAIN_LIMIT, Strain, StrainOf, Told};
pub use self::why::{Candidates, Reached};

/// A system that holds data about persons.
///
/// The contract, which `tests/contract.rs` executes on every implementation:
///
/// 1. [`probe`](Self::probe), [`count`](Self::count), [`find`](Self::find), [`dependants`](Self::dependants) and
///    [`server_now`](Self::server_now) never write.
/// 2. `find` returns every selected record exactly once over its pages when nobody writes, in bounded memory. A
///    preselection by date may only leave out what the decision would keep as not yet due or protected; `count` tells
///    how many of the latter there are.
/// 3. `erase` touches only records of the batch, and of those only what the [`Judge`] lets go when it sees them again
///    *locked in the erasing transaction*. Who is judged otherwise keeps its children.
/// 4. `erase` twice is as good as once: what is gone already is [`AlreadyGone`](crate::domain::outcome::Outcome::AlreadyGone).
/// 5. `erase` gives one receipt for each (item, part) of the batch, in order, or an error that says whether anything
///    can have happened. Who cannot know says so and never guesses.
/// 6. No retries inside. Errors carry an advice, and the engine decides.
/// 7. No error, log line or finding carries a value, a key or an address.
/// 8. A call whose future is dropped leaves no connection behind that answers the next question with this one's answer.
/// 9. `keeps` never writes, reads settings and catalogues and never the content of a log, and calls unknown what this
///    account may not see, with what would show it.
/// 10. With a [`Keeper`], everything that it takes to put an item back is handed over before COMMIT: whole records and
///     children with their exact values, and the old values of what is rewritten. Who can't put back says so in its
///     [`Capabilities`], and never purges under a rule with an undo window. `restore` after `erase` is the identity when
///     nobody writes in between, and `restore` twice is as good as once.
/// 11. `absence` never writes. It looks for records of a batch that was purged by other paths than `erase` took, and gives
///     places and counts, never a value; who no longer knows the old values says how many records it did not look for.
/// 12. `strain` never writes, costs the system next to nothing and ends within seconds whatever its state: it is asked again
///     and again, also while nothing is purged. It calls hidden what this account may not see, with what would show it; a
///     query or replica that the policy names and that gives no answer is a failed reading, never a calm one.
/// 13. Before its first statement that writes, `erase` awaits [`CommitWatch::before_write`]: until then the intent may not
///     be on the disk.
/// 14. `drop_partition` drops only a partition that still holds exactly what was read of it, locked against every writer while
///     that is asked, and which still is what `check` saw. It never waits long for a lock: others would wait behind it.
/// 15. `why` asks for plans of statements and runs none of them. What it asks about holds no value of a record.
#[async_trait]
pub trait Connector: Send + Sync {
    /// What this kind of system can and cannot do.
    fn capabilities(&self) -> Capabilities;

    /// Which server, database and schema this really is: it enters the decision digest, so that a rule approved for
    /// one database never runs on another.
    async fn identity(&self) -> Result<String, ConnectError>;

    /// The system's own present time.
    async fn server_now(&self) -> Result<DateTime<Utc>, ConnectError>;

    /// Looks at what the rule needs and finds: tables, columns and types, rights, indexes, foreign keys, triggers.
    async fn probe(&self, rule: &Rule) -> Result<Probe, ConnectError>;

    /// What the account may do beyond or short of what these rules need; of a rule that does not fit, of what does.
    async fn probe_rights(&self, rules: &[&Rule]) -> Result<Vec<Finding>, ConnectError>;

    /// The statements that give the account exactly the rights that these rules need.
    async fn grants(&self, rules: &[&Rule]) -> Result<Vec<String>, ConnectError>;

    /// What the system itself keeps of rows of these rules after they are erased, and whether their space is given back.
    async fn keeps(&self, rules: &[&Rule]) -> Result<Keeps, ConnectError>;

    /// How many records the collection has, how many of them the rule selects, and how many of those that
    /// [`find`](Self::find) leaves out at a moment are protected.
    async fn count(&self, rule: &Rule, left_out_at: Option<Moment>) -> Result<Count, ConnectError>;

    /// About how many records the collection has, where a walk that leaves records out would not read them and only their
    /// number is asked: an estimate that the system keeps anyway. `None` where there is none, or where more than a number
    /// must be told: the rule selects some only, or protects some.
    async fn about(&self, rule: &Rule, left_out_at: Moment) -> Result<Option<u64>, ConnectError>;

    /// Whether the collection has at least so many records; no more than these are read.
    async fn has(&self, rule: &Rule, records: u64) -> Result<bool, ConnectError>;

    /// The next page of selected records after a key, in key order.
    async fn find(&self, query: &Query<'_>, after: Option<&Key>) -> Result<Page, ConnectError>;

    /// How many child rows would go or change with these records, by table.
    async fn dependants(&self, rule: &Rule, keys: &[Key]) -> Result<BTreeMap<String, u64>, ConnectError>;

    /// Erases or anonymises a batch in one transaction where the system has them.
    async fn erase(
        &self,
        batch: &Batch<'_>,
        judge: &dyn Judge,
        watch: &dyn CommitWatch,
    ) -> Result<Vec<Receipt>, EraseError>;

    /// Whether a batch of this rule may be locked and judged while the one before it is still being erased. What both would
    /// touch is then decided by the order of their turns ([`CommitWatch::before_write`]).
    async fn side_by_side(&self, _rule: &Rule) -> Result<bool, ConnectError> {
        Ok(false)
    }

    /// The partitions of a rule that drops them: those that `drop_partition` can drop, the oldest first.
    async fn partitions(&self, _rule: &Rule) -> Result<Vec<Partition>, ConnectError> {
        Ok(Vec::new())
    }

    /// Reads all records of a partition as they are at one moment, in bounded memory. `None` where `take` wanted no more,
    /// or where it holds rows that the rule does not select.
    async fn read_partition(
        &self,
        _rule: &Rule,
        _partition: &Partition,
        _identities: bool,
        _take: &mut TakePile<'_>,
    ) -> Result<Option<Versions>, ConnectError> {
        Ok(None)
    }

    /// Drops a partition with every record in it. False: it was not dropped, for it holds something else now, or a lock was
    /// not given.
    async fn drop_partition(&self, _drop: &Dropping<'_>, _watch: &dyn CommitWatch) -> Result<bool, EraseError> {
        Ok(false)
    }

    /// Hands back what [`Pile::old`] was, before [`absence`](Self::absence) is asked of the batch that these records went in.
    async fn recall(&self, _rule: &Rule, _batch: &BatchId, _old: &[u8]) -> Result<(), ConnectError> {
        Ok(())
    }

    /// Puts items back in one transaction, each wholly or not at all: parents before children, what was rewritten last.
    /// Nothing that is there is overwritten but the exact final form that the purge left. One answer per item.
    async fn restore(&self, undo: &Undo<'_>, watch: &dyn CommitWatch) -> Result<Vec<Back>, EraseError>;

    /// Looks whether items are back, waiting for any transaction that still has them locked. `Restored`: as they were;
    /// `Conflict`: something else stands there; `Failed`: they are not there.
    async fn look_back(&self, undo: &Undo<'_>) -> Result<Vec<Back>, ConnectError>;

    /// What became of a batch whose answer was lost, as far as the system itself recorded it (a batch row, a
    /// transaction's status).
    async fn fate(&self, batch: &BatchId, ticket: Option<&str>) -> Result<Fate, ConnectError>;

    /// Looks for records again, waiting for any transaction that still has them locked. One answer per item.
    async fn locate(&self, rule: &Rule, items: &[Item]) -> Result<Vec<Presence>, ConnectError>;

    /// What is still there of the records that a batch purged. Asked once, after [`erase`](Self::erase), of the same connector:
    /// it is polled before the next `erase` is, whose own old values take the place of those that it remembers.
    async fn absence(&self, look: &Look<'_>) -> Result<Absence, ConnectError>;

    /// How the system bears what is done to it: what the brakes are held against.
    async fn strain(&self, watch: &StrainOf<'_>) -> Result<Strain, ConnectError>;

    /// Takes the system for one run, so that no second host runs on it. False: somebody else has it.
    async fn claim(&self) -> Result<bool, ConnectError>;

    /// Gives the system back.
    async fn release(&self) -> Result<(), ConnectError>;

    /// Reads a key that a person typed, in the types of the rule's key.
    async fn parse_key(&self, rule: &Rule, parts: &[String]) -> Result<Key, ConnectError>;

    /// The read-only statements by which anybody can count what the rule selects and what is due at a moment.
    async fn statements(&self, rule: &Rule, moment: Moment) -> Result<Vec<Described>, ConnectError>;

    /// The statements by which [`find`](Self::find) finds what may be due at a moment, with the system's own plan of each.
    async fn why(&self, rule: &Rule, due_by: Moment) -> Result<Vec<Candidates>, ConnectError>;
}

/// What a kind of system can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Single records can go.
    pub erase_records: bool,
    /// Fields can be anonymised.
    pub anonymise: bool,
    /// A batch happens wholly or not at all.
    pub transactions: bool,
    /// What went can be put back.
    pub restore: bool,
}

/// A statement for a person to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// What it counts.
    pub purpose: String,
    /// The statement.
    pub text: String,
}

/// What a probe found about one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The facts of the live schema that the rule touches, in a canonical text: columns with types, keys, foreign
    /// keys and triggers concerned. It enters the decision digest.
    pub facts: String,
    /// Those of the facts that say what else happens when a record goes (triggers, foreign keys): when they change, a
    /// person must look, though the same records are due.
    pub effects: String,
    /// What is wrong or worth knowing.
    pub findings: Vec<Finding>,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The rule can't run.
    Fault,
    /// It can run, and somebody should look.
    Warning,
    /// Good to know.
    Note,
}

/// Something that a live system shows about a rule or a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its stable code.
    pub code: &'static Code,
    /// How grave.
    pub severity: Severity,
    /// The key of the policy to underline, such as `rule.inactive.since.column`.
    pub at: String,
    /// What was found. Names of tables and columns, never values.
    pub text: String,
    /// What mends it.
    pub remedy: String,
}

/// What a system keeps of erased rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keeps {
    /// Where traces of them live on, and until when.
    pub traces: Vec<Trace>,
    /// Where their space is not given back by itself.
    pub space: Vec<Space>,
}

/// Where a trace of erased rows lives on within the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// What kind of trace.
    pub kind: TraceKind,
    /// Until when.
    pub until: Until,
    /// How grave.
    pub severity: Severity,
    /// Its stable code.
    pub code: &'static Code,
    /// What keeps it. Names and settings, never values.
    pub text: String,
    /// What ends it, or what would show it where it is unknown.
    pub remedy: String,
}

/// Space of deleted rows that their table or file keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// The table, or the file.
    pub place: String,
    /// The command with which an administrator gives it back. It is never run by us: it locks or rewrites a table.
    pub command: String,
}

impl Keeps {
    /// The last moment of a trace of each kind.
    pub fn by_kind(&self) -> BTreeMap<TraceKind, Until> {
        let mut out: BTreeMap<TraceKind, Until> = BTreeMap::new();
        for trace in &self.traces {
            let until = out.entry(trace.kind).or_insert(trace.until);
            *until = trace.until.max(*until);
        }
        out
    }
}

/// What to look for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Leave out what can't be due at this moment. `None`: everything selected.
    pub due_by: Option<Moment>,
    /// Whether the person's identities are wanted (only when there are holds).
    pub identities: bool,
    /// At most so many records.
    pub limit: usize,
}

/// How many records there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// In the whole collection, selected or not.
    pub all: u64,
    /// That the rule selects.
    pub selected: u64,
    /// Of these, protected and left out by [`Query::due_by`].
    pub protected: u64,
}

/// One page of records.
#[derive(Debug, Clone)]
pub struct Page {
    /// Whether [`Query::due_by`] may have left some out.
    pub narrowed: bool,
    /// The records, in key order.
    pub found: Vec<Found>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<Key>,
}

/// Keys that connectors need to make fingerprints and pseudonyms.
#[derive(Debug, Clone)]
pub struct FieldKeys {
    /// For fingerprints.
    pub fingerprint: MacKey,
    /// For pseudonyms and other recipes that depend on the record.
    pub pseudonym: MacKey,
}

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Try again later: it may pass by itself (unreachable, deadlock, lock time-out).
    RetryLater,
    /// Somebody must mend something first.
    Fix,
    /// Stop the rule: what was seen contradicts what was expected.
    Stop,
}

/// Why a connector could not do something. It names no value, key or address.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {doing} in system `{system}`: {what}")]
pub struct ConnectError {
    /// The system.
    pub system: SystemId,
    /// What was being done, as a verb phrase.
    pub doing: &'static str,
    /// What the system said: its error number and our words for it, never its own text, which may quote values.
    pub what: String,
    /// What to do about it.
    pub advice: Advice,
    /// Whether the system could not be reached at all (exit code 69).
    pub unreachable: bool,
}

/// A rule and its finding, for the places that collect them.
pub type RuleFinding = (RuleId, Finding);

//! What entries say: every kind, and what each has.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::decide::KeepReason;
use crate::domain::digest::Digest;
use crate::domain::gate::Limit;
use crate::domain::id::{ActorId, BatchId, HoldId, PartId, PlanId, RuleId, RunId, SystemId};
use crate::domain::outcome::{Outcome, Pending, Restored, Tally};
use crate::domain::rule::Limits;
use crate::domain::trace::{TraceKind, Until};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// The user id on the host.
    pub uid: u32,
    /// The declared actor, for a signed act.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actor: Option<ActorId>,
}

/// How an approval was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Typed on the host.
    Typed,
    /// An SSH signature over the plan's text (namespace `bewaard`).
    Signed {
        /// SHA-256 of the signature file.
        signature: Digest,
    },
}

/// The quarantine that a run keeps what it takes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The id of its key.
    pub key: String,
    /// The day on which that key is destroyed.
    pub until: NaiveDate,
}

/// What an entry says. The tag is the kind; a kind that this program does not know is [`Body::Unknown`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Body {
    /// The log begins.
    Init {
        /// The log's name in its checkpoints.
        origin: String,
        /// The verifier key (C2SP signed-note) that signs from here on.
        verifier: String,
        /// The keyed digest of the machine that it is bound to.
        machine: Digest,
        /// One keyed digest for each part of it that could be read: `machine-id`, `host-name`, `product-uuid`,
        /// `state-file-system`.
        #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
        machines: BTreeMap<String, Digest>,
        /// `sealed` where each line of `heads` is signed together with the line before it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        heads: Option<String>,
        /// The version of bewaard.
        version: String,
    },
    /// The log goes on on another machine, or on the same one that was changed.
    Adopted {
        /// `moved`.
        how: String,
        /// The keyed digest of the machine that it is bound to from here on.
        machine: Digest,
        /// One for each part, as in [`Body::Init`].
        machines: BTreeMap<String, Digest>,
        /// Who.
        by: By,
        /// The digest of the reason.
        note: Digest,
    },
    /// A key was made, replaced or destroyed.
    KeyChanged {
        /// `signing`, `log`, `holds`, `plan`, `fingerprint`, `pseudonym`, `inflight`, `quarantine`.
        purpose: String,
        /// The key's id; of a signing key its verifier key.
        id: String,
        /// What happened: `made`, `replaced`, `destroyed`.
        change: String,
        /// For `signing`, the new key's own signature over `bewaard key change\n<origin>\n<old>\n<new>\n`, base64.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        proof: Option<String>,
        /// Who, where a person did it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        by: Option<By>,
        /// The digest of that person's reason.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        note: Option<Digest>,
    },
    /// A policy came into force.
    PolicyInForce {
        /// The digest of its text.
        policy: Digest,
        /// The decision digests of its rules.
        rules: BTreeMap<RuleId, Digest>,
    },
    /// A plan was made.
    PlanMade {
        /// Its id.
        plan: PlanId,
        /// The rule.
        rule: RuleId,
        /// The system.
        system: SystemId,
        /// The decision digest.
        decision: Digest,
        /// The part of it that the live schema makes.
        schema: Digest,
        /// The cut-off day.
        cutoff: NaiveDate,
        /// The digest of the sorted set.
        set: Digest,
        /// Records in the collection.
        of: u64,
        /// (record, part) pairs judged.
        found: u64,
        /// Pairs due.
        due: u64,
        /// Pairs that stay, by reason.
        kept: BTreeMap<KeepReason, u64>,
        /// Child rows that go with them, by table.
        children: BTreeMap<String, u64>,
        /// The oldest day since which one has been due.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        oldest: Option<NaiveDate>,
        /// The digest of what else the schema does when these go: triggers and foreign keys.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        effects: Option<Digest>,
        /// Whether `of`, `found` and what is not yet due are the system's own estimate. Absent: they were counted.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        about: bool,
    },
    /// A person approved a plan, and with it later plans of the same decision digest within the limits.
    Approved {
        /// The plan.
        plan: PlanId,
        /// The rule.
        rule: RuleId,
        /// The decision digest that the gate opens for.
        decision: Digest,
        /// Limits that this plan alone may go beyond.
        beyond: Vec<Limit>,
        /// How.
        method: Method,
        /// Who.
        by: By,
        /// SHA-256 over 32 random bytes and the reason; both lie in `notes/`.
        note: Digest,
        /// `person`, or `unchanged-set` when the rule re-opened by itself.
        basis: String,
        /// The rule's limits then: a looser one needs an approval of its own.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        limits: Option<Limits>,
    },
    /// A plan was refused, or a rule or system was frozen.
    Refused {
        /// The rule, where it is about one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        rule: Option<RuleId>,
        /// The system, where it is about one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        system: Option<SystemId>,
        /// The plan, where there is one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        plan: Option<PlanId>,
        /// The limits that it is over.
        limits: Vec<Limit>,
        /// The code of the reason.
        code: String,
        /// Whether the rule or system is frozen until somebody resumes it.
        frozen: bool,
    },
    /// Somebody ended a freeze.
    Resumed {
        /// The rule; `None` is every rule.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        rule: Option<RuleId>,
        /// The system; `None` is every system.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        system: Option<SystemId>,
        /// Who.
        by: By,
        /// The digest of the reason.
        note: Digest,
    },
    /// A run began.
    RunStarted {
        /// Its id.
        run: RunId,
        /// The rule.
        rule: RuleId,
        /// The plan that it carries out.
        plan: PlanId,
        /// Who started it.
        by: By,
        /// Where what goes is kept for as long as it may be put back.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        window: Option<Window>,
    },
    /// A batch is about to be erased. Its keys lie sealed in `inflight/`.
    BatchIntended {
        /// Its id.
        batch: BatchId,
        /// The run.
        run: RunId,
        /// The rule.
        rule: RuleId,
        /// The decision digest.
        decision: Digest,
        /// How many (record, part) pairs.
        count: u64,
        /// SHA-256 of the in-flight file.
        file: Digest,
    },
    /// What became of one (record, part).
    Outcome {
        /// The batch.
        batch: BatchId,
        /// The rule.
        rule: RuleId,
        /// The part.
        part: PartId,
        /// The record's commitment under the segment's key.
        record: Digest,
        /// What became of it.
        result: Outcome,
        /// Child rows that went with it, by table.
        #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
        children: BTreeMap<String, u64>,
        /// For a pending erasure.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        pending: Option<Pending>,
        /// Whether it was settled after a crash or a lost answer.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        recovered: bool,
        /// What went is in quarantine until this day, on which its key is destroyed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        until: Option<NaiveDate>,
    },
    /// What a batch took is about to be put back.
    UndoIntended {
        /// The undo's own id.
        undo: BatchId,
        /// The run.
        run: RunId,
        /// The batch that took it.
        batch: BatchId,
        /// The rule.
        rule: RuleId,
        /// How many (record, part) pairs.
        count: u64,
        /// SHA-256 of the file in `undo/`.
        file: Digest,
        /// Who.
        by: By,
        /// The digest of the reason.
        note: Digest,
    },
    /// What became of one (record, part) that was to be put back.
    Restored {
        /// The undo's id.
        undo: BatchId,
        /// The rule.
        rule: RuleId,
        /// The part.
        part: PartId,
        /// The record's commitment under the segment's key.
        record: Digest,
        /// What became of it.
        result: Restored,
        /// Rows of others that were rewritten with it, have changed since, and were left as they are.
        #[serde(skip_serializing_if = "is_none", default)]
        left: u64,
        /// Whether it was settled after a crash or a lost answer.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        recovered: bool,
    },
    /// A batch that nothing could settle was settled by a person.
    Settled {
        /// The batch.
        batch: BatchId,
        /// `gone` or `kept`, in the person's word.
        verdict: String,
        /// How many (record, part) pairs it was about.
        count: u64,
        /// Who.
        by: By,
        /// The digest of the reason.
        note: Digest,
    },
    /// A run ended.
    RunEnded {
        /// Its id.
        run: RunId,
        /// The rule.
        rule: RuleId,
        /// `done`, `paced`, `first-bite`, `stopped`, `failed`.
        how: String,
        /// Outcomes, counted.
        tally: Tally,
        /// Whether the plan's set is settled.
        settled: bool,
    },
    /// Where a rule stood on a day.
    Ledger {
        /// The rule.
        rule: RuleId,
        /// The system.
        system: SystemId,
        /// The day.
        day: NaiveDate,
        /// Records in the collection.
        of: u64,
        /// Pairs judged.
        found: u64,
        /// Pairs past their term.
        overdue: u64,
        /// The oldest day since which one has been due.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        oldest: Option<NaiveDate>,
        /// Pairs that stay, by reason.
        kept: BTreeMap<KeepReason, u64>,
        /// Purged in the run that this entry ends.
        purged: u64,
        /// What the system itself keeps of what is purged there, by kind, and how long from the purge; absent where it
        /// could not be asked.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        traces: Option<BTreeMap<TraceKind, Until>>,
        /// Whether `of`, `found` and what is not yet due are the system's own estimate. Absent: they were counted.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        about: bool,
    },
    /// A hold was placed or released.
    HoldChanged {
        /// Its id.
        hold: HoldId,
        /// `placed` or `released`.
        change: String,
        /// Commitments under the hold key.
        marks: Vec<Digest>,
        /// Only in this system.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        system: Option<SystemId>,
        /// Only under this rule.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        rule: Option<RuleId>,
        /// Who answers for it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        owner: Option<ActorId>,
        /// When to look again.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        review: Option<NaiveDate>,
        /// The digest of the whole set of holds afterwards.
        set: Digest,
        /// The id of the hold key.
        hold_key: String,
        /// Who.
        by: By,
        /// The digest of the reason.
        note: Digest,
    },
    /// Everything was paused or resumed.
    PauseChanged {
        /// `paused` or `resumed`.
        change: String,
        /// Who.
        by: By,
        /// The digest of the reason.
        note: Digest,
    },
    /// Something that a person must look at was opened or closed.
    Finding {
        /// Its code.
        code: String,
        /// `opened` or `closed`.
        change: String,
        /// The rule, where it is about one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        rule: Option<RuleId>,
        /// The system, where it is about one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        system: Option<SystemId>,
        /// The batch, where it is about one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        batch: Option<BatchId>,
        /// The place, where it is about one: `table.column`, `child rows of table`.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        place: Option<String>,
        /// How many records it is about.
        count: u64,
    },
    /// Scheduled runs that did not happen.
    RunMissed {
        /// The rule.
        rule: RuleId,
        /// How many.
        missed: u64,
        /// The first one's due moment.
        since: DateTime<Utc>,
    },
    /// A person's request (access, erasure) changed state.
    Request {
        /// Its number.
        request: String,
        /// `access` or `erasure`.
        about: String,
        /// The state.
        state: String,
    },
    /// A quarterly review was opened or signed.
    Review {
        /// The quarter.
        quarter: String,
        /// `opened` or `signed`.
        change: String,
        /// The report's digest.
        report: Digest,
        /// Who.
        by: By,
    },
    /// A command showed records to a person on a terminal.
    Shown {
        /// The command: `plan --sample`, `plan --explain`, `log prove`.
        command: String,
        /// The rule.
        rule: RuleId,
        /// How many records.
        count: u64,
        /// Who.
        by: By,
    },
    /// A segment was sealed.
    SegmentSealed {
        /// Which.
        sealed: String,
        /// The size of the log then.
        size: u64,
        /// The root then.
        root: Digest,
    },
    /// A segment's entries were dropped; their hashes stay.
    SegmentDropped {
        /// Which.
        dropped: String,
        /// The first entry's index.
        from: u64,
        /// The index after the last entry.
        to: u64,
    },
    /// This log continues another after a loss.
    LogContinued {
        /// The origin of the log before.
        origin: String,
        /// The size of the last head of it that is known.
        size: u64,
        /// The root of that head.
        root: Digest,
        /// Why: `lost-head`, `copied`.
        why: String,
        /// Open batches that stay with the log before, because its machine goes on.
        #[serde(skip_serializing_if = "is_zero", default)]
        left_open: u64,
        /// Who.
        by: By,
        /// The digest of the reason.
        note: Digest,
    },
    /// A kind of a later version. It is counted and told, and never a fault.
    #[serde(skip)]
    Unknown(String),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Body {
    /// A key that this program made or destroyed by itself.
    pub fn key_changed(purpose: &str, id: &str, change: &str) -> Self {
        let (purpose, id, change) = (purpose.into(), id.into(), change.into());
        Self::KeyChanged { purpose, id, change, proof: None, by: None, note: None }
    }

    /// The kinds of format 1.
    pub const KINDS: [&'static str; 26] = [
        "init",
        "adopted",
        "key-changed",
        "policy-in-force",
        "plan-made",
        "approved",
        "refused",
        "resumed",
        "run-started",
        "batch-intended",
        "outcome",
        "undo-intended",
        "restored",
        "settled",
        "run-ended",
        "ledger",
        "hold-changed",
        "pause-changed",
        "finding",
        "run-missed",
        "request",
        "review",
        "shown",
        "segment-sealed",
        "segment-dropped",
        "log-continued",
    ];

    /// The word of its kind, as the line has it.
    pub fn kind(&self) -> String {
        if let Self::Unknown(kind) = self {
            return kind.clone();
        }
        let value = serde_json::to_value(self).unwrap_or_default();
        value.get("kind").and_then(serde_json::Value::as_str).unwrap_or_default().to_string()
    }

    pub(super) fn is_known(kind: &str) -> bool {
        Self::KINDS.contains(&kind)
    }
}

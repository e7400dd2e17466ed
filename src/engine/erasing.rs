//! A batch that the system has. It is erased by a task of its own, so that the next one can be locked, read and judged
//! meanwhile; that one writes nothing before its turn, which comes when the one before it has ended.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::NaiveDate;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::flight::Intended;
use super::quarantine::{BatchKeeper, Keeping};
use crate::connect::{Advice, Batch, CommitWatch, Connector, EraseError, Item, Judge, Keeper, NotNow};
use crate::domain::decide::{Found, KeepReason, Moment, Verdict, decide, decide_apart};
use crate::domain::digest::Digest;
use crate::domain::hold::Holds;
use crate::domain::id::{BatchId, RunId};
use crate::domain::outcome::{Outcome, Receipt};
use crate::domain::rule::{Part, Rule};
use crate::state::inflight::InFlightFolder;
use crate::state::quarantine::Quarantine;

/// Attempts at one batch when the server breaks a deadlock or gives no lock in time.
const ATTEMPTS: u32 = 6;
/// A batch that takes longer than this, although its turn has come, may be waiting for the one behind it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a batch may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Not yet: the batch before it has not ended.
    Waits,
    /// Not yet, and it gives back what it has locked, for the batch before it may be waiting for that.
    LetsGo,
    /// It may, if it was judged by the holds that are in force now.
    Goes,
    /// It never will.
    Never,
}

/// What a batch is told while it runs.
#[derive(Debug, Clone)]
struct Told {
    turn: Turn,
    holds: Arc<Holds>,
}

/// What a batch is erased by.
pub(super) struct Work {
    pub(super) id: BatchId,
    pub(super) run: RunId,
    pub(super) rule: Arc<Rule>,
    pub(super) items: Arc<Vec<Item>>,
    pub(super) moment: Moment,
    pub(super) inflight: InFlightFolder,
    /// Whether its intent is on the disk.
    pub(super) intended: Intended,
    /// Where what goes is kept, under a rule with an undo window.
    pub(super) keeping: Option<(Arc<Keeping>, Quarantine)>,
}

/// A batch that the system has.
pub(super) struct Erasing {
    pub(super) id: BatchId,
    pub(super) items: Arc<Vec<Item>>,
    /// The day since which each item is due.
    pub(super) since: Vec<NaiveDate>,
    /// The key that its outcomes are committed under.
    pub(super) log_key: String,
    told: watch::Sender<Told>,
    /// How often it was tried again.
    tries: watch::Receiver<u32>,
    task: JoinHandle<Ended>,
}

/// What the system said of a batch, and how long it had it, with every attempt and without waiting for its turn.
pub(super) type Ended = (Result<Vec<Receipt>, EraseError>, Duration);

impl Erasing {
    /// Hands a batch to the system. It waits for its turn.
    pub(super) fn begin(
        connector: Arc<dyn Connector>,
        work: Work,
        since: Vec<NaiveDate>,
        log_key: String,
        holds: Arc<Holds>,
    ) -> Self {
        let (told, listens) = watch::channel(Told { turn: Turn::Waits, holds });
        let (counts, tries) = watch::channel(0);
        let (id, items) = (work.id.clone(), Arc::clone(&work.items));
        let task = tokio::spawn(async move {
            let (begun, waited) = (Instant::now(), AtomicU64::new(0));
            let answer = work.erase(connector.as_ref(), &listens, &counts, &waited).await;
            (answer, begun.elapsed().saturating_sub(Duration::from_micros(waited.into_inner())))
        });
        Self { id, items, since, log_key, told, tries, task }
    }

    /// How many (record, part) pairs.
    pub(super) fn pairs(&self) -> u64 {
        self.items.iter().map(|item| item.parts.len() as u64).sum()
    }

    /// It may write what these holds leave. What was judged by others is judged again.
    pub(super) fn goes(&self, holds: &Arc<Holds>) {
        self.tell(Turn::Goes, holds);
    }

    /// It gives back what it has locked, and begins again when it may write.
    pub(super) fn lets_go(&self) {
        self.told.send_if_modified(|told| {
            let waits = told.turn == Turn::Waits;
            if waits {
                told.turn = Turn::LetsGo;
            }
            waits
        });
    }

    /// It writes nothing.
    pub(super) fn never(&self) {
        self.told.send_modify(|told| told.turn = Turn::Never);
    }

    /// Whether it was told to write nothing.
    pub(super) fn is_denied(&self) -> bool {
        self.told.borrow().turn == Turn::Never
    }

    fn tell(&self, turn: Turn, holds: &Arc<Holds>) {
        self.told.send_modify(|told| *told = Told { turn, holds: Arc::clone(holds) });
    }

    /// Waits for its end; `None` where its task panicked, and whether it was committed is not known. `struggles` is called
    /// where it takes long and each time when it begins once more: it may be waiting for what another batch has locked.
    pub(super) async fn end(&mut self, mut struggles: impl FnMut()) -> Option<Ended> {
        if let Ok(ended) = tokio::time::timeout(PATIENCE, &mut self.task).await {
            return ended.ok();
        }
        struggles();
        loop {
            tokio::select! {
                ended = &mut self.task => return ended.ok(),
                Ok(()) = self.tries.changed() => struggles(),
            }
        }
    }
}

impl Work {
    async fn erase(
        &self,
        connector: &dyn Connector,
        told: &watch::Receiver<Told>,
        tried: &watch::Sender<u32>,
        waited: &AtomicU64,
    ) -> Result<Vec<Receipt>, EraseError> {
        let mut retries = Retries::of(&self.id);
        loop {
            let answer = self.attempt(connector, told, waited).await;
            if !retries.again(&answer).await {
                return answer;
            }
            tried.send_modify(|count| *count += 1);
            // What met another batch once is not tried beside one again. Who was to tell is gone where nobody does.
            let mut turn = told.clone();
            let begun = Instant::now();
            drop(turn.wait_for(|told| matches!(told.turn, Turn::Goes | Turn::Never)).await);
            add(waited, begun);
        }
    }

    async fn attempt(
        &self,
        connector: &dyn Connector,
        told: &watch::Receiver<Told>,
        waited: &AtomicU64,
    ) -> Result<Vec<Receipt>, EraseError> {
        let holds = Arc::clone(&told.borrow().holds);
        let turns = Turns { told: told.clone(), judged_by: holds.digest(), waited };
        let judge = HeldJudge { rule: &self.rule, items: &self.items, holds: &holds, moment: self.moment };
        let keeper = self.keeping.as_ref().map(|(keeping, folder)| BatchKeeper {
            folder,
            run: &self.run,
            batch: &self.id,
            rule: &self.rule,
            items: &self.items,
            keeping,
        });
        let intended = Some((self.intended.clone(), turns));
        let watch = Watch { folder: &self.inflight, batch: &self.id, keeper, intended };
        let (now, due_by) = (crate::now::now(), self.moment);
        let batch = Batch { id: &self.id, rule: &self.rule, items: &self.items, now, due_by };
        connector.erase(&batch, &judge, &watch).await
    }
}

/// Tells a batch its turn.
pub(super) struct Turns<'a> {
    told: watch::Receiver<Told>,
    judged_by: Digest,
    /// Microseconds that were waited, which are no time of the batch's own.
    waited: &'a AtomicU64,
}

fn add(waited: &AtomicU64, since: Instant) {
    waited.fetch_add(u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

impl Turns<'_> {
    async fn wait(&self) -> Result<(), NotNow> {
        let (mut told, begun) = (self.told.clone(), Instant::now());
        let told = told.wait_for(|told| told.turn != Turn::Waits).await.map(|told| Told::clone(&told));
        add(self.waited, begun);
        let Ok(told) = told else { return Err(NotNow::Never) };
        match told.turn {
            Turn::Goes if told.holds.digest() == self.judged_by => Ok(()),
            Turn::Goes | Turn::LetsGo => Err(NotNow::Again),
            Turn::Waits | Turn::Never => Err(NotNow::Never),
        }
    }
}

/// Whether to try again what the server rolled back because of a deadlock, or a lock that did not come in time.
pub(super) struct Retries<'a> {
    batch: &'a BatchId,
    pause: Duration,
    attempt: u32,
}

impl<'a> Retries<'a> {
    pub(super) fn of(batch: &'a BatchId) -> Self {
        Self { batch, pause: Duration::from_millis(50), attempt: 1 }
    }

    /// After an answer: rests a while, and says whether another attempt follows.
    pub(super) async fn again<T>(&mut self, answer: &Result<T, EraseError>) -> bool {
        let Err(EraseError::NotDone(error)) = answer else { return false };
        if error.advice != Advice::RetryLater || self.attempt >= ATTEMPTS {
            return false;
        }
        let Self { batch, attempt, .. } = self;
        tracing::info!(batch = %batch, attempt, error = %error, "batch rolled back, will be tried again");
        tokio::time::sleep(self.pause).await;
        self.pause *= 2;
        self.attempt += 1;
        true
    }
}

/// Decides again, in the erasing transaction, with the holds as loaded for this batch.
struct HeldJudge<'a> {
    rule: &'a Rule,
    items: &'a [Item],
    holds: &'a Holds,
    moment: Moment,
}

impl Judge for HeldJudge<'_> {
    fn judge(&self, item: usize, found: &Found) -> Vec<(usize, Result<(), Outcome>)> {
        let Some(planned) = self.items.get(item) else { return Vec::new() };
        let goes_whole = planned.parts.iter().any(|part| self.rule.parts.get(*part).is_some_and(Part::is_record));
        // Of a record that stays for what hangs below it, which is not read here, the fields are due all the same.
        let decide = if goes_whole { decide } else { decide_apart };
        let verdicts = decide(self.rule, found, self.holds, self.moment);
        let same = found.fingerprint == planned.fingerprint && found.key == planned.key;
        let rule_on = |part: &usize| match (verdicts.get(*part), found.done.get(*part)) {
            (Some(Verdict::Kept(KeepReason::Held | KeepReason::Protected)), _) => Err(Outcome::Withheld),
            (Some(Verdict::Settled), Some(true)) => Err(Outcome::AlreadyGone),
            (Some(Verdict::Due(_)), _) if same => Ok(()),
            _ => Err(Outcome::Changed),
        };
        planned.parts.iter().map(|part| (*part, rule_on(part))).collect()
    }

    fn wants_identities(&self) -> bool {
        !self.holds.is_empty()
    }
}

/// Puts on the disk, before COMMIT, that it is about to be sent, with the transaction's number where there is one.
pub(super) struct Watch<'a> {
    pub(super) folder: &'a InFlightFolder,
    pub(super) batch: &'a BatchId,
    pub(super) keeper: Option<BatchKeeper<'a>>,
    /// Whether the intent is on the disk, where that is not waited for before the system is asked, and its turn.
    pub(super) intended: Option<(Intended, Turns<'a>)>,
}

#[async_trait]
impl CommitWatch for Watch<'_> {
    async fn before_write(&self) -> Result<(), NotNow> {
        let Some((intended, turns)) = &self.intended else { return Ok(()) };
        // Who was to tell it is gone where nobody does.
        let told = intended.clone().wait_for(Option::is_some).await.map(|told| *told);
        if !matches!(told, Ok(Some(true))) {
            return Err(NotNow::Never);
        }
        turns.wait().await
    }

    fn keeper(&self) -> Option<&dyn Keeper> {
        self.keeper.as_ref().map(|keeper| keeper as &dyn Keeper)
    }

    fn before_commit(&self, ticket: Option<&str>) -> io::Result<()> {
        self.folder.write_ticket(self.batch, ticket.unwrap_or_default())
    }

    fn point(&self, name: &'static str) {
        #[cfg(feature = "crash-points")]
        crate::crash::at(name);
        #[cfg(not(feature = "crash-points"))]
        let _ = name;
    }
}

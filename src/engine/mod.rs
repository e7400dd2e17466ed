//! The only meeting place of decision, systems, log and state. CLI and daemon run the same engine.

mod absence;
pub mod adopt;
pub mod approve;
pub mod batch;
mod batch_size;
pub mod brakes;
pub mod continuing;
pub mod decision;
pub mod doubt;
mod erasing;
pub mod explain;
pub mod find_purge;
mod findings;
mod flight;
pub mod holds;
pub mod host;
pub mod incident;
pub mod keys;
pub mod ledger;
pub mod pause;
pub mod plan;
mod purge;
pub mod quarantine;
pub mod recover;
pub mod run;
pub mod survey;
mod time;
pub mod undo;
mod undo_recover;
pub mod unfit;
pub mod view;
mod view_cache;
pub mod waiting;
mod who;
pub mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::audit::entry::{Body, By};
use crate::audit::fault::LogFault;
use crate::audit::log::Log;
use crate::audit::read::ReadFault;
use crate::codes::{self, Code};
use crate::config::Loaded;
use crate::connect::{ConnectError, Connector, FieldKeys};
use crate::domain::decide::Moment;
use crate::domain::digest::MacKey;
use crate::domain::hold::Holds;
use crate::domain::id::{BatchId, RuleId, SystemId};
use crate::domain::policy::Policy;
use crate::domain::rule::Rule;
use crate::state::inflight::{InFlightError, InFlightFolder};
use crate::state::keys::{KeyFault, KeyRing, Purpose};
use crate::state::notes::Notes;
use crate::state::quarantine::{Quarantine, QuarantineFault};
use unfit::Unfit;
use view::View;

/// Everything that a command works with: the policy, the state folder, the log and the systems.
pub struct Engine {
    /// The configuration.
    pub loaded: Loaded,
    /// Who runs this.
    pub by: By,
    keys: Keys,
    log: Option<Log>,
    view: View,
    /// Entries that the kept view knows.
    kept_view: u64,
    holds: Arc<Holds>,
    notes: Notes,
    inflight: InFlightFolder,
    quarantine: Quarantine,
    undoing: InFlightFolder,
    trouble: Option<String>,
    doubt: Option<doubt::Doubt>,
    systems: BTreeMap<SystemId, Arc<dyn Connector>>,
    braking: brakes::Braking,
}

/// The keys that the engine works with.
#[derive(Debug)]
enum Keys {
    /// Those of the state folder.
    Kept(Box<KeyRing>),
    /// Random bytes of this process, for previews: nothing made with them is kept.
    OfThisProcess([u8; 32]),
}

/// Why the engine could not do something.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A transaction of ours still runs: nothing is known of it yet.
    #[error("the transaction of {0} still runs on its system: it is settled by a later run")]
    StillRuns(BatchId),
    /// A system could not do it.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The log could not be read or written. After an erasure the process must end.
    #[error("the log can't be used")]
    Log(#[from] LogFault),
    /// The log's entries can't be read.
    #[error(transparent)]
    Read(#[from] ReadFault),
    /// A key is missing or can't be opened.
    #[error("a key can't be used")]
    Key(#[from] KeyFault),
    /// A file in flight can't be used.
    #[error(transparent)]
    InFlight(#[from] InFlightError),
    /// What a run kept can't be used.
    #[error(transparent)]
    Quarantine(#[from] QuarantineFault),
    /// A file of ours could not be read or written.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// A verb phrase.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// `init` has not been run.
    #[error("there is no log yet in {}: run `bewaard init` once", .0.display())]
    NotInitialised(PathBuf),
    /// Another process purges.
    #[error("another run holds the lock of {}", .0.display())]
    Busy(PathBuf),
    /// Another host purges the same system.
    #[error("another bewaard (on another host, or with another state folder) runs on system `{0}` now")]
    BusyElsewhere(SystemId),
    /// The state folder is another user's.
    #[error("{} belongs to user {owner}: run this as that user, with `sudo -u {owner} {command}`", .path.display())]
    NotOurs {
        /// The state folder.
        path: PathBuf,
        /// Its owner's name, or number.
        owner: String,
        /// The command as it was typed.
        command: String,
    },
    /// Everything is paused.
    #[error("purging is paused: `bewaard resume --reason TEXT` ends it")]
    Paused,
    /// Doubt about the log: nothing is written and nothing is purged.
    #[error("{}: {}", .0.text, .0.ways())]
    Doubt(doubt::Doubt),
    /// Doubt about time: nothing is purged.
    #[error("doubt about the time: {0}")]
    Time(String),
    /// What was asked for can't be done, and this is why.
    #[error("{0}")]
    Refused(String),
    /// A rule does not fit its system.
    #[error("{0}")]
    Unfit(Box<Unfit>),
    /// What was named is not there.
    #[error("{0}")]
    NoSuch(String),
    /// Somebody asked to stop, before anything was done that must be told.
    #[error("stopped by you")]
    Stopped,
    /// The holds can't be known, so nothing may be erased.
    #[error("the holds can't be rebuilt from the log: {0}")]
    Holds(String),
    /// The holds can't be carried over to a successor log.
    #[error("{0} of the old log can't be carried over: their key or their entries are lost")]
    HoldsLost(&'static str),
    /// Something did not serialise: a fault of this program.
    #[error("a value could not be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl EngineError {
    /// Whether it may be over by the next run: a system that is away, or not in the policy now.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::NoSuch(_) | Self::StillRuns(_))
    }

    /// What `bewaard explain` says of it, where there is more to say.
    pub fn code(&self) -> Option<&'static Code> {
        match self {
            Self::Log(fault) => Some(fault.code()),
            Self::Key(fault) => Some(fault.code()),
            Self::Read(ReadFault::Damaged { .. }) => Some(codes::ENTRY_DAMAGED),
            Self::Read(ReadFault::Io { .. }) => Some(codes::LOG_UNREADABLE),
            Self::Connect(error) if error.unreachable => Some(codes::UNREACHABLE),
            Self::Time(_) => Some(codes::TIME_DOUBT),
            Self::Doubt(doubt) => Some(doubt.code),
            Self::HoldsLost(_) => Some(codes::HOLDS_LOST),
            Self::Unfit(unfit) => unfit.faults.first().map(|fault| fault.code),
            _ => None,
        }
    }
}

impl Engine {
    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.loaded.policy
    }

    /// A rule by its name.
    pub fn rule(&self, id: &RuleId) -> Result<&Rule, EngineError> {
        self.loaded
            .policy
            .rules
            .get(id)
            .ok_or_else(|| EngineError::NoSuch(format!("there is no rule `{id}` in the policy")))
    }

    /// What the log says of the present.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The notes.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// The holds in force.
    pub fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Whether a log stands behind this engine; without one everything is a preview.
    pub fn has_log(&self) -> bool {
        self.log.is_some()
    }

    /// The log.
    pub fn log(&mut self) -> Result<&mut Log, EngineError> {
        let state = &self.loaded.settings.state;
        self.log.as_mut().ok_or_else(|| EngineError::NotInitialised(state.clone()))
    }

    /// Works on the log. Where another process replaced the signing key meanwhile, the keys are read anew first.
    fn on_log<T>(&mut self, work: impl Fn(&mut Log) -> Result<T, LogFault>) -> Result<T, EngineError> {
        match work(self.log()?) {
            Err(fault) if fault.code().id == codes::LOG_KEY.id && self.ring_mut()?.reread()? => {
                let signers = self.ring()?.signers()?;
                let log = self.log()?;
                log.set_signers(signers);
                Ok(work(log)?)
            }
            done => Ok(done?),
        }
    }

    /// The key of this purpose.
    pub fn mac_key(&self, purpose: Purpose) -> Result<MacKey, EngineError> {
        match &self.keys {
            Keys::Kept(ring) => Ok(ring.current_mac(purpose)?),
            Keys::OfThisProcess(random) => Ok(MacKey::new(random)),
        }
    }

    /// The keys of the state folder; a preview has none.
    fn ring(&self) -> Result<&KeyRing, EngineError> {
        match &self.keys {
            Keys::Kept(ring) => Ok(ring),
            Keys::OfThisProcess(_) => Err(EngineError::NotInitialised(self.loaded.settings.state.clone())),
        }
    }

    fn ring_mut(&mut self) -> Result<&mut KeyRing, EngineError> {
        match &mut self.keys {
            Keys::Kept(ring) => Ok(ring),
            Keys::OfThisProcess(_) => Err(EngineError::NotInitialised(self.loaded.settings.state.clone())),
        }
    }

    /// The connector of a system; opened once.
    pub fn system(&mut self, id: &SystemId) -> Result<Arc<dyn Connector>, EngineError> {
        if let Some(open) = self.systems.get(id) {
            return Ok(Arc::clone(open));
        }
        let system = self.loaded.policy.systems.get(id);
        let system = system.ok_or_else(|| EngineError::NoSuch(format!("there is no system `{id}` in the policy")))?;
        let keys = FieldKeys {
            fingerprint: self.mac_key(Purpose::Fingerprint)?,
            pseudonym: self.mac_key(Purpose::Pseudonym)?,
        };
        let connector: Arc<dyn Connector> =
            Arc::from(crate::connect::open::open(system, self.loaded.policy.zone, keys)?);
        self.systems.insert(id.clone(), Arc::clone(&connector));
        Ok(connector)
    }

    /// The decision's moment: the day, in the policy's zone, of this moment.
    pub fn moment(&self, now: DateTime<Utc>) -> Moment {
        let policy = &self.loaded.policy;
        Moment { today: now.with_timezone(&policy.zone).date_naive(), year: policy.year }
    }

    /// Writes entries and signs a head over them; on the disk when this returns.
    pub fn record(&mut self, bodies: &[Body]) -> Result<(), EngineError> {
        self.trust_clock_for(bodies)?;
        self.sure()?;
        let key = self.log_key_id()?;
        self.record_under(bodies, &key)
    }

    /// Writes entries under a named commitment key, and a head over them.
    fn record_under(&mut self, bodies: &[Body], key: &str) -> Result<(), EngineError> {
        let now = crate::now::now();
        let range = self.on_log(|log| log.commit(bodies, key, now))?;
        self.take_written(bodies, &range, now)
    }

    /// Writes entries without a head of their own; on the disk when this returns.
    pub fn record_unsealed(&mut self, bodies: &[Body]) -> Result<(), EngineError> {
        self.trust_clock_for(bodies)?;
        self.sure()?;
        let (key, now) = (self.log_key_id()?, crate::now::now());
        let range = self.on_log(|log| log.append(bodies, &key, now))?;
        self.take_written(bodies, &range, now)
    }

    /// Publishes tiles, checkpoint and outside heads.
    pub fn publish(&mut self) -> Result<(), EngineError> {
        if self.doubt.is_some() {
            return Ok(());
        }
        let published = self.on_log(Log::publish);
        self.published(published)
    }

    /// Makes everything that is published anew, and publishes.
    pub fn republish(&mut self) -> Result<(), EngineError> {
        self.sure()?;
        let published = self.on_log(Log::republish);
        self.published(published)
    }

    fn published(&mut self, published: Result<(), EngineError>) -> Result<(), EngineError> {
        match published {
            // The log itself is whole, and what was purged is in it: this is told, and the work goes on.
            Err(EngineError::Log(fault @ LogFault::Outside { .. })) => self.trouble = Some(fault.to_string()),
            published => published?,
        }
        self.keep_view();
        Ok(())
    }

    /// What a person must hear though the work was done: an outside head that could not be written.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The id of the commitment key of the present quarter; a new quarter gets a new key, and an entry that says so.
    pub fn log_key_id(&mut self) -> Result<String, EngineError> {
        self.sure()?;
        let now = crate::now::now();
        let segment = self.log()?.segment(now);
        if let Some(id) = self.ring()?.current(Purpose::Log).filter(|id| id.segment() == Some(&segment)) {
            return Ok(id.into());
        }
        let id: String = self.ring_mut()?.make(Purpose::Log, Some(&segment))?.into();
        self.record_under(&[Body::key_changed(Purpose::Log.word(), &id, "made")], &id)?;
        Ok(id)
    }
}

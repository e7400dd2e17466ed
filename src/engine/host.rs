//! Opening what is on this host: state folder, keys, log; and making it, once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SubsecRound, Utc};

use super::view::View;
use super::{Engine, EngineError, Keys, view_cache, who};
use crate::audit::entry::{Body, By, SEALED, segment_of};
use crate::audit::fault::LogFault;
use crate::audit::journal::FOLDER as JOURNAL;
use crate::audit::log::{Log, LogPaths};
use crate::audit::read::entries;
use crate::config::Loaded;
use crate::domain::digest::MacKey;
use crate::domain::hold::Holds;
use crate::state::inflight::InFlightFolder;
use crate::state::keys::{KeyFault, KeyRing, Purpose};
use crate::state::lock::RunLock;
use crate::state::machine::Machine;
use crate::state::notes::Notes;
use crate::state::quarantine::Quarantine;
use crate::{codes, durable};

/// Rules that one entry names.
const RULES_IN_AN_ENTRY: usize = 200;

/// What `init` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Initialised {
    /// It made a log and keys.
    New,
    /// They were there already.
    AlreadyThere,
}

impl Engine {
    /// Opens log and keys to work with. Where there is no log yet, everything is a preview.
    pub fn open(loaded: Loaded) -> Result<Self, EngineError> {
        let state = loaded.settings.state.clone();
        if state.exists() {
            who::be_owner(&loaded)?;
        }
        if !keys_folder(&state).exists() {
            // A log without its keys is no beginning.
            let orphan = loaded.settings.log.join(JOURNAL).is_dir();
            return if orphan { Err(KeyFault::Missing(keys_folder(&state)).into()) } else { Ok(Self::preview(loaded)) };
        }
        let seen = Self::seen_outside(&loaded);
        let mut keys = KeyRing::open(&keys_folder(&state), loaded.settings.wrap.as_ref())?;
        let log = Log::open(log_paths(&loaded), keys.signers()?)?;
        keys.settle_signer(log.verifier())?;
        let holds = Holds::new(keys.current_mac(Purpose::Holds)?);
        let view = view_cache::read(&loaded.settings, &keys).unwrap_or_default();
        let mut engine = Self::build(loaded, Keys::Kept(Box::new(keys)), Some(log), holds);
        engine.kept_view = view.size;
        engine.view = view;
        tracing::debug!(entries = engine.kept_view, "the kept view");
        engine.catch_up()?;
        engine.look_for_doubt(&seen)?;
        engine.keep_view();
        engine.refresh_holds()?;
        Ok(engine)
    }

    /// Looks at systems without any state or log: for `check`, `grants`, and before `init`.
    pub fn preview(loaded: Loaded) -> Self {
        let random = crate::random::bytes();
        Self::build(loaded, Keys::OfThisProcess(random), None, Holds::new(MacKey::new(&random)))
    }

    fn build(loaded: Loaded, keys: Keys, log: Option<Log>, holds: Holds) -> Self {
        let state = loaded.settings.state.clone();
        Self {
            loaded,
            by: By { uid: who::started_as(), actor: None },
            keys,
            log,
            view: View::default(),
            kept_view: 0,
            holds: std::sync::Arc::new(holds),
            notes: Notes::new(&state),
            inflight: InFlightFolder::new(&state),
            quarantine: Quarantine::new(&state),
            undoing: InFlightFolder::undo(&state),
            trouble: None,
            doubt: None,
            systems: BTreeMap::new(),
            braking: super::brakes::Braking::default(),
        }
    }

    /// Makes log and keys where there are none. Nothing else ever does. What an `init` that was cut off left is
    /// finished.
    pub fn init(loaded: &Loaded) -> Result<Initialised, EngineError> {
        let state = &loaded.settings.state;
        let paths = log_paths(loaded);
        let wrap = loaded.settings.wrap.as_ref();
        durable::folder(state, true).map_err(|cause| EngineError::Io {
            doing: "make the state folder",
            path: state.clone(),
            cause,
        })?;
        who::be_owner(loaded)?;
        let now = crate::now::now();
        let keys = match KeyRing::open(&keys_folder(state), wrap) {
            Ok(keys) => keys,
            Err(KeyFault::Missing(_))
                if !paths.folder.join(JOURNAL).is_dir() && !keys_folder(state).join("current.json").exists() =>
            {
                let origin = loaded.settings.origin.clone();
                let origin = origin.unwrap_or_else(|| default_origin(&loaded.policy.controller));
                KeyRing::create(&keys_folder(state), wrap, &origin, &segment_of(now))?
            }
            Err(error) => return Err(error.into()),
        };
        match Log::open(paths.clone(), keys.signers()?) {
            Ok(_) => return Ok(Initialised::AlreadyThere),
            Err(LogFault::Missing(folder)) if has_lived(state) => {
                let text = "the state folder knows of a log, and it is not there: put it back, or begin a successor with \
                            `bewaard log continue --lost-head --reason \"...\"`";
                let (code, text) = (codes::LOG_MISSING, text.to_string());
                return Err(LogFault::Broken { code, file: folder, text }.into());
            }
            Err(LogFault::Missing(_)) => {}
            // An earlier `init` was cut off between its last two steps.
            Err(_) if Log::is_unfinished(&paths) => {}
            Err(error) => return Err(error.into()),
        }
        let signer = keys.signer()?;
        let verifier = signer.verifier().clone();
        let bodies = birth(&keys, state)?;
        let log_key = keys.current(Purpose::Log).map(String::from).unwrap_or_default();
        let mut log = Log::create(paths, signer, verifier.name(), &bodies, &log_key, now)?;
        log.publish()?;
        Ok(Initialised::New)
    }

    /// Takes the run lock; whoever has it may run and recover.
    pub fn take_run_lock(&self) -> Result<RunLock, EngineError> {
        let state = &self.loaded.settings.state;
        let taken = RunLock::take(state).map_err(|cause| EngineError::Io {
            doing: "take the run lock in",
            path: state.clone(),
            cause,
        })?;
        taken.ok_or_else(|| EngineError::Busy(state.clone()))
    }

    /// Reads the entries that the view does not have yet, ours and those of other processes.
    pub fn catch_up(&mut self) -> Result<(), EngineError> {
        if self.log.as_ref().is_none_or(|log| log.ends_at(self.view.size)) {
            return Ok(());
        }
        for read in entries(&self.loaded.settings.log, self.view.size)? {
            let (_, entry, _) = read?;
            self.view.apply(&entry);
        }
        Ok(())
    }

    /// Takes in what this process has just written at `range`: from memory, unless another process wrote before it.
    pub(super) fn take_written(
        &mut self,
        bodies: &[Body],
        range: &Range<u64>,
        now: DateTime<Utc>,
    ) -> Result<(), EngineError> {
        if self.view.size != range.start {
            return self.catch_up();
        }
        // As it stands in the line.
        let (time, segment) = (now.trunc_subsecs(0), self.log()?.segment(now));
        for (index, body) in range.clone().zip(bodies) {
            self.view.take(index, time, &segment, body);
        }
        Ok(())
    }

    /// Says which policy is in force, when it is another than before.
    pub fn note_policy(&mut self) -> Result<(), EngineError> {
        let digest = self.loaded.policy.digest;
        let in_doubt = self.doubt.is_some() || self.time_doubt().is_some();
        if self.log.is_none() || self.view.policy == Some(digest) || in_doubt {
            return Ok(());
        }
        let mut rules = Vec::new();
        for (id, rule) in &self.loaded.policy.rules {
            rules.push((id.clone(), super::decision::policy_part(&self.loaded.policy, rule)?));
        }
        // An entry has at most 64 KiB (C2SP tlog-tiles), so many rules take several.
        let chunks: Vec<BTreeMap<_, _>> =
            rules.chunks(RULES_IN_AN_ENTRY).map(|some| some.iter().cloned().collect()).collect();
        let bodies = chunks.into_iter().map(|rules| Body::PolicyInForce { policy: digest, rules });
        self.record(&bodies.collect::<Vec<_>>())
    }
}

/// The first entries of a log: its name and key, the machine that it is bound to, and the keys that it begins with.
pub(super) fn birth(keys: &KeyRing, state: &Path) -> Result<Vec<Body>, EngineError> {
    let verifier = keys.signer()?.verifier().clone();
    let (here, bind) = (Machine::look(state), keys.current_mac(Purpose::Fingerprint)?);
    let mut bodies = vec![Body::Init {
        origin: verifier.name().to_string(),
        verifier: verifier.to_string(),
        machine: here.whole(&bind),
        machines: here.digests(&bind),
        heads: Some(SEALED.into()),
        version: env!("CARGO_PKG_VERSION").into(),
    }];
    for purpose in Purpose::ALL {
        let id = keys.current(purpose).map(String::from).unwrap_or_default();
        bodies.push(Body::key_changed(purpose.word(), &id, "made"));
    }
    Ok(bodies)
}

/// Where the log and what belongs to it lie.
pub fn log_paths(loaded: &Loaded) -> LogPaths {
    let state = &loaded.settings.state;
    LogPaths {
        folder: loaded.settings.log.clone(),
        last_head: state.join("last-head"),
        side: state.clone(),
        append_lock: state.join("append.lock"),
        outside: loaded.settings.outside.clone(),
    }
}

pub(super) fn keys_folder(state: &Path) -> PathBuf {
    state.join("keys")
}

/// A log's name when the policy gives none: readable, and different for each log.
pub(super) fn default_origin(controller: &str) -> String {
    let slug: String =
        controller.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let slug: Vec<&str> = slug.split('-').filter(|word| !word.is_empty()).take(6).collect();
    let unique = hex::encode(crate::random::bytes::<4>());
    format!("bewaard.invalid/{}-{unique}", slug.join("-"))
}

/// Whether a log was written from this state folder: an `init` that was cut off leaves none of these.
fn has_lived(state: &Path) -> bool {
    ["last-head", "frontier.json", "plans", "notes", "inflight", "view.cache"]
        .iter()
        .any(|name| state.join(name).exists())
}

//! A successor log: after a restored machine, a lost head or a cut log, the old log ends and a new one names it.
//! Never two heads under one origin.

use std::fs;
use std::path::PathBuf;

use super::host::{default_origin, keys_folder, log_paths};
use super::view::View;
use super::{Engine, EngineError};
use crate::audit::entry::{Body, By, segment_of};
use crate::audit::heads;
use crate::audit::log::Log;
use crate::audit::read::entries;
use crate::config::Loaded;
use crate::domain::digest::Digest;
use crate::domain::hold::Holds;
use crate::durable;
use crate::state::keys::{KeyId, KeyRing, Purpose};
use crate::state::lock::RunLock;
use crate::state::notes::Notes;

/// What continuing did.
#[derive(Debug)]
pub struct Continued {
    /// The log that ended.
    pub before: String,
    /// Where what was left of it lies.
    pub kept_in: PathBuf,
    /// The new log's name.
    pub origin: String,
    /// Its key.
    pub verifier: String,
    /// Holds carried over.
    pub holds: usize,
    /// Open batches carried over.
    pub open: usize,
}

impl Engine {
    /// Ends the log and begins its successor. Holds and open batches are carried over as far as the old entries can be
    /// read; approvals are not.
    pub fn continue_log(loaded: &Loaded, reason: &str) -> Result<Continued, EngineError> {
        let state = loaded.settings.state.clone();
        super::who::be_owner(loaded)?;
        let io = |doing: &'static str, path: &std::path::Path| {
            let path = path.to_path_buf();
            move |cause| EngineError::Io { doing, path, cause }
        };
        let lock = RunLock::take(&state).map_err(io("take the run lock in", &state))?;
        let _lock = lock.ok_or_else(|| EngineError::Busy(state.clone()))?;
        let mut keys = KeyRing::open(&keys_folder(&state), loaded.settings.wrap.as_ref())?;
        let before = keys.signer()?.verifier().name().to_string();
        let (view, size, root) = last_known(loaded);
        let holds = carried_holds(&view, &keys)?;

        let kept_in = aside(&loaded.settings.log);
        if loaded.settings.log.exists() {
            durable::place_folder(&loaded.settings.log, &kept_in).map_err(io("set aside", &loaded.settings.log))?;
        }
        let last_head = state.join("last-head");
        durable::remove(&last_head).map_err(io("remove", &last_head))?;

        let origin = default_origin(&loaded.policy.controller);
        keys.begin_log(&origin)?;
        let now = crate::now::now();
        let log_key: String = keys.make(Purpose::Log, Some(&segment_of(now)))?.into();
        let signer = keys.signer()?;
        let verifier = signer.verifier().to_string();
        let by = By { uid: super::who::started_as(), actor: None };
        let note = Notes::new(&state).keep(reason).map_err(io("write a note in", &state))?;
        let mut bodies = vec![
            Body::Init {
                origin: origin.clone(),
                verifier: verifier.clone(),
                machine: super::host::machine(&keys)?,
                version: env!("CARGO_PKG_VERSION").into(),
            },
            Body::LogContinued { origin: before.clone(), size, root, why: "lost-head".into(), by: by.clone(), note },
            Body::KeyChanged { purpose: "log".into(), id: log_key.clone(), change: "made".into(), proof: None },
        ];
        let (held, open) = (holds.iter().count(), view.open.len());
        bodies.extend(hold_entries(&view, &holds, &by, note));
        bodies.extend(view.open.iter().map(|(batch, open)| Body::BatchIntended {
            batch: batch.clone(),
            run: open.run.clone(),
            rule: open.rule.clone(),
            decision: Digest([0; 32]),
            count: open.count - open.have.len() as u64,
            file: open.file,
        }));
        let mut log = Log::create(log_paths(loaded), signer, &origin, &bodies, &log_key, now)?;
        log.publish()?;
        Ok(Continued { before, kept_in, origin, verifier, holds: held, open })
    }
}

/// What the old entries and heads say, as far as they can be read.
fn last_known(loaded: &Loaded) -> (View, u64, Digest) {
    let mut view = View::default();
    if let Ok(all) = entries(&loaded.settings.log, 0) {
        for (_, entry, _) in all.map_while(Result::ok) {
            view.apply(&entry);
        }
    }
    let head = heads::tail(&loaded.settings.log).ok().and_then(|tail| tail.newest);
    let head = head.and_then(|line| heads::Head::from_line(&line).ok());
    let last = fs::read_to_string(loaded.settings.state.join("last-head")).ok();
    let last = last.and_then(|note| heads::Head::read(&note).ok());
    let newest = [head, last].into_iter().flatten().map(|head| head.checkpoint).max_by_key(|head| head.size);
    newest.map_or((view.clone(), 0, Digest([0; 32])), |head| (view, head.size, head.root))
}

/// The holds in force; if they do not add up, nothing may be purged until somebody places them again.
fn carried_holds(view: &View, keys: &KeyRing) -> Result<Holds, EngineError> {
    let key = match &view.holds_digest {
        Some((_, id)) => keys.mac(&KeyId::try_from(id.clone())?)?,
        None => keys.current_mac(Purpose::Holds)?,
    };
    let mut holds = Holds::new(key);
    for hold in view.holds.values() {
        holds.add(hold.clone());
    }
    match &view.holds_digest {
        Some((digest, _)) if holds.digest() != *digest => {
            Err(EngineError::Holds("the old log's entries do not add up to its newest digest".into()))
        }
        _ => Ok(holds),
    }
}

/// One entry per hold; each names the digest of the set as it stands after it.
fn hold_entries(view: &View, holds: &Holds, by: &By, note: Digest) -> Vec<Body> {
    let Some((_, hold_key)) = &view.holds_digest else { return Vec::new() };
    let mut so_far = holds.clone();
    for hold in view.holds.values() {
        so_far.release(&hold.id);
    }
    let mut bodies = Vec::new();
    for hold in view.holds.values() {
        so_far.add(hold.clone());
        bodies.push(Body::HoldChanged {
            hold: hold.id.clone(),
            change: "placed".into(),
            marks: hold.marks.iter().copied().collect(),
            system: hold.system.clone(),
            rule: hold.rule.clone(),
            owner: hold.owner.clone(),
            review: Some(hold.review),
            set: so_far.digest(),
            hold_key: hold_key.clone(),
            by: by.clone(),
            note,
        });
    }
    bodies
}

/// A free name beside the log's folder.
fn aside(log: &std::path::Path) -> PathBuf {
    let name = |n: u32| {
        let mut name = log.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".ended-{n}"));
        log.with_file_name(name)
    };
    let mut n = 1;
    while name(n).exists() {
        n += 1;
    }
    name(n)
}

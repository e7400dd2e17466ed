//! A successor log: after a restored machine, a lost head or a cut log, the old log ends and a new one names it.
//! Never two heads under one origin.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::host::{default_origin, keys_folder, log_paths};
use super::quarantine::{last_day, quarantine_keys};
use super::view::View;
use super::{Engine, EngineError};
use crate::audit::entry::{Body, By, segment_of};
use crate::audit::fault::LogFault;
use crate::audit::heads::{self, Head};
use crate::audit::journal::FOLDER;
use crate::audit::log::Log;
use crate::audit::note::Checkpoint;
use crate::audit::outside::{self, Seen};
use crate::audit::read::entries;
use crate::config::Loaded;
use crate::domain::digest::{Digest, MacKey};
use crate::domain::hold::Holds;
use crate::state::keys::{KeyFault, KeyId, KeyRing, Purpose};
use crate::state::lock::RunLock;
use crate::state::notes::Notes;
use crate::{codes, crash_point, durable};

/// What a successor's first entry says when the log before was lost, cut, put back or forked.
pub(super) const LOST_HEAD: &str = "lost-head";

/// Says in the state folder that a log is being continued.
const MARKER: &str = "continuing";

/// Why a log gets a successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// It was lost, cut, put back or forked.
    LostHead,
    /// This machine is a copy, and the first one goes on.
    Copied,
}

impl Why {
    fn word(self) -> &'static str {
        match self {
            Self::LostHead => LOST_HEAD,
            Self::Copied => "copied",
        }
    }
}

/// What continuing did.
#[derive(Debug)]
pub struct Continued {
    /// The log before.
    pub before: String,
    /// Where what was left of it lies.
    pub kept_in: Option<PathBuf>,
    /// Where outside heads of it lie.
    pub outside: Vec<PathBuf>,
    /// The new log's name.
    pub origin: String,
    /// Its key.
    pub verifier: String,
    /// Holds carried over.
    pub holds: u64,
    /// Open batches carried over.
    pub open: u64,
    /// Open batches that stay with the first machine.
    pub left_open: u64,
    /// What nobody can do any more.
    pub lost: Vec<String>,
    /// What could not be done outside the log.
    pub trouble: Vec<String>,
}

/// That a log is being continued: on the disk while its folder lies aside and the successor is not there yet.
#[derive(Debug, Serialize, Deserialize)]
struct Halfway {
    why: Why,
    /// Where the old log is moved to.
    aside: PathBuf,
}

/// The old log, as far as it can be read.
struct Known {
    view: View,
    /// Whether the entries could be read to the end.
    whole: bool,
    /// The largest head that is known, here or outside.
    head: Option<Checkpoint>,
    /// Its name, from its heads, else from its first entry.
    origin: Option<String>,
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> EngineError {
    move |cause| EngineError::Io { doing, path: path.to_path_buf(), cause }
}

impl Engine {
    /// Ends the log here and begins its successor. Holds and open batches are carried over as far as the old entries
    /// can be read; approvals are not. The open batches of a copy are the first machine's to settle.
    pub fn continue_log(
        loaded: &Loaded,
        why: Why,
        without_holds: bool,
        reason: &str,
    ) -> Result<Continued, EngineError> {
        let (state, now) = (loaded.settings.state.clone(), crate::now::now());
        if !state.exists() && !loaded.settings.log.join(FOLDER).is_dir() {
            return Err(EngineError::NotInitialised(state));
        }
        durable::folder(&state, true).map_err(io("make the state folder", &state))?;
        super::who::be_owner(loaded)?;
        let lock = RunLock::take(&state).map_err(io("take the run lock in", &state))?;
        let _lock = lock.ok_or_else(|| EngineError::Busy(state.clone()))?;
        let halfway = halfway(loaded)?;
        let why = halfway.as_ref().map_or(why, |halfway| halfway.why);
        let known = last_known(loaded, halfway.as_ref().map_or(&loaded.settings.log, |halfway| &halfway.aside));
        let old_keys = match KeyRing::open(&keys_folder(&state), loaded.settings.wrap.as_ref()) {
            Err(KeyFault::Missing(_)) if why == Why::LostHead && !keys_folder(&state).join("current.json").exists() => {
                None
            }
            keys => Some(keys?),
        };
        let by_key =
            || old_keys.as_ref().and_then(|keys| keys.signer().ok()).map(|key| key.verifier().name().to_string());
        let lost = match (why, &old_keys) {
            (Why::LostHead, Some(keys)) => closed_windows(keys, &known.view, now.date_naive())?,
            _ => Vec::new(),
        };
        let before = known.origin.clone().or_else(by_key).unwrap_or_default();
        let holds = carried_holds(&known, old_keys.as_ref(), without_holds)?;
        let seen = outside::read(&loaded.settings.outside);
        if why == Why::Copied {
            outside_is_ours_alone(&seen, &before)?;
        }
        let origin = default_origin(&loaded.policy.controller);
        let kept = halfway.map_or_else(|| aside(&loaded.settings.log), |halfway| halfway.aside);
        let marker = state.join(MARKER);
        let text = serde_json::to_vec(&Halfway { why, aside: kept.clone() }).map_err(std::io::Error::from);
        text.and_then(|text| durable::replace(&marker, &text, durable::PRIVATE, &state))
            .map_err(io("write", &marker))?;
        crash_point!("continue-marked");
        let (outside, mut trouble) = set_aside(loaded, &seen, &kept)?;
        crash_point!("continue-aside");
        let keys = new_keys(loaded, old_keys, why, &origin, &segment_of(now))?;
        crash_point!("continue-keys");
        let bodies = first_entries(loaded, &keys, &known, &holds, why, &before, reason)?;
        let signer = keys.signer()?;
        let verifier = signer.verifier().to_string();
        let log_key = keys.current(Purpose::Log).map(String::from).unwrap_or_default();
        let mut log = Log::create(log_paths(loaded), signer, &origin, &bodies, &log_key, now)?;
        crash_point!("continue-made");
        durable::remove(&marker).map_err(io("remove", &marker))?;
        match log.publish() {
            Err(fault @ LogFault::Outside { .. }) => trouble.push(fault.to_string()),
            Err(fault) if fault.code() == codes::OUTSIDE_DIFFERS => trouble.push(fault.to_string()),
            published => published?,
        }
        let (held, open) = (holds.iter().count() as u64, known.view.open.len() as u64);
        let (open, left_open) = if why == Why::Copied { (0, open) } else { (open, 0) };
        let kept_in = kept.exists().then_some(kept);
        Ok(Continued { before, kept_in, outside, origin, verifier, holds: held, open, left_open, lost, trouble })
    }
}

/// What the successor of a lost log can't do any more: put back what earlier runs took.
fn closed_windows(keys: &KeyRing, view: &View, today: NaiveDate) -> Result<Vec<String>, KeyFault> {
    let days = quarantine_keys(keys)?.iter().filter_map(last_day).filter(|day| *day > today).collect::<Vec<_>>();
    let mut out = Vec::new();
    if let Some(last) = days.iter().max() {
        let runs = if days.len() == 1 { "1 run".into() } else { format!("{} runs", days.len()) };
        let until = last.format("%d-%m-%Y");
        out.push(format!("{runs} can't be undone any more; what they took stays sealed and is destroyed by {until}"));
    }
    if !view.undoing.is_empty() {
        let text = "what was being put back when the log ended is not settled: look whether it is there";
        out.push(format!("{text} ({} of them)", view.undoing.len()));
    }
    Ok(out)
}

/// A copy must not share its outside heads with the machine that goes on.
fn outside_is_ours_alone(seen: &[Seen], before: &str) -> Result<(), EngineError> {
    for one in seen {
        if one.head.as_ref().is_some_and(|head| head.checkpoint.origin == *before) {
            let path = one.path.display();
            return Err(EngineError::Refused(format!(
                "the outside head {path} is that of the first machine: give this copy another path under [log] outside, \
                 or take the file away if it is a copy too"
            )));
        }
    }
    Ok(())
}

/// What an interrupted `continue` left, where it is this log's: its folder lies aside, and no successor has a head yet.
fn halfway(loaded: &Loaded) -> Result<Option<Halfway>, EngineError> {
    let (state, path) = (&loaded.settings.state, loaded.settings.state.join(MARKER));
    if loaded.settings.log.exists() || !path.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(&path).map_err(io("read", &path))?;
    let halfway: Halfway = serde_json::from_slice(&bytes).map_err(|cause| io("read", &path)(cause.into()))?;
    let heads = outside::read(&[state.join("last-head")]).into_iter().filter_map(|seen| seen.head);
    let last = heads.map(|head| head.checkpoint.origin).next();
    let origin = entries(&halfway.aside, 0).ok().and_then(|mut all| all.next()).and_then(Result::ok);
    let origin = origin.and_then(|(_, entry, _)| match entry.body {
        Body::Init { origin, .. } => Some(origin),
        _ => None,
    });
    Ok((last.is_none() || last == origin).then_some(halfway))
}

type Aside = (Vec<PathBuf>, Vec<String>);

/// Moves the old log and its outside heads aside; nothing is removed but the last head, which the log itself has.
fn set_aside(loaded: &Loaded, seen: &[Seen], kept: &Path) -> Result<Aside, EngineError> {
    let (mut outside, mut trouble) = (Vec::new(), Vec::new());
    for Seen { path, head } in seen {
        if head.is_some() {
            let kept = aside(path);
            match durable::set_aside(path, &kept) {
                Ok(()) => outside.push(kept),
                Err(error) => trouble.push(format!("the outside head {} can't be set aside: {error}", path.display())),
            }
        }
    }
    let last_head = loaded.settings.state.join("last-head");
    let log = &loaded.settings.log;
    if log.exists() {
        durable::place_folder(log, kept).map_err(io("set aside", log))?;
    }
    if last_head.exists() {
        durable::set_aside(&last_head, &aside(&last_head)).map_err(io("set aside", &last_head))?;
    }
    Ok((outside, trouble))
}

/// The keys of the successor: a name and a signing key of its own, and a log key. A copy gets new keys but for those
/// by which holds and pseudonyms are known, and can't sign as the first machine any more.
fn new_keys(
    loaded: &Loaded,
    old: Option<KeyRing>,
    why: Why,
    origin: &str,
    segment: &str,
) -> Result<KeyRing, EngineError> {
    let folder = keys_folder(&loaded.settings.state);
    let Some(mut keys) = old else {
        return Ok(KeyRing::create(&folder, loaded.settings.wrap.as_ref(), origin, segment)?);
    };
    let signed: Vec<KeyId> = keys.ids()?.into_iter().filter(|id| id.as_str().starts_with("signing-")).collect();
    keys.begin_log(origin)?;
    keys.make(Purpose::Log, Some(segment))?;
    if why == Why::Copied {
        for purpose in [Purpose::Plan, Purpose::Fingerprint, Purpose::Inflight] {
            keys.make(purpose, None)?;
        }
        for id in &signed {
            keys.destroy(id)?;
        }
    }
    Ok(keys)
}

fn first_entries(
    loaded: &Loaded,
    keys: &KeyRing,
    known: &Known,
    holds: &Holds,
    why: Why,
    before: &str,
    reason: &str,
) -> Result<Vec<Body>, EngineError> {
    let state = &loaded.settings.state;
    let by = By { uid: super::who::started_as(), actor: None };
    let note = Notes::new(state).keep(reason).map_err(io("write a note in", state))?;
    let (size, root) = known.head.as_ref().map_or((0, Digest([0; 32])), |head| (head.size, head.root));
    let copied = why == Why::Copied;
    let mut bodies = super::host::birth(keys, state)?;
    let continued = Body::LogContinued {
        origin: before.to_string(),
        size,
        root,
        why: why.word().into(),
        left_open: if copied { known.view.open.len() as u64 } else { 0 },
        by: by.clone(),
        note,
    };
    bodies.insert(1, continued);
    bodies.extend(hold_entries(&known.view, holds, &by, note));
    if !copied {
        bodies.extend(known.view.open.iter().map(|(batch, open)| Body::BatchIntended {
            batch: batch.clone(),
            run: open.run.clone(),
            rule: open.rule.clone(),
            decision: Digest([0; 32]),
            count: open.count - open.have.len() as u64,
            file: open.file,
        }));
    }
    Ok(bodies)
}

/// What the old entries, heads and outside heads say, as far as they can be read.
fn last_known(loaded: &Loaded, log: &Path) -> Known {
    let (mut view, mut whole, mut origin) = (View::default(), true, None);
    match entries(log, 0) {
        Ok(all) => {
            for read in all {
                let Ok((_, entry, _)) = read else {
                    whole = false;
                    break;
                };
                if let Body::Init { origin: name, .. } = &entry.body {
                    origin = Some(name.clone());
                }
                view.apply(&entry);
            }
        }
        Err(_) => whole = false,
    }
    let head = heads::tail(log).ok().and_then(|tail| tail.newest);
    let head = head.and_then(|line| Head::from_line(&line).ok()).map(|(head, _)| head);
    let paths: Vec<PathBuf> =
        [loaded.settings.state.join("last-head")].into_iter().chain(loaded.settings.outside.clone()).collect();
    let others = outside::read(&paths).into_iter().filter_map(|seen| seen.head);
    let all: Vec<Checkpoint> = head.into_iter().chain(others).map(|head| head.checkpoint).collect();
    let origin = origin.or_else(|| all.first().map(|head| head.origin.clone()));
    let of_this = all.into_iter().filter(|head| Some(&head.origin) == origin.as_ref());
    let head = of_this.max_by_key(|head| head.size);
    whole &= head.as_ref().is_none_or(|head| head.size <= view.size);
    Known { view, whole, head, origin }
}

/// The holds in force. Where some may be lost with their key or with entries, a person must say that it goes on without
/// those; what is known is carried over all the same.
fn carried_holds(known: &Known, keys: Option<&KeyRing>, without: bool) -> Result<Holds, EngineError> {
    let view = &known.view;
    let none = || Holds::new(MacKey::new(&[0; 32]));
    let key = match (&view.holds_digest, keys) {
        (Some((_, id)), Some(keys)) => keys.mac(&KeyId::try_from(id.clone())?).ok(),
        (None, Some(keys)) => Some(keys.current_mac(Purpose::Holds)?),
        (_, None) => None,
    };
    let mut found = key.map_or_else(none, Holds::new);
    for hold in view.holds.values() {
        found.add(hold.clone());
    }
    let adds_up = match (&view.holds_digest, keys) {
        (Some((digest, _)), Some(_)) => found.digest() == *digest,
        (Some(_), None) => view.holds.is_empty(),
        (None, _) => true,
    };
    match (adds_up, known.whole, without) {
        (true, true, _) | (true, false, true) => Ok(if view.holds.is_empty() { none() } else { found }),
        (false, _, true) => Ok(none()),
        (true, false, false) => Err(EngineError::HoldsLost("holds in entries that are missing, if there were any,")),
        (false, _, false) => Err(EngineError::HoldsLost("the holds")),
    }
}

/// One entry per hold; each names the digest of the set as it stands after it.
fn hold_entries(view: &View, holds: &Holds, by: &By, note: Digest) -> Vec<Body> {
    let Some((_, hold_key)) = &view.holds_digest else { return Vec::new() };
    if holds.iter().next().is_none() {
        return Vec::new();
    }
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
fn aside(log: &Path) -> PathBuf {
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

//! Small logs, each as it was after each step of its life, the same bytes in every process.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bewaard::audit::entry::Body;
use bewaard::audit::heads::Head;
use bewaard::audit::log::{Log, LogPaths, Signers};
use bewaard::audit::note::{Signer, key_change_text};
use bewaard::domain::digest::Digest;
use bewaard::domain::id::{BatchId, PartId, RuleId, RunId};
use bewaard::domain::outcome::Outcome;
use bewaard::secret::Secret;
use chrono::{DateTime, TimeDelta, Utc};

use super::place::{Files, Place};

/// The log's name.
pub(super) const ORIGIN: &str = "bewaard.example/fietsen";
/// The id of the commitment key.
pub(super) const KEY: &str = "log-2026-Q4-00000000";

/// A log's life, and what is true of it at its end.
pub(super) struct Story {
    /// All files after each step.
    pub(super) steps: Vec<Files>,
    /// Every line of the journal that was ever written.
    pub(super) lines: Vec<Vec<u8>>,
    /// Every line of `heads`, with how many entries it signs.
    pub(super) heads: Vec<(u64, String)>,
    /// The public keys that sign it.
    pub(super) keys: Vec<String>,
    staged: Option<u8>,
}

impl Story {
    /// The files as they are at the end.
    pub(super) fn files(&self) -> &Files {
        self.steps.last().expect("a story has an end")
    }

    /// The keys that may write at the end.
    pub(super) fn signers(&self) -> Signers {
        Signers { current: signer(7), staged: self.staged.map(signer) }
    }

    /// The newest head, as a note.
    pub(super) fn newest(&self) -> &[u8] {
        &self.files()["state/last-head"]
    }
}

/// Every story.
pub(super) static STORIES: LazyLock<Vec<Story>> =
    LazyLock::new(|| vec![published(false), published(true), begun(), rotated(), rotating()]);

/// A key of a fixed seed, in the form in which OpenSSL writes it.
pub(super) fn signer(seed: u8) -> Signer {
    let mut document = hex::decode("302e020100300506032b657004220420").expect("hexadecimal");
    document.extend([seed; 32]);
    Signer::from_pkcs8(ORIGIN, &Secret::new(document)).expect("a key")
}

pub(super) fn paths(place: &Place) -> LogPaths {
    LogPaths {
        folder: place.path("log"),
        last_head: place.path("state/last-head"),
        side: place.path("state"),
        append_lock: place.path("state/append.lock"),
        outside: vec![place.path("outside-head")],
    }
}

/// A moment of the story, some days after it began.
pub(super) fn day(days: i64) -> DateTime<Utc> {
    let begin: DateTime<Utc> = "2026-11-23T02:30:00Z".parse().expect("a moment");
    begin + TimeDelta::days(days)
}

pub(super) fn first() -> Body {
    Body::Init {
        origin: ORIGIN.into(),
        verifier: signer(7).verifier().to_string(),
        machine: Digest([1; 32]),
        machines: BTreeMap::new(),
        heads: Some("sealed".into()),
        version: "0.1.0".into(),
    }
}

fn batch(number: u8, records: u8) -> Vec<Body> {
    let (batch, rule) = (BatchId::from_random([number; 8]), RuleId::new("old").expect("a name"));
    let mut bodies = vec![Body::BatchIntended {
        batch: batch.clone(),
        run: RunId::from_random([9; 8]),
        rule: rule.clone(),
        decision: Digest([2; 32]),
        count: u64::from(records),
        file: Digest([3; 32]),
    }];
    bodies.extend((0..records).map(|record| Body::Outcome {
        batch: batch.clone(),
        rule: rule.clone(),
        part: PartId::record(),
        record: Digest::of(&[number, record]),
        result: Outcome::Erased,
        children: BTreeMap::new(),
        pending: None,
        recovered: false,
        until: None,
    }));
    bodies
}

/// Writes down what a log's folder holds after each step.
struct Telling {
    place: Place,
    steps: Vec<Files>,
}

impl Telling {
    fn begin() -> (Self, Log) {
        let place = Place::new();
        std::fs::create_dir(place.path("state")).expect("make a folder");
        let log = Log::create(paths(&place), signer(7), ORIGIN, &[first()], KEY, day(0)).expect("a new log");
        let mut telling = Self { place, steps: Vec::new() };
        telling.step();
        (telling, log)
    }

    fn step(&mut self) {
        self.steps.push(self.place.files());
    }

    fn end(mut self, staged: Option<u8>) -> Story {
        self.step();
        let files = self.steps.last().expect("a step");
        let text = |name: &str| String::from_utf8(files[name].clone()).expect("text");
        let names = files.keys().filter(|name| name.starts_with("log/journal/"));
        let lines = names.flat_map(|name| text(name).lines().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>());
        let size = |line: &str| Head::from_line(line.as_bytes()).expect("a head").0.checkpoint.size;
        let heads = text("log/heads").lines().map(|line| (size(line), line.to_string())).collect();
        let keys = [7, 8].into_iter().take(if staged.is_some() { 2 } else { 1 });
        let keys = keys.map(|seed| signer(seed).verifier().to_string()).collect();
        Story { lines: lines.collect(), heads, keys, staged, steps: self.steps }
    }
}

/// Two batches in two quarters, published; and a third that a crash left open.
fn published(open: bool) -> Story {
    let (mut telling, mut log) = Telling::begin();
    for number in 1..=2 {
        let bodies = batch(number, 2);
        log.append(&bodies[..1], KEY, day(20 * i64::from(number))).expect("an intent");
        log.commit(&bodies[1..], KEY, day(20 * i64::from(number))).expect("outcomes");
        telling.step();
        log.publish().expect("a publication");
        telling.step();
    }
    if open {
        log.append(&batch(3, 2)[..2], KEY, day(60)).expect("an intent and one outcome");
    }
    telling.end(None)
}

/// Only just made.
fn begun() -> Story {
    Telling::begin().0.end(None)
}

/// The signing passed on to another key.
fn rotated() -> Story {
    let (mut telling, log) = Telling::begin();
    drop(log);
    let signers = Signers { current: signer(7), staged: Some(signer(8)) };
    let mut log = Log::open(paths(&telling.place), signers).expect("the log");
    log.commit(&batch(1, 1), KEY, day(1)).expect("a batch");
    telling.step();
    log.rotate(KEY, None, day(2)).expect("a rotation");
    telling.step();
    log.commit(&batch(2, 1), KEY, day(3)).expect("a batch");
    log.publish().expect("a publication");
    let mut story = telling.end(Some(8));
    story.keys = vec![signer(7).verifier().to_string(), signer(8).verifier().to_string()];
    story
}

/// The signing passes on, and a crash came before the head that says so.
fn rotating() -> Story {
    let (mut telling, mut log) = Telling::begin();
    log.commit(&batch(1, 1), KEY, day(1)).expect("a batch");
    telling.step();
    let (old, new) = (signer(7), signer(8));
    let proof = new.sign(key_change_text(ORIGIN, old.verifier(), new.verifier()).as_bytes());
    let body = Body::KeyChanged {
        purpose: "signing".into(),
        id: new.verifier().to_string(),
        change: "replaced".into(),
        proof: Some(STANDARD.encode(proof)),
        by: None,
        note: None,
    };
    log.append(&[body], KEY, day(2)).expect("an entry");
    let mut story = telling.end(Some(8));
    story.keys.truncate(1);
    story
}

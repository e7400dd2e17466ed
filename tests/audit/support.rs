//! A log in a private folder.

use std::path::{Path, PathBuf};

use bewaard::audit::entry::Body;
use bewaard::audit::log::{Log, LogPaths};
use bewaard::audit::note::Signer;
use bewaard::domain::digest::Digest;
use bewaard::domain::id::{BatchId, PartId, RuleId, RunId};
use bewaard::domain::outcome::Outcome;
use bewaard::secret::Secret;
use chrono::{DateTime, TimeDelta, Utc};

pub(super) const ORIGIN: &str = "bewaard.example/fietsen";
pub(super) const KEY: &str = "log-2026-Q4-00000000";

/// PKCS#8 around a fixed seed, as OpenSSL writes it.
pub(super) fn signer_of(seed: u8) -> Signer {
    let mut document = hex::decode("302e020100300506032b657004220420").unwrap();
    document.extend([seed; 32]);
    Signer::from_pkcs8(ORIGIN, &Secret::new(document)).unwrap()
}

pub(super) fn signer() -> Signer {
    signer_of(7)
}

pub(super) fn time() -> DateTime<Utc> {
    "2026-11-23T02:30:00Z".parse().unwrap()
}

/// The first entry of a log of today's form.
pub(super) fn init() -> Body {
    let mut init = first_init();
    if let Body::Init { heads, .. } = &mut init {
        *heads = Some("sealed".into());
    }
    init
}

/// The first entry of a log of the first form.
pub(super) fn first_init() -> Body {
    Body::Init {
        origin: ORIGIN.into(),
        verifier: signer().verifier().to_string(),
        machine: Digest([1; 32]),
        machines: std::collections::BTreeMap::new(),
        heads: None,
        version: "0.1.0".into(),
    }
}

pub(super) fn intended(batch: u8, count: u64) -> Body {
    Body::BatchIntended {
        batch: BatchId::from_random([batch; 8]),
        run: RunId::from_random([9; 8]),
        rule: RuleId::new("old").unwrap(),
        decision: Digest([2; 32]),
        count,
        file: Digest([3; 32]),
    }
}

pub(super) fn outcome(batch: u8, record: u64) -> Body {
    Body::Outcome {
        batch: BatchId::from_random([batch; 8]),
        rule: RuleId::new("old").unwrap(),
        part: PartId::record(),
        record: Digest::of(&record.to_be_bytes()),
        result: Outcome::Erased,
        children: [("orders".to_string(), record % 3)].into(),
        pending: None,
        recovered: false,
        until: None,
    }
}

/// A batch of this many records: its intent and its outcomes.
pub(super) fn batch(number: u8, count: u64) -> Vec<Body> {
    let mut bodies = vec![intended(number, count)];
    bodies.extend((0..count).map(|record| outcome(number, u64::from(number) * 100_000 + record)));
    bodies
}

pub(super) struct Place {
    root: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }
    pub(super) fn path(&self) -> &Path {
        self.root.path()
    }
    pub(super) fn folder(&self) -> PathBuf {
        self.path().join("log")
    }
    pub(super) fn paths(&self) -> LogPaths {
        LogPaths {
            folder: self.folder(),
            last_head: self.path().join("state/last-head"),
            side: self.path().join("state"),
            append_lock: self.path().join("state/append.lock"),
            outside: vec![self.path().join("outside-head")],
        }
    }
    pub(super) fn create(&self) -> Log {
        std::fs::create_dir(self.path().join("state")).unwrap();
        Log::create(self.paths(), signer(), ORIGIN, &[init()], KEY, time()).unwrap()
    }
    pub(super) fn open(&self) -> Log {
        Log::open(self.paths(), signer()).unwrap()
    }
}

/// A log of several batches over two segments, published.
pub(super) fn filled(batches: u8, count: u64) -> Place {
    let place = Place::new();
    let mut log = place.create();
    for number in 1..=batches {
        let now = time() + TimeDelta::days(20 * i64::from(number));
        log.append(&[intended(number, count)], KEY, now).unwrap();
        log.commit(&batch(number, count)[1..], KEY, now + TimeDelta::seconds(1)).unwrap();
    }
    log.publish().unwrap();
    place
}

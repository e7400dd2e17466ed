//! The process is killed at every named point; afterwards the log opens, goes on, and verifies.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use bewaard::audit::entry::Body;
use bewaard::audit::log::{Log, LogPaths};
use bewaard::audit::note::VerifierKey;
use bewaard::audit::verify::{Against, Keys, Options, verify};
use bewaard::domain::digest::Digest;
use bewaard::state::keys::{KeyRing, Purpose};
use chrono::TimeDelta;

use super::support::{KEY, ORIGIN, Place, batch, time};

/// Every point that this work passes.
const POINTS: [&str; 31] = [
    "keys-current",
    "create-place",
    "create-last-head",
    "last-head-done",
    "append-write",
    "append-half",
    "append-fsync",
    "append-done",
    "append-half#2",
    "append-done#2",
    "head-append#4",
    "last-head#4",
    "head-append",
    "head-fsync",
    "last-head",
    "last-head-done#3",
    "publish-tiles",
    "publish-tiles-done",
    "published-ahead",
    "published-ahead#2",
    "publish-checkpoint",
    "publish-tidy",
    "publish-outside",
    "publish-tidy#2",
    "publish-tiles-done#2",
    "segment-begin",
    "segment-begun",
    "key-made",
    "key-staged",
    "key-settle",
    "key-destroy",
];

fn paths(root: &Path) -> LogPaths {
    LogPaths {
        folder: root.join("log"),
        last_head: root.join("state/last-head"),
        side: root.join("state"),
        append_lock: root.join("state/append.lock"),
        outside: vec![root.join("outside-head")],
    }
}

/// `init` as it is run again after a crash, then the log, open.
fn begin(root: &Path) -> (KeyRing, Log) {
    let keys = root.join("keys");
    let mut ring = KeyRing::create(&keys, None, ORIGIN, "2026-Q4").or_else(|_| KeyRing::open(&keys, None)).unwrap();
    let verifier = ring.signer().unwrap().verifier().to_string();
    let init = Body::Init {
        origin: ORIGIN.into(),
        verifier,
        machine: Digest([1; 32]),
        machines: std::collections::BTreeMap::new(),
        heads: Some("sealed".into()),
        version: "0.1.0".into(),
    };
    let created = Log::create(paths(root), ring.signers().unwrap(), ORIGIN, &[init], KEY, time());
    let log = created.or_else(|_| Log::open(paths(root), ring.signers().unwrap())).unwrap();
    ring.settle_signer(log.verifier()).unwrap();
    (ring, log)
}

fn work(root: &Path) {
    let (mut ring, mut log) = begin(root);
    for number in 1..=3 {
        log.commit(&batch(number, 150), KEY, time() + TimeDelta::days(20 * i64::from(number))).unwrap();
        log.publish().unwrap();
    }
    for number in 6..=7 {
        log.commit(&batch(number, 300), KEY, time() + TimeDelta::days(60)).unwrap();
        log.publish_ahead().unwrap();
    }
    log.publish().unwrap();
    let (done, next) = (batch(4, 150), batch(5, 2));
    log.commit_then((&done, KEY), (&next[..1], KEY), time() + TimeDelta::days(61)).unwrap();
    log.commit(&next[1..], KEY, time() + TimeDelta::days(61)).unwrap();
    let old = ring.current(Purpose::Plan).unwrap();
    ring.make(Purpose::Plan, None).unwrap();
    ring.destroy(&old).unwrap();
    ring.stage_signer().unwrap();
    drop(log);
    let mut log = Log::open(paths(root), ring.signers().unwrap()).unwrap();
    let in_force = log.rotate(KEY, None, time() + TimeDelta::days(70)).unwrap();
    ring.settle_signer(&in_force).unwrap();
    log.publish().unwrap();
}

fn check(root: &Path, key: &VerifierKey) -> Vec<String> {
    let named = [root.join("state/last-head"), root.join("outside-head")];
    let against = named.iter().filter_map(|path| Against::read(path).ok()).collect();
    let report = verify(&root.join("log"), &Options { keys: Keys::Given(vec![key.to_string()]), against });
    assert_eq!(report.faults, [], "{:?}", report.told);
    report.told
}

#[test]
fn after_a_kill_at_any_point_the_log_verifies_and_goes_on() {
    if let Some(root) = std::env::var_os("BEWAARD_CRASH_FOLDER") {
        return work(Path::new(&root));
    }
    for point in POINTS {
        let place = Place::new();
        let root = place.path();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "audit::crash::after_a_kill_at_any_point_the_log_verifies_and_goes_on"])
            .envs([("BEWAARD_CRASH_FOLDER", root.as_os_str()), ("BEWAARD_CRASH_AT", point.as_ref())])
            .output()
            .unwrap()
            .status;
        assert_eq!(status.signal(), Some(9), "the work passes {point}");
        if let (Ok(ring), true) = (KeyRing::open(&root.join("keys"), None), root.join("state/last-head").exists()) {
            check(root, ring.signer().unwrap().verifier());
        }
        let (mut ring, mut log) = begin(root);
        let staged = ring.signers().unwrap().staged.is_some();
        if staged {
            let in_force = log.rotate(KEY, None, time() + TimeDelta::days(80)).unwrap();
            ring.settle_signer(&in_force).unwrap();
        }
        log.commit(&batch(9, 150), KEY, time() + TimeDelta::days(90)).unwrap();
        log.publish().unwrap();
        let told = check(root, ring.signer().unwrap().verifier());
        assert!(told.iter().all(|told| told.contains("is open")), "{point}: {told:?}");
    }
}

//! What the log costs: to write, to publish, to verify.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bewaard::audit::entry::{Body, SEALED};
use bewaard::audit::log::{Log, LogPaths};
use bewaard::audit::note::Signer;
use bewaard::domain::digest::Digest;
use bewaard::domain::id::{BatchId, PartId, RuleId, RunId};
use bewaard::domain::outcome::Outcome;
use bewaard::secret::Secret;

use crate::machine::watched;
use crate::rounds::{Figure, Peer, Workload};

const ORIGIN: &str = "bewaard.example/bench";
const KEY: &str = "log-2026-Q4-00000000";
const BATCH: u64 = 1000;

/// A log of so many outcomes, written by the real writer.
struct Written {
    folder: tempfile::TempDir,
    verifier: String,
}

/// Processor time of this thread, which writes and publishes alone.
fn spent() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn outcomes(batch: u64, count: u64) -> (Body, Vec<Body>) {
    let id = BatchId::from_random(batch.to_be_bytes());
    let (rule, part) = (RuleId::new("old-contacts").unwrap(), PartId::record());
    let outcome = |record: u64| Body::Outcome {
        batch: id.clone(),
        rule: rule.clone(),
        part: part.clone(),
        record: Digest::of(&(batch * BATCH + record).to_be_bytes()),
        result: Outcome::Erased,
        children: std::collections::BTreeMap::new(),
        pending: None,
        recovered: false,
        until: None,
    };
    let outcomes = (0..count).map(outcome).collect();
    let (run, decision, file) = (RunId::from_random([9; 8]), Digest([2; 32]), Digest([3; 32]));
    (Body::BatchIntended { batch: id.clone(), run, rule: rule.clone(), decision, count, file }, outcomes)
}

impl Written {
    fn new(records: u64) -> Self {
        let folder = tempfile::Builder::new().prefix("bw-bench").tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let paths = LogPaths {
            folder: at("log"),
            last_head: at("state/last-head"),
            side: at("state"),
            append_lock: at("state/append.lock"),
            outside: Vec::new(),
        };
        let mut key = hex::decode("302e020100300506032b657004220420").unwrap();
        key.extend([7; 32]);
        let signer = Signer::from_pkcs8(ORIGIN, &Secret::new(key)).unwrap();
        let verifier = signer.verifier().to_string();
        let (machine, machines) = (Digest([1; 32]), std::collections::BTreeMap::new());
        let heads = Some(SEALED.into());
        let init = Body::Init {
            origin: ORIGIN.into(),
            verifier: verifier.clone(),
            machine,
            machines,
            heads,
            version: "0".into(),
        };
        let now = "2026-11-23T02:30:00Z".parse().unwrap();
        let mut log = Log::create(paths, signer, ORIGIN, &[init], KEY, now).unwrap();
        let (mut writing, mut begun) = (Duration::ZERO, Instant::now());
        for batch in 0..records.div_ceil(BATCH) {
            let (intent, outcomes) = outcomes(batch, BATCH.min(records - batch * BATCH));
            let before = spent();
            log.append(&[intent], KEY, now).unwrap();
            log.commit(&outcomes, KEY, now).unwrap();
            writing += spent().saturating_sub(before);
        }
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let each = |took: Duration| took.as_secs_f64() * 1e6 / records as f64;
        println!("written: {:.2} us of processor time a record, {:.2} us in all", each(writing), each(begun.elapsed()));
        let before = spent();
        begun = Instant::now();
        log.publish().unwrap();
        println!(
            "published: {:.2} us of processor time, {:.2} us in all",
            each(spent().saturating_sub(before)),
            each(begun.elapsed())
        );
        Self { folder, verifier }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// How long another program takes over all files of the log.
    fn read_by(&self, program: &str, arguments: &[&str]) -> Duration {
        let begun = Instant::now();
        let mut find = Command::new("find");
        find.arg(self.log()).args(["-type", "f", "-exec", program]).args(arguments).args(["{}", "+"]);
        assert!(find.stdout(Stdio::null()).status().unwrap().success());
        begun.elapsed()
    }
}

/// `bewaard log verify`, from the files and the public key, beside SHA-256 of the same bytes.
pub(crate) fn verify(rows: u64) -> Workload {
    let records = rows * 2 / 5;
    let written = Rc::new(std::cell::OnceCell::new());
    let peers = move || {
        let log = written.get_or_init(|| Rc::new(Written::new(records)));
        let (ours, theirs, others) = (Rc::clone(log), Rc::clone(log), Rc::clone(log));
        let us = move || {
            let begun = Instant::now();
            let mut command = Command::new(env!("CARGO_BIN_EXE_bewaard"));
            command.args(["log", "verify", "--key", &ours.verifier, "--dir"]).arg(ours.log());
            let (took, memory) = watched(command.stdout(Stdio::null()).spawn().unwrap(), begun);
            Figure { memory: Some(memory), ..Figure::of("bewaard", took) }
        };
        let them = move || Figure::of("sha256sum", theirs.read_by("sha256sum", &[]));
        let openssl = move || Figure::of("openssl", others.read_by("openssl", &["dgst", "-sha256"]));
        vec![
            Peer { name: "bewaard", run: Box::new(us) },
            Peer { name: "sha256sum", run: Box::new(them) },
            Peer { name: "openssl", run: Box::new(openssl) },
        ]
    };
    Workload {
        ids: &["P14"],
        name: format!("verify a log of {records} records"),
        rows: Box::new(move || records),
        peers: Box::new(peers),
    }
}

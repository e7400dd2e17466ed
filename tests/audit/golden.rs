//! A log of format 1 that must verify for ever, and that the writer still writes byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bewaard::audit::entry::{Body, By, Method};
use bewaard::audit::log::{Log, Signers};
use bewaard::audit::read;
use bewaard::audit::verify::{Against, Keys, Options, verify};
use bewaard::domain::decide::KeepReason;
use bewaard::domain::digest::Digest;
use bewaard::domain::gate::Limit;
use bewaard::domain::id::{ActorId, BatchId, HoldId, PartId, PlanId, RuleId, RunId, SystemId};
use bewaard::domain::outcome::{Outcome, Pending, Tally};
use chrono::{DateTime, NaiveDate, Utc};

use super::support::{KEY, ORIGIN, Place, batch, first_init, init, signer, signer_of};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audit/v1")
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 23).unwrap()
}

fn rule() -> RuleId {
    RuleId::new("old").unwrap()
}

fn system() -> SystemId {
    SystemId::new("webshop").unwrap()
}

/// Who starts runs.
fn runner() -> By {
    By { uid: 998, actor: None }
}

fn by() -> By {
    By { uid: 1000, actor: Some(ActorId::new("directie").unwrap()) }
}

fn kept() -> BTreeMap<KeepReason, u64> {
    [(KeepReason::Held, 2), (KeepReason::NotYetDue, 40)].into()
}

fn note() -> Digest {
    Digest([0x0e; 32])
}

/// What comes before a batch.
fn before() -> Vec<Body> {
    let plan = PlanId([4; 16]);
    vec![
        Body::key_changed("log", KEY, "made"),
        Body::PolicyInForce { policy: Digest([5; 32]), rules: [(rule(), Digest([2; 32]))].into() },
        Body::HoldChanged {
            hold: HoldId::from_random([6; 8]),
            change: "placed".into(),
            marks: vec![Digest([7; 32])],
            system: Some(system()),
            rule: None,
            owner: Some(ActorId::new("directie").unwrap()),
            review: Some(day()),
            set: Digest([8; 32]),
            hold_key: "holds-00000000".into(),
            by: by(),
            note: note(),
        },
        Body::PlanMade {
            plan,
            rule: rule(),
            system: system(),
            decision: Digest([2; 32]),
            schema: Digest([9; 32]),
            cutoff: day(),
            set: Digest([10; 32]),
            of: 1000,
            found: 342,
            due: 300,
            kept: kept(),
            children: [("orders".to_string(), 12)].into(),
            oldest: Some(day()),
            effects: None,
            about: false,
        },
        Body::Refused {
            rule: Some(rule()),
            system: Some(system()),
            plan: Some(plan),
            limits: vec![Limit::Share],
            code: "B301".into(),
            frozen: true,
        },
        Body::Resumed { rule: Some(rule()), system: None, by: by(), note: note() },
        Body::Approved {
            plan,
            rule: rule(),
            decision: Digest([2; 32]),
            beyond: vec![Limit::Share],
            method: Method::Signed { signature: Digest([11; 32]) },
            by: by(),
            note: note(),
            basis: "person".into(),
            limits: None,
        },
        Body::RunStarted { run: RunId::from_random([9; 8]), rule: rule(), plan, by: runner(), window: None },
    ]
}

/// What comes after it.
fn after() -> Vec<Body> {
    let batch = BatchId::from_random([1; 8]);
    let mut tally = Tally::default();
    (0..300).for_each(|_| tally.add(Outcome::Erased));
    vec![
        Body::RunEnded { run: RunId::from_random([9; 8]), rule: rule(), how: "done".into(), tally, settled: true },
        Body::Ledger {
            rule: rule(),
            system: system(),
            day: day(),
            of: 700,
            found: 42,
            overdue: 0,
            oldest: None,
            kept: kept(),
            purged: 300,
            traces: None,
            about: false,
        },
        Body::PauseChanged { change: "paused".into(), by: by(), note: note() },
        Body::Finding {
            code: "B201".into(),
            change: "opened".into(),
            rule: None,
            system: Some(system()),
            batch: Some(batch.clone()),
            place: None,
            count: 1,
        },
        Body::RunMissed { rule: rule(), missed: 2, since: at("2026-11-21T02:30:00Z") },
        Body::Request { request: "2026-0001".into(), about: "erasure".into(), state: "received".into() },
        Body::Review { quarter: "2026-Q4".into(), change: "signed".into(), report: Digest([12; 32]), by: by() },
        Body::Shown { command: "plan --sample".into(), rule: rule(), count: 5, by: by() },
        Body::Settled { batch, verdict: "kept".into(), count: 1, by: by(), note: note() },
    ]
}

/// The last segment.
fn later(size: u64, root: Digest) -> Vec<Body> {
    let batch = BatchId::from_random([2; 8]);
    vec![
        Body::SegmentSealed { sealed: "2026-Q4".into(), size, root },
        Body::BatchIntended {
            batch: batch.clone(),
            run: RunId::from_random([10; 8]),
            rule: rule(),
            decision: Digest([2; 32]),
            count: 1,
            file: Digest([3; 32]),
        },
        Body::Outcome {
            batch,
            rule: rule(),
            part: PartId::new("contact").unwrap(),
            record: Digest([13; 32]),
            result: Outcome::Pending,
            children: BTreeMap::new(),
            pending: Some(Pending { handle: "job-17".into(), look_again: day(), final_by: day() }),
            recovered: true,
            until: None,
        },
        Body::SegmentDropped { dropped: "2019-Q4".into(), from: 0, to: 0 },
        Body::LogContinued {
            origin: "bewaard.example/before".into(),
            size: 7,
            root: Digest([14; 32]),
            why: "lost-head".into(),
            left_open: 0,
            by: by(),
            note: note(),
        },
    ]
}

fn machines() -> BTreeMap<String, Digest> {
    [("host-name".to_string(), Digest([15; 32])), ("machine-id".to_string(), Digest([16; 32]))].into()
}

/// The first entry of a log whose heads are sealed to one another, with one digest for each part of its machine.
fn bound_init() -> Body {
    let mut first = init();
    if let Body::Init { machines: parts, .. } = &mut first {
        *parts = machines();
    }
    first
}

fn adopted() -> Body {
    Body::Adopted { how: "moved".into(), machine: Digest([17; 32]), machines: machines(), by: by(), note: note() }
}

/// Writes the log from nothing but fixed keys and fixed times.
fn write(first: Body, last: Option<Body>) -> Place {
    let place = Place::new();
    fs::create_dir(place.path().join("state")).unwrap();
    let now = at("2026-11-23T02:30:00Z");
    let mut log = Log::create(place.paths(), signer(), ORIGIN, &[first], KEY, now).unwrap();
    log.commit(&before(), KEY, now).unwrap();
    let erased = batch(1, 300);
    log.append(&erased[..1], KEY, at("2026-11-23T02:31:00Z")).unwrap();
    log.commit(&erased[1..], KEY, at("2026-11-23T02:31:07Z")).unwrap();
    log.commit(&after(), KEY, at("2026-11-23T02:32:00Z")).unwrap();
    drop(log);
    let mut log = Log::open(place.paths(), Signers { current: signer(), staged: Some(signer_of(8)) }).unwrap();
    log.rotate(KEY, None, at("2026-12-01T10:00:00Z")).unwrap();
    let sealed = log.head().checkpoint.clone();
    let mut bodies = later(sealed.size, sealed.root);
    bodies.extend(last);
    log.commit(&bodies, "log-2027-Q1-00000000", at("2027-01-01T02:30:00Z")).unwrap();
    log.publish().unwrap();
    place
}

fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for item in fs::read_dir(next).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_string();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// `v1-unmarked` was written before lines bore their writer's mark, `v1` before heads were sealed to one another.
#[test]
fn the_logs_of_format_1_verify_for_ever() {
    for name in ["v1-unmarked", "v1", "v1-sealed"] {
        let folder = golden().with_file_name(name);
        let beside = |ending: &str| folder.with_file_name(format!("{name}{ending}"));
        let keys = ["-first.vkey", ".vkey"].map(|ending| fs::read_to_string(beside(ending)).unwrap()).to_vec();
        let against = vec![Against::read(&beside(".head")).unwrap()];
        let report = verify(&folder, &Options { keys: Keys::Given(keys), against });
        assert_eq!(report.faults, []);
        let sealed = name == "v1-sealed";
        let older = "an older form: heads are not sealed to one another, so one removed between is not seen";
        let open = "batch-0202020202020202, announced in entry 321, is open: 1 of 1 outcomes are missing (1 of them asked for and not yet done)";
        assert_eq!(report.told, if sealed { vec![open] } else { vec![older, open] });
        assert_eq!((report.size, report.heads), (325 + u64::from(sealed), 6));
        // Undo came after these logs were written; `entry.rs` holds the form of its lines.
        let later = ["undo-intended", "restored"];
        let asked = |kind: &&&str| (sealed || **kind != "adopted") && !later.contains(*kind);
        for kind in Body::KINDS.iter().filter(asked) {
            assert!(report.counts.contains_key(*kind), "the golden log has an entry of kind {kind}");
        }
        assert!(read::entries(&folder, 0).unwrap().all(|entry| entry.is_ok()));
    }
}

#[test]
fn the_writer_still_writes_format_1_byte_for_byte() {
    writes_as_before("v1", &write(first_init(), None));
    writes_as_before("v1-sealed", &write(bound_init(), Some(adopted())));
}

fn writes_as_before(name: &str, written: &Place) {
    let golden = golden().with_file_name(name);
    if std::env::var_os("BEWAARD_WRITE_GOLDEN").is_some() {
        for (name, bytes) in tree(&written.folder()) {
            let path = golden.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        for (ending, seed) in [("-first.vkey", 7), (".vkey", 8)] {
            let path = golden.with_file_name(format!("{name}{ending}"));
            fs::write(path, format!("{}\n", signer_of(seed).verifier())).unwrap();
        }
        fs::copy(written.paths().last_head, golden.with_file_name(format!("{name}.head"))).unwrap();
    }
    let (ours, theirs) = (tree(&written.folder()), tree(&golden));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, bytes) in &ours {
        assert_eq!(String::from_utf8_lossy(bytes), String::from_utf8_lossy(&theirs[name]), "{name}");
    }
}

//! Keys, what is sealed for files in flight, and a quarantine, after somebody had them in hand: what opens is what was
//! sealed, in the place where it was sealed.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bewaard::audit::note::VerifierKey;
use bewaard::domain::id::{BatchId, RunId};
use bewaard::state::keys::{KeyId, KeyRing, Purpose};
use bewaard::state::quarantine::Quarantine;

use super::input::Input;
use super::meddle::meddle;
use super::place::{Files, Place};
use super::story::ORIGIN;

const PLAIN: [&str; 3] = ["about the batch", "jan@canary.example", ""];
const KEY: [u8; 32] = [7; 32];
/// What is sealed for files in flight, and what each is about.
const SEALINGS: [(&str, &str); 2] = [("sealed/one", "batch-1"), ("sealed/two", "batch-2")];

/// A state folder, and what its keys are. The keys are other ones in each process; nothing here depends on which.
struct Sealed {
    /// The files, with names that are the same in each process.
    files: Files,
    /// The true names of files of keys.
    names: BTreeMap<String, String>,
    keys: BTreeMap<KeyId, Vec<u8>>,
    signer: VerifierKey,
}

static SEALED: LazyLock<Sealed> = LazyLock::new(|| {
    let place = Place::new();
    let ring = KeyRing::create(&place.path("keys"), None, ORIGIN, "2026-Q4").expect("new keys");
    let slots: Vec<_> = PLAIN.iter().map(|text| text.as_bytes().to_vec().into()).collect();
    for number in [1, 2] {
        let (run, batch) = (RunId::from_random([1; 8]), BatchId::from_random([number; 8]));
        Quarantine::new(&place.path("")).write(&run, &batch, &KEY, &slots).expect("a quarantine");
    }
    let (mut files, mut names) = (Files::new(), BTreeMap::new());
    for (name, bytes) in place.files() {
        let stem =
            name.strip_suffix(".wrapped").and_then(|name| name.rsplit_once('-')).map(|(stem, _)| stem.to_string());
        let stem = stem.unwrap_or_else(|| name.clone());
        names.insert(stem.clone(), name);
        files.insert(stem, bytes);
    }
    for (name, about) in SEALINGS {
        files.insert(name.into(), ring.seal(PLAIN[1].as_bytes(), about.as_bytes()).expect("sealing"));
    }
    let ids = Purpose::ALL.iter().filter_map(|purpose| ring.current(*purpose));
    let keys = ids.map(|id| (id.clone(), ring.key(&id).expect("a key").to_vec())).collect();
    let signer = ring.signer().expect("a signer").verifier().clone();
    Sealed { files, names, keys, signer }
});

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut files = SEALED.files.clone();
    meddle(&mut files, &[], &mut input);
    let true_name = |name: &String| SEALED.names.get(name).unwrap_or(name).clone();
    let place = Place::with(&files.iter().map(|(name, bytes)| (true_name(name), bytes.clone())).collect());
    let folder =
        |files: &Files| files.clone().into_iter().filter(|(name, _)| name.starts_with("keys/")).collect::<Vec<_>>();
    match KeyRing::open(&place.path("keys"), None) {
        Ok(ring) => {
            keys(&ring);
            sealed(&ring, &files, folder(&files) == folder(&SEALED.files));
        }
        Err(fault) => assert!(folder(&files) != folder(&SEALED.files), "nobody touched the keys: {fault}"),
    }
    quarantine(&place, &files);
}

fn sealed(ring: &KeyRing, files: &Files, untouched: bool) {
    for (name, about) in SEALINGS {
        let bytes = files.get(name).map(Vec::as_slice).unwrap_or_default();
        let whole = bytes == SEALED.files[name];
        match ring.open_sealed(bytes, about.as_bytes()) {
            Ok(plain) => assert!(whole && plain.text() == Some(PLAIN[1]), "{name} is opened after it was altered"),
            Err(fault) => assert!(!(whole && untouched), "nobody touched {name}: {fault}"),
        }
    }
}

fn keys(ring: &KeyRing) {
    for id in Purpose::ALL.iter().filter_map(|purpose| ring.current(*purpose)) {
        if let Ok(key) = ring.key(&id) {
            assert_eq!(SEALED.keys.get(&id).map(Vec::as_slice), Some(key.as_slice()), "a key that we never made");
        }
    }
    if let Ok(signer) = ring.signer() {
        assert_eq!(signer.verifier().public(), SEALED.signer.public(), "another signer");
    }
    for id in ring.ids().unwrap_or_default() {
        assert!(id.as_str().len() <= 64);
    }
}

fn quarantine(place: &Place, files: &Files) {
    let kept = Quarantine::new(&place.path(""));
    let run = RunId::from_random([1; 8]);
    for batch in kept.batches(&run).unwrap_or_default() {
        let Ok(Some(slots)) = kept.read(&run, &batch, &KEY) else { continue };
        for (slot, plain) in slots.iter().enumerate() {
            let Some(plain) = plain else { continue };
            assert_eq!(plain.text(), PLAIN.get(slot).copied(), "another record than was kept");
        }
        let names = [format!("quarantine/{run}/{batch}"), format!("quarantine/{run}/{batch}.keys")];
        let whole = names.iter().all(|name| files.get(name) == SEALED.files.get(name));
        assert!(!whole || slots.len() == PLAIN.len(), "nobody touched it, and something is missing");
    }
}

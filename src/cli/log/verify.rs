//! `bewaard log verify`: everything derived anew from files and public key. It writes nothing.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::out::Out;
use super::super::{Ended, Failure, exit, load};
use crate::audit::commitment::discloses;
use crate::audit::entry::{Body, Entry};
use crate::audit::note::VerifierKey;
use crate::audit::prove::Proof;
use crate::audit::verify::{Against, Keys, Options, Report, verify};
use crate::config::Settings;
use crate::report::json::SCHEMA;
use crate::report::words::{number, safe};
use crate::state::keys::KeyRing;

pub(super) fn run(config: &Path, dir: Option<&PathBuf>, keys: &[String], against: &[PathBuf], out: Out) -> Ended {
    let (mut others, mut missing) = (Vec::new(), Vec::new());
    for path in against {
        others.push(read(path)?);
    }
    let (folder, keys, key_line) = match dir {
        Some(dir) if keys.is_empty() => (dir.clone(), Keys::Log, "key taken from the log itself: give --key"),
        Some(dir) => (dir.clone(), Keys::Given(keys.to_vec()), "key as given"),
        None => {
            let settings = load(config, out)?.settings;
            others.extend(heads_of(&settings, &mut missing));
            let (keys, line) = keys_of(&settings, keys);
            (settings.log, keys, line)
        }
    };
    let mut report = verify(&folder, &Options { keys, against: others });
    report.told.append(&mut missing);
    tell(&folder, &report, key_line, out)?;
    Ok(if report.is_sound() { exit::DONE } else { exit::UNVERIFIED })
}

fn read(path: &Path) -> Result<Against, Failure> {
    Against::read(path)
        .map_err(|error| Failure::caused(exit::FAILED, format!("cannot read the checkpoint {}", path.display()), error))
}

/// The heads that this machine keeps outside the log's folder: the last head and each outside target. Those that can't
/// be read are told, for without them a rollback would not be seen.
fn heads_of(settings: &Settings, missing: &mut Vec<String>) -> Vec<Against> {
    let last = settings.state.join("last-head");
    let outside = settings.outside.iter().map(|path| (path, "the outside head", path.display().to_string()));
    let mut heads = Vec::new();
    for (path, what, name) in std::iter::once((&last, "the last head", "the last head".into())).chain(outside) {
        match Against::read(path) {
            Ok(read) => heads.push(Against { name, ..read }),
            Err(error) => missing
                .push(format!("NOT compared: {what} {} ({error}): a rollback would not be seen by it", path.display())),
        }
    }
    heads
}

/// The key on the command line, else the policy's, else what this machine's last head names.
fn keys_of(settings: &Settings, given: &[String]) -> (Keys, &'static str) {
    if !given.is_empty() {
        return (Keys::Given(given.to_vec()), "key as given");
    }
    if !settings.keys.is_empty() {
        return (Keys::Given(settings.keys.clone()), "key from the policy");
    }
    let ring = KeyRing::open(&settings.state.join("keys"), settings.wrap.as_ref());
    match ring.and_then(|ring| ring.signer()) {
        Ok(signer) => (
            Keys::Machine(vec![signer.verifier().to_string()]),
            "key taken from this machine: `bewaard init --write` puts it into the policy",
        ),
        Err(_) => (Keys::Log, "key taken from the log itself: this finds damage, not a log that was signed again"),
    }
}

fn tell(folder: &Path, report: &Report, key_line: &str, out: Out) -> Result<(), Failure> {
    if out.json {
        let faults: Vec<_> = report
            .faults
            .iter()
            .map(|fault| serde_json::json!({ "code": fault.code.id, "file": fault.file, "text": fault.text }))
            .collect();
        out.value(&serde_json::json!({
            "schema": SCHEMA, "verified": report.is_sound(), "origin": report.origin, "size": report.size,
            "root": report.root.to_string(), "key": report.key, "key_from": key_line, "heads": report.heads,
            "entries": report.counts, "agreed": report.agreed, "told": report.told, "faults": faults,
            "sentence": report.sentence(),
        }))?;
        return Ok(());
    }
    out.line(report.sentence())?;
    for fault in &report.faults {
        out.line(format!("  {} {}: {}", fault.code.id, safe(&fault.file), safe(&fault.text)))?;
    }
    out.line(format!("  log   {} ({})", safe(&report.origin), folder.display()))?;
    out.line(format!("  size  {}, root {}", number(report.size), report.root))?;
    out.line(format!("  {key_line}"))?;
    for line in &report.told {
        out.line(format!("  {}", safe(line)))?;
    }
    if let Some(fault) = report.faults.first() {
        out.line(format!("  `bewaard explain {}` tells what it means and what to do", fault.code.id))?;
    }
    Ok(())
}

/// Checks one proof with the entry beside it, and, where it is there, what links it to a record.
pub(super) fn proof(config: &Path, path: &Path, keys: &[String], out: Out) -> Ended {
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    let open = |path: &Path| {
        std::fs::read_to_string(path)
            .map_err(|error| Failure::caused(exit::FAILED, format!("cannot read {}", path.display()), error))
    };
    let keys = if keys.is_empty() { load(config, out)?.settings.keys } else { keys.to_vec() };
    if keys.is_empty() {
        return Err(Failure::new(exit::USAGE, "give the public key that must have signed: --key VKEY"));
    }
    let wrong = |text: &str, error: &dyn std::error::Error| Failure::new(exit::UNVERIFIED, format!("{text}: {error}"));
    let parsed: Result<Vec<VerifierKey>, _> = keys.iter().map(|key| VerifierKey::parse(key)).collect();
    let parsed = parsed.map_err(|error| wrong("the public key is damaged", &error))?;
    let line = open(&beside(".entry"))?;
    let line = line.trim_end_matches('\n');
    let proof = Proof::read(&open(path)?).map_err(|error| wrong("NOT verified", &error))?;
    let known: Vec<&VerifierKey> = parsed.iter().collect();
    let checkpoint = proof.verify(line.as_bytes(), &known).map_err(|error| wrong("NOT verified", &error))?;
    let mut sentences = vec![format!(
        "verified: entry {} is in log {} at {} entries",
        proof.index,
        safe(&checkpoint.origin),
        number(checkpoint.size)
    )];
    if beside(".record").exists() {
        let told: serde_json::Value = serde_json::from_str(&open(&beside(".record"))?)?;
        if !links(&told, line) {
            return Err(Failure::new(exit::UNVERIFIED, "NOT verified: the entry is about another record"));
        }
        sentences.push("the entry is about the record whose canonical bytes are given".into());
    }
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "verified": true, "told": sentences }))?;
    } else {
        out.line(sentences.join("\n"))?;
    }
    Ok(exit::DONE)
}

/// Whether a disclosed record key leads from the record to the entry's commitment.
fn links(told: &serde_json::Value, line: &str) -> bool {
    let field = |name: &str| told.get(name).and_then(serde_json::Value::as_str);
    let bytes = |name: &str| field(name).and_then(|text| hex::decode(text).ok());
    let Ok(entry) = Entry::read(line) else { return false };
    let Body::Outcome { record: mark, part, .. } = entry.body else { return false };
    let key: Option<[u8; 32]> = bytes("record_key").and_then(|key| key.try_into().ok());
    match (bytes("record"), key) {
        (Some(record), Some(key)) => {
            field("part") == Some(part.as_str()) && discloses(&Zeroizing::new(key), &record, &part, &mark)
        }
        _ => false,
    }
}

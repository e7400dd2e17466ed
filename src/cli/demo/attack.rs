//! `bewaard demo --attack`: four attacks on copies of the log, each found and named.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::out::Out;
use super::super::{Ended, Failure, exit};
use crate::audit::verify::{Against, Keys, Options, Report, verify};
use crate::config::Loaded;
use crate::durable;

/// Keeps the log as it is now: tomorrow's "yesterday".
pub(super) fn keep_yesterday(folder: &Path) -> Result<PathBuf, Failure> {
    let copy = folder.join("attack").join("yesterday");
    copy_folder(&folder.join("log"), &copy).map_err(failed)?;
    Ok(copy)
}

/// Attacks, one after the other. Gives 0 when each was found.
pub(super) fn all(folder: &Path, loaded: &Loaded, yesterday: &Path, out: Out) -> Ended {
    out.talk("\nFour attacks on copies of the log, each verified with the policy's key and the last head:")?;
    let log = loaded.settings.log.clone();
    let last_head = loaded.settings.state.join("last-head");
    let mut missed = 0;
    let attacks: [(&str, &str, Attack); 4] = [
        ("flip", "one byte of one entry is changed", flip_a_byte),
        ("cut", "the last entries and heads are cut off", cut_the_tail),
        ("resign", "everything is signed again with another key", sign_again),
        ("yesterday", "yesterday's log is put back", |_| Ok(())),
    ];
    for (name, what, attack) in attacks {
        let copy = if name == "yesterday" { yesterday.to_path_buf() } else { folder.join("attack").join(name) };
        if name != "yesterday" {
            copy_folder(&log, &copy).map_err(failed)?;
        }
        attack(&copy).map_err(failed)?;
        let against = Against::read(&last_head).map_err(failed)?;
        let against = vec![Against { name: "the last head".into(), ..against }];
        let report = verify(&copy, &Options { keys: Keys::Given(loaded.settings.keys.clone()), against });
        missed += u32::from(report.is_sound());
        tell(what, &report, out)?;
    }
    Ok(if missed == 0 { exit::DONE } else { exit::UNVERIFIED })
}

type Attack = fn(&Path) -> io::Result<()>;

fn tell(what: &str, report: &Report, out: Out) -> Result<(), Failure> {
    out.talk(format!("  {what}"))?;
    if report.is_sound() {
        return Ok(out.talk("    NOT FOUND: this must not happen")?);
    }
    // One of each kind: an attack leaves more than one trace.
    let mut kinds = BTreeSet::new();
    let told: Vec<_> = report.faults.iter().filter(|fault| kinds.insert(fault.code.id)).collect();
    for (place, fault) in told.iter().enumerate() {
        let lead = if place == 0 { "FOUND" } else { "" };
        out.talk(format!("    {lead:<5}  {} {}: {}", fault.code.id, fault.file, fault.text))?;
    }
    let more = report.faults.len() - told.len();
    if more > 0 {
        out.talk(format!("           and {more} more of these kinds"))?;
    }
    Ok(())
}

fn failed(error: io::Error) -> Failure {
    Failure::caused(exit::FAILED, "cannot make the copy to attack", error)
}

/// The journal's newest file.
fn journal(log: &Path) -> io::Result<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(log.join("journal"))? {
        files.push(entry?.path());
    }
    files.sort();
    files.pop().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

fn rewrite(path: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> io::Result<()> {
    let bytes = change(fs::read(path)?);
    let scratch = path.parent().unwrap_or(Path::new("."));
    durable::replace(path, &bytes, durable::PUBLIC, scratch)
}

/// "erased" of the first outcome becomes "erasee".
fn flip_a_byte(log: &Path) -> io::Result<()> {
    rewrite(&journal(log)?, |mut bytes| {
        let needle = b"\"result\":\"erased\"";
        if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle)
            && let Some(byte) = bytes.get_mut(at + needle.len() - 2)
        {
            *byte ^= 1;
        }
        bytes
    })
}

/// Half of the journal and half of the heads go, at whole lines; tiles and checkpoint too, as if never published.
fn cut_the_tail(log: &Path) -> io::Result<()> {
    let half = |bytes: Vec<u8>| {
        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        let keep = lines.len() / 2;
        lines.into_iter().take(keep).collect::<Vec<_>>().concat()
    };
    rewrite(&journal(log)?, half)?;
    rewrite(&log.join("heads"), half)?;
    durable::remove(&log.join("checkpoint"))?;
    match fs::remove_dir_all(log.join("tile")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Every head and the checkpoint are signed anew with a key of the attacker, under the same name.
fn sign_again(log: &Path) -> io::Result<()> {
    use crate::audit::note::{Note, Signer};
    let other = |error: crate::audit::note::BadNote| io::Error::other(error);
    let sign = |text: &str| -> io::Result<String> {
        let note = Note::read(text).map_err(other)?;
        let name = note.checkpoint().map_err(other)?.origin;
        let (signer, _) = Signer::generate(&name).map_err(other)?;
        Ok(Note::sign(note.text, &[&signer]).encode())
    };
    let checkpoint = log.join("checkpoint");
    let signed = sign(&fs::read_to_string(&checkpoint)?)?;
    rewrite(&checkpoint, |_| signed.into_bytes())?;
    let mut lines = String::new();
    for line in fs::read_to_string(log.join("heads"))?.lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let note = value.get("note").and_then(serde_json::Value::as_str).unwrap_or_default();
        lines.push_str(&serde_json::json!({ "note": sign(note)? }).to_string());
        lines.push('\n');
    }
    rewrite(&log.join("heads"), |_| lines.into_bytes())
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    durable::folder(to, false)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

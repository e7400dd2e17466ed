//! `bewaard log prove`: one entry proved to a stranger, and, where its key is given, what record it is about.

use std::path::{Path, PathBuf};

use super::super::out::Out;
use super::super::{Ended, Failure, exit, load};
use crate::audit::entry::Entry;
use crate::audit::prove::{Proof, prove};
use crate::audit::read::entries;
use crate::config::Settings;
use crate::domain::shell;
use crate::durable;
use crate::report::json::SCHEMA;

/// What is to be proved.
pub(super) struct Wish<'a> {
    pub(super) entry: Option<u64>,
    pub(super) rule: Option<&'a str>,
    pub(super) output: Option<&'a PathBuf>,
}

/// What links an entry to one record, and to no other.
pub(super) struct Disclosure {
    /// The record's canonical bytes, hexadecimal.
    pub(super) record: String,
    /// The record's own key in that segment, hexadecimal.
    pub(super) record_key: String,
    /// The part.
    pub(super) part: String,
}

pub(super) fn run(config: &Path, wish: &Wish<'_>, out: Out) -> Ended {
    match (wish.entry, wish.rule) {
        (Some(index), None) => give(&load(config, out)?.settings, index, None, wish.output, out),
        #[cfg(feature = "systems")]
        (None, Some(rule)) => super::record::run(config, rule, wish.output, out),
        _ => Err(Failure::new(
            exit::USAGE,
            "name one entry with --entry N, or one rule with --rule and the record's key on standard input",
        )),
    }
}

/// Proves an entry and writes or prints what a stranger needs.
pub(super) fn give(
    settings: &Settings,
    index: u64,
    disclosure: Option<&Disclosure>,
    output: Option<&PathBuf>,
    out: Out,
) -> Ended {
    let (entry, line) = read_entry(settings, index)?;
    let proof = prove(&settings.log, index, line.as_bytes())
        .map_err(|error| Failure::caused(exit::UNVERIFIED, format!("entry {index} can't be proved"), error))?;
    if let Some(path) = output {
        return write(path, &line, &proof, disclosure, out);
    }
    if out.json {
        out.value(&serde_json::json!({
            "schema": SCHEMA, "index": index, "entry": line, "proof": proof.encode(),
            "record": disclosure.map(disclosure_json),
        }))?;
        return Ok(exit::DONE);
    }
    out.exact(format!("entry {index}, of {}:\n{line}\n", entry.time.format("%Y-%m-%d %H:%M:%S UTC")))?;
    out.exact(format!(
        "its proof (C2SP tlog-proof; `--output FILE` writes it to a file):\n{}",
        proof.encode().trim_end()
    ))?;
    if let Some(one) = disclosure {
        out.line(format!(
            "\nwhat links it to the record, and to no other (part {}):\n  record {}\n  key    {}",
            one.part, one.record, one.record_key
        ))?;
    }
    Ok(exit::DONE)
}

fn read_entry(settings: &Settings, index: u64) -> Result<(Entry, String), Failure> {
    let failed = |error| super::unread(settings, error);
    match entries(&settings.log, index).map_err(failed)?.next() {
        Some(read) => read.map(|(_, entry, line)| (entry, line)).map_err(failed),
        None => Err(Failure::new(exit::USAGE, format!("the log has no entry {index}"))),
    }
}

fn disclosure_json(one: &Disclosure) -> serde_json::Value {
    serde_json::json!({ "part": one.part, "record": one.record, "record_key": one.record_key })
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(ending);
    name.into()
}

fn write(path: &Path, line: &str, proof: &Proof, disclosure: Option<&Disclosure>, out: Out) -> Ended {
    let mut files = vec![(path.to_path_buf(), proof.encode().into_bytes()), (beside(path, ".entry"), line.into())];
    if let Some(one) = disclosure {
        let mut text = serde_json::to_string_pretty(&disclosure_json(one))?;
        text.push('\n');
        files.push((beside(path, ".record"), text.into_bytes()));
    }
    for (path, bytes) in &files {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        durable::replace(path, bytes, durable::PRIVATE, folder)
            .map_err(|error| Failure::caused(exit::FAILED, format!("cannot write {}", path.display()), error))?;
    }
    let names: Vec<String> = files.iter().map(|(path, _)| path.display().to_string()).collect();
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "files": names }))?;
    } else {
        out.line(format!("wrote {}", names.join(", ")))?;
        out.line(format!("anybody checks it with `bewaard log verify --proof {} --key VKEY`", shell::path(path)))?;
    }
    Ok(exit::DONE)
}

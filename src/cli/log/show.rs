//! `bewaard log show`: entries as they stand, newest last.

use std::path::Path;

use super::super::out::Out;
use super::super::{Ended, Failure, exit, load};
use crate::audit::entry::{Body, Entry};
use crate::audit::read::entries;
use crate::report::json::SCHEMA;

/// Which entries.
pub(super) struct Filter<'a> {
    pub(super) from: u64,
    pub(super) last: Option<u64>,
    pub(super) kind: Option<&'a str>,
    pub(super) rule: Option<&'a str>,
}

impl Filter<'_> {
    fn takes(&self, value: &serde_json::Value) -> bool {
        let is = |field: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| value.get(field).and_then(serde_json::Value::as_str) == Some(wanted))
        };
        is("kind", self.kind) && is("rule", self.rule)
    }
}

pub(super) fn run(config: &Path, filter: &Filter<'_>, out: Out) -> Ended {
    let settings = load(config, out)?.settings;
    if let Some(kind) = filter.kind.filter(|kind| !Body::KINDS.contains(kind)) {
        let kind = crate::report::words::safe(kind);
        let known = Body::KINDS.join(", ");
        return Err(Failure::new(exit::USAGE, format!("there is no kind `{kind}` of entries; the kinds are: {known}")));
    }
    let failed = |error| super::unread(&settings, error);
    let mut kept = std::collections::VecDeque::new();
    let mut all = Vec::new();
    for read in entries(&settings.log, filter.from).map_err(failed)? {
        let (_, entry, line) = read.map_err(failed)?;
        let value: serde_json::Value = serde_json::from_str(&line)?;
        if !filter.takes(&value) {
            continue;
        }
        match filter.last {
            Some(last) => {
                kept.push_back((entry, value));
                if kept.len() as u64 > last {
                    kept.pop_front();
                }
            }
            None if out.json => all.push(value),
            None => out.line(one_line(&entry, &value))?,
        }
    }
    for (entry, value) in kept {
        if out.json { all.push(value) } else { out.line(one_line(&entry, &value))? }
    }
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "entries": all }))?;
    }
    Ok(exit::DONE)
}

/// Index, time, kind, and what the kind says, without the envelope.
fn one_line(entry: &Entry, value: &serde_json::Value) -> String {
    let kind = value.get("kind").and_then(serde_json::Value::as_str).unwrap_or_default();
    let mut said = Vec::new();
    for (field, what) in value.as_object().into_iter().flatten() {
        if !["index", "key", "kind", "mac", "segment", "time", "v"].contains(&field.as_str()) {
            said.push(format!("{field}={}", short(what)));
        }
    }
    format!("{:>8}  {}  {kind:<15} {}", entry.index, entry.time.format("%Y-%m-%d %H:%M:%S"), said.join(" "))
}

fn short(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) if text.len() > 40 => {
            format!("{}..", text.chars().take(12).collect::<String>())
        }
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(fields) if fields.len() > 8 => format!("{{{} of them}}", fields.len()),
        serde_json::Value::Array(all) if all.len() > 8 => format!("[{} of them]", all.len()),
        other => other.to_string(),
    }
}

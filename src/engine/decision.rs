//! The decision digest: what an approval binds to.
//!
//! It is made of two parts: the policy's own text as far as it decides (selection, protection, children, person, parts,
//! grounds, zone, financial year), and the live schema as far as the rule touches it (system identity, columns with
//! types, keys, foreign keys, triggers) with [`SEMANTICS`]. Limits and schedule do not decide who goes, and the
//! package's version is no part of it.

use serde::Serialize;

use crate::domain::SEMANTICS;
use crate::domain::digest::Digest;
use crate::domain::policy::{Access, Policy};
use crate::domain::rule::{Part, Rule};

#[derive(Serialize)]
struct Decides<'a> {
    rule: &'a str,
    system: &'a str,
    place: Vec<String>,
    selection: &'a crate::domain::selection::Selection,
    person: Vec<(&'static str, &'a str)>,
    sources: &'a [crate::domain::selection::ClockSource],
    parts: &'a [Part],
    zone: &'static str,
    year: (u32, u32),
}

/// The policy's part: it changes when the text decides otherwise.
pub fn policy_part(policy: &Policy, rule: &Rule) -> Result<Digest, serde_json::Error> {
    let decides = Decides {
        rule: rule.id.as_str(),
        system: rule.system.as_str(),
        place: policy.system_of(rule).map(|system| place(&system.access)).unwrap_or_default(),
        selection: &rule.selection,
        person: rule.person.iter().map(|(kind, field)| (kind.word(), field.as_str())).collect(),
        sources: &rule.sources,
        parts: &rule.parts,
        zone: policy.zone.name(),
        year: (policy.year.month, policy.year.day),
    };
    Ok(Digest::of(&serde_json::to_vec(&decides)?))
}

/// Which database the policy names: another one always needs an approval, though it may hold the same keys and dates.
fn place(access: &Access) -> Vec<String> {
    let kind = access.kind().to_string();
    match access {
        Access::Sqlite(file) => vec![kind, file.path.clone()],
        Access::Mariadb(server) | Access::Postgres(server) => vec![
            kind,
            server.socket.clone().unwrap_or_else(|| server.host.clone()),
            server.port.to_string(),
            server.database.clone(),
            server.schema.clone().unwrap_or_default(),
        ],
    }
}

/// The live schema's part.
pub fn schema_part(identity: &str, facts: &str) -> Digest {
    Digest::of(format!("{SEMANTICS}\n{identity}\n{facts}").as_bytes())
}

/// Both together.
pub fn decision(policy_part: &Digest, schema_part: &Digest) -> Digest {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&policy_part.0);
    bytes.extend_from_slice(&schema_part.0);
    Digest::of(&bytes)
}

//! What the keys mean: from the tree to the policy. Everything that is wrong is collected; what can't be used is left
//! out, and the policy is only handed on when nothing was wrong.

mod brakes;
mod clock;
mod limits;
mod part;
mod partitions;
mod recipe;
mod rule;
mod select;
mod settings;
mod system;
mod undo;

use std::collections::BTreeMap;

use chrono_tz::Tz;

use super::Settings;
use super::diagnostic::{Diagnostic, Severity};
use super::shape::{self, nearest};
use super::source::shown;
use super::tree::{Entry, Node, Value};
use super::v1;
use crate::codes;
use crate::domain::digest::Digest;
use crate::domain::id::{ActorId, BadName};
use crate::domain::policy::{Actor, Policy, Role};
use crate::domain::term::FinancialYear;

/// The faults found so far.
pub(super) type Out<'a> = &'a mut Vec<Diagnostic>;

/// It is at fault, and the fault is in the list already.
pub(super) struct Told;

/// Resolves a whole policy; `None` where the top level itself can't be used.
pub(super) fn policy(root: &Node, digest: Digest, out: Out<'_>) -> Option<(Policy, Settings)> {
    let zone = zone(root, out);
    let year = financial_year(root, out);
    let settings = settings::resolve(root, out);
    let actors = actors(root, out);
    let systems = system::all(root, out);
    let brakes = brakes::all(root, &systems, out);
    let rules = rule::all(root, &systems, year.unwrap_or_default(), out);
    select::stray_protections(root, out);
    if root.get("rule").is_none_or(|rules| rules.entries().is_empty()) {
        out.push(
            Diagnostic::new(
                codes::NOTHING_TO_DO,
                Severity::Warning,
                "the policy has no rules, so nothing is ever purged",
            )
            .in_file(&root.place.file.path)
            .help("add a [system.NAME] and a [rule.NAME]; `bewaard generate config` shows both"),
        );
    }
    let controller = root.text_of("controller").unwrap_or_default().trim().to_string();
    if controller.is_empty() {
        out.push(
            Diagnostic::new(codes::NO_CONTROLLER, Severity::Warning, "the policy does not name the firm")
                .in_file(&root.place.file.path)
                .help("add above the first [table]: controller = \"Voorbeeld Fietsen B.V.\""),
        );
    }
    Some((Policy { zone: zone?, controller, year: year?, systems, rules, brakes, actors, digest }, settings?))
}

/// Checks a name once, with its place.
pub(super) fn name<T>(entry: &Entry, make: impl Fn(String) -> Result<T, BadName>, out: Out<'_>) -> Option<T> {
    match make(entry.key.clone()) {
        Ok(name) => Some(name),
        Err(bad) => {
            let fault = Diagnostic::fault(
                codes::BAD_NAME,
                format!("`{}` is no name: {bad}", shown(&entry.key)),
                &entry.key_place,
            );
            let better = suggest_name(&entry.key);
            out.push(match make(better.clone()) {
                Ok(_) => fault.label("this name").help(format!("for example: {better}")),
                Err(_) => fault.label("this name").help("for example: inactive-customers"),
            });
            None
        }
    }
}

fn suggest_name(text: &str) -> String {
    let plain: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    let words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
    words.join("-").chars().take(64).collect::<String>().trim_matches('-').to_string()
}

/// A time zone under a key.
pub(super) fn zone_at(entry: &Entry, out: Out<'_>) -> Option<Tz> {
    let text = entry.node.text()?;
    if let Ok(zone) = text.parse::<Tz>() {
        return Some(zone);
    }
    let fault = Diagnostic::fault(codes::BAD_VALUE, format!("`{}` is no time zone", shown(text)), &entry.node.place)
        .label("not in the IANA list");
    let near =
        chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(text)).map(|zone| zone.name());
    let near = near.or_else(|| nearest(text, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())));
    out.push(match near {
        Some(near) => fault.help(format!("did you mean \"{near}\"?")),
        None => fault.help("write a region and a city, such as \"Europe/Amsterdam\", or \"UTC\""),
    });
    None
}

fn zone(root: &Node, out: Out<'_>) -> Option<Tz> {
    match root.entry("time-zone") {
        Some(entry) => zone_at(entry, out),
        None => Some(Tz::Europe__Amsterdam),
    }
}

fn financial_year(root: &Node, out: Out<'_>) -> Option<FinancialYear> {
    let Some(entry) = root.entry("financial-year") else { return Some(FinancialYear::default()) };
    let text = entry.node.text()?;
    let parts = text.split_once('-').and_then(|(month, day)| {
        let two = |part: &str| (part.len() == 2).then(|| part.parse::<u32>().ok()).flatten();
        Some((two(month)?, two(day)?))
    });
    match parts {
        Some((month, day)) if (1..=12).contains(&month) && (1..=28).contains(&day) => {
            Some(FinancialYear { month, day })
        }
        _ => {
            let text = format!("`{}` is no first day of a financial year", shown(text));
            let fault = Diagnostic::fault(codes::BAD_VALUE, text, &entry.node.place).label("month and day, MM-DD");
            out.push(
                fault.help("write month and day (01 to 28) as two digits each: financial-year = \"07-01\" is 1 July"),
            );
            None
        }
    }
}

fn actors(root: &Node, out: Out<'_>) -> BTreeMap<ActorId, Actor> {
    let mut actors = BTreeMap::new();
    for entry in root.get("actor").map(Node::entries).unwrap_or_default() {
        if !matches!(entry.node.value, Value::Table(_)) {
            continue;
        }
        let path = format!("actor.{}", entry.key);
        shape::lacking(entry, &v1::ACTOR, &path, out);
        let key = entry.node.entry("key").and_then(|key| actor_key(key, out));
        let role = match entry.node.text_of("role") {
            Some("controller") => Role::Controller,
            Some("processor") => Role::Processor,
            _ => continue,
        };
        if let Some(id) = name(entry, ActorId::new, out) {
            actors.insert(id.clone(), Actor { id, role, key });
        }
    }
    actors
}

/// One line of an OpenSSH public key file: type, base64 of a blob that begins with that type, comment.
fn actor_key(entry: &Entry, out: Out<'_>) -> Option<String> {
    use base64::Engine as _;
    let text = entry.node.text()?.trim();
    let mut words = text.split_ascii_whitespace();
    let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let decoded = base64::engine::general_purpose::STANDARD.decode(blob).unwrap_or_default();
    let fits = matches!(kind, "ssh-ed25519" | "ecdsa-sha2-nistp256" | "ssh-rsa" | "sk-ssh-ed25519@openssh.com")
        && decoded.get(4..).is_some_and(|rest| rest.starts_with(kind.as_bytes()))
        && !text.contains('\n');
    if fits {
        return Some(text.to_string());
    }
    let fault = Diagnostic::fault(codes::BAD_ACTOR, "this is no SSH public key", &entry.node.place)
        .label("not a line of an OpenSSH .pub file");
    out.push(fault.help("paste the one line that this prints: cat ~/.ssh/id_ed25519.pub"));
    None
}

/// The value of a key that counts, as unsigned.
pub(super) fn count(node: &Node) -> Option<u64> {
    match node.value {
        Value::Integer(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

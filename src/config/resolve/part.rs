//! Parts and grounds, in the short form and the long one.

use std::collections::BTreeMap;

use super::rule::{RuleContext, not_empty};
use super::{Out, clock, name, recipe};
use crate::codes;
use crate::config::diagnostic::Diagnostic;
use crate::config::grounds;
use crate::config::shape::{self, key_of};
use crate::config::source::{Place, shown};
use crate::config::tree::{Entry, Value};
use crate::config::v1;
use crate::domain::id::{GroundId, PartId};
use crate::domain::rule::{Action, Because, Ground, Part};
use crate::domain::term::{Alignment, BadTerm, Term};

/// All parts of a rule.
pub(super) fn all(cx: &mut RuleContext<'_>, key_columns: &[String], out: Out<'_>) -> Option<Vec<Part>> {
    let before = out.len();
    let rule = cx.entry;
    let parts = match rule.node.entry("part").filter(|part| matches!(part.node.value, Value::Table(_))) {
        None => vec![(rule, short_form(cx, out))],
        Some(parts) => long_form(cx, parts, out),
    };
    fields_fit(&parts, key_columns, out);
    let faulty = out.iter().skip(before).any(Diagnostic::is_fault);
    let parts: Option<Vec<Part>> = parts.into_iter().map(|(_, part)| part).collect();
    parts.filter(|parts| !faulty && !parts.is_empty())
}

fn short_form(cx: &mut RuleContext<'_>, out: Out<'_>) -> Option<Part> {
    let rule = cx.entry;
    let path = cx.path.clone();
    let action = action(rule, &path, out);
    let grounds = grounds_of(cx, &[rule], &path, out);
    let (action, grounds) = (action?, grounds?);
    let id = match &action {
        Action::Delete => PartId::record(),
        Action::Anonymise(_) => PartId::new("fields").ok()?,
    };
    Some(Part { id, action, grounds })
}

fn long_form<'a>(cx: &mut RuleContext<'a>, parts: &'a Entry, out: Out<'_>) -> Vec<(&'a Entry, Option<Part>)> {
    let rule = cx.entry;
    for key in ["then", "keep", "ground"] {
        if let Some(short) = rule.node.entry(key) {
            let text = format!("`{key}` stands beside parts, and each part has its own");
            let fault = Diagnostic::fault(codes::CONTRADICTION, text, &short.key_place).label("the short form");
            out.push(
                fault
                    .also(&parts.key_place, "the long form")
                    .help(format!("move `{key}` into the part that it is about, or remove the parts")),
            );
        }
    }
    let mut found = Vec::new();
    for entry in parts.node.entries().iter().filter(|entry| matches!(entry.node.value, Value::Table(_))) {
        let path = format!("{}.part.{}", cx.path, entry.key);
        let id = name(entry, PartId::new, out);
        let action = action(entry, &path, out);
        if let Some(action) = &action {
            fields_agree(entry, action, out);
        }
        let grounds = grounds_of(cx, &[entry, rule], &path, out);
        let part = match (id, action, grounds) {
            (Some(id), Some(action), Some(grounds)) => Some(Part { id, action, grounds }),
            _ => None,
        };
        found.push((entry, part));
    }
    if found.is_empty() {
        let fault = Diagnostic::fault(codes::MISSING_KEY, format!("`{}.part` has no part", cx.path), &parts.key_place);
        out.push(fault.help(format!("name one: [{}.part.contact]", cx.path)));
    }
    found
}

fn action(entry: &Entry, path: &str, out: Out<'_>) -> Option<Action> {
    let Some(then) = entry.node.entry("then") else {
        if shape::is_misspelt(&entry.node, &v1::RULE, "then") {
            return None;
        }
        let fault = Diagnostic::fault(codes::MISSING_KEY, format!("`{}` lacks `then`", shown(path)), &entry.key_place);
        out.push(
            fault
                .label("what becomes of what is due?")
                .help("add one of these lines:\nthen.delete = true\nthen.anonymise = { phone = \"null\", name = { fixed = \"[removed]\" } }"),
        );
        return None;
    };
    match (then.node.entry("delete"), then.node.entry("anonymise")) {
        (Some(delete), Some(anonymise)) => {
            let text = "a part is deleted or anonymised, not both";
            let fault = Diagnostic::fault(codes::CONTRADICTION, text, &anonymise.key_place).label("and this");
            out.push(
                fault
                    .also(&delete.key_place, "this")
                    .help("remove one; two terms for one record are two parts: [rule.NAME.part.NAME]"),
            );
            None
        }
        (Some(delete), None) => match delete.node.value {
            Value::Flag(true) => Some(Action::Delete),
            Value::Flag(false) => {
                let fault =
                    Diagnostic::fault(codes::BAD_VALUE, "a rule that does nothing is no rule", &delete.node.place);
                out.push(fault.help("write then.delete = true, or remove the rule"));
                None
            }
            _ => None,
        },
        (None, Some(anonymise)) => recipe::recipes(anonymise, out).map(Action::Anonymise),
        (None, None) => {
            if let Some(how) = then.node.entry("drop-partitions") {
                let text = "`then` says how, and not what becomes of the records";
                let fault = Diagnostic::fault(codes::MISSING_KEY, text, &how.key_place);
                out.push(fault.help("write then = { delete = true, drop-partitions = true }"));
            }
            if then.node.entries().is_empty() && matches!(then.node.value, Value::Table(_)) {
                let fault = Diagnostic::fault(codes::MISSING_KEY, "`then` says nothing", &then.key_place);
                out.push(fault.help("write then.delete = true, or then.anonymise = { phone = \"null\" }"));
            }
            None
        }
    }
}

/// `fields` says the same as `then`.
fn fields_agree(part: &Entry, action: &Action, out: Out<'_>) {
    let Some(entry) = part.node.entry("fields") else { return };
    let fields = part.node.texts_of("fields");
    if !not_empty(&fields, entry.mark(), "the list of fields", out) {
        return;
    }
    let Action::Anonymise(recipes) = action else {
        let text = "a part that deletes the record has no fields";
        let fault = Diagnostic::fault(codes::CONTRADICTION, text, &entry.key_place);
        out.push(fault.help("remove `fields`, or write what becomes of them: then.anonymise = { .. }"));
        return;
    };
    let then = part.node.get("then").and_then(|then| then.entry("anonymise"));
    for field in fields.iter().filter(|field| !recipes.contains_key(*field)) {
        let mut fault = Diagnostic::fault(codes::BAD_PART, format!("`{}` has no recipe", shown(field)), entry.mark());
        if let Some(then) = then {
            fault = fault.also(&then.key_place, "the recipes");
        }
        out.push(fault.label("named here").help(format!("add to then.anonymise: {} = \"null\"", shown(field))));
    }
    for (field, recipe) in recipes.keys().zip(recipes.values()).filter(|(field, _)| !fields.contains(*field)) {
        if *recipe == crate::domain::recipe::Recipe::Marker {
            continue;
        }
        let at = then.and_then(|then| then.node.entry(field)).map_or(&entry.key_place, |one| &one.key_place);
        let fault =
            Diagnostic::fault(codes::BAD_PART, format!("`{}` is not among the part's fields", shown(field)), at);
        out.push(
            fault
                .also(entry.mark(), "the fields")
                .help("add it to `fields`, or leave `fields` out: the recipes name them"),
        );
    }
}

/// Each field is written by one part, no key is, and one part at most deletes.
fn fields_fit(parts: &[(&Entry, Option<Part>)], key_columns: &[String], out: Out<'_>) {
    let mut written: BTreeMap<&str, &Place> = BTreeMap::new();
    let mut deletes: Option<&Place> = None;
    for (entry, part) in parts.iter().filter_map(|(entry, part)| part.as_ref().map(|part| (*entry, part))) {
        let place = &entry.key_place;
        let Action::Anonymise(recipes) = &part.action else {
            if let Some(first) = deletes {
                let fault =
                    Diagnostic::fault(codes::BAD_PART, "two parts delete the record", place).label("and this one");
                out.push(fault.also(first, "this one").help("make it one part with two grounds: the longest wins"));
            }
            deletes = Some(place);
            continue;
        };
        if part.id == PartId::record() {
            let text = "the part `record` is the whole record, and this one only writes fields";
            let fault = Diagnostic::fault(codes::BAD_PART, text, place);
            out.push(fault.help("give it another name, such as `fields`"));
        }
        for field in recipes.keys() {
            let then = entry.node.get("then").and_then(|then| then.get("anonymise"));
            let place = then.and_then(|then| then.entry(field)).map_or(place, |one| &one.key_place);
            if key_columns.contains(field) {
                let text = format!("`{}` is part of the record's key, which names it in the log", shown(field));
                let fault = Diagnostic::fault(codes::BAD_PART, text, place).label("anonymises the key");
                out.push(fault.help("leave key columns out of then.anonymise; to get rid of them delete the record"));
            }
            if let Some(first) = written.insert(field, place) {
                let text = format!("two parts write `{}`", shown(field));
                let fault = Diagnostic::fault(codes::BAD_PART, text, place).label("and here");
                out.push(
                    fault
                        .also(first, "here")
                        .help("leave it in one of them, with every reason to keep it as a ground there"),
                );
            }
        }
    }
}

/// The grounds of a part. `holders`: the part and then the rule, whose `since`, `from` and `because` it inherits.
fn grounds_of(cx: &mut RuleContext<'_>, holders: &[&Entry], path: &str, out: Out<'_>) -> Option<Vec<Ground>> {
    let part = *holders.first()?;
    let Some(named) = part.node.entry("ground") else {
        return Some(vec![ground(cx, GroundId::new("term").ok()?, holders, path, out)?]);
    };
    if let Some(keep) = part.node.entry("keep") {
        let text = "`keep` stands beside grounds, and each ground has its own";
        let fault = Diagnostic::fault(codes::CONTRADICTION, text, &keep.key_place).label("the short form");
        out.push(
            fault
                .also(&named.key_place, "the grounds")
                .help("move it into a ground: ground.service = { keep = \"2 years\", because = \"..\" }"),
        );
        return None;
    }
    let entries: Vec<&Entry> =
        named.node.entries().iter().filter(|one| matches!(one.node.value, Value::Table(_))).collect();
    if entries.is_empty() {
        let fault = Diagnostic::fault(codes::MISSING_KEY, "there is no reason to keep", &named.key_place);
        out.push(fault.help("name one: ground.tax = { since.column = \"invoice_date\", because = \"nl.awr-52\" }"));
        return None;
    }
    let mut found = Vec::new();
    let mut complete = true;
    for entry in &entries {
        let id = name(entry, GroundId::new, out);
        let path = format!("{path}.ground.{}", entry.key);
        let holders: Vec<&Entry> = std::iter::once(*entry).chain(holders.iter().copied()).collect();
        let ground = id.and_then(|id| ground(cx, id, &holders, &path, out));
        complete &= ground.is_some();
        found.extend(ground);
    }
    if complete && found.iter().all(|ground| ground.optional) {
        let text = "every ground is optional, so a record can be left without any reason to keep or to go";
        out.push(
            Diagnostic::fault(codes::CONTRADICTION, text, &named.key_place)
                .help("remove `optional` from the ground that every record has"),
        );
        return None;
    }
    complete.then_some(found)
}

fn ground(cx: &mut RuleContext<'_>, id: GroundId, holders: &[&Entry], path: &str, out: Out<'_>) -> Option<Ground> {
    let own = *holders.first()?;
    let inherited = |key: &str| holders.iter().find_map(|holder| holder.node.entry(key));
    let because_at = inherited("because");
    let because = match because_at {
        Some(entry) => because(entry, out),
        None => lacks(own, "because", path, out),
    };
    let clock = match inherited("since") {
        Some(entry) => clock::clock(cx, entry, out),
        None => lacks(own, "since", path, out),
    };
    let catalogue = match &because {
        Some(Because::Catalogue { id, .. }) => grounds::find(id),
        _ => None,
    };
    // A `keep` is the part's own: that of the rule stands only in the short form, where the part is the rule.
    let keep_at = own.node.entry("keep");
    let keep = match (keep_at, catalogue) {
        (Some(entry), _) => term(entry, out),
        (None, Some(known)) => Some(known.term),
        // Where the reason is at fault it may have been one that brings the term.
        (None, None) if because.is_none() && because_at.is_some() => None,
        (None, None) => lacks(own, "keep", path, out),
    };
    let from_at = own.node.entry("from");
    let from = match (from_at, catalogue, inherited("from")) {
        (Some(entry), ..) | (None, None, Some(entry)) => alignment(entry),
        (None, Some(known), _) => Some(known.start),
        (None, None, None) => Some(Alignment::Day),
    };
    let ground = Ground {
        id,
        clock: clock?,
        keep: keep?,
        from: from?,
        because: because?,
        optional: own.node.flag_of("optional"),
    };
    if let (Some(known), Some(at)) = (catalogue, keep_at.or(from_at)) {
        let because_place = because_at.map_or(at.mark(), Entry::mark);
        out.extend(grounds::compare(known, &ground, cx.year, at.mark(), because_place));
    }
    Some(ground)
}

fn lacks<T>(holder: &Entry, key: &str, path: &str, out: Out<'_>) -> Option<T> {
    if shape::is_misspelt(&holder.node, &v1::RULE, key) {
        return None;
    }
    if let Some(known) = key_of(&v1::RULE, key) {
        let fault = shape::lacks(&holder.key_place, key, known, path);
        out.push(match key {
            "because" => {
                fault.help("or an id of the catalogue, which brings law, term and start: because = \"nl.awr-52\"")
            }
            _ => fault,
        });
    }
    None
}

fn because(entry: &Entry, out: Out<'_>) -> Option<Because> {
    let text = entry.node.text()?.trim();
    if text.is_empty() {
        let fault =
            Diagnostic::fault(codes::MISSING_KEY, "the reason is empty", &entry.node.place).label("why this term?");
        out.push(fault.help("the regulator asks for the reasoning (GDPR art. 5(2)): because = \"Privacy statement, 4: two years after last contact\""));
        return None;
    }
    if let Some(known) = grounds::find(text) {
        return Some(Because::Catalogue { id: known.id.clone(), title: known.title.clone() });
    }
    if !grounds::looks_like_id(text) {
        return Some(Because::Text(text.to_string()));
    }
    let fault = Diagnostic::fault(
        codes::UNKNOWN_GROUND,
        format!("`{}` is not in the catalogue of grounds", shown(text)),
        &entry.node.place,
    )
    .label("no such ground");
    out.push(match grounds::nearest(text) {
        Some(near) => fault.help(format!("did you mean \"{}\" ({})?", near.id, near.title)),
        None => fault.help(format!("the catalogue has: {}; or write the reason in your own words", grounds::ids())),
    });
    None
}

fn term(entry: &Entry, out: Out<'_>) -> Option<Term> {
    let text = entry.node.text()?;
    match Term::parse(text) {
        Ok(term) => Some(term),
        Err(bad) => {
            let label = match &bad {
                BadTerm::Shape => "not numbers with units".to_string(),
                other => other.to_string(),
            };
            let fault = Diagnostic::fault(codes::BAD_TERM, format!("`{}` is no term", shown(text)), &entry.node.place);
            out.push(fault.label(label).help(
                "write numbers and units: \"2 years\", \"18 months\", \"1 year 6 months\", \"4 weeks\", \"90 days\"",
            ));
            None
        }
    }
}

/// A period by its words; what is none was told by the check of the shape.
fn alignment(entry: &Entry) -> Option<Alignment> {
    grounds::alignment(entry.node.text()?)
}

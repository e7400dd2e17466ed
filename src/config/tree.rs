//! The TOML of one or more files as a tree in which every key and value knows its place.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

use super::diagnostic::Diagnostic;
use super::source::{Place, SourceFile, shown};
use crate::codes;

/// A value and where it is written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Where the value is written (for a table: its header, or the braces).
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// A value of TOML.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction, or one that no i64 holds.
    Number,
    /// true or false.
    Flag(bool),
    /// A date or time.
    Date(Datetime),
    /// An array.
    List(Vec<Node>),
    /// A table, in the order of the text.
    Table(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The key.
    pub key: String,
    /// Where the key is written.
    pub key_place: Place,
    /// Its value.
    pub node: Node,
}

impl Entry {
    /// What to underline when the value is wrong: a value as such, of a table its name.
    pub(super) fn mark(&self) -> &Place {
        match self.node.value {
            Value::Table(_) | Value::List(_) => &self.key_place,
            _ => &self.node.place,
        }
    }
}

impl Node {
    /// The entries of a table; of anything else none.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }
    /// An entry of a table.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }
    /// The value under a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.node)
    }
    /// The text, where it is text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
    /// The text under a key.
    pub(super) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Self::text)
    }
    /// The flag under a key; false where there is none.
    pub(super) fn flag_of(&self, key: &str) -> bool {
        matches!(self.get(key).map(|node| &node.value), Some(Value::Flag(true)))
    }
    /// The items of an array; a value that is no array is its own only item.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }
    /// The texts of an array of texts, or the one text.
    pub(super) fn texts(&self) -> Vec<String> {
        self.items().iter().filter_map(|item| item.text().map(str::to_string)).collect()
    }
    /// The texts under a key.
    pub(super) fn texts_of(&self, key: &str) -> Vec<String> {
        self.get(key).map(Self::texts).unwrap_or_default()
    }
    /// What kind of value it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "text",
            Value::Integer(_) => "a whole number",
            Value::Number => "a number",
            Value::Flag(_) => "true or false",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The entry that a dotted path leads to, or the last one on the way that exists.
    pub(super) fn follow(&self, path: &str) -> Option<&Entry> {
        let (mut node, mut last) = (self, None);
        for step in path.split(['.', '[']).map(|step| step.trim_end_matches(']')) {
            if let Value::List(items) = &node.value {
                match step.parse::<usize>().ok().and_then(|place| items.get(place)) {
                    Some(item) => node = item,
                    None => break,
                }
                continue;
            }
            match node.entry(step) {
                Some(entry) => {
                    last = Some(entry);
                    node = &entry.node;
                }
                None => break,
            }
        }
        last
    }
}

/// Reads one file. What is no TOML is told, as much of it as can be.
pub(super) fn parse(file: &Arc<SourceFile>, out: &mut Vec<Diagnostic>) -> Option<Node> {
    let (table, errors) = DeTable::parse_recoverable(&file.text);
    let span = table.span();
    let root = build_table(file, table.into_inner(), span);
    let mut broken = false;
    let mut twice: Option<Range<usize>> = None;
    for error in errors.iter().take(MOST_SYNTAX_FAULTS) {
        let span = error.span().unwrap_or(0..0);
        let place = Place { file: Arc::clone(file), span: visible(&file.text, span) };
        if error.message().contains("duplicate key") {
            // The keys of a table that stands twice are told with the table.
            if twice.as_ref().is_some_and(|section| section.contains(&place.span.start)) {
                continue;
            }
            if let Some(header) = header_of(&file.text, place.span.start) {
                out.push(table_twice(&place, header));
                twice = Some(section(&file.text, place.span.start));
            } else {
                out.push(duplicate_in_file(&root, &place));
            }
        } else {
            broken = true;
            out.push(syntax_fault(error.message(), &place));
        }
    }
    (!broken).then_some(root)
}

/// More syntax faults than these are most likely echoes of the first.
const MOST_SYNTAX_FAULTS: usize = 5;

fn syntax_fault(message: &str, place: &Place) -> Diagnostic {
    let line = place.file.text.get(..place.span.start).and_then(|text| text.rsplit('\n').next()).unwrap_or_default();
    let remedy = if message.contains("string") || message.contains("quote") {
        "text stands between double quotes that open and close on one line: keep = \"2 years\""
    } else if line.trim_start().starts_with('[') || message.contains("table") {
        "a table starts with its name in brackets on a line of its own: [rule.inactive-customers]"
    } else if line.contains('=') || message.contains("value") {
        "write one `key = value` a line; text stands between double quotes, true, false and numbers do not"
    } else {
        "write one `key = value` a line: keep = \"2 years\""
    };
    Diagnostic::fault(codes::SYNTAX, format!("this is no valid TOML: {message}"), place).label("here").help(remedy)
}

/// The line that a place is in, where it is the header of a table.
fn header_of(text: &str, at: usize) -> Option<&str> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let line = text.get(start..)?.lines().next()?.trim();
    line.starts_with('[').then_some(line)
}

/// From a place to the next header.
fn section(text: &str, at: usize) -> Range<usize> {
    let rest = text.get(at..).unwrap_or_default();
    at..rest.find("\n[").map_or(text.len(), |length| at + length)
}

fn table_twice(place: &Place, header: &str) -> Diagnostic {
    let fault = Diagnostic::fault(codes::DUPLICATE, format!("the table {} stands twice", shown(header)), place)
        .label("a second time here")
        .help("put all its keys under the first, or give this one a name of its own");
    let offset =
        place.span.start - place.file.text.get(..place.span.start).and_then(|b| b.rfind('\n')).map_or(0, |end| end + 1);
    let first = place
        .file
        .text
        .match_indices(header)
        .map(|(at, _)| at)
        .find(|at| *at < place.span.start && header_of(&place.file.text, *at) == Some(header));
    match first {
        Some(at) if at + offset < place.span.start => {
            let span = at + offset..at + offset + place.span.len();
            fault.also(&Place { file: Arc::clone(&place.file), span }, "the first time here")
        }
        _ => fault,
    }
}

fn duplicate_in_file(root: &Node, place: &Place) -> Diagnostic {
    let key = place.file.text.get(place.span.clone()).unwrap_or_default().trim_matches(['"', '\'']).to_string();
    let first = nearest_before(root, &key, place.span.start);
    let mut diagnostic = Diagnostic::fault(codes::DUPLICATE, format!("`{}` is written twice", shown(&key)), place)
        .label("a second time here")
        .help("keep one of the two; nothing is merged or overruled");
    if let Some(first) = first {
        diagnostic = diagnostic.also(&first, "the first time here");
    }
    diagnostic
}

fn nearest_before(node: &Node, key: &str, before: usize) -> Option<Place> {
    let mut best: Option<Place> = None;
    let mut consider = |place: Place| {
        if place.span.start < before && best.as_ref().is_none_or(|one| one.span.start < place.span.start) {
            best = Some(place);
        }
    };
    for entry in node.entries() {
        if entry.key == key {
            consider(entry.key_place.clone());
        }
    }
    let below: Vec<Place> = match &node.value {
        Value::Table(entries) => entries.iter().filter_map(|one| nearest_before(&one.node, key, before)).collect(),
        Value::List(items) => items.iter().filter_map(|item| nearest_before(item, key, before)).collect(),
        _ => Vec::new(),
    };
    below.into_iter().for_each(consider);
    best
}

/// A span that shows something: never empty, never only a line end.
fn visible(text: &str, span: Range<usize>) -> Range<usize> {
    let start = span.start.min(text.len());
    let end = span.end.clamp(start, text.len());
    if end > start && text.get(start..end).is_some_and(|part| !part.trim().is_empty()) {
        return start..end;
    }
    let line = text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
    let shown = text.get(line..start).unwrap_or_default().trim_end().len();
    line..line + shown
}

fn build_table(file: &Arc<SourceFile>, table: DeTable<'_>, span: Range<usize>) -> Node {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, node)| {
            let key_place = Place { file: Arc::clone(file), span: key.span() };
            Entry { key: key.into_inner().into_owned(), key_place, node: build(file, node) }
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_place.span.start);
    Node { place: Place { file: Arc::clone(file), span }, value: Value::Table(entries) }
}

fn build(file: &Arc<SourceFile>, value: Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::Table(table) => return build_table(file, table, span),
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Number,
        },
        DeValue::Float(_) => Value::Number,
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(date) => Value::Date(date),
        DeValue::Array(items) => Value::List(items.into_iter().map(|item| build(file, item)).collect()),
    };
    Node { place: Place { file: Arc::clone(file), span }, value }
}

/// Adds the tables of another file. What stands in both is a fault, told with both places.
pub(super) fn merge(into: &mut Node, other: Node, out: &mut Vec<Diagnostic>) {
    let (Value::Table(ours), Value::Table(theirs)) = (&mut into.value, other.value) else { return };
    for entry in theirs {
        if entry.key == "version" {
            continue;
        }
        let Some(known) = ours.iter_mut().find(|one| one.key == entry.key) else {
            ours.push(entry);
            continue;
        };
        match (&mut known.node.value, entry.node.value) {
            (Value::Table(ours), Value::Table(theirs)) => merge_tables(&entry.key, ours, theirs, out),
            _ => out.push(duplicate(&entry.key, &known.key_place, &entry.key_place)),
        }
    }
}

fn merge_tables(table: &str, ours: &mut Vec<Entry>, theirs: Vec<Entry>, out: &mut Vec<Diagnostic>) {
    let known: HashMap<String, Place> = ours.iter().map(|entry| (entry.key.clone(), entry.key_place.clone())).collect();
    for entry in theirs {
        match known.get(&entry.key) {
            Some(first) => out.push(duplicate(&format!("{table}.{}", entry.key), first, &entry.key_place)),
            None => ours.push(entry),
        }
    }
}

fn duplicate(name: &str, first: &Place, second: &Place) -> Diagnostic {
    Diagnostic::fault(codes::DUPLICATE, format!("`{}` is in two files", shown(name)), second)
        .label("a second time here")
        .also(first, "the first time here")
        .help("remove one of the two, or rename it: files are put together, none overrules another")
}

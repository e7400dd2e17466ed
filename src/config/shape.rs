//! The shape of a file: which keys stand where, of which kind. One table of them ([`super::v1`]) drives the check, the
//! schema for editors and the test of the reference file.

use super::diagnostic::Diagnostic;
use super::source::{Place, shown};
use super::tree::{Entry, Node, Value};
use crate::codes;

/// A table of the file: its keys.
#[derive(Debug)]
pub(super) struct Shape {
    /// How people call it: "[rule.NAME]".
    pub name: &'static str,
    /// Its keys, in the order of the reference.
    pub keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What it means, one sentence.
    pub about: &'static str,
    /// A line that can be copied.
    pub example: &'static str,
    /// Whether it must be there.
    pub required: bool,
}

/// What a key takes.
#[derive(Debug)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// true or false.
    Flag,
    /// A whole number, not negative.
    Count,
    /// A date, of TOML's own kind.
    Date,
    /// A table with these keys.
    Table(&'static Shape),
    /// Tables by a name that the firm chooses.
    Named(&'static Shape),
    /// Values by a name that a system or the firm chooses.
    Map(&'static Kind),
    /// An array.
    List(&'static Kind),
    /// One of several kinds, told apart by the kind of value.
    Any(&'static [Kind]),
}

impl Kind {
    /// Whether a value is of this kind at first sight.
    fn takes(&self, node: &Node) -> bool {
        match (self, &node.value) {
            (Self::Text | Self::Word(_), Value::Text(_))
            | (Self::Flag, Value::Flag(_))
            | (Self::Date, Value::Date(_))
            | (Self::Table(_) | Self::Named(_) | Self::Map(_), Value::Table(_))
            | (Self::List(_), Value::List(_)) => true,
            (Self::Count, Value::Integer(number)) => *number >= 0,
            (Self::Any(kinds), _) => kinds.iter().any(|kind| kind.takes(node)),
            _ => false,
        }
    }

    /// In words.
    fn words(&self) -> String {
        match self {
            Self::Text => "text between double quotes".into(),
            Self::Word(words) => either(words),
            Self::Flag => "true or false".into(),
            Self::Count => "a whole number, not negative".into(),
            Self::Date => "a date such as 2025-03-15".into(),
            Self::Table(shape) => {
                let keys: Vec<&str> = shape.keys.iter().map(|key| key.name).take(4).collect();
                format!("a table {{ {}{} }}", keys.join(", "), if shape.keys.len() > 4 { ", .." } else { "" })
            }
            Self::Named(_) | Self::Map(_) => "a table { name = .. }".into(),
            Self::List(Self::Text) => "a list of texts [\"..\", \"..\"]".into(),
            Self::List(kind) => format!("a list [ .. ] of {}", kind.words().replacen("a table", "tables", 1)),
            Self::Any(kinds) => kinds.iter().map(Self::words).collect::<Vec<_>>().join(", or "),
        }
    }
}

/// Checks a file against its shape: unknown keys, wrong kinds, keys that lack.
pub(super) struct Check<'a> {
    root: &'static Shape,
    out: &'a mut Vec<Diagnostic>,
}

impl<'a> Check<'a> {
    /// A check that reports to `out`.
    pub(super) fn new(root: &'static Shape, out: &'a mut Vec<Diagnostic>) -> Self {
        Self { root, out }
    }

    /// Checks one file; keys that lack are looked for when all files are put together.
    pub(super) fn file(&mut self, root: &Node) {
        self.table(root, self.root, "");
    }

    fn table(&mut self, node: &Node, shape: &'static Shape, path: &str) {
        for entry in node.entries() {
            match shape.keys.iter().find(|key| key.name == entry.key) {
                Some(key) => self.value(&entry.node, &key.kind, key, entry.mark(), &join(path, &entry.key)),
                None => self.out.push(self.unknown(entry, shape, path)),
            }
        }
    }

    fn value(&mut self, node: &Node, kind: &'static Kind, key: &'static Key, mark: &Place, path: &str) {
        if let (Kind::Table(shape), Value::Text(_)) = (kind, &node.value)
            && shape.name == super::v1::SECRET.name
        {
            self.out.push(literal_secret(node, path));
            return;
        }
        if !kind.takes(node) {
            self.out.push(wrong_kind(node, kind, key, mark, path));
            return;
        }
        match kind {
            Kind::Text | Kind::Flag | Kind::Count | Kind::Date => {}
            Kind::Word(words) => {
                if let Some(text) = node.text().filter(|text| !words.contains(text)) {
                    self.out.push(wrong_word(text, words, key, mark, path));
                }
            }
            Kind::Table(shape) => self.table(node, shape, path),
            Kind::Named(shape) => {
                for entry in node.entries() {
                    let path = join(path, &entry.key);
                    if matches!(entry.node.value, Value::Table(_)) {
                        self.table(&entry.node, shape, &path);
                    } else {
                        self.out.push(not_named(entry, shape, key));
                    }
                }
            }
            Kind::Map(kind) => {
                for entry in node.entries() {
                    self.value(&entry.node, kind, key, entry.mark(), &join(path, &entry.key));
                }
            }
            Kind::List(kind) => {
                for (place, item) in node.items().iter().enumerate() {
                    self.value(item, kind, key, &item.place, &join(path, &place.to_string()));
                }
            }
            Kind::Any(kinds) => {
                if let Some(kind) = kinds.iter().find(|kind| kind.takes(node)) {
                    let before = self.out.len();
                    self.value(node, kind, key, mark, path);
                    let table = kinds.iter().find_map(|kind| match kind {
                        Kind::Table(shape) => shape.keys.first(),
                        _ => None,
                    });
                    if let (Kind::Word(_), Some(table), Some(told)) = (kind, table, self.out.get_mut(before)) {
                        told.help.push(format!("or a table, such as {}", table.example));
                    }
                }
            }
        }
    }

    fn unknown(&self, entry: &Entry, shape: &'static Shape, path: &str) -> Diagnostic {
        let key = entry.key.as_str();
        let place = if path.is_empty() { "at the top level".to_string() } else { format!("in `{}`", shown(path)) };
        let fault =
            Diagnostic::fault(codes::UNKNOWN_KEY, format!("unknown key `{}` {place}", shown(key)), &entry.key_place);
        if let Some(near) = nearest(key, shape.keys.iter().map(|key| key.name)) {
            return fault.label("not known here").help(format!("did you mean `{near}`?"));
        }
        let fault = fault.label(format!("{} has no such key", shape.name));
        if !path.is_empty() && self.root.keys.iter().any(|one| one.name == key) {
            return fault.help(format!("`{key}` belongs at the top: write it above the first [table] of the file"));
        }
        if let Some((home, key)) = find_home(self.root, key) {
            return fault.help(format!("`{}` belongs in {}: {}", key.name, home.name, key.example));
        }
        let known: Vec<&str> = shape.keys.iter().map(|key| key.name).collect();
        fault.help(format!("{} knows: {}", shape.name, known.join(", ")))
    }
}

/// Faults for the keys that a table must have and has not.
pub(super) fn lacking(entry: &Entry, shape: &'static Shape, path: &str, out: &mut Vec<Diagnostic>) {
    if !matches!(entry.node.value, Value::Table(_)) {
        return;
    }
    let lacks_it =
        |key: &&Key| key.required && entry.node.entry(key.name).is_none() && !is_misspelt(&entry.node, shape, key.name);
    for key in shape.keys.iter().filter(lacks_it) {
        out.push(lacks(&entry.key_place, key.name, key, path));
    }
}

/// Whether a key that lacks is there under a wrong name, which has been told.
pub(super) fn is_misspelt(node: &Node, shape: &Shape, name: &str) -> bool {
    let names = || shape.keys.iter().map(|key| key.name);
    let strangers = node.entries().iter().filter(|entry| !names().any(|known| known == entry.key));
    strangers.into_iter().any(|entry| nearest(&entry.key, names()) == Some(name))
}

/// The fault for one key that lacks.
pub(super) fn lacks(place: &Place, name: &str, key: &Key, path: &str) -> Diagnostic {
    Diagnostic::fault(codes::MISSING_KEY, format!("`{}` lacks `{name}`", shown(path)), place)
        .label(format!("needs `{name}`: {}", first_lower(key.about)))
        .help(format!("add a line such as: {}", key.example))
}

/// A key of a shape by name.
pub(super) fn key_of(shape: &'static Shape, name: &str) -> Option<&'static Key> {
    shape.keys.iter().find(|key| key.name == name)
}

fn literal_secret(node: &Node, path: &str) -> Diagnostic {
    let name = path.split('.').nth(1).unwrap_or("webshop");
    Diagnostic::fault(codes::LITERAL_SECRET, format!("`{}` is a secret written down", shown(path)), &node.place)
        .label("not shown here, and not accepted")
        .help(format!(
            "put it in a file of mode 0600 and write {{ file = \"/etc/bewaard/{name}.password\" }}, or {{ credential = \"{name}-db\" }} with LoadCredential= in the unit"
        ))
        .help("change this password: whoever could read the file has it")
}

fn wrong_kind(node: &Node, kind: &Kind, key: &Key, mark: &Place, path: &str) -> Diagnostic {
    Diagnostic::fault(codes::WRONG_KIND, format!("`{}` takes {}", shown(path), kind.words()), mark)
        .label(format!("this is {}", node.kind()))
        .help(format!("write it like this: {}", key.example))
}

fn wrong_word(text: &str, words: &[&str], key: &Key, mark: &Place, path: &str) -> Diagnostic {
    let fault = Diagnostic::fault(codes::BAD_VALUE, format!("`{}` takes {}", shown(path), either(words)), mark);
    match nearest(text, words.iter().copied()) {
        Some(near) => fault.label("not one of them").help(format!("did you mean \"{near}\"?")),
        None => fault.label("not one of them").help(format!("write it like this: {}", key.example)),
    }
}

fn either(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
}

fn not_named(entry: &Entry, shape: &Shape, key: &Key) -> Diagnostic {
    let text = format!("{} needs a name, and `{}` stands in its place", shape.name, shown(&entry.key));
    Diagnostic::fault(codes::WRONG_KIND, text, &entry.key_place)
        .label("a key, where a name is expected")
        .help(format!("write it like this: {}", key.example))
}

/// Where else a key belongs: for the help of an unknown key.
fn find_home(shape: &'static Shape, name: &str) -> Option<(&'static Shape, &'static Key)> {
    let mut todo = vec![shape];
    let mut seen: Vec<*const Shape> = Vec::new();
    while let Some(shape) = todo.pop() {
        if seen.contains(&std::ptr::from_ref(shape)) {
            continue;
        }
        seen.push(shape);
        if let Some(key) = shape.keys.iter().find(|key| key.name == name) {
            return Some((shape, key));
        }
        for key in shape.keys.iter().rev() {
            shapes_of(&key.kind, &mut todo);
        }
    }
    None
}

fn shapes_of(kind: &'static Kind, out: &mut Vec<&'static Shape>) {
    match kind {
        Kind::Table(shape) | Kind::Named(shape) => out.push(shape),
        Kind::Map(kind) | Kind::List(kind) => shapes_of(kind, out),
        Kind::Any(kinds) => kinds.iter().for_each(|kind| shapes_of(kind, out)),
        Kind::Text | Kind::Word(_) | Kind::Flag | Kind::Count | Kind::Date => {}
    }
}

/// Every shape under this one, itself first, each once.
pub(super) fn all_shapes(root: &'static Shape) -> Vec<&'static Shape> {
    let (mut todo, mut out): (Vec<&'static Shape>, Vec<&'static Shape>) = (vec![root], Vec::new());
    while let Some(shape) = todo.pop() {
        if !out.iter().any(|one| std::ptr::eq(*one, shape)) {
            out.push(shape);
            shape.keys.iter().rev().for_each(|key| shapes_of(&key.kind, &mut todo));
        }
    }
    out
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

fn first_lower(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect::<String>().trim_end_matches('.').to_string(),
        None => String::new(),
    }
}

/// The name most like this one, if one is like it.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', ' '], "-");
    let name = plain(name);
    if name.chars().count() > 64 {
        return None;
    }
    let near = known.map(|one| (distance(&name, &plain(one)), one)).min_by_key(|(distance, _)| *distance)?;
    (near.0 <= (name.chars().count().max(near.1.chars().count()) / 3).max(1)).then_some(near.1)
}

/// How many letters must be put in, left out, changed or swapped.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let above = rows.get(i).and_then(|row| row.get(j + 1)).copied().unwrap_or(usize::MAX - 1);
            let left = row.get(j).copied().unwrap_or(usize::MAX - 1);
            let across = rows.get(i).and_then(|row| row.get(j)).copied().unwrap_or(usize::MAX - 1);
            let mut best = (above + 1).min(left + 1).min(across + usize::from(x != y));
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                best = best.min(rows.get(i - 1).and_then(|row| row.get(j - 1)).copied().unwrap_or(usize::MAX - 1) + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows.last().and_then(|row| row.last()).copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_stranger_is_not() {
        let known = ["since", "keep", "per-run", "schedule", "because"];
        let near = |name| nearest(name, known.into_iter());
        assert_eq!(near("sinse"), Some("since"));
        assert_eq!(near("snice"), Some("since"));
        assert_eq!(near("per_run"), Some("per-run"));
        assert_eq!(near("Keep"), Some("keep"));
        assert_eq!(near("becuase"), Some("because"));
        assert_eq!(near("colour"), None);
        assert_eq!(near(""), None);
    }
}

//! What is wrong with a configuration, drawn under the key that causes it.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::source::Place;
use crate::codes::Code;

/// How grave a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The policy is not used.
    Fault,
    /// It is used, and somebody should look.
    Warning,
    /// Good to know.
    Note,
}

/// A place with words.
#[derive(Debug, Clone)]
struct Mark {
    place: Place,
    label: String,
}

/// One thing that is wrong, where, and what mends it.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Its stable code.
    pub code: &'static Code,
    /// How grave.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub text: String,
    /// What mends it, one remedy a line.
    pub help: Vec<String>,
    /// The file, where no place in it can be shown.
    pub file: Option<String>,
    primary: Option<Mark>,
    others: Vec<Mark>,
}

impl Diagnostic {
    /// A fault at a place.
    pub fn fault(code: &'static Code, text: impl Into<String>, place: &Place) -> Self {
        Self::new(code, Severity::Fault, text).at(place)
    }

    /// A warning at a place.
    pub fn warning(code: &'static Code, text: impl Into<String>, place: &Place) -> Self {
        Self::new(code, Severity::Warning, text).at(place)
    }

    /// A diagnostic without a place.
    pub fn new(code: &'static Code, severity: Severity, text: impl Into<String>) -> Self {
        Self { code, severity, text: text.into(), help: Vec::new(), file: None, primary: None, others: Vec::new() }
    }

    /// Whether it stops the policy from being used.
    pub fn is_fault(&self) -> bool {
        self.severity == Severity::Fault
    }

    /// Sets the place to underline.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        self.primary = Some(Mark { place: place.clone(), label: String::new() });
        self
    }

    /// Names the file where there is no place to show.
    #[must_use]
    pub fn in_file(mut self, path: &std::path::Path) -> Self {
        self.file = Some(path.display().to_string());
        self
    }

    /// Writes words under the underlined place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        if let Some(mark) = &mut self.primary {
            mark.label = label.into();
        }
        self
    }

    /// Shows a further place.
    #[must_use]
    pub fn also(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.others.push(Mark { place: place.clone(), label: label.into() });
        self
    }

    /// Adds a remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// `file:line:column`, where it has a place.
    pub fn show_place(&self) -> Option<String> {
        self.primary.as_ref().map(|mark| mark.place.show()).or_else(|| self.file.clone())
    }

    fn order(&self) -> (bool, String, usize) {
        match &self.primary {
            Some(mark) => (false, mark.place.file.path.display().to_string(), mark.place.span.start),
            None => (true, self.file.clone().unwrap_or_default(), 0),
        }
    }

    fn groups(&self) -> Vec<Group<'_>> {
        let level = match self.severity {
            Severity::Fault => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let text = match (&self.primary, &self.file) {
            (None, Some(file)) => format!("{file}: {}", self.text),
            _ => self.text.clone(),
        };
        let mut group = Group::with_title(level.primary_title(text).id(self.code.id));
        for (file, snippet) in self.snippets() {
            group = group.element(snippet.path(file));
        }
        let helps = self.help.iter().map(|help| Level::HELP.message(help.as_str()));
        vec![group.elements(helps)]
    }

    /// One snippet per file, the primary's first.
    fn snippets(&self) -> Vec<(String, Snippet<'_, annotate_snippets::Annotation<'_>>)> {
        let Some(primary) = &self.primary else { return Vec::new() };
        let mut out: Vec<(String, Snippet<'_, _>)> = Vec::new();
        let mut seen: Vec<&std::path::Path> = Vec::new();
        for mark in std::iter::once(primary).chain(&self.others) {
            let path = mark.place.file.path.as_path();
            if seen.contains(&path) {
                continue;
            }
            seen.push(path);
            let marks: Vec<&Mark> =
                std::iter::once(primary).chain(&self.others).filter(|one| one.place.file.path == path).collect();
            let (text, start, line) = window(&mark.place, &marks);
            let here = |kind: AnnotationKind, one: &Mark| {
                let span = one.place.span.start.saturating_sub(start)..one.place.span.end.saturating_sub(start);
                let span = kind.span(span);
                if one.label.is_empty() { span } else { span.label(one.label.clone()) }
            };
            let mut snippet = Snippet::source(text).line_start(line);
            if primary.place.file.path == path {
                snippet = snippet.annotation(here(AnnotationKind::Primary, primary));
            }
            for other in self.others.iter().filter(|one| one.place.file.path == path) {
                snippet = snippet.annotation(here(AnnotationKind::Context, other));
            }
            out.push((path.display().to_string(), snippet));
        }
        out
    }
}

/// The lines of a file that the marks are in, where they start, and the number of the first: a file may be large, and
/// each drawing reads what it is given.
fn window<'a>(place: &'a Place, marks: &[&Mark]) -> (&'a str, usize, usize) {
    let text = place.file.shown();
    let first = marks.iter().map(|mark| mark.place.span.start).min().unwrap_or_default();
    let last = marks.iter().map(|mark| mark.place.span.end).max().unwrap_or_default();
    let start = text.get(..first).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
    let end = text.get(last..).and_then(|after| after.find('\n')).map_or(text.len(), |length| last + length);
    let line = text.get(..start).unwrap_or_default().bytes().filter(|byte| *byte == b'\n').count() + 1;
    (text.get(start..end).unwrap_or_default(), start, line)
}

/// All that is wrong.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// In the order of files and lines.
    pub fn new(mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_cached_key(Diagnostic::order);
        // What is wrong with a key of a system is found again by each of its rules.
        list.dedup_by(|later, first| {
            later.code == first.code && later.text == first.text && later.order() == first.order()
        });
        Self { list }
    }
    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }
    /// How many.
    pub fn len(&self) -> usize {
        self.list.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
    /// Whether one of them is a fault.
    pub fn has_faults(&self) -> bool {
        self.list.iter().any(Diagnostic::is_fault)
    }
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }
    /// Adds others.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Diagnostic>) {
        self.list.extend(others);
    }

    /// The drawing for a person, `width` columns wide, and a last line that counts. Without `colour` the drawing is
    /// plain ASCII. Empty where there is nothing to tell.
    pub fn render(&self, colour: bool, width: usize) -> String {
        if self.list.is_empty() {
            return String::new();
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.term_width(width.max(40));
        let mut out = String::new();
        for one in self.list.iter().take(MOST_SHOWN) {
            out.push_str(&renderer.render(&one.groups()));
            out.push_str("\n\n");
        }
        out.push_str(&self.summary());
        out.push('\n');
        out
    }

    /// "2 faults, 1 warning: bewaard explain B108 tells more".
    fn summary(&self) -> String {
        let count = |severity| self.list.iter().filter(|one| one.severity == severity).count();
        let words: Vec<String> = [(Severity::Fault, "fault"), (Severity::Warning, "warning"), (Severity::Note, "note")]
            .into_iter()
            .map(|(severity, word)| (count(severity), word))
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}{}", if n == 1 { "" } else { "s" }))
            .collect();
        let more = match self.list.len().saturating_sub(MOST_SHOWN) {
            0 => String::new(),
            more => format!(" ({more} not shown)"),
        };
        let first = self.list.iter().find(|one| one.is_fault()).or(self.list.first());
        let code = first.map_or("", |one| one.code.id);
        format!("{}{more}. `bewaard explain {code}` tells more about a code.", words.join(", "))
    }

    /// The same for programs.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::Value::Array(self.list.iter().map(json).collect())
    }
}

/// More than these are counted, not drawn.
const MOST_SHOWN: usize = 200;

fn json(one: &Diagnostic) -> serde_json::Value {
    let place = |place: &Place| {
        let (line, column) = place.file.line_column(place.span.start);
        serde_json::json!({ "file": place.file.path.display().to_string(), "line": line, "column": column })
    };
    let mut value = serde_json::json!({
        "code": one.code.id,
        "severity": one.severity,
        "text": one.text,
        "help": one.help,
        "at": one.primary.as_ref().map(|mark| place(&mark.place)),
        "also": one.others.iter().map(|mark| place(&mark.place)).collect::<Vec<_>>(),
    });
    if let (Some(file), Some(object)) = (&one.file, value.as_object_mut()) {
        object.insert("file".into(), file.clone().into());
    }
    value
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false, 120))
    }
}

impl std::error::Error for Diagnostics {}

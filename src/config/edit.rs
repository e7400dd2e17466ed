//! Writing the log's public keys into a policy: nothing else of its text changes, whichever way `log` is written there.

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::shell;
use crate::durable;

/// The change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The file.
    pub file: PathBuf,
    /// Its new text.
    text: String,
    /// What a person would do instead, in words.
    by_hand: String,
}

/// Why the policy can't be changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// A file can't be read or written.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// A verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The changed text would not say what it should.
    #[error("cannot find in {} where the log's key belongs", .0.display())]
    Place(PathBuf),
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.by_hand)
    }
}

impl Edit {
    /// Finds the change that makes these the keys under `log`, in the file of the policy that has them, else that has
    /// `log`, else in the first.
    pub fn log_keys(files: &[PathBuf], keys: &[String]) -> Result<Self, EditError> {
        let mut texts = Vec::new();
        for path in files {
            let text = fs::read_to_string(path);
            texts.push((path, text.map_err(|cause| EditError::Io { doing: "read", path: path.clone(), cause })?));
        }
        let has = |key: Option<&str>| {
            texts.iter().find(|(_, text)| {
                let table: Option<toml::Table> = toml::from_str(unmarked(text)).ok();
                let log = table.as_ref().and_then(|table| table.get("log"));
                log.is_some_and(|log| key.is_none_or(|key| log.get(key).is_some()))
            })
        };
        let chosen = has(Some("key")).or_else(|| has(None)).or(texts.first());
        let Some((path, text)) = chosen else { return Err(EditError::Place(PathBuf::new())) };
        let (text, by_hand) = with_keys(text, keys).ok_or_else(|| EditError::Place((*path).clone()))?;
        let by_hand = by_hand.replace("FILE", &shell::path(path));
        Ok(Self { file: (*path).clone(), text, by_hand })
    }

    /// Writes the file; a crash leaves the old text or the new. Mode and owner stay.
    pub fn write(&self) -> Result<(), EditError> {
        let failed = |doing| move |cause| EditError::Io { doing, path: self.file.clone(), cause };
        // A link to the file stays a link.
        let place = fs::canonicalize(&self.file).map_err(failed("find"))?;
        durable::rewrite(&place, self.text.as_bytes()).map_err(failed("write"))
    }
}

/// The text without its byte order mark.
fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The new text, and the same change in words. `None` where the text is no TOML, or the change would not say exactly what
/// it should.
fn with_keys(text: &str, keys: &[String]) -> Option<(String, String)> {
    let body = unmarked(text);
    let mark = &text[..text.len() - body.len()];
    let newline = if body.contains("\r\n") { "\r\n" } else { "\n" };
    let value = match keys {
        [one] => toml::Value::from(one.as_str()).to_string(),
        keys => toml::Value::from(keys.to_vec()).to_string(),
    };
    let (place, new, by_hand) = change(body, &value, newline)?;
    let mut changed = body.to_string();
    changed.replace_range(place, &new);
    let mut expected: toml::Table = toml::from_str(body).ok()?;
    let log = expected.entry("log").or_insert_with(|| toml::Value::Table(toml::Table::new()));
    let wanted = if let [one] = keys { toml::Value::from(one.as_str()) } else { toml::Value::from(keys.to_vec()) };
    log.as_table_mut()?.insert("key".into(), wanted);
    let found: toml::Table = toml::from_str(&changed).ok()?;
    (found == expected).then(|| (format!("{mark}{changed}"), by_hand))
}

/// What is replaced by what, and in words.
fn change(text: &str, value: &str, newline: &str) -> Option<(Range<usize>, String, String)> {
    let table = DeTable::parse(text).ok()?;
    let table = table.get_ref();
    let line_of = |at: usize| text[..at].matches('\n').count() + 1;
    let Some((name, log)) = table.iter().find(|(name, _)| name.get_ref() == "log") else {
        let before = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
        let new = format!("{before}{newline}[log]{newline}key = {value}{newline}");
        let words = format!("add these two lines at the end of FILE: `[log]` and `key = {value}`");
        return Some((text.len()..text.len(), new, words));
    };
    let DeValue::Table(entries) = log.get_ref() else { return None };
    if let Some((_, key)) = entries.iter().find(|(name, _)| name.get_ref() == "key") {
        let span = key.span();
        let words =
            format!("in line {} of FILE put this in the place of the key that is there: {value}", line_of(span.start));
        return Some((span, value.to_string(), words));
    }
    let start = text[..name.span().start].rfind('\n').map_or(0, |at| at + 1);
    if text[start..].trim_start().starts_with('[') {
        let new = format!("key = {value}");
        return Some(after_line(text, name.span().end, &new, newline, line_of(start)));
    }
    let after_name = text[name.span().end..].trim_start_matches([' ', '\t', '"', '\'']);
    if after_name.starts_with('.') {
        let written = &text[start..name.span().end];
        let last = entries.iter().map(|(_, value)| end_of(value)).max()?;
        let quote = if written.contains('"') {
            "\""
        } else if written.contains('\'') {
            "'"
        } else {
            ""
        };
        let written = written.trim_end_matches(['"', '\'']);
        let new = format!("{written}{quote}.key = {value}");
        return Some(after_line(text, last, &new, newline, line_of(last.saturating_sub(1))));
    }
    let brace = name.span().end + text[name.span().end..].find('{')? + 1;
    let comma = if entries.is_empty() { " " } else { "," };
    let words = format!("in line {} of FILE add this after the `{{`: key = {value}{comma}", line_of(brace));
    Some((brace..brace, format!(" key = {value}{comma}"), words))
}

/// A new line below the one in which `at` lies.
fn after_line(text: &str, at: usize, new: &str, newline: &str, line: usize) -> (Range<usize>, String, String) {
    let words = format!("add this line below line {line} of FILE: {new}");
    match text[at..].find('\n') {
        Some(end) => {
            let place = at + end + 1;
            (place..place, format!("{new}{newline}"), words)
        }
        None => (text.len()..text.len(), format!("{newline}{new}{newline}"), words),
    }
}

/// Where a value ends, with all that is in it.
fn end_of(value: &Spanned<DeValue<'_>>) -> usize {
    let inner = match value.get_ref() {
        DeValue::Table(entries) => entries.iter().map(|(_, value)| end_of(value)).max(),
        _ => None,
    };
    value.span().end.max(inner.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (String, String) {
        with_keys(text, &["example.nl+00+AZ".to_string()]).expect(text)
    }

    #[test]
    fn each_way_of_writing_the_log_gets_its_key_and_nothing_else_changes() {
        let key = "key = \"example.nl+00+AZ\"";
        for (before, after) in [
            (
                "version = \"v1\"\n[log]\npath = \"l\"\n[rule.a]\n",
                format!("version = \"v1\"\n[log]\n{key}\npath = \"l\"\n[rule.a]\n"),
            ),
            ("[log] # ours\npath = 'l'", format!("[log] # ours\n{key}\npath = 'l'")),
            ("[ \"log\" ]", format!("[ \"log\" ]\n{key}\n")),
            (
                "log.path = \"l\" # here\n[state]\npath = \"s\"\n",
                format!("log.path = \"l\" # here\nlog.{key}\n[state]\npath = \"s\"\n"),
            ),
            ("  log . path = \"l\"\nx = 1", format!("  log . path = \"l\"\n  log.{key}\nx = 1")),
            (
                "\"log\".outside = [\n  \"a\",\n]\nx = 1\n",
                format!("\"log\".outside = [\n  \"a\",\n]\n\"log\".{key}\nx = 1\n"),
            ),
            ("log.path = \"l\"", format!("log.path = \"l\"\nlog.{key}\n")),
            ("log = { path = \"l\" } # x\n", format!("log = {{ {key}, path = \"l\" }} # x\n")),
            ("log = {}\n", format!("log = {{ {key} }}\n")),
            ("version = \"v1\"\n[rule.a]\nkeep = 1", format!("version = \"v1\"\n[rule.a]\nkeep = 1\n\n[log]\n{key}\n")),
            ("text = \"\"\"\n[log]\n\"\"\"\n", format!("text = \"\"\"\n[log]\n\"\"\"\n\n[log]\n{key}\n")),
            ("[log]\nkey = \"old+1+A\" # x\n", format!("[log]\n{key} # x\n")),
            ("[log]\nkey = [\"old+1+A\",\n \"b\"] # x\n", format!("[log]\n{key} # x\n")),
            ("\u{feff}[log]\r\npath = \"l\"\r\n", format!("\u{feff}[log]\r\n{key}\r\npath = \"l\"\r\n")),
        ] {
            assert_eq!(one(before).0, after, "{before}");
        }
        let both = ["a+1+A".to_string(), "b+2+B".to_string()];
        assert_eq!(with_keys("[log]\nkey = \"a+1+A\"\n", &both).unwrap().0, "[log]\nkey = [\"a+1+A\", \"b+2+B\"]\n");
        assert_eq!(with_keys("[log\n", &both), None);
        assert_eq!(with_keys("log = 1\n", &both), None);
    }

    #[test]
    fn the_same_change_in_words_can_be_followed() {
        let words = one("version = \"v1\"\nlog.path = \"l\"\n").1;
        assert_eq!(words, "add this line below line 2 of FILE: log.key = \"example.nl+00+AZ\"");
        assert!(one("log = { path = \"l\" }\n").1.contains("in line 1 of FILE add this after the `{`: key = "));
        assert!(one("x = 1\n").1.starts_with("add these two lines at the end of FILE: `[log]` and `key = "));
    }
}

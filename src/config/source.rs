//! The texts that a policy is read from, and places in them.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// One file as it was read: without byte order mark, with `\n` as line end.
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    shown: String,
}

impl SourceFile {
    /// Keeps a text; what looks like a secret in it is never shown.
    pub fn new(path: PathBuf, text: &str) -> Arc<Self> {
        let text = normalise(text);
        let shown = mask_secrets(&text);
        Arc::new(Self { path, text, shown })
    }

    /// The text with the same offsets, secrets replaced by asterisks.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Line and column, both from 1; the column counts characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        (line, before.get(start..).unwrap_or_default().chars().count() + 1)
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({})", self.path.display())
    }
}

/// A stretch of one file.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Bytes of its text.
    pub span: Range<usize>,
}

impl Place {
    /// A part of the text inside the quotes of a string value at this place: bytes of the value's own text. Where the
    /// string is written with escapes the whole value is meant, for then the offsets differ.
    #[must_use]
    pub fn inside(&self, value: &str, part: Range<usize>) -> Self {
        let written = self.file.text.get(self.span.clone()).unwrap_or_default();
        match written.find(value) {
            Some(start) if !value.is_empty() && part.end <= value.len() => {
                let start = self.span.start + start;
                Self { file: Arc::clone(&self.file), span: start + part.start..start + part.end }
            }
            _ => self.clone(),
        }
    }

    /// `file:line:column`.
    pub fn show(&self) -> String {
        let (line, column) = self.file.line_column(self.span.start);
        format!("{}:{line}:{column}", self.file.path.display())
    }
}

/// Strips the byte order mark and makes every line end `\n`, as editors on other systems write them.
fn normalise(text: &str) -> String {
    text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n")
}

const SECRET_WORDS: [&str; 5] = ["password", "passwd", "wachtwoord", "secret", "token"];

/// What a table in the place of a secret may name: where it lies.
const REFERENCES: [&str; 3] = ["file", "credential", "env"];

/// Replaces what stands after a key that names a secret, and the password of a URL.
fn mask_secrets(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let lower = text.to_ascii_lowercase();
    for word in SECRET_WORDS {
        for (at, _) in lower.match_indices(word) {
            for range in value_after_key(text, at + word.len()) {
                star(&mut bytes, range);
            }
        }
    }
    for (at, _) in lower.match_indices("://") {
        let rest = text.get(at + 3..).unwrap_or_default();
        let authority = rest.split(['/', '"', '\'', '\n', ' ']).next().unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@')
            && let Some((name, password)) = user.split_once(':')
        {
            let start = at + 3 + name.len() + 1;
            star(&mut bytes, start..start + password.len());
        }
    }
    String::from_utf8(bytes).unwrap_or_default().chars().map(visible).collect()
}

/// A sign of as many bytes in the place of a character that can't be seen or that turns the line round. (What is one byte
/// long the drawing itself replaces.)
fn visible(c: char) -> char {
    match (is_hidden(c), c.len_utf8()) {
        (true, 2) => '\u{bf}',
        (true, 3) => '\u{fffd}',
        _ => c,
    }
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// What stands behind a key that names a secret, however it is written: a text of several lines to its end, anything else
/// to the end of its line. A reference (`{ file = "..." }`) is no secret; another text in such a table may be one.
fn value_after_key(text: &str, end_of_key: usize) -> Vec<Range<usize>> {
    let rest = text.get(end_of_key..).unwrap_or_default();
    // `password`, `passwords`, "password", also `pass word`: what is left of the key is skipped.
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_\"' \t".contains(c));
    let Some(value) = rest.strip_prefix(['=', ':']) else { return Vec::new() };
    let value = value.trim_start_matches([' ', '\t', '=']);
    let start = text.len() - value.len();
    if let Some(table) = value.strip_prefix('{') {
        let table = table.split(['}', '\n']).next().unwrap_or_default();
        let mut ranges = Vec::new();
        for (at, _) in table.match_indices('=') {
            let name = table[..at].trim_end().rsplit([',', ' ', '{']).next().unwrap_or_default();
            if !REFERENCES.contains(&name) {
                ranges.extend(value_after_key(text, start + 1 + at));
            }
        }
        return ranges;
    }
    let length = match ["\"\"\"", "'''"].into_iter().find(|quote| value.starts_with(quote)) {
        Some(quote) => value[3..].find(quote).map_or(value.len() + 3, |end| end + 6),
        None => match value.chars().next().filter(|c| "\"'".contains(*c)) {
            Some(quote) => quoted_length(value, quote),
            None => value.find('\n').unwrap_or(value.len()),
        },
    };
    // The quotes stay, so that what is wrong with them can be seen.
    let quote = value.chars().take_while(|c| "\"'".contains(*c)).count().min(3);
    let quote = if quote == 2 { 1 } else { quote };
    if length > 2 * quote { std::iter::once(start + quote..start + length - quote).collect() } else { Vec::new() }
}

/// The length of a text in quotes; to the end of its line where it has no end.
fn quoted_length(value: &str, quote: char) -> usize {
    let line = value.split('\n').next().unwrap_or_default();
    let mut escaped = false;
    for (at, c) in line.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    line.len() + 1
}

/// Every byte becomes an asterisk, so that offsets stay; line ends stay too.
fn star(bytes: &mut [u8], range: Range<usize>) {
    for byte in bytes.get_mut(range).into_iter().flatten() {
        if *byte != b'\n' {
            *byte = b'*';
        }
    }
}

/// Text of others for a person's eye: control and direction characters are written out.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().take(200) {
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_shown_and_offsets_stay() {
        for (text, expected) in [
            ("password = \"geheim\"", "password = \"******\""),
            ("mariadb = { password='é1', x = 'y' }", "mariadb = { password='***', x = 'y' }"),
            ("password = { credential = \"db\" }", "password = { credential = \"db\" }"),
            ("password = \"unfinished\nnext = \"x\"", "password = \"**********\nnext = \"x\""),
            ("postgres = \"postgres://u:p@h/d\"", "postgres = \"postgres://u:*@h/d\""),
            ("\"password\" = \"\"\"a\nb\"\"\"", "\"password\" = \"\"\"*\n*\"\"\""),
        ] {
            let file = SourceFile::new(PathBuf::new(), text);
            assert_eq!(file.shown(), expected);
            assert_eq!(file.shown().len(), file.text.len());
        }
    }

    #[test]
    fn lines_and_columns_count_characters() {
        let file = SourceFile::new(PathBuf::new(), "\u{feff}a = 1\r\né = 2\r\n");
        assert_eq!(file.text, "a = 1\né = 2\n");
        assert_eq!(file.line_column(0), (1, 1));
        assert_eq!(file.line_column(file.text.find('2').unwrap()), (2, 5));
        assert_eq!(file.line_column(999), (3, 1));
    }

    #[test]
    fn a_secret_is_not_shown_however_it_is_mistyped() {
        for line in [
            "password = \"hunter2\"",
            "password = hunter2",
            "password: \"hunter2\"",
            "password = \"hunter2",
            "password = 'hunter2'",
            "password = \"ab\\\"hunter2\"",
            "\"password\" = \"hunter2\" # in use",
            "passwords=\"hunter2\"",
            "mysql = { host = \"h\", password = \"hunter2\", port = 3 }",
            "mysql = { password = { value = \"hunter2\" } }",
            "wachtwoord = \"\"\"hunter2\nhunter2\"\"\"",
            "password = \"\"\"hunter2",
            "url = \"mysql://jan:hunter2@db/shop\"",
        ] {
            let shown = mask_secrets(line);
            assert!(!shown.contains("hun") && !shown.contains("er2"), "{line}: {shown}");
            assert_eq!(shown.len(), line.len(), "{line}: {shown}");
        }
        for line in [
            "password = { file = \"/run/pw\" }",
            "password.credential = \"db\"",
            "passwd = \"\"",
            "because = \"token ring\"",
        ] {
            assert_eq!(mask_secrets(line), line);
        }
        assert!(mask_secrets("mysql = { password = \"hunter2\", port = 3 }").ends_with(", port = 3 }"));
    }
}

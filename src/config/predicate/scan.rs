//! What is refused before the text is parsed: comments, several statements, placeholders and backslashes.

use std::ops::Range;

use super::{Dialect, Fault};

/// Walks the text outside quotes, and looks for backslashes inside them.
pub(super) fn faults(text: &str, dialect: Dialect) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut quote: Option<char> = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        match quote {
            Some(open) if c == open => {
                // A doubled quote inside quotes is the quote itself.
                if next == Some(open) {
                    chars.next();
                } else {
                    quote = None;
                }
            }
            Some('\'' | '"') if c == '\\' && dialect == Dialect::Mariadb => {
                faults.push(backslash(at..at + 1));
            }
            Some(_) => {}
            None if matches!(c, '\'' | '"' | '`') => quote = Some(c),
            None => faults.extend(outside(text, at, c, next)),
        }
        if c == '\0' {
            faults.push(Fault::new(at..at + 1, "a zero byte in a condition", "here", "remove it"));
        }
    }
    faults.dedup_by(|later, first| later.text == first.text);
    faults
}

fn backslash(span: Range<usize>) -> Fault {
    Fault::new(
        span,
        "what a backslash means depends on the server's settings",
        "backslash",
        "a quote inside text is doubled: 'it''s'; select what has a backslash by another column",
    )
}

fn outside(text: &str, at: usize, c: char, next: Option<char>) -> Option<Fault> {
    let to_end = at..text.trim_end().len();
    let fault = match (c, next) {
        ('-', Some('-')) | ('/', Some('*')) | ('#', _) => {
            Fault::new(to_end, "a comment in a condition", "comment", "write comments in the TOML: # above the line")
        }
        (';', _) => {
            Fault::new(to_end, "a condition is no statement", "ends here", "remove the semicolon and what follows")
        }
        ('?', _) => placeholder(at..at + 1),
        ('$' | ':' | '@', Some(next)) if next.is_alphanumeric() || next == '_' || next == '@' => {
            placeholder(at..at + 1 + next.len_utf8())
        }
        _ => return None,
    };
    Some(fault)
}

fn placeholder(span: Range<usize>) -> Fault {
    Fault::new(span, "a placeholder in a condition", "nothing fills it in", "write the value itself: status = 'closed'")
}

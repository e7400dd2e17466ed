//! Small words: numbers with separators, plurals, and text from outside made harmless.

/// 12,345.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 record`, `2 records`.
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

/// Whether a terminal obeys a character instead of showing it: control characters, those that turn the writing
/// direction, and those without a width.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn shown(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) && !keep(c) {
            out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Text from outside for a terminal or a journal: characters that a terminal obeys are shown by their number, so that a
/// value can't rewrite the screen.
pub fn safe(text: &str) -> String {
    shown(text, |_| false)
}

/// As [`safe`], for what has more than one line.
pub fn safe_lines(text: &str) -> String {
    shown(text, |c| c == '\n')
}

/// JSON for a terminal: what [`safe`] shows by its number is written as JSON's own escape, so the value is the same.
pub fn safe_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Columns that line up: the first left, the others right where all their cells are numbers.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let columns = header.len();
    let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
    let width = |column: usize| {
        let widest = rows.iter().map(|row| cell(row, column).chars().count()).max().unwrap_or(0);
        widest.max(header.get(column).map_or(0, |name| name.chars().count()))
    };
    let numeric = |column: usize| {
        column > 0
            && rows.iter().all(|row| {
                let text = cell(row, column);
                text.is_empty() || text.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '-' | '.' | '%' | ' '))
            })
    };
    let widths: Vec<(usize, bool)> = (0..columns).map(|column| (width(column), numeric(column))).collect();
    let line = |cells: &[String]| {
        let mut out = String::new();
        for (column, (width, numeric)) in widths.iter().enumerate() {
            let text = cell(cells, column);
            let gap = " ".repeat(width.saturating_sub(text.chars().count()));
            if column > 0 {
                out.push_str("  ");
            }
            if *numeric { out.push_str(&(gap + &text)) } else { out.push_str(&(text + &gap)) }
        }
        out.trim_end().to_string()
    };
    let header: Vec<String> = header.iter().map(|name| (*name).to_string()).collect();
    let mut lines = vec![line(&header)];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_tables_are_readable() {
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(count(1, "record", "records"), "1 record");
        let rows = vec![vec!["a".into(), "1".into()], vec!["long".into(), "1,000".into()]];
        assert_eq!(table(&["rule", "due"], &rows), "rule    due\na         1\nlong  1,000");
    }

    #[test]
    fn hostile_text_is_shown_and_not_obeyed() {
        assert_eq!(safe("a\u{1b}[2Jb\u{202e}c\n"), "a\\u{1b}[2Jb\\u{202e}c\\u{a}");
        assert_eq!(safe_lines("a\u{85}\nb\r"), "a\\u{85}\nb\\u{d}");
        let value = serde_json::json!({ "x": "\u{202e}\u{7f}\u{e0041}é\n" });
        let text = safe_json(&value.to_string());
        assert!(text.is_ascii() || !text.chars().any(is_obeyed), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}

//! Words for a shell: every command that we print can be pasted, whatever stands in it.

use std::path::Path;

/// One word of a command, so that `sh` reads it back as it is. What a terminal would obey is written by its bytes, in
/// the `$'...'` form that bash, ksh, zsh and POSIX 2024 read.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_./:@%+,-=".contains(c);
    if word.chars().any(|c| c.is_control() || !(c.is_ascii() || c.is_alphanumeric())) {
        return by_bytes(word.as_bytes());
    }
    if !word.is_empty() && !word.starts_with('=') && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A path as one word of a command.
pub fn path(path: &Path) -> String {
    path.to_str().map_or_else(|| by_bytes(path.as_os_str().as_encoded_bytes()), quoted)
}

fn by_bytes(bytes: &[u8]) -> String {
    let mut out = String::from("$'");
    for byte in bytes {
        match byte {
            b'\'' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\{byte:03o}")),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_read_it_otherwise() {
        assert_eq!(quoted("/etc/bewaard/bewaard.toml"), "/etc/bewaard/bewaard.toml");
        assert_eq!(quoted("/srv/café/bewaard.toml"), "/srv/café/bewaard.toml");
        assert_eq!(quoted("it's Jan"), r"'it'\''s Jan'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$(reboot)"), "'$(reboot)'");
        assert_eq!(quoted("#4711"), "'#4711'");
        assert_eq!(quoted("~root"), "'~root'");
        assert_eq!(quoted("=ls"), "'=ls'");
        assert_eq!(quoted("a\u{1b}[2J'"), r"$'a\033[2J\''");
        assert_eq!(quoted("a\u{202e}b"), r"$'a\342\200\256b'");
    }

    #[test]
    fn a_shell_reads_every_word_back() {
        for word in ["plain", "two words", "it's", "", "$HOME `id` \"x\" \\", "a\nb\tc", "é\u{202e}\\'", "*?[a]{b,c}!"]
        {
            let script = format!("printf %s {}", quoted(word));
            let said = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), word, "{script}");
        }
    }
}

//! Standard output and error: a closed pipe is a quiet end, colour only where a person sees it.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::OnceLock;

use crate::domain::shell;
use crate::report::words::{safe_json, safe_lines};

/// The policy that was named on the command line, as a word for a shell.
static POLICY: OnceLock<String> = OnceLock::new();

/// Commands that read the policy: where another than the usual one was named, each that we print names it too, or it
/// would act on another machine's log when it is pasted.
const READ_POLICY: [&str; 17] = [
    "init", "check", "grants", "test", "plan", "approve", "run", "hold", "undo", "incident", "settle", "pause",
    "resume", "status", "log", "key", "adopt",
];

/// Remembers the policy that was named, for the commands that are printed.
pub(super) fn name_policy(path: &Path) {
    // Set once: a process runs one command.
    let _ = POLICY.set(shell::path(path));
}

/// The text with the policy in each command that needs it.
fn pasted(text: &str) -> Cow<'_, str> {
    POLICY.get().map_or(Cow::Borrowed(text), |policy| with_policy(text, policy))
}

fn with_policy<'a>(text: &'a str, policy: &str) -> Cow<'a, str> {
    const PROGRAM: &str = "bewaard ";
    let mut out = String::new();
    let mut from = 0;
    for (at, _) in text.match_indices(PROGRAM) {
        let (before, after) = (&text[..at], &text[at + PROGRAM.len()..]);
        let word: &str = after.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default();
        let begins = before.chars().next_back().is_none_or(|c| c.is_whitespace() || "`'(".contains(c));
        if begins && READ_POLICY.contains(&word) {
            out.push_str(&text[from..at + PROGRAM.len()]);
            out.push_str(&format!("--config {policy} "));
            from = at + PROGRAM.len();
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// The same in each text of a value.
fn pasted_in(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => {
            if let Cow::Owned(new) = pasted(text) {
                *text = new;
            }
        }
        serde_json::Value::Array(all) => all.iter_mut().for_each(pasted_in),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(pasted_in),
        _ => {}
    }
}

/// Where a command writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Out {
    /// JSON instead of text.
    pub(super) json: bool,
    /// Colour on standard error.
    pub(super) colour: bool,
    /// Whether the work goes on when nobody reads the answer any more.
    finishes: bool,
}

impl Out {
    /// As the terminal and the environment want it (`NO_COLOR`, `TERM=dumb`).
    pub(super) fn new(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { json, colour: io::stderr().is_terminal() && !plain, finishes: false }
    }

    /// For commands that change something: they finish their work though the reader is gone (`| head -1`).
    #[cfg(feature = "systems")]
    pub(super) fn finishing(self) -> Self {
        Self { finishes: true, ..self }
    }

    fn put(self, text: &str) -> io::Result<()> {
        match writeln!(io::stdout().lock(), "{text}") {
            Err(error) if self.finishes && error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Text on standard output. What a terminal would obey is shown by its number.
    pub(super) fn line(self, text: impl AsRef<str>) -> io::Result<()> {
        self.put(&safe_lines(&pasted(text.as_ref())))
    }

    /// Text for a person beside the answers of other commands: in JSON only the answers stand there, one after the other.
    #[cfg(feature = "systems")]
    pub(super) fn talk(self, text: impl AsRef<str>) -> io::Result<()> {
        if self.json { Ok(()) } else { self.line(text) }
    }

    /// Text for another program, to the byte; on a terminal as [`Out::line`].
    pub(super) fn exact(self, text: impl AsRef<str>) -> io::Result<()> {
        if self.person() { self.line(text) } else { self.put(text.as_ref()) }
    }

    /// A value as JSON on standard output.
    pub(super) fn value(self, value: &serde_json::Value) -> io::Result<()> {
        let text = if POLICY.get().is_some() {
            let mut value = value.clone();
            pasted_in(&mut value);
            serde_json::to_string_pretty(&value)?
        } else {
            serde_json::to_string_pretty(value)?
        };
        self.put(&safe_json(&text))
    }

    /// A remark on standard error. What a terminal would obey is shown by its number.
    pub(super) fn remark(self, text: impl AsRef<str>) -> io::Result<()> {
        self.drawing(safe_lines(&pasted(text.as_ref())))
    }

    /// Text on standard error that may bear colours: what [`crate::config::Diagnostics`] draws.
    pub(super) fn drawing(self, text: impl AsRef<str>) -> io::Result<()> {
        match writeln!(io::stderr().lock(), "{}", text.as_ref()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// The width of the terminal, or 100.
    pub(super) fn width(self) -> usize {
        let size = rustix::termios::tcgetwinsize(io::stderr()).ok().map(|size| usize::from(size.ws_col));
        size.filter(|columns| *columns >= 40).unwrap_or(100)
    }

    /// Whether a person sits at standard output.
    pub(super) fn person(self) -> bool {
        io::stdout().is_terminal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_printed_names_the_policy_that_was_named() {
        let named = |text: &str| with_policy(text, "'my firm.toml'").into_owned();
        assert_eq!(named("next: `bewaard run`"), "next: `bewaard --config 'my firm.toml' run`");
        assert_eq!(
            named("  bewaard plan show 1 > plan.txt\n  bewaard approve 1"),
            "  bewaard --config 'my firm.toml' plan show 1 > plan.txt\n  bewaard --config 'my firm.toml' approve 1"
        );
        for same in [
            "`bewaard explain B207`",
            "`bewaard --config x.toml run`",
            "bewaard: cannot read the policy",
            "ssh-keygen -Y sign -n bewaard -f KEY plan.txt",
            "https://bewaard plan",
            "bewaard planned",
        ] {
            assert_eq!(named(same), same);
        }
    }
}

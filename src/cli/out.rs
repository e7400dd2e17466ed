//! Standard output and error: a closed pipe is a quiet end, colour only where a person sees it.

use std::io::{self, IsTerminal, Write};

/// Where a command writes.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    /// JSON instead of text.
    pub json: bool,
    /// Colour on standard error.
    pub colour: bool,
}

impl Out {
    /// As the terminal and the environment want it (`NO_COLOR`, `TERM=dumb`).
    pub fn new(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { json, colour: io::stderr().is_terminal() && !plain }
    }

    /// A line of text on standard output.
    pub fn line(self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{}", text.as_ref())
    }

    /// A value as JSON on standard output.
    pub fn value(self, value: &serde_json::Value) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.line(text)
    }

    /// A remark on standard error.
    pub fn remark(self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(io::stderr().lock(), "{}", text.as_ref())
    }

    /// The width of the terminal, or 100.
    pub fn width(self) -> usize {
        let size = rustix::termios::tcgetwinsize(io::stderr()).ok().map(|size| usize::from(size.ws_col));
        size.filter(|columns| *columns >= 40).unwrap_or(100)
    }

    /// Whether a person sits at standard output.
    pub fn person(self) -> bool {
        io::stdout().is_terminal()
    }
}

/// Progress on one line of standard error, only where a person sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    shown: bool,
}

impl Line {
    /// Shows itself only on a terminal, and never beside JSON on the same one.
    pub(super) fn new() -> Self {
        Self { shown: io::stderr().is_terminal() }
    }

    /// Says where it is.
    pub(super) fn say(self, text: &str) {
        if self.shown {
            // A progress line that can't be written is nobody's loss.
            drop(write!(io::stderr().lock(), "\r\x1b[K{text}"));
        }
    }

    /// Wipes the line.
    pub(super) fn clear(self) {
        if self.shown {
            drop(write!(io::stderr().lock(), "\r\x1b[K"));
        }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

//! Standard output and error: a closed pipe is a quiet end, colour only where a person sees it.

use std::io::{self, IsTerminal, Write};

/// Where a command writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Out {
    /// JSON instead of text.
    pub(super) json: bool,
    /// Colour on standard error.
    pub(super) colour: bool,
}

impl Out {
    /// As the terminal and the environment want it (`NO_COLOR`, `TERM=dumb`).
    pub(super) fn new(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { json, colour: io::stderr().is_terminal() && !plain }
    }

    /// A line of text on standard output.
    pub(super) fn line(self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{}", text.as_ref())
    }

    /// A value as JSON on standard output.
    pub(super) fn value(self, value: &serde_json::Value) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.line(text)
    }

    /// A remark on standard error.
    pub(super) fn remark(self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(io::stderr().lock(), "{}", text.as_ref())
    }

    /// The width of the terminal, or 100.
    pub(super) fn width(self) -> usize {
        let size = rustix::termios::tcgetwinsize(io::stderr()).ok().map(|size| usize::from(size.ws_col));
        size.filter(|columns| *columns >= 40).unwrap_or(100)
    }

    /// Whether a person sits at standard output.
    #[cfg(feature = "systems")]
    pub(super) fn person(self) -> bool {
        io::stdout().is_terminal()
    }
}

//! Standard output and error: a closed pipe is a quiet end, colour only where a person sees it.

use std::io::{self, IsTerminal, Write};

use crate::report::words::{safe_json, safe_lines};

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
        self.put(&safe_lines(text.as_ref()))
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
        let text = serde_json::to_string_pretty(value)?;
        self.put(&safe_json(&text))
    }

    /// A remark on standard error. What a terminal would obey is shown by its number.
    pub(super) fn remark(self, text: impl AsRef<str>) -> io::Result<()> {
        self.drawing(safe_lines(text.as_ref()))
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

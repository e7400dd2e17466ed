//! Progress on one line of standard error.

use std::io::{self, IsTerminal, Write};

/// Progress on one line of standard error, only where a person sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    shown: bool,
}

impl Line {
    /// Shows itself only on a terminal that can wipe a line.
    pub(super) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { shown: io::stderr().is_terminal() && !dumb }
    }

    /// Says where it is.
    pub(super) fn say(self, text: &str) {
        if self.shown {
            // A progress line that can't be written is nobody's loss.
            drop(write!(io::stderr().lock(), "\r\x1b[K{}", crate::report::words::safe(text)));
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

//! Why the log can't be written.

use std::io;
use std::path::{Path, PathBuf};

use crate::codes::{self, Code};

/// Why the log can't be opened, written or published.
#[derive(Debug, thiserror::Error)]
pub enum LogFault {
    /// The disk failed us: what was to be written may be there in part, or not at all. After an erase the process
    /// must end; recovery settles it.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// An earlier write of this process failed; the log must be opened again.
    #[error("the log is closed: an earlier write failed, and it must be opened again")]
    Closed,
    /// There is no log.
    #[error("there is no log in {}: `bewaard init` makes one", .0.display())]
    Missing(PathBuf),
    /// There is a log already.
    #[error("there is a log, or the rest of one, in {}: it is never written over", .0.display())]
    Exists(PathBuf),
    /// The files contradict each other, or the signed heads.
    #[error("{text} ({})", .file.display())]
    Broken {
        /// What `bewaard explain` says of it.
        code: &'static Code,
        /// The file.
        file: PathBuf,
        /// What is wrong.
        text: String,
    },
    /// An entry is longer than a bundle of entries can hold.
    #[error("an entry of kind `{kind}` would be {bytes} bytes long; at most 65535 fit")]
    TooLong {
        /// The kind.
        kind: String,
        /// Its length.
        bytes: usize,
    },
    /// An entry can't be put in canonical form.
    #[error("an entry can't be put in canonical form")]
    Entry(#[source] serde_json::Error),
    /// An outside target can't be reached. The log itself is whole.
    #[error("the outside head {} can't be written: the log itself is whole, but nobody outside knows its newest head", .path.display())]
    Outside {
        /// The target.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl LogFault {
    /// What `bewaard explain` says of it.
    pub fn code(&self) -> &'static Code {
        match self {
            Self::Io { .. } | Self::Closed => codes::LOG_WRITE,
            Self::Missing(_) => codes::LOG_MISSING,
            Self::Exists(_) => codes::LOG_EXISTS,
            Self::Broken { code, .. } => code,
            Self::TooLong { .. } | Self::Entry(_) => codes::LOG_LINE_TOO_LONG,
            Self::Outside { .. } => codes::OUTSIDE_UNREACHABLE,
        }
    }

    /// Whether what was to be written may not be on the disk: after an erase the process must end.
    pub fn is_io(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Closed)
    }

    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { doing, path: path.to_path_buf(), cause }
    }

    pub(super) fn broken(code: &'static Code, file: &Path, text: impl Into<String>) -> Self {
        Self::Broken { code, file: file.to_path_buf(), text: text.into() }
    }
}

//! Why a key can't be had.

use std::io;
use std::path::{Path, PathBuf};

use ring::error::Unspecified;

use crate::audit::note::BadNote;
use crate::codes::{self, Code};
use crate::secret::SecretError;

/// The fewest characters of a secret that keys are wrapped under.
pub(super) const MIN_WRAP: usize = 32;

/// Why a key can't be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// The operating system refused.
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
    /// There are keys already.
    #[error("there are keys in {} already; they are never written over", .0.display())]
    Exists(PathBuf),
    /// The folder or its list is missing or damaged.
    #[error("{} holds no keys, or not all of them: `bewaard init` makes them once; else put them back from a backup", .0.display())]
    Missing(PathBuf),
    /// The wrapping secret can't be read.
    #[error("the secret that keys are wrapped under can't be read")]
    Secret(#[source] SecretError),
    /// The wrapping secret is too short.
    #[error(
        "the secret that keys are wrapped under has fewer than {MIN_WRAP} characters: make one with `openssl rand -base64 32`"
    )]
    Weak,
    /// The key does not open.
    #[error("the key `{0}` does not open: it was wrapped under another secret, or its file was altered")]
    Wrapped(String),
    /// The key is not there.
    #[error("the key `{0}` is not in keys/: it was destroyed, or never came here")]
    Gone(String),
    /// Not the id of a key.
    #[error("this is not the id of a key")]
    Id,
    /// The signing key can't be read.
    #[error("the signing key can't be read")]
    Signing(#[source] BadNote),
    /// The cipher refused; it never does with keys and texts of our sizes.
    #[error("the cipher refused")]
    Cipher,
}

impl From<Unspecified> for KeyFault {
    fn from(_: Unspecified) -> Self {
        Self::Cipher
    }
}

impl KeyFault {
    /// What `bewaard explain` says of it.
    pub fn code(&self) -> &'static Code {
        match self {
            Self::Io { .. } => codes::KEYS_WRITE,
            Self::Exists(_) => codes::KEYS_EXIST,
            Self::Missing(_) | Self::Id => codes::KEYS_MISSING,
            Self::Secret(_) | Self::Wrapped(_) | Self::Signing(_) | Self::Cipher => codes::KEY_WRAPPED,
            Self::Weak => codes::WRAP_WEAK,
            Self::Gone(_) => codes::KEY_GONE,
        }
    }

    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { doing, path: path.to_path_buf(), cause }
    }
}

//! Secrets by reference: a systemd credential or a file that only its owner may read. Never a literal.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::domain::policy::SecretRef;

/// A secret in memory: wiped when dropped, never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Keeps bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
    /// The text, where it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a secret can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A credential was asked for, and the process got none.
    #[error(
        "credential `{0}` was asked for, and this process got no credentials (run by systemd with LoadCredential=, or name a file)"
    )]
    NoCredentials(String),
    /// The file can't be read.
    #[error("cannot read the secret file {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Others than its owner may read the file.
    #[error("the secret file {} may be read by others (mode {mode:04o}): chmod 600 {}", .path.display(), crate::domain::shell::path(.path))]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file is empty.
    #[error("the secret file {} is empty", .0.display())]
    Empty(PathBuf),
}

/// Secrets that were read before this process gave up the rights to read them.
static KEPT: Mutex<Vec<(SecretRef, Secret)>> = Mutex::new(Vec::new());

fn kept() -> MutexGuard<'static, Vec<(SecretRef, Secret)>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a secret and keeps it in memory, for [`read`] after a change of user.
pub fn keep(reference: &SecretRef) -> Result<(), SecretError> {
    let secret = read(reference)?;
    kept().push((reference.clone(), secret));
    Ok(())
}

/// Reads a secret; a trailing newline is not part of it.
pub fn read(reference: &SecretRef) -> Result<Secret, SecretError> {
    if let Some((_, secret)) = kept().iter().find(|(name, _)| name == reference) {
        return Ok(secret.clone());
    }
    match reference {
        SecretRef::Credential(name) => {
            let folder =
                std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| SecretError::NoCredentials(name.clone()))?;
            read_file(&Path::new(&folder).join(name), false)
        }
        SecretRef::File(path) => read_file(Path::new(path), true),
    }
}

fn read_file(path: &Path, private: bool) -> Result<Secret, SecretError> {
    let failed = |cause| SecretError::Read { path: path.to_path_buf(), cause };
    let mut file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if private && mode & 0o077 != 0 {
        return Err(SecretError::Open { path: path.to_path_buf(), mode });
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    if bytes.is_empty() { Err(SecretError::Empty(path.to_path_buf())) } else { Ok(Secret::new(bytes)) }
}

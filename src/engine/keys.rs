//! The signing key: replaced under the old key's signature.

use super::host::log_paths;
use super::{Engine, EngineError};
use crate::audit::log::Log;

impl Engine {
    /// Replaces the signing key. The old key seals the entry that announces the new one, and the new one proves itself
    /// in it. A crash between two steps leaves the old key in force or the new one; the same command then ends it.
    /// Gives the old and the new verifier key.
    pub fn rotate_signing_key(&mut self, reason: &str) -> Result<(String, String), EngineError> {
        self.sure()?;
        let old = self.log()?.verifier().to_string();
        let note = self.keep_note(reason)?;
        self.ring_mut()?.stage_signer()?;
        let signers = self.ring()?.signers()?;
        let key = self.log_key_id()?;
        let mut log = Log::open(log_paths(&self.loaded), signers)?;
        let new = log.rotate(&key, Some((self.by.clone(), note)), crate::now::now())?;
        self.log = Some(log);
        self.ring_mut()?.settle_signer(&new)?;
        self.catch_up()?;
        Ok((old, new.to_string()))
    }
}

//! The run lock: one process purges and recovers; who comes second is told so (exit code 75). And the lock of holds.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::durable;

/// Held for a whole run, or for the daemon's life. The kernel gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct RunLock(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

impl RunLock {
    /// Takes the lock; `None` when another process has it.
    pub fn take(state: &Path) -> io::Result<Option<Self>> {
        Ok(durable::try_lock(&state.join("run.lock"))?.map(Self))
    }
}

/// Held while a hold is placed or released: its entry names the digest of all holds, so nobody else may change one
/// between the reading and the writing.
#[derive(Debug)]
pub struct HoldsLock(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

impl HoldsLock {
    /// Waits for the lock.
    pub fn take(state: &Path) -> io::Result<Self> {
        durable::lock(&state.join("holds.lock")).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunLock::take(folder.path()).unwrap();
        assert!(first.is_some());
        assert!(RunLock::take(folder.path()).unwrap().is_none());
        drop(first);
        assert!(RunLock::take(folder.path()).unwrap().is_some());
    }
}

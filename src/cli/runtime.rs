//! The runtime of commands that talk to systems, and Ctrl-C between two batches.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::progress::Line;
use super::{Failure, exit};
use crate::engine::survey::Progress;
use crate::report::words;

/// Runs a command's future to its end.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(exit::FAILED, format!("cannot start the runtime: {error}")))?;
    runtime.block_on(work)
}

/// Progress for a person, and whether they asked to stop.
#[derive(Debug, Clone)]
pub(super) struct Watcher {
    line: Line,
    stop: Arc<AtomicBool>,
}

impl Watcher {
    /// Watches for SIGINT and SIGTERM: the batch is finished, then the run ends.
    pub(super) fn new() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        tokio::spawn(async move {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            flag.store(true, Ordering::SeqCst);
        });
        Self { line: Line::new(), stop }
    }

    /// Whether a stop was asked for.
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Wipes the progress line.
    pub(super) fn clear(&self) {
        self.line.clear();
    }
}

impl Progress for Watcher {
    fn at(&self, what: &str, done: u64, of: u64) {
        self.line.say(&format!("{what}: {} of {}", words::number(done), words::number(of)));
    }
    fn stop(&self) -> bool {
        self.stopped()
    }
}

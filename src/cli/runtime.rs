//! The runtime of commands that talk to systems, and Ctrl-C between two batches.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

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
    pause: Arc<AtomicBool>,
}

impl Watcher {
    /// Watches for SIGINT and SIGTERM (the batch is finished, then the run ends) and for SIGUSR1 (everything is
    /// paused).
    pub(super) fn new() -> Self {
        let [stop, pause] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        raise_at(SignalKind::interrupt(), &stop);
        raise_at(SignalKind::terminate(), &stop);
        raise_at(SignalKind::user_defined1(), &pause);
        Self { line: Line::new(), stop, pause }
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

/// Raises the flag at the first signal of this kind.
fn raise_at(kind: SignalKind, flag: &Arc<AtomicBool>) {
    // Where no handler can be set the signal ends the process, which is a stop as well.
    let Ok(mut signals) = signal(kind) else { return };
    let flag = Arc::clone(flag);
    tokio::spawn(async move {
        signals.recv().await;
        flag.store(true, Ordering::SeqCst);
    });
}

impl Progress for Watcher {
    fn at(&self, what: &str, done: u64, of: u64) {
        self.line.say(&format!("{what}: {} of {}", words::number(done), words::number(of)));
    }
    fn say(&self, text: &str) {
        self.line.clear();
        // A remark that can't be written is nobody's loss.
        drop(super::out::Out::new(false).remark(format!("bewaard: {text}")));
    }
    fn stop(&self) -> bool {
        self.stopped()
    }
    fn pause(&self) -> bool {
        self.pause.load(Ordering::SeqCst)
    }
}

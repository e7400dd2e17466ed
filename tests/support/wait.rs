//! Waiting for what must come.

use std::time::{Duration, Instant};

/// Waits for something that must come.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut come: impl FnMut() -> bool) {
    let start = Instant::now();
    while !come() {
        assert!(start.elapsed() < Duration::from_mins(1), "a minute passed, and not: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

//! Named places where the kill tests end the process as a power cut would. Without the feature `crash-points` they
//! are not in the program.

/// Ends the process here when `BEWAARD_CRASH_AT` names this place (`name`, or `name#3` for its third passing).
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(feature = "crash-points")]
        $crate::crash::at($name);
    };
}

/// Kills this process when the environment names this place.
#[cfg(feature = "crash-points")]
pub fn at(name: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSED: AtomicU64 = AtomicU64::new(0);

    let Ok(wanted) = std::env::var("BEWAARD_CRASH_AT") else { return };
    let (place, time) = wanted.split_once('#').unwrap_or((&wanted, "1"));
    if place != name {
        return;
    }
    let passed = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    if time.parse() == Ok(passed) {
        // Signal 9 can't be caught: nothing is flushed and nothing is tidied up. Should it fail, there is no test.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

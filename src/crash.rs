//! Named places where the kill tests end the process as a power cut would, or let it wait while the test does
//! something. Without the feature `crash-points` they are not in the program.

/// Ends the process here when `BEWAARD_CRASH_AT` names this place (`name`, or `name#3` for its third passing). Waits
/// here when `BEWAARD_PAUSE_AT` names it.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(feature = "crash-points")]
        $crate::crash::at($name);
    };
}

/// Kills or pauses this process when the environment names this place.
#[cfg(feature = "crash-points")]
pub fn at(name: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSED: AtomicU64 = AtomicU64::new(0);

    list(name);
    pause_at(name);
    panic_at(name);
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

/// Appends the name to the file `BEWAARD_CRASH_LIST`, so that a test knows what a command passes.
#[cfg(feature = "crash-points")]
fn list(name: &str) {
    use std::io::Write;
    let Some(path) = std::env::var_os("BEWAARD_CRASH_LIST") else { return };
    // Should it fail, the list is shorter than the test expects.
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    drop(file.and_then(|mut file| writeln!(file, "{name}")));
}

/// A fault of the program itself at the place `BEWAARD_PANIC_AT`, with the words `BEWAARD_PANIC_WITH`: as one that quotes
/// a value would.
#[cfg(feature = "crash-points")]
fn panic_at(name: &str) {
    if std::env::var("BEWAARD_PANIC_AT").as_deref() == Ok(name) {
        #[expect(clippy::panic, reason = "this is the fault that is wanted")]
        std::panic::panic_any(std::env::var("BEWAARD_PANIC_WITH").unwrap_or_default());
    }
}

/// Makes `NAME.reached` in the folder `BEWAARD_PAUSE_DIR` and waits until `NAME.go` is there, at the first passing only.
#[cfg(feature = "crash-points")]
fn pause_at(name: &str) {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};
    static PAUSED: AtomicBool = AtomicBool::new(false);

    if std::env::var("BEWAARD_PAUSE_AT").as_deref() != Ok(name) || PAUSED.swap(true, Ordering::SeqCst) {
        return;
    }
    let Some(folder) = std::env::var_os("BEWAARD_PAUSE_DIR").map(PathBuf::from) else { return };
    // Should it fail, the test waits in vain for the file and says so.
    drop(std::fs::File::create(folder.join(format!("{name}.reached"))));
    let go = folder.join(format!("{name}.go"));
    while !go.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

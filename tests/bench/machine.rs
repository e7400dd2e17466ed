//! What the machine does beside us, and what a process used.

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

/// The load of the last minute, and the cores.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    let cores = std::thread::available_parallelism().unwrap();
    format!("load {} on {cores} cores", load.split(' ').next().unwrap())
}

/// Waits for a process: how long it ran, and the most memory that it had, in KiB.
pub(crate) fn watched(mut child: Child, begun: Instant) -> (Duration, u64) {
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        if let Some(ended) = child.try_wait().unwrap() {
            let took = begun.elapsed();
            assert!(ended.success(), "{ended}");
            return (took, most);
        }
        // The mark only rises, and is gone with the process: it is read until then.
        if let Ok(text) = fs::read_to_string(&status) {
            let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let mark = mark.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
            most = most.max(mark.unwrap_or(0));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

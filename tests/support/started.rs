//! A command that runs while the test does something.
#![expect(clippy::unwrap_used, reason = "a test ends here when its command can't be started")]

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::bench::{Bench, Said, said};
use crate::paused::wait_until;

/// A command that runs.
pub(crate) struct Started(Option<Child>);

/// Starts a command of a bench.
pub(crate) fn start(bench: &Bench, args: &[&str]) -> Started {
    let mut command = bench.command(args);
    Started(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
}

impl Started {
    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.0.as_ref().unwrap().id().to_string();
        assert!(std::process::Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().unwrap().is_none()
    }

    /// Waits for its end; how long that took.
    pub(crate) fn ended(mut self) -> (Said, Duration) {
        let begun = Instant::now();
        wait_until("the command ends", || !self.runs());
        let took = begun.elapsed();
        (said(&self.0.take().unwrap().wait_with_output().unwrap()), took)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Waits until `status` says that a run waits for this brake; its words.
#[track_caller]
pub(crate) fn held_by(bench: &Bench, brake: &str) -> String {
    let mut words = String::new();
    wait_until(&format!("the run is held by {brake}"), || {
        let status = bench.bewaard(&["status", "--json"]).ends(0).json();
        let on = status["brakes"][0]["on"].as_array().cloned().unwrap_or_default();
        let found = on.iter().find(|one| one["brake"] == brake);
        words = found.map(|one| one["words"].as_str().unwrap().to_string()).unwrap_or_default();
        found.is_some() && status["brakes"][0]["waits"] == true
    });
    words
}

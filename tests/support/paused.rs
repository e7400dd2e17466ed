//! A command that waits at a named point while the test does something.
#![expect(clippy::unwrap_used, reason = "a test ends here when its command can't be started")]

use std::path::PathBuf;
use std::process::{Child, Stdio};

#[path = "wait.rs"]
mod wait;

pub(crate) use self::wait::wait_until;
use crate::bench::{Bench, Said, said};

/// Starts a command of a bench that waits at a named point.
pub(crate) fn pause(bench: &Bench, point: &str, args: &[&str]) -> Paused {
    let folder = bench.file("pause");
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = bench.command(args);
    command.env("BEWAARD_PAUSE_AT", point).env("BEWAARD_PAUSE_DIR", &folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let reached = folder.join(format!("{point}.reached"));
    wait_until(&format!("the run reaches {point}"), || {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none() || reached.exists(), "it ended before {point}");
        reached.exists()
    });
    Paused { child: Some(child), go: folder.join(format!("{point}.go")) }
}

/// A command that waits at a named point.
pub(crate) struct Paused {
    child: Option<Child>,
    go: PathBuf,
}

impl Paused {
    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// A file of it in /proc.
    pub(crate) fn proc(&self, file: &str) -> Vec<u8> {
        std::fs::read(format!("/proc/{}/{file}", self.child.as_ref().unwrap().id())).unwrap()
    }

    /// Lets it go on to its end.
    pub(crate) fn go_on(mut self) -> Said {
        std::fs::File::create(&self.go).unwrap();
        said(&self.child.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

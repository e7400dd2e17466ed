//! The bewaard command.

use std::process::ExitCode;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// A core would hold keys, and what was read of records.
fn no_core() -> std::io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
    // Below a page no file is written, and 1 also stops a core that goes to a program (Linux, fs/coredump.c).
    let most = getrlimit(Resource::Core).maximum.map_or(1, |most| most.min(1));
    setrlimit(Resource::Core, Rlimit { current: Some(most), maximum: Some(most) })?;
    if most == 0 {
        // 0 does not stop one that goes to a program, and may not be raised. This does, and hides /proc as well.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    // A panic is a crash, in every build: every step on disk is written for that, and recovery settles it.
    std::panic::set_hook(Box::new(|info| {
        use std::io::Write;
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        // The message may quote a value, so only the place is told.
        drop(writeln!(
            std::io::stderr(),
            "bewaard: a fault of the program at {place}; this is a bug, please report it"
        ));
        std::process::abort();
    }));
    // Only what we say ourselves: a driver's own lines may hold statements, and statements may hold values.
    let level = std::env::var("BEWAARD_LOG").ok().and_then(|level| level.parse().ok());
    let ours = Targets::new().with_target("bewaard", level.unwrap_or(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(ours);
    tracing_subscriber::registry().with(lines).init();
    if let Err(error) = no_core() {
        tracing::warn!(target: "bewaard", %error, "core dumps can't be switched off");
    }
    ExitCode::from(bewaard::cli::run())
}

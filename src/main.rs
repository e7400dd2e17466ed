//! The bewaard command.

use std::process::ExitCode;

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
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("BEWAARD_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    ExitCode::from(bewaard::cli::run())
}

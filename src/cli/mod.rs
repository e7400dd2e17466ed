//! The command line: one file per command, all arguments here.

mod args;
mod check;
pub mod exit;
mod explain;
mod generate;
mod log;
mod out;

#[cfg(feature = "systems")]
mod approve;
#[cfg(feature = "systems")]
pub mod demo;
#[cfg(feature = "systems")]
mod hold;
#[cfg(feature = "systems")]
mod init;
#[cfg(feature = "systems")]
mod input;
#[cfg(feature = "systems")]
mod key;
#[cfg(feature = "systems")]
mod plan;
#[cfg(feature = "systems")]
mod progress;
#[cfg(feature = "systems")]
mod run;
#[cfg(feature = "systems")]
mod runtime;
#[cfg(feature = "systems")]
mod settle;
#[cfg(feature = "systems")]
mod status;
mod test;

use std::error::Error;
use std::io;
use std::path::Path;

use clap::Parser;

use crate::config::Loaded;
use args::{Args, Command};
use out::Out;

/// Why a command could not do what it was asked; the exit code goes with it.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    text: String,
    cause: Option<Box<dyn Error>>,
}

impl Failure {
    /// A failure with its exit code and one sentence.
    pub fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), cause: None }
    }

    /// A failure with what caused it.
    fn caused(code: u8, text: impl Into<String>, cause: impl Error + 'static) -> Self {
        Self { code, text: text.into(), cause: Some(Box::new(cause)) }
    }

    fn print(&self, out: Out) {
        let mut text = format!("bewaard: {}", self.text);
        let mut cause: Option<&dyn Error> = self.cause.as_deref();
        while let Some(error) = cause {
            let more = error.to_string();
            if !text.ends_with(&more) {
                text.push_str(&format!("\n  because: {more}"));
            }
            cause = error.source();
        }
        drop(out.remark(text));
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // A closed pipe (`| head`) is the reader's wish and a quiet end.
        let code = if error.kind() == io::ErrorKind::BrokenPipe { exit::DONE } else { exit::FAILED };
        Self { code, text: "cannot write the answer".into(), cause: Some(Box::new(error)) }
    }
}

#[cfg(feature = "systems")]
impl From<crate::engine::EngineError> for Failure {
    fn from(error: crate::engine::EngineError) -> Self {
        use crate::engine::EngineError as E;
        let code = match &error {
            E::Connect(at) if at.unreachable => exit::UNREACHABLE,
            E::Log(_) | E::Read(_) | E::Key(_) | E::Time(_) | E::Holds(_) => exit::UNSAFE,
            E::Busy(_) => exit::BUSY,
            E::Refused(_) => exit::WAITS,
            E::Connect(_) | E::InFlight(_) | E::Io { .. } | E::NotInitialised(_) | E::NotOurs { .. } | E::Json(_) => {
                exit::FAILED
            }
        };
        let cause = error.source().map(ToString::to_string);
        Self { code, text: error.to_string(), cause: cause.map(Into::into) }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self { code: exit::FAILED, text: "cannot write the answer as JSON".into(), cause: Some(Box::new(error)) }
    }
}

/// What a command ends with.
pub type Ended = Result<u8, Failure>;

/// Runs the command line and gives the exit code.
pub fn run() -> u8 {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { exit::USAGE } else { exit::DONE };
            drop(error.print());
            return code;
        }
    };
    let out = Out::new(args.json);
    match dispatch(&args, out) {
        Ok(code) => code,
        Err(failure) => {
            if failure.code != exit::DONE {
                failure.print(out);
            }
            failure.code
        }
    }
}

fn dispatch(args: &Args, out: Out) -> Ended {
    let config = args.config();
    match &args.command {
        Command::Check(wish) => check::run(&config, wish, out),
        Command::Test(wish) => test::run(&config, wish, out),
        Command::Explain(wish) => explain::run(wish, out),
        Command::Generate(wish) => generate::run(wish, out),
        Command::Log(wish) => log::run(&config, wish, out),
        #[cfg(feature = "systems")]
        other => dispatch_systems(&config, other, out),
    }
}

#[cfg(feature = "systems")]
fn dispatch_systems(config: &Path, command: &Command, out: Out) -> Ended {
    match command {
        Command::Demo(wish) => demo::run(wish, out),
        Command::Init(wish) => init::run(config, wish, out),
        Command::Grants(wish) => check::grants(config, wish, out),
        Command::Plan(wish) => plan::run(config, wish, out),
        Command::Approve(wish) => approve::run(config, wish, out),
        Command::Run(wish) => run::run(config, wish, out),
        Command::Hold(wish) => hold::run(config, wish, out),
        Command::Settle(wish) => settle::settle(config, wish, out),
        Command::Resume(wish) => settle::resume(config, wish, out),
        Command::Status(wish) => status::run(config, wish, out),
        Command::Key(wish) => key::run(config, wish, out),
        Command::Check(_) | Command::Test(_) | Command::Explain(_) | Command::Generate(_) | Command::Log(_) => {
            Ok(exit::USAGE)
        }
    }
}

/// Loads the configuration; its faults are printed, all of them.
fn load(path: &Path, out: Out) -> Result<Loaded, Failure> {
    match crate::config::load(path) {
        Ok(loaded) => Ok(loaded),
        Err(faults) => {
            out.remark(faults.render(out.colour, out.width()))?;
            Err(Failure::new(exit::CONFIG, "nothing was done: the configuration is wrong"))
        }
    }
}

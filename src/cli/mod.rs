//! The command line: one file per command, all arguments here.

mod args;
mod check;
pub mod exit;
mod explain;
mod generate;
mod log;
mod out;

#[cfg(feature = "systems")]
mod adopt;
#[cfg(feature = "systems")]
mod approve;
#[cfg(feature = "systems")]
pub mod demo;
#[cfg(feature = "systems")]
mod hold;
#[cfg(feature = "systems")]
mod incident;
#[cfg(feature = "systems")]
mod init;
#[cfg(feature = "systems")]
mod input;
#[cfg(feature = "systems")]
mod key;
#[cfg(feature = "systems")]
mod pause;
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
#[cfg(feature = "systems")]
mod undo;

use std::error::Error;
use std::io;
use std::path::Path;

use clap::Parser;

use crate::codes::Code;
use crate::config::Loaded;
use args::{Args, Command};
use out::Out;

/// Why a command could not do what it was asked; the exit code goes with it.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    text: String,
    /// What caused it, the nearest first.
    causes: Vec<String>,
    /// The code that `bewaard explain` knows.
    explain: Option<&'static Code>,
    /// Whether standard output has told it already.
    told: bool,
}

impl Failure {
    /// A failure with its exit code and one sentence.
    pub fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), causes: Vec::new(), explain: None, told: false }
    }

    /// A failure with what caused it.
    fn caused(code: u8, text: impl Into<String>, cause: impl Error + 'static) -> Self {
        Self { causes: chain(Some(&cause)), ..Self::new(code, text) }
    }

    /// The same with one more thing to know.
    #[cfg(feature = "systems")]
    fn because(mut self, more: impl Into<String>) -> Self {
        self.causes.push(more.into());
        self
    }

    /// It all in words: the sentence, its causes, and the code that is explained.
    fn words(&self) -> String {
        let mut text = self.text.clone();
        for more in &self.causes {
            if !text.ends_with(more.as_str()) {
                text.push_str(&format!("\n  because: {more}"));
            }
        }
        if let Some(code) = self.explain {
            text.push_str(&format!("\n  what to do: `bewaard explain {}` ({})", code.id, code.title));
        }
        text
    }

    fn print(&self, out: Out) {
        drop(out.remark(format!("bewaard: {}", self.words())));
    }

    /// For programs: on standard output, where they look for the answer.
    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "schema": crate::report::json::SCHEMA, "error": self.text, "because": self.causes, "exit": self.code,
            "code": self.explain.map(|code| code.id),
        })
    }
}

/// An error and what caused it, each in its words.
fn chain(error: Option<&(dyn Error + 'static)>) -> Vec<String> {
    let mut words = Vec::new();
    let mut next = error;
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    words
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // A closed pipe (`| head`) is the reader's wish and a quiet end.
        let code = if error.kind() == io::ErrorKind::BrokenPipe { exit::DONE } else { exit::FAILED };
        Self::caused(code, "cannot read or write", error)
    }
}

#[cfg(feature = "systems")]
impl From<crate::engine::EngineError> for Failure {
    fn from(error: crate::engine::EngineError) -> Self {
        use crate::engine::EngineError as E;
        let code = match &error {
            E::Connect(at) if at.unreachable => exit::UNREACHABLE,
            E::Log(_) | E::Read(_) | E::Key(_) | E::Time(_) | E::Holds(_) | E::Doubt(_) => exit::UNSAFE,
            E::Busy(_) | E::BusyElsewhere(_) | E::StillRuns(_) => exit::BUSY,
            E::Refused(_) | E::HoldsLost(_) | E::Paused => exit::WAITS,
            E::Unfit(_) => exit::CONFIG,
            E::NoSuch(_) => exit::USAGE,
            E::Stopped => exit::DONE,
            E::Connect(_)
            | E::InFlight(_)
            | E::Quarantine(_)
            | E::Io { .. }
            | E::NotInitialised(_)
            | E::NotOurs { .. }
            | E::Json(_) => exit::FAILED,
        };
        Self { causes: chain(error.source()), explain: error.code(), ..Self::new(code, error.to_string()) }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::caused(exit::FAILED, "cannot write the answer as JSON", error)
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
            if code == exit::USAGE && std::env::args().any(|arg| arg == "--json") {
                let text = error.render().to_string();
                let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
                drop(Out::new(true).value(&Failure::new(code, first).json()));
            }
            return code;
        }
    };
    let out = Out::new(args.json);
    match dispatch(&args, out) {
        Ok(code) => code,
        Err(failure) => {
            if failure.code != exit::DONE {
                failure.print(out);
                if out.json && !failure.told {
                    drop(out.value(&failure.json()));
                }
            }
            failure.code
        }
    }
}

fn dispatch(args: &Args, out: Out) -> Ended {
    let config = args.config();
    if args.config.is_some() {
        out::name_policy(&config);
    }
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
    let reads_only =
        matches!(command, Command::Grants(_) | Command::Plan(_) | Command::Status(_) | Command::Incident(_));
    let out = if reads_only { out } else { out.finishing() };
    match command {
        Command::Demo(wish) => demo::run(wish, out),
        Command::Init(wish) => init::run(config, wish, out),
        Command::Grants(wish) => check::grants(config, wish, out),
        Command::Plan(wish) => plan::run(config, wish, out),
        Command::Approve(wish) => approve::run(config, wish, out),
        Command::Run(wish) => run::run(config, wish, out),
        Command::Hold(wish) => hold::run(config, wish, out),
        Command::Undo(wish) => undo::run(config, wish, out),
        Command::Incident(wish) => incident::run(config, wish, out),
        Command::Settle(wish) => settle::settle(config, wish, out),
        Command::Pause(wish) => pause::pause(config, wish, out),
        Command::Resume(wish) => pause::resume(config, wish, out),
        Command::Status(wish) => status::run(config, wish, out),
        Command::Key(wish) => key::run(config, wish, out),
        Command::Adopt(wish) => adopt::run(config, wish, out),
        Command::Check(_) | Command::Test(_) | Command::Explain(_) | Command::Generate(_) | Command::Log(_) => {
            Ok(exit::USAGE)
        }
    }
}

/// Publishes what was done, and tells where an outside head could not be written: the work is done then, and the log
/// whole, but nobody outside knows.
#[cfg(feature = "systems")]
fn publish(engine: &mut crate::engine::Engine, out: Out) -> Ended {
    engine.publish()?;
    tell_trouble(engine, out)
}

/// What a person must hear though the work was done, and the exit code that it makes.
#[cfg(feature = "systems")]
fn tell_trouble(engine: &crate::engine::Engine, out: Out) -> Ended {
    let Some(trouble) = engine.trouble() else { return Ok(exit::DONE) };
    out.remark(format!("bewaard: {trouble}"))?;
    Ok(exit::FAILED)
}

/// Loads the configuration; its faults are printed, all of them.
fn load(path: &Path, out: Out) -> Result<Loaded, Failure> {
    match crate::config::load(path) {
        Ok(loaded) => Ok(loaded),
        Err(faults) => {
            out.drawing(faults.render(out.colour, out.width()))?;
            let wrong = Failure::new(exit::CONFIG, "nothing was done: the configuration is wrong");
            if out.json {
                let mut value = wrong.json();
                value["ok"] = false.into();
                value["findings"] = faults.to_json();
                out.value(&value)?;
            }
            Err(Failure { told: out.json, ..wrong })
        }
    }
}

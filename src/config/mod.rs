//! The configuration: text to [`Policy`], with everything that is wrong told at once.
//!
//! [`load`](load::load) reads `bewaard.toml` and `conf.d/*.toml` beside it. The way of a file: [`source`] (its text),
//! [`tree`] (keys and values that know their place), [`shape`] and [`v1`] (which keys there are), [`resolve`] (what they
//! mean), [`diagnostic`] (what is wrong, drawn under the key that causes it).

pub mod cases;
mod conflicts;
pub mod diagnostic;
pub mod edit;
pub mod grounds;
pub mod load;
pub mod predicate;
mod query;
mod resolve;
pub mod schema;
mod shape;
pub mod source;
mod tree;
mod v1;

use std::borrow::Cow;
use std::path::PathBuf;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use load::load;
pub use schema::schema;

use crate::codes::Code;
use crate::domain::policy::{Policy, SecretRef};
use tree::Node;

/// The reference file: every key explained, with its default. `bewaard generate config` prints it.
pub const REFERENCE: &str = include_str!("../../config/reference.toml");

/// A policy that was read, with all that belongs to it.
#[derive(Debug)]
pub struct Loaded {
    /// What holds data and what is kept how long.
    pub policy: Policy,
    /// Where our own files are.
    pub settings: Settings,
    /// Where each key is written.
    pub sources: SourceMap,
    /// What somebody should look at.
    pub warnings: Diagnostics,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
}

/// Where our own files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder of locks, keys, notes and files in flight; absolute.
    pub state: PathBuf,
    /// The folder of the log; absolute.
    pub log: PathBuf,
    /// The log's name in its checkpoints.
    pub origin: Option<String>,
    /// Public keys by which the log is verified (C2SP verifier keys).
    pub keys: Vec<String>,
    /// Paths elsewhere that get every newest head; absolute.
    pub outside: Vec<PathBuf>,
    /// The secret under which keys on disk are sealed.
    pub wrap: Option<SecretRef>,
}

/// Where each key of the policy is written, so that what a live system shows is drawn under the key that causes it.
#[derive(Debug)]
pub struct SourceMap {
    root: Node,
}

impl SourceMap {
    /// A diagnostic under the key that a dotted path names (`rule.old.since.column`, `rule.old.children.0.table`); where
    /// that key is not written, under the longest part of the path that is.
    pub fn diagnostic(
        &self,
        code: &'static Code,
        severity: Severity,
        at: &str,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Diagnostic {
        let diagnostic = Diagnostic::new(code, severity, text);
        let diagnostic = match self.root.follow(&self.written(at)) {
            Some(entry) => diagnostic.at(entry.mark()),
            None => diagnostic.in_file(&self.root.place.file.path),
        };
        match remedy.into() {
            remedy if remedy.is_empty() => diagnostic,
            remedy => diagnostic.help(remedy),
        }
    }

    /// `file:line:column` of a dotted path, or of the longest part of it that is written.
    pub fn show(&self, at: &str) -> Option<String> {
        self.root.follow(&self.written(at)).map(|entry| entry.mark().show())
    }

    /// A path as the policy has it: in the short form the keys of the one part stand in the rule itself.
    fn written<'p>(&self, at: &'p str) -> Cow<'p, str> {
        let mut steps = at.splitn(5, '.');
        let (Some("rule"), Some(rule), Some("part"), Some(_), Some(rest)) =
            (steps.next(), steps.next(), steps.next(), steps.next(), steps.next())
        else {
            return at.into();
        };
        let short =
            self.root.get("rule").and_then(|rules| rules.get(rule)).is_some_and(|rule| rule.get("part").is_none());
        if short { format!("rule.{rule}.{rest}").into() } else { at.into() }
    }
}

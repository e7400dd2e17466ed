//! What is fuzzed. A target takes any bytes, and panics where one of its properties does not hold.
//!
//! Two programs run them: `fuzz.rs`, under libFuzzer, which looks for inputs; and `tests/corpus.rs`, an ordinary test,
//! over the inputs that were kept in `corpus/TARGET/`.

mod cases;
mod clock;
mod condition;
mod config;
mod document;
mod entry;
mod formats;
mod identity;
mod input;
mod log;
mod meddle;
mod place;
mod sealed;
mod serialised;
mod signature;
mod story;
mod term;
mod tree;
mod value;

/// A target and its name, which is also that of its folder of inputs.
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: &'static str,
    /// Panics where a property does not hold.
    pub(crate) run: fn(&[u8]),
}

/// Every target.
pub(crate) const TARGETS: &[Target] = &[
    Target { name: "cases", run: cases::run },
    Target { name: "clock", run: clock::run },
    Target { name: "condition", run: condition::run },
    Target { name: "config", run: config::run },
    Target { name: "document", run: document::run },
    Target { name: "entry", run: entry::run },
    Target { name: "formats", run: formats::run },
    Target { name: "identity", run: identity::run },
    Target { name: "log", run: log::run },
    Target { name: "sealed", run: sealed::run },
    Target { name: "serialised", run: serialised::run },
    Target { name: "signature", run: signature::run },
    Target { name: "term", run: term::run },
    Target { name: "tree", run: tree::run },
    Target { name: "value", run: value::run },
];

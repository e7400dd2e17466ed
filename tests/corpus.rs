//! What fuzzing once found, and the inputs that it starts from: every target over every input that was kept.
//!
//! The targets are those of `tests/fuzz/`, which `tests/run --deep` also runs under libFuzzer to look for more.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a target stops at what should not be")]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[path = "fuzz/targets/mod.rs"]
mod targets;

use targets::TARGETS;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

/// Runs a target over its folder; the inputs that it stops at are named.
fn over_its_inputs(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let mut inputs: Vec<_> = fs::read_dir(folder().join(name)).unwrap().map(|item| item.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 3, "{name} has too few inputs to say anything");
    let mut stopped = Vec::new();
    for input in inputs {
        let bytes = fs::read(&input).unwrap();
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&bytes))).is_err() {
            stopped.push(input.display().to_string());
        }
    }
    assert!(stopped.is_empty(), "{name} stops at:\n{}", stopped.join("\n"));
}

macro_rules! targets {
    ($($test:ident)*) => {
        $(
            #[test]
            fn $test() {
                over_its_inputs(stringify!($test));
            }
        )*
        /// The names of the tests above.
        const TESTED: &[&str] = &[$(stringify!($test)),*];
    };
}

targets! {
    cases clock condition config document entry formats identity log sealed serialised signature term tree value
}

#[test]
fn every_target_has_its_test_and_every_folder_its_target() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_string()).collect();
    let tested: BTreeSet<String> = TESTED.iter().map(ToString::to_string).collect();
    let folders = fs::read_dir(folder()).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap());
    assert_eq!(names, tested);
    assert_eq!(names, folders.collect());
}

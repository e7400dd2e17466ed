//! One target of [`targets`] under libFuzzer: the one that `BEWAARD_FUZZ_TARGET` names.

#![no_main]

mod targets;

use std::sync::OnceLock;

static RUN: OnceLock<fn(&[u8])> = OnceLock::new();

fn chosen() -> fn(&[u8]) {
    let name = std::env::var("BEWAARD_FUZZ_TARGET").unwrap_or_default();
    let Some(target) = targets::TARGETS.iter().find(|target| target.name == name) else {
        let names: Vec<_> = targets::TARGETS.iter().map(|target| target.name).collect();
        panic!("BEWAARD_FUZZ_TARGET is one of: {}", names.join(" "));
    };
    target.run
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| RUN.get_or_init(chosen)(data));

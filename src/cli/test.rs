//! `bewaard test`: cases that an accountant can read, decided without any server.

use std::path::{Path, PathBuf};

use super::args::Test;
use super::out::Out;
use super::{Ended, Failure, exit, load};
use crate::config::cases;
use crate::report::json::SCHEMA;

pub(super) fn run(config: &Path, wish: &Test, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let beside = config.with_file_name("tests.toml");
    let files: Vec<PathBuf> = if wish.files.is_empty() { vec![beside] } else { wish.files.clone() };
    let (mut code, mut told) = (exit::DONE, Vec::new());
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::caused(exit::CONFIG, format!("cannot read the cases in {}", file.display()), error)
        })?;
        match cases::run(&loaded.policy, &text, file) {
            Ok(report) => {
                if !report.passed() {
                    code = exit::worst(code, exit::FAILED);
                }
                if out.json {
                    told.push(serde_json::to_value(&report)?);
                } else {
                    out.line(report.render(wish.verbose).trim_end())?;
                }
            }
            Err(faults) => {
                out.drawing(faults.render(out.colour, out.width()))?;
                told.push(serde_json::json!({ "file": file, "findings": faults.to_json() }));
                code = exit::worst(code, exit::CONFIG);
            }
        }
    }
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "files": told, "passed": code == exit::DONE }))?;
    }
    Ok(code)
}

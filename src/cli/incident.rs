//! `bewaard incident`: what a controller needs when a purge was wrong.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::args::Incident;
use super::out::Out;
use super::undo::run_id;
use super::{Ended, Failure, exit, load};
use crate::engine::Engine;
use crate::report::json::SCHEMA;

pub(super) fn run(config: &Path, wish: &Incident, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let mut engine = Engine::open(loaded)?;
    engine.log()?;
    let run = run_id(&wish.run)?;
    let now = crate::now::now();
    let known = match &wish.known_since {
        None => now,
        Some(text) => DateTime::parse_from_rfc3339(text).map(|at| at.with_timezone(&Utc)).map_err(|_| {
            Failure::new(exit::USAGE, "write the moment with its offset, such as 2026-11-27T09:30:00+01:00")
        })?,
    };
    let incident = engine.incident(&run, known)?;
    if known < incident.began || known > now {
        return Err(Failure::new(exit::USAGE, "nobody can know of a run before it began, or from the future on"));
    }
    if out.json {
        let mut value = serde_json::to_value(&incident)?;
        value["schema"] = SCHEMA.into();
        out.value(&value)?;
    } else {
        out.line(incident.text())?;
    }
    Ok(exit::DONE)
}

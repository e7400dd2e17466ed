//! The entry of one record, found by the record's key, and what links the two.

use std::path::{Path, PathBuf};

use super::super::out::Out;
use super::super::plan::{chosen, note_shown};
use super::super::runtime::block_on;
use super::super::{Ended, Failure, exit, input, load, publish};
use super::prove::{Disclosure, give};
use crate::engine::{Engine, EngineError};
use crate::report::json::SCHEMA;

pub(super) fn run(config: &Path, rule: &str, output: Option<&PathBuf>, out: Out) -> Ended {
    let mut engine = Engine::open(load(config, out)?)?;
    engine.log()?;
    let rules = chosen(&engine, &[rule.to_string()])?;
    let rule = rules.first().cloned().ok_or_else(|| Failure::new(exit::USAGE, "name a rule"))?;
    let parts = input::lines("the record's key, one part a line", out)?;
    let key = block_on(async {
        let connector = engine.system(&rule.system)?;
        Ok(connector.parse_key(&rule, &parts).await.map_err(EngineError::from)?)
    })?;
    let purge = engine.find_purge(&rule, &key)?;
    let Some(purge) = purge else {
        let text = format!("no entry of this log is about that record under rule `{}`", rule.id);
        if out.json {
            out.value(&serde_json::json!({ "schema": SCHEMA, "found": false, "told": text }))?;
        } else {
            out.line(text)?;
        }
        return Ok(exit::FAILED);
    };
    note_shown(&mut engine, "log prove", &rule.id, 1)?;
    let code = publish(&mut engine, out)?;
    let disclosure = Disclosure {
        record: hex::encode(&purge.record),
        record_key: hex::encode(*purge.record_key),
        part: purge.part.to_string(),
    };
    Ok(exit::worst(code, give(&engine.loaded.settings, purge.index, Some(&disclosure), output, out)?))
}

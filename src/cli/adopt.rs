//! `bewaard adopt`: the log on another machine goes on, or a copy gets one of its own.

use std::path::Path;

use super::args::Adopt;
use super::out::Out;
use super::{Ended, load, tell_trouble};
use crate::engine::Engine;
use crate::engine::continuing::Why;
use crate::report::json::SCHEMA;

pub(super) fn run(config: &Path, wish: &Adopt, out: Out) -> Ended {
    let mut engine = Engine::open(load(config, out)?)?;
    if wish.copy {
        engine.log()?;
        engine.is_elsewhere()?;
        return super::log::begin_successor(&engine.loaded, Why::Copied, false, &wish.reason, out);
    }
    let _lock = engine.take_run_lock()?;
    let what = engine.adopt_moved(&wish.reason)?;
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "adopted": "moved", "what": what }))?;
        return tell_trouble(&engine, out);
    }
    out.line("the log goes on on this machine, and says so; approvals and holds stand as they did")?;
    tell_trouble(&engine, out)
}

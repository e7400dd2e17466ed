//! `bewaard settle`: a person's word where looking does not help.

use std::path::Path;

use super::args::{Settle, VerdictWord};
use super::out::Out;
use super::{Ended, Failure, exit, load, publish};
use crate::domain::id::BatchId;
use crate::engine::Engine;
use crate::report::json::SCHEMA;
use crate::report::words::count;

pub(super) fn settle(config: &Path, wish: &Settle, out: Out) -> Ended {
    let loaded = load(config, out)?;
    let mut engine = Engine::open(loaded)?;
    let _lock = engine.take_run_lock()?;
    let batch = BatchId::try_from(wish.batch.clone())
        .map_err(|_| Failure::new(exit::USAGE, "a batch is named `batch-` and 16 digits"))?;
    let gone = wish.verdict == VerdictWord::Gone;
    let pairs = engine.settle_by_word(&batch, gone, &wish.reason)?;
    let code = publish(&mut engine, out)?;
    let word = if gone { "gone" } else { "kept" };
    if out.json {
        out.value(&serde_json::json!({ "schema": SCHEMA, "batch": batch.as_str(), "as": word, "count": pairs }))?;
    } else {
        out.line(format!("settled {batch} as {word}, on your word: {}", count(pairs, "purge", "purges")))?;
    }
    Ok(code)
}

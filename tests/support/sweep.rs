//! Which points a command passes, as the command itself lists them, and how many of them a tier tries.
#![expect(clippy::unwrap_used, reason = "a test ends here when its command can't be started")]

use std::collections::BTreeMap;
use std::process::Command;

use crate::bench::{Said, said};

#[path = "dice.rs"]
mod dice;
use dice::tier;
pub(crate) use dice::{Dice, by_tier};

/// Every point that this command passes, in order; it does its work.
pub(crate) fn passed(mut command: Command) -> (Said, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("points");
    let said = said(&command.env("BEWAARD_CRASH_LIST", &list).output().unwrap());
    let names = std::fs::read_to_string(&list).unwrap_or_default();
    (said, names.lines().map(String::from).collect())
}

/// The passings at which to kill, as `BEWAARD_CRASH_AT` has them: of each name the first and the last; in the deep tier
/// some between them, in the long tier all.
pub(crate) fn kills(passed: &[String]) -> Vec<String> {
    let mut times = BTreeMap::<&String, usize>::new();
    for name in passed {
        *times.entry(name).or_default() += 1;
    }
    let most = match tier().as_str() {
        "long" => usize::MAX,
        "deep" => 6,
        _ => 2,
    };
    let mut out = Vec::new();
    for (name, times) in times {
        let step = if times <= most { 1 } else { (times - 1).div_ceil(most - 1) };
        let mut chosen: Vec<usize> = (1..=times).step_by(step).collect();
        if chosen.last() != Some(&times) {
            chosen.push(times);
        }
        out.extend(chosen.into_iter().map(|time| format!("{name}#{time}")));
    }
    out
}

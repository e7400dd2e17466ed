//! Kills at random moments while another program writes: what it made younger in time stays, the rest goes once.
#![expect(clippy::unwrap_used, reason = "a test ends here when its command can't be started")]

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::settled::{Expected, Firmlike, all_is_settled, nothing_is_claimed, rule};
use crate::sweep::{Dice, by_tier};

/// Records that one run may take.
const PER_RUN: u64 = 20;

/// A rule whose runs are short, so that there are many.
pub(crate) fn short_runs() -> String {
    rule(&format!("limits = {{ share = \"100 %\", first-bite = 0, per-run = {PER_RUN} }}"))
}

/// How often it is killed.
fn kills() -> u64 {
    by_tier(12, 80, 1_500)
}

/// How many customers there must be, every second one due.
pub(crate) fn customers() -> i64 {
    i64::try_from(kills() * PER_RUN * 2).unwrap()
}

/// Kills runs of a firm whose rule is approved. `rescue` makes a record younger and says whether it was still there.
pub(crate) fn kill_at_random(firm: &(impl Firmlike + Sync), rescue: &(dyn Fn(i64) -> bool + Sync)) {
    let (last, mut dice) = (customers(), Dice::new());
    let (rescued, begun) = (Mutex::new(BTreeSet::new()), AtomicU64::new(0));
    let start = Instant::now();
    firm.bench().bewaard(&["run"]).ends(0);
    let span = u64::try_from(start.elapsed().as_micros()).unwrap();
    let mut killed = 0;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut dice = Dice::new();
            loop {
                let begun = begun.load(Ordering::SeqCst);
                if begun == kills() {
                    break;
                }
                // Two at most for each kill, so that enough is left to go.
                let id = 2 * (1 + i64::try_from(dice.below(last.unsigned_abs() / 2)).unwrap());
                if (rescued.lock().unwrap().len() as u64) < 2 * begun && rescue(id) {
                    rescued.lock().unwrap().insert(id);
                }
            }
        });
        for kill in 1..=kills() {
            begun.store(kill, Ordering::SeqCst);
            let mut command = firm.bench().command(&["run"]);
            let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            // The random moment is what is tried here.
            std::thread::sleep(Duration::from_micros(dice.below(span)));
            run.kill().unwrap();
            killed += u64::from(run.wait().unwrap().code().is_none());
            if kill % 4 == 0 {
                // What was rescued is not looked at yet: the writer is at work.
                assert_eq!(nothing_is_claimed(firm, &Expected::upto(last)), Ok(()), "after kill {kill}");
            }
        }
        writer.join().unwrap();
    });
    assert!(killed * 2 > kills(), "{killed} of {} runs were killed before they ended", kills());
    let rescued = rescued.into_inner().unwrap();
    assert!(!rescued.is_empty(), "the writer wrote");
    let due = "select count(*) from customers where id % 2 = 0 and last_login < '2020-01-01'";
    for _ in 0..=kills() * 2 {
        firm.bench().bewaard(&["run"]).ends(0);
        if firm.ask(due) == 0 {
            break;
        }
    }
    assert_eq!(all_is_settled(firm, &Expected { last, rescued }), Ok(()));
}

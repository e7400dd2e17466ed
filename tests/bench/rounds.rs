//! Rounds: every peer once, in an order that turns; ratios within a round.

use std::time::Duration;

/// What one peer did in one round.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) peer: &'static str,
    pub(crate) took: Duration,
    /// With the work that was left behind.
    pub(crate) with_debt: Duration,
    /// In KiB, where it was measured.
    pub(crate) memory: Option<u64>,
}

impl Figure {
    pub(crate) fn of(peer: &'static str, took: Duration) -> Self {
        Self { peer, took, with_debt: took, memory: None }
    }
}

pub(crate) type Round = Vec<Figure>;

/// One peer on one workload.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn Fn() -> Figure>,
}

/// A workload: its peers, ours first.
pub(crate) struct Workload {
    pub(crate) ids: &'static [&'static str],
    pub(crate) name: String,
    /// Records that go.
    pub(crate) rows: Box<dyn Fn() -> u64>,
    pub(crate) peers: Box<dyn Fn() -> Vec<Peer>>,
}

impl Workload {
    pub(crate) fn round(&self, number: usize, alone: bool) -> Round {
        let mut peers = (self.peers)();
        if alone {
            peers.truncate(1);
        }
        let turn = number % peers.len();
        peers.rotate_left(turn);
        peers
            .iter()
            .map(|peer| {
                let figure = (peer.run)();
                assert_eq!(figure.peer, peer.name);
                figure
            })
            .collect()
    }
}

fn median(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

/// The table: rows a second, and how many times as fast as each peer we are.
pub(crate) fn print(workload: &Workload, rounds: &[Round]) {
    let rows = (workload.rows)();
    let ours = |round: &Round| round.iter().find(|one| one.peer == "bewaard").unwrap().clone();
    let mut names: Vec<&str> = rounds[0].iter().map(|one| one.peer).collect();
    names.sort_by_key(|name| *name != "bewaard");
    println!("| peer | rows/s | min..max | bewaard is | with debt | MiB |");
    println!("|---|---|---|---|---|---|");
    for name in names {
        let of = |round: &Round| round.iter().find(|one| one.peer == name).unwrap().clone();
        let each = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = each(&|round| rows as f64 / of(round).took.as_secs_f64());
        let times = each(&|round| of(round).took.as_secs_f64() / ours(round).took.as_secs_f64());
        let debt = each(&|round| of(round).with_debt.as_secs_f64() / ours(round).with_debt.as_secs_f64());
        let memory = rounds.iter().filter_map(|round| of(round).memory).max();
        let memory = memory.map_or_else(|| "-".into(), |kib| format!("{}", kib / 1024));
        println!(
            "| {name} | {:.0} | {:.0}..{:.0} | {:.2}x ({:.2}..{:.2}) | {:.2}x | {memory} |",
            rate.0, rate.1, rate.2, times.0, times.1, times.2, debt.0
        );
    }
}

//! Benchmarks: the released binary beside what people use today, on the same data, in turns.
//!
//! ```sh
//! tests/bench/run                 # reduced: 200,000 rows, 3 rounds
//! tests/bench/run --rows 1000000 --rounds 5 P1 P5
//! ```
//!
//! Each run starts from a copy of the same data folder, warmed by one full reading. Within a round every peer runs once;
//! ratios are those within a round, and the table shows their median and spread. The time of bewaard is that of the
//! whole command `bewaard run`, with its planning and publishing.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a benchmark ends where it can't measure")]

#[path = "../support/bench.rs"]
#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
mod bench;
#[path = "../support/mod.rs"]
#[expect(clippy::allow_attributes, reason = "what one test program leaves unused another uses")]
#[allow(dead_code, reason = "each test program uses its own part")]
mod support;

mod audit;
mod data;
mod machine;
mod ours;
mod peers;
mod rounds;
mod workloads;

use rounds::{Round, Workload};

/// What was asked for.
struct Wish {
    rows: u64,
    rounds: usize,
    ids: Vec<String>,
    /// Only what is measured, without its peers.
    alone: bool,
}

fn wish() -> Wish {
    let mut wish = Wish { rows: 200_000, rounds: 3, ids: Vec::new(), alone: false };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|text| text.replace('_', "").parse().ok());
        match arg.as_str() {
            "--rows" => wish.rows = number().unwrap_or_else(|| panic!("--rows wants a number")),
            "--rounds" => {
                let rounds = number().unwrap_or_else(|| panic!("--rounds wants a number"));
                wish.rounds = usize::try_from(rounds).unwrap();
            }
            "--alone" => wish.alone = true,
            // What `cargo bench` adds by itself.
            "--bench" => {}
            id if id.starts_with('P') => wish.ids.push(id.to_string()),
            other => panic!("unknown: {other}; --rows N, --rounds N, --alone, or ids (P1 ...)"),
        }
    }
    wish
}

fn main() {
    let wish = wish();
    println!("rows {}, rounds {}; {}", wish.rows, wish.rounds, machine::load());
    let all: Vec<Workload> = workloads::all(wish.rows);
    let chosen =
        all.iter().filter(|one| wish.ids.is_empty() || one.ids.iter().any(|id| wish.ids.iter().any(|w| w == id)));
    for workload in chosen {
        println!("\n{} ({})", workload.name, workload.ids.join(", "));
        let rounds: Vec<Round> = (0..wish.rounds).map(|number| workload.round(number, wish.alone)).collect();
        rounds::print(workload, &rounds);
    }
    println!("\n{}", machine::load());
}

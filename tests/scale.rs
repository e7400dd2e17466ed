//! Much data: flat memory, and a batch that takes as long at the end of a run as at its beginning.
#![expect(clippy::unwrap_used, reason = "a test ends where its bench can't be used")]

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "the bench is for other topics too")]
mod bench;

use std::fmt::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bench::{Bench, Said, said};

const RULE: &str = r#"[rule.old]
system = "shop"
records.table = "customers"
person.email = "email"
since.newest = [{ column = "last_login" }, { table = "orders", column = "created", on = "customer_id" }]
keep = "2 years"
because = "test"
children = [{ table = "orders", on = "customer_id" }]
then.delete = true
limits = { share = "100 %", per-run = 10_000_000 }
"#;

/// Customers of whom half are due, each with an order.
fn firm(customers: u64) -> Bench {
    let schema = format!(
        "create table customers (id integer primary key, email text, last_login text);
         create table orders (id integer primary key, customer_id integer references customers(id), created text);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {customers})
         insert into customers select i, 'k' || i || '@canary.example',
           case when i % 2 = 0 then date('2015-01-01', '+' || (i % 1500) || ' days') else '2026-10-01' end from n;
         insert into orders select id, id, last_login from customers;
         create index orders_customer on orders(customer_id);
         create index customers_login on customers(last_login);"
    );
    Bench::new(RULE, &schema)
}

fn deep() -> bool {
    std::env::var("BEWAARD_TEST_TIER").is_ok_and(|tier| tier == "deep" || tier == "long")
}

/// Runs a command, and gives its highest resident memory in KiB as the kernel counted it.
fn measured(bench: &Bench, args: &[&str]) -> (Said, u64, Duration) {
    let start = Instant::now();
    let mut child = bench.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    // The mark only rises, and is read until the process is gone.
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(10));
    }
    (said(&child.wait_with_output().unwrap()), peak, start.elapsed())
}

#[test]
fn a_plan_of_many_rows_takes_the_memory_of_a_few() {
    let (few, many) = (100_000, if deep() { 5_000_000 } else { 500_000 });
    let mut peaks = Vec::new();
    let mut report = String::new();
    for rows in [few, many] {
        let bench = firm(rows);
        bench.bewaard(&["init"]).ends(0);
        let (plan, peak, took) = measured(&bench, &["plan", "--json"]);
        assert_eq!(plan.ends(0).json()["plans"][0]["due"], rows / 2);
        writeln!(report, "plan of {rows} rows: peak {} MiB, {:.1} s", peak / 1024, took.as_secs_f64()).unwrap();
        peaks.push(peak);
    }
    println!("{report}");
    assert!(peaks[0] > 0, "the peak was measured");
    assert!(peaks[1] * 2 <= peaks[0] * 3, "memory grows with the rows\n{report}");
    assert!(peaks[1] < 200 * 1024, "memory is high\n{report}");
}

#[test]
fn a_batch_takes_as_long_at_the_end_of_a_run_as_at_its_beginning() {
    let due: u64 = if deep() { 200_000 } else { 40_000 };
    let bench = firm(due * 2);
    bench.approve_all();
    let mut run = bench.command(&["run", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Where the journal stands, read as it grows.
    let folder = bench.file("log").join("journal");
    let length = || {
        let files = std::fs::read_dir(&folder).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>()
    };
    let (begin, start) = (length(), Instant::now());
    let mut marks = Vec::new();
    while run.try_wait().unwrap().is_none() {
        marks.push((start.elapsed(), length() - begin));
        std::thread::sleep(Duration::from_millis(20));
    }
    let told = said(&run.wait_with_output().unwrap()).ends(0).json();
    assert_eq!(told["runs"][0]["erased"], due);
    let (_, all) = *marks.last().unwrap();
    let reached = |bytes: u64| marks.iter().find(|(_, length)| *length >= bytes).unwrap().0;
    let (first, last) = (
        reached(all * 3 / 10).saturating_sub(reached(all / 10)),
        reached(all * 9 / 10).saturating_sub(reached(all * 7 / 10)),
    );
    println!("{due} purges in {:.1} s; a fifth of them: early {first:?}, late {last:?}", start.elapsed().as_secs_f64());
    assert!(last < first * 2 + Duration::from_millis(500), "late batches are slower: {first:?}, then {last:?}");
    let (status, _, took) = measured(&bench, &["status", "--json"]);
    assert_eq!(status.ends(0).json()["rules"][0]["purged"], due);
    println!("status after {due} purges: {:.2} s", took.as_secs_f64());
    bench.verified();
}

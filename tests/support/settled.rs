//! What must hold after anything: log and database, compared record by record.

use std::collections::{BTreeMap, BTreeSet};

use bewaard::audit::commitment::Committer;
use bewaard::domain::id::{PartId, SystemId};
use bewaard::domain::value::{Key, Scalar, record_bytes};
use bewaard::state::keys::{KeyId, KeyRing};

use crate::bench::Bench;

/// The rule of these firms: customers go with their orders; `more` is what else it says.
pub(crate) fn rule(more: &str) -> String {
    format!(
        r#"[rule.old]
system = "shop"
records.table = "customers"
since.column = "last_login"
keep = "2 years"
because = "test"
children = [{{ table = "orders", on = "customer_id" }}]
then.delete = true
{more}
"#
    )
}

/// Their tables on SQLite: customers with an order each; those with an even key are due.
pub(crate) fn tables(customers: i64) -> String {
    format!(
        "create table customers (id integer primary key, last_login text);
         create table orders (id integer primary key, customer_id integer references customers(id));
         create index orders_customer on orders(customer_id);
         create index customers_login on customers(last_login);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {customers})
         insert into customers select i, case when i % 2 = 0 then '2019-05-06' else '2026-10-01' end from n;
         insert into orders select id, id from customers;"
    )
}

/// A firm whose log is held against its database.
pub(crate) trait Firmlike {
    /// Its policy, state and log.
    fn bench(&self) -> &Bench;
    /// One number, by plain SQL.
    fn ask(&self, sql: &str) -> u64;
}

impl Firmlike for Bench {
    fn bench(&self) -> &Bench {
        self
    }
    fn ask(&self, sql: &str) -> u64 {
        self.number(sql)
    }
}

/// The table whose records the rule takes, and their keys at the beginning: those with an even key are due.
#[derive(Default)]
pub(crate) struct Expected {
    /// Keys from one to this.
    pub(crate) last: i64,
    /// Those that somebody made younger in time: they must stay.
    pub(crate) rescued: BTreeSet<i64>,
}

impl Expected {
    /// Nobody touches them.
    pub(crate) fn upto(last: i64) -> Self {
        Self { last, rescued: BTreeSet::new() }
    }
}

/// Every final outcome in the log that says that a record went, by the record's key. The commitments are computed here
/// from the key file, so a wrong record in the log is not mistaken for a right one.
fn told_gone(bench: &Bench, expected: &Expected) -> Result<BTreeSet<i64>, String> {
    let ring = KeyRing::open(&bench.file("state/keys"), None).map_err(|error| error.to_string())?;
    let system = SystemId::new("shop").unwrap();
    let mut known: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    let mut gone = BTreeSet::new();
    for entry in bench.entries("outcome") {
        if !["erased", "gone-unexplained"].contains(&entry["result"].as_str().unwrap()) {
            continue;
        }
        let name = entry["key"].as_str().unwrap().to_string();
        let records = known.entry(name.clone()).or_insert_with(|| {
            let key = ring.key(&KeyId::try_from(name).unwrap()).unwrap();
            let committer = Committer::new(&key);
            let of = |id: i64| record_bytes(&system, "customers", &Key(vec![Scalar::Int(id)]));
            (1..=expected.last).map(|id| (committer.commitment(&of(id), &PartId::record()).to_string(), id)).collect()
        });
        let record = entry["record"].as_str().unwrap();
        let id = records.get(record).ok_or("an outcome is about a record that never was")?;
        if !gone.insert(*id) {
            return Err(format!("record {id} went twice"));
        }
    }
    Ok(gone)
}

/// The log never says more than what happened.
pub(crate) fn nothing_is_claimed(firm: &impl Firmlike, expected: &Expected) -> Result<(), String> {
    let bench = firm.bench();
    let verify = bench.bewaard(&["log", "verify"]);
    if verify.code != 0 {
        return Err(format!("the log does not verify: {}{}", verify.out, verify.err));
    }
    let told = told_gone(bench, expected)?;
    let list = told.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    let here =
        if told.is_empty() { 0 } else { firm.ask(&format!("select count(*) from customers where id in ({list})")) };
    if here == 0 { Ok(()) } else { Err(format!("{here} records are called gone and are here")) }
}

/// After the last clean run: what was due is gone, nothing else is, and each has one outcome.
pub(crate) fn all_is_settled(firm: &impl Firmlike, expected: &Expected) -> Result<(), String> {
    let bench = firm.bench();
    nothing_is_claimed(firm, expected)?;
    let due: BTreeSet<i64> = (1..=expected.last).filter(|id| id % 2 == 0 && !expected.rescued.contains(id)).collect();
    let told = told_gone(bench, expected)?;
    if told != due {
        let (lost, wrong): (Vec<_>, Vec<_>) = (due.difference(&told).collect(), told.difference(&due).collect());
        return Err(format!("without an outcome: {lost:?}; taken though they were to stay: {wrong:?}"));
    }
    for table in ["customers", "orders"] {
        let left = firm.ask(&format!("select count(*) from {table} where id <= {}", expected.last));
        let kept = u64::try_from(expected.last).unwrap() - due.len() as u64;
        if left != kept {
            return Err(format!("{table} has {left} rows, and {kept} were to stay"));
        }
    }
    let unknown = bench.entries("outcome").iter().filter(|entry| entry["result"] == "unknown").count();
    let flying = std::fs::read_dir(bench.file("state/inflight")).map_or(0, Iterator::count);
    if unknown + flying > 0 {
        return Err(format!("{unknown} outcomes are unknown, {flying} files are in flight"));
    }
    Ok(())
}

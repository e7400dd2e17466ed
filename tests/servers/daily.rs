//! The daily run, on which almost nothing is due: what the server reads for it, by the server's own counting.

use crate::firm::{Firm, by_kind, numbers};
use crate::paused::wait_until;
use crate::support::servers::Kind;

on_both!(what_a_daily_run_reads_does_not_grow_with_the_table, the_candidates_are_found_by_the_index_on_their_clock,);

/// More than are always counted to the last one.
const ROWS: u32 = 120_000;

fn rule(since: &str, more: &str) -> String {
    format!(
        "[rule.old]\nsystem = \"shop\"\nrecords.table = \"customers\"\n{since}\nkeep = \"2 years\"\nbecause = \"test\"\n\
         then.delete = true\nlimits.first-bite = 0\n{more}\n"
    )
}

/// So many of the first customers expired, the others were here lately; visits hang on every second.
fn firm(kind: Kind, policy: &str, expired: u32) -> Firm {
    let moment = by_kind(kind, "datetime", "timestamp");
    let rows = numbers(kind, ROWS);
    let days = by_kind(kind, "date_sub(curdate(), interval 100 day)", "current_date - 100");
    let analyze = by_kind(kind, "analyze table customers, visits", "analyze");
    let firm = Firm::new(
        kind,
        policy,
        &format!(
            "create table customers (id int primary key, last_login {moment}, seen {moment}, email varchar(80));
             create table visits (id int primary key, customer_id int, at {moment});
             insert into customers select i, case when i <= {expired} then timestamp '2019-05-06 10:00:00' else {days} end,
               case when i <= {expired} then timestamp '2019-05-06 10:00:00' else {days} end, 'k@example.nl' from {rows};
             insert into visits select i, i * 2, timestamp '2019-05-06 10:00:00' from {rows} where i <= {ROWS} / 2;
             create index c_login on customers(last_login);
             create index c_seen on customers(seen);
             create index v_customer on visits(customer_id);
             create index v_at on visits(at);
             {analyze};"
        ),
    );
    if kind == Kind::Mariadb {
        firm.admin("set global userstat = 1");
    }
    firm
}

/// Rows of the firm's tables that the server has read since it was made.
fn read(firm: &Firm) -> u64 {
    match firm.kind() {
        Kind::Mariadb => firm.count(
            "select coalesce(sum(rows_read), 0) from information_schema.table_statistics where table_schema = database()",
        ),
        Kind::Postgres => {
            // A session tells what it read when it ends, before it is no longer listed.
            wait_until("every other session has ended", || {
                firm.count(
                    "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() \
                     and backend_type = 'client backend'",
                ) == 0
            });
            firm.count(
                "select (select sum(seq_tup_read) from pg_stat_user_tables) \
                 + (select sum(idx_tup_read) from pg_stat_user_indexes)",
            )
        }
    }
}

const OWN: &str = "since.column = \"last_login\"";
const NEWEST_OF_TWO: &str = "since.newest = [{ column = \"last_login\" }, { column = \"seen\" }]";
const WITH_VISITS: &str = "since.newest = [{ column = \"last_login\" }, { table = \"visits\", column = \"at\", on = \"customer_id\" }]\n\
     children = [{ table = \"visits\", on = \"customer_id\" }]";

fn what_a_daily_run_reads_does_not_grow_with_the_table(kind: Kind) {
    for (since, expired) in [(OWN, 0), (OWN, 50), (NEWEST_OF_TWO, 50), (WITH_VISITS, 50)] {
        let firm = firm(kind, &rule(since, "limits.share = \"10 %\""), expired).approved();
        let before = read(&firm);
        let run = firm.run_one(0);
        assert_eq!(run["erased"], expired, "{run}");
        let (rows, expired, all) = (read(&firm) - before, u64::from(expired), u64::from(ROWS));
        // What is due is read several times; to know that the share is not reached takes ten records for each.
        assert!(rows < 100 + 60 * expired, "{since}: {rows} rows were read for {expired}");
        let ledger = firm.entries("ledger");
        let ledger = ledger.last().unwrap();
        assert_eq!(ledger["about"], true, "{ledger}");
        let of = ledger["of"].as_u64().unwrap();
        assert!(of > all / 2 && of < all * 2, "about {of}");
        assert_eq!(ledger["kept"]["not-yet-due"], of - expired, "{ledger}");
        // who plans is given the very number
        let plan = firm.bewaard(&["plan", "--json"]).ends(0).json();
        let plan = &plan["plans"][0];
        assert_eq!((&plan["of"], &plan["about"]), (&(all - expired).into(), &false.into()), "{plan}");
        assert!(read(&firm) - before > all / 2, "{since}: what reads all is seen to");
        firm.verified();
    }
}

fn the_candidates_are_found_by_the_index_on_their_clock(kind: Kind) {
    for (since, indexes) in
        [(OWN, &["c_login"][..]), (NEWEST_OF_TWO, &["c_login", "c_seen"]), (WITH_VISITS, &["c_login", "v_at"])]
    {
        let firm = firm(kind, &rule(since, ""), 50);
        let told = firm.bewaard(&["plan", "--sql", "--why", "--json"]).ends(0).json();
        let first = told["statements"].as_array().unwrap().iter().find(|one| one["plan"].is_array()).unwrap();
        let plan = first["plan"].to_string();
        for index in indexes {
            assert!(plan.contains(index), "{since}: not by {index}: {first}");
        }
        assert!(!plan.contains("table r: type ALL") && !plan.contains("Seq Scan"), "{since}: {first}");
        assert_eq!(first["reached"], "index", "{since}: {first}");
    }
}

/// MariaDB can't be made to believe it without a new start.
#[test]
fn postgres_an_estimate_never_stands_where_the_share_could_be_another() {
    // The server is made to believe in many more records than there are. Of 120,000 records 600 are due: a half per cent.
    for (share, code, of, about) in [("0.6 %", 0, 10_000_000, true.into()), ("0.4 %", 3, ROWS, serde_json::Value::Null)]
    {
        let firm = firm(Kind::Postgres, &rule(OWN, &format!("limits.share = \"{share}\"")), 600);
        firm.admin("update pg_class set reltuples = 10000000 where relname = 'customers'");
        if code == 0 {
            firm.approve_all();
        } else {
            firm.bewaard(&["init"]).ends(0);
        }
        firm.run_one(code);
        let ledger = firm.entries("ledger");
        let ledger = ledger.last().unwrap();
        assert_eq!((&ledger["of"], &ledger["about"]), (&of.into(), &about), "{share}: {ledger}");
        let refused = firm.entries("refused");
        assert_eq!(refused.iter().any(|one| one["limits"] == serde_json::json!(["share"])), code == 3, "{refused:?}");
    }
}

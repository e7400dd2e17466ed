//! What the servers keep of erased rows, each setting switched on a server of the test's own.

use serde_json::Value;

use crate::firm::{Firm, by_kind};
use crate::paused::wait_until;
use crate::support::servers::{Kind, Server};

const RULE: &str = r#"[rule.old]
system = "shop"
records.table = "customers"
since.column = "seen"
keep = "2 years"
because = "test"
then.delete = true
limits.share = "100 %"
"#;

fn firm(kind: Kind, settings: &[&str]) -> Firm {
    let server: &'static Server = Box::leak(Box::new(Server::start_with(kind, settings)));
    let seen = by_kind(kind, "datetime", "timestamp");
    Firm::on(
        server,
        RULE,
        &format!(
            "create table customers (id int primary key, email varchar(80), seen {seen}); create index s on customers (seen)"
        ),
    )
}

/// What `check` says of one kind of trace: until when, and the code; each as it stands in the JSON.
fn told(firm: &Firm, kind: &str) -> Vec<(Value, String)> {
    let check = firm.bewaard(&["check", "--json"]).ends(0).json();
    let traces = check["keeps"][0]["traces"].as_array().unwrap().clone();
    let of_kind = traces.iter().filter(|trace| trace["kind"] == kind);
    of_kind.map(|trace| (trace["until"].clone(), trace["code"].as_str().unwrap().to_string())).collect()
}

#[track_caller]
fn is(firm: &Firm, kind: &str, until: impl Into<Value>, code: &str) {
    assert_eq!(told(firm, kind), [(until.into(), code.to_string())], "{kind}");
}

mod mariadb {
    use super::*;

    #[test]
    fn the_binary_log_dies_after_the_days_that_the_server_says_or_never() {
        let firm = firm(Kind::Mariadb, &["--log-bin=binlog", "--server-id=1", "--binlog-expire-logs-seconds=864000"]);
        is(&firm, "binary-log", 10, "B265");
        firm.server()
            .admin(None, &format!("GRANT PROCESS, REPLICATION MASTER ADMIN ON *.* TO '{}'@'%'", firm.database.user));
        let text = firm.bewaard(&["check"]).ends(0).out;
        assert!(text.contains("shop: last server-side trace of a purge dies after 10 days (binary log)"), "{text}");
        firm.server()
            .admin(None, &format!("INSERT INTO {}.customers VALUES (1, 'a@x.nl', '2019-01-01')", firm.database.name));
        firm.approve_all();
        firm.bewaard(&["run"]).ends(0);
        let ledger = firm.entries("ledger").pop().unwrap();
        assert_eq!(ledger["traces"]["binary-log"], 10);
        let day: chrono::NaiveDate = ledger["day"].as_str().unwrap().parse().unwrap();
        let status = firm.bewaard(&["status", "--json"]).ends(0).json();
        let dies = (day + chrono::Days::new(10)).to_string();
        assert_eq!(status["traces"][0]["dies"]["binary-log"], dies);
        firm.server().admin(None, "SET GLOBAL binlog_expire_logs_seconds = 0");
        is(&firm, "binary-log", "never", "B270");
        let said = firm.bewaard(&["check"]).ends(0);
        assert!(said.out.contains("shop: server-side traces of a purge never die (binary log)"), "{}", said.out);
        assert!(
            said.err.contains("set binlog_expire_logs_seconds"),
            "the remedy stands with the warning: {}",
            said.err
        );
    }

    #[test]
    fn logs_with_values_are_told_by_where_they_go() {
        let firm = firm(Kind::Mariadb, &[]);
        assert_eq!(told(&firm, "general-log"), []);
        for (setting, kind) in [("general_log", "general-log"), ("slow_query_log", "slow-log")] {
            firm.server().admin(None, &format!("SET GLOBAL log_output = 'FILE', {setting} = ON"));
            is(&firm, kind, "unknown", "B268");
            firm.server().admin(None, "SET GLOBAL log_output = 'TABLE'");
            is(&firm, kind, "never", "B268");
            firm.server().admin(None, &format!("SET GLOBAL {setting} = OFF"));
            assert_eq!(told(&firm, kind), []);
        }
    }

    #[test]
    fn what_the_account_may_not_see_is_unknown_and_what_it_may_see_is_told() {
        let firm = firm(Kind::Mariadb, &["--log-bin=binlog", "--server-id=1"]);
        is(&firm, "undo", "unknown", "B271");
        is(&firm, "replicas", "unknown", "B271");
        let user = &firm.database.user;
        firm.server().admin(None, &format!("GRANT PROCESS, REPLICATION MASTER ADMIN ON *.* TO '{user}'@'%'"));
        is(&firm, "undo", 0, "B265");
        assert_eq!(told(&firm, "replicas"), [], "no replica is there");
    }

    #[test]
    fn a_versioned_table_and_a_history_of_statements_are_told() {
        let firm = firm(
            Kind::Mariadb,
            &["--performance-schema=ON", "--performance-schema-consumer-events-statements-history=ON"],
        );
        firm.admin("alter table customers add system versioning");
        is(&firm, "row-versions", "never", "B218");
        is(&firm, "statement-history", "unknown", "B271");
        firm.admin("alter table customers drop system versioning");
        assert_eq!(told(&firm, "row-versions"), []);
        firm.server().admin(None, &format!("GRANT SELECT ON performance_schema.* TO '{}'@'%'", firm.database.user));
        firm.server().admin(None, "UPDATE performance_schema.setup_consumers SET ENABLED = 'NO'");
        assert_eq!(told(&firm, "statement-history"), []);
    }
}

mod postgres {
    use super::*;

    /// A setting of the whole server, once the server's new sessions have it.
    fn set(firm: &Firm, name: &str, value: &str) {
        firm.server().admin(None, &format!("ALTER SYSTEM SET {name} = {value}"));
        firm.server().admin(None, "SELECT pg_reload_conf()");
        let wanted = value.trim_matches('\'');
        wait_until(name, || firm.server().admin(None, &format!("SELECT current_setting('{name}')")) == wanted);
    }

    #[test]
    fn the_archive_and_the_log_are_told() {
        let firm = firm(Kind::Postgres, &["archive_mode=on"]);
        is(&firm, "wal-archive", "never", "B270");
        set(&firm, "archive_command", "'/bin/true'");
        is(&firm, "wal-archive", "unknown", "B265");
        is(&firm, "wal", "unknown", "B271");
        assert_eq!(told(&firm, "server-log"), []);
        set(&firm, "log_statement", "'mod'");
        is(&firm, "server-log", "unknown", "B268");
        set(&firm, "log_parameter_max_length", "0");
        assert_eq!(told(&firm, "server-log"), []);
        let text = firm.bewaard(&["check"]).ends(0).out;
        assert!(!text.contains("/bin/true"), "a command may hold secrets: {text}");
    }

    #[test]
    fn dead_rows_stay_where_autovacuum_does_not_come() {
        let firm = firm(Kind::Postgres, &["max_prepared_transactions=2"]);
        is(&firm, "dead-rows", "unknown", "B271");
        firm.admin("alter table customers set (autovacuum_enabled = false)");
        is(&firm, "dead-rows", "never", "B270");
        firm.admin("alter table customers reset (autovacuum_enabled)");
        firm.admin("begin; insert into customers values (1, 'x', now()); prepare transaction 'left'");
        is(&firm, "dead-rows", "never", "B270");
        firm.admin("rollback prepared 'left'");
        is(&firm, "dead-rows", "unknown", "B271");
        set(&firm, "autovacuum", "off");
        is(&firm, "dead-rows", "never", "B270");
    }

    #[test]
    fn who_copies_the_server_is_told() {
        let firm = firm(Kind::Postgres, &["wal_level=logical"]);
        assert_eq!((told(&firm, "replication-slots"), told(&firm, "replicas")), (vec![], vec![]));
        firm.admin("select pg_create_physical_replication_slot('left_over', true)");
        is(&firm, "replication-slots", "never", "B270");
        set(&firm, "max_slot_wal_keep_size", "'1GB'");
        is(&firm, "replication-slots", "unknown", "B271");
        firm.admin("select pg_drop_replication_slot('left_over')");
        firm.admin("create publication whole for table customers");
        is(&firm, "replicas", "unknown", "B272");
        firm.admin("alter publication whole set (publish = 'insert, update')");
        is(&firm, "replicas", "never", "B272");
    }
}

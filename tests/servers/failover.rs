//! A server that takes over and lacks the last transaction: what was purged there is here again, and nothing is claimed.

use std::process::Command;

use crate::bench::Bench;
use crate::firm::{Firm, by_kind, tables};
use crate::paused::wait_until;
use crate::proxy::Proxy;
use crate::settled::{Expected, Firmlike, all_is_settled, nothing_is_claimed, rule};
use crate::support::servers::{Kind, PASSWORD, Server};

on_both!(
    a_batch_that_was_not_committed_when_a_standby_took_over_is_not_done,
    a_batch_that_the_new_server_lacks_is_found_again_and_told,
    a_batch_that_the_new_server_lacks_is_not_claimed_by_recovery,
);

const CUSTOMERS: i64 = 20;
const DUE: u64 = 10;

/// A firm behind an address that two servers can have.
struct Pair {
    firm: Firm,
    standby: &'static Server,
    proxy: Proxy,
}

impl Firmlike for Pair {
    fn bench(&self) -> &Bench {
        self.firm.bench()
    }
    /// After the failover the standby is the database.
    fn ask(&self, sql: &str) -> u64 {
        self.standby.admin(Some(&self.firm.database.name), sql).parse().unwrap()
    }
}

impl Drop for Pair {
    /// A process that is stopped would outlive its server.
    fn drop(&mut self) {
        if self.firm.kind() == Kind::Postgres {
            self.checkpointer("CONT");
        }
    }
}

impl Pair {
    fn new(kind: Kind) -> Self {
        let settings: &[&str] = by_kind(kind, &["--log-bin=binlog", "--server-id=1", "--binlog-format=ROW"], &[]);
        let server: &'static Server = Box::leak(Box::new(Server::start_with(kind, settings)));
        let proxy = Proxy::before(server.port);
        let firm = Firm::on_behind(server, proxy.port, &rule("limits.share = \"100 %\""), &tables(kind, 20)).approved();
        let standby: &'static Server = Box::leak(Box::new(match kind {
            Kind::Postgres => server.standby(),
            Kind::Mariadb => follower(server),
        }));
        let pair = Self { firm, standby, proxy };
        pair.caught_up();
        pair
    }

    /// Waits until the standby has all customers, then lets it hear no more.
    fn caught_up(&self) {
        let name = self.firm.database.name.clone();
        let all = by_kind(
            self.firm.kind(),
            format!(
                "select count(*) from information_schema.tables where table_schema = '{name}' and table_name = 'orders'"
            ),
            "select count(*) from pg_class where relname = 'orders'".to_string(),
        );
        wait_until("the standby has the tables", || {
            let known = by_kind(self.firm.kind(), None, Some(name.as_str()));
            self.standby.admin(known, &all) == "1"
        });
        wait_until("the standby has the rows", || self.ask("select count(*) from orders") == 2 * DUE);
        match self.firm.kind() {
            Kind::Mariadb => drop(self.standby.admin(None, "STOP SLAVE")),
            Kind::Postgres => {
                self.standby.admin(None, "ALTER SYSTEM SET primary_conninfo = ''");
                self.standby.admin(None, "SELECT pg_reload_conf()");
                wait_until("the standby hears no more", || {
                    self.standby.admin(None, "SELECT count(*) FROM pg_stat_wal_receiver") == "0"
                });
            }
        }
    }

    /// The first server dies, and the standby gets its address.
    fn take_over(&self) {
        self.firm.server().kill();
        match self.firm.kind() {
            Kind::Mariadb => drop(self.standby.admin(None, "RESET SLAVE ALL")),
            Kind::Postgres => {
                // Until its next checkpoint the control file of a standby that took over names the old timeline.
                self.checkpointer("STOP");
                assert_eq!(self.standby.admin(None, "SELECT pg_promote()"), "t");
                // The numbers of the transactions that are lost are given to others, which commit.
                self.standby.admin(None, &"SELECT pg_current_xact_id();\n".repeat(100));
            }
        }
        self.proxy.fail_over(self.standby.port);
    }

    fn checkpointer(&self, signal: &str) {
        let ask = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
        let sent = Command::new("kill").args(["-s", signal, &self.standby.admin(None, ask)]).status();
        assert!(sent.unwrap().success());
    }

    fn settled(&self) {
        all_is_settled(self, &Expected::upto(CUSTOMERS)).unwrap();
        self.firm.verified();
    }
}

/// A MariaDB that follows another from its first event.
pub(crate) fn follower(server: &Server) -> Server {
    server.admin(
        None,
        &format!("CREATE USER follower@'%' IDENTIFIED BY '{PASSWORD}'; GRANT REPLICATION SLAVE ON *.* TO follower@'%'"),
    );
    let follower = Server::start_with(Kind::Mariadb, &["--server-id=2", "--log-bin=binlog"]);
    follower.admin(
        None,
        &format!(
            "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = 'follower', \
             MASTER_PASSWORD = '{PASSWORD}', MASTER_LOG_FILE = 'binlog.000001', MASTER_LOG_POS = 4; START SLAVE",
            server.port
        ),
    );
    follower
}

fn a_batch_that_was_not_committed_when_a_standby_took_over_is_not_done(kind: Kind) {
    let pair = Pair::new(kind);
    let run = pair.firm.paused_at("before-commit");
    pair.take_over();
    let said = run.go_on();
    assert!([1, 3, 69].contains(&said.code), "{}{}", said.out, said.err);
    nothing_is_claimed(&pair, &Expected::upto(CUSTOMERS)).unwrap();
    assert_eq!(pair.ask("select count(*) from customers"), 2 * DUE);
    pair.firm.bewaard(&["run"]).ends(0);
    pair.settled();
    assert_eq!(pair.firm.outcomes().get("not-done"), Some(&DUE));
}

fn a_batch_that_the_new_server_lacks_is_found_again_and_told(kind: Kind) {
    let pair = Pair::new(kind);
    let run = pair.firm.paused_at("after-commit");
    pair.take_over();
    // The server said that it committed, and so it was: the log says what happened on the server that is lost.
    // What it had to look for afterwards can't be asked any more.
    run.go_on().ends(69);
    assert_eq!(pair.firm.outcomes(), [("erased".to_string(), DUE)].into());
    let status = pair.firm.bewaard(&["status", "--json"]).ends(0).json();
    assert!(status["findings"].as_object().unwrap().contains_key("B509"), "{status}");
    assert_eq!(status["rules"][0]["overdue"], DUE, "{status}");
    pair.firm.bewaard(&["run"]).ends(0);
    assert_eq!(pair.ask("select count(*) from customers"), DUE);
    assert_eq!(pair.firm.entries("outcome").len() as u64, 2 * DUE, "erased twice, on two servers, and so it is told");
    pair.firm.verified();
}

fn a_batch_that_the_new_server_lacks_is_not_claimed_by_recovery(kind: Kind) {
    let pair = Pair::new(kind);
    let mut run = pair.firm.command(&["run"]);
    assert!(!run.env("BEWAARD_CRASH_AT", "erased").output().unwrap().status.success());
    assert_eq!((pair.firm.entries("outcome").len(), pair.firm.count("select count(*) from customers")), (0, 10));
    pair.take_over();
    let said = pair.firm.bewaard(&["run", "--json"]);
    let words = pair.firm.outcomes();
    assert_eq!(words.get("not-done"), Some(&DUE), "{words:?} {}{}", said.out, said.err);
    nothing_is_claimed(&pair, &Expected::upto(CUSTOMERS)).unwrap();
    pair.firm.bewaard(&["run"]).ends(0);
    pair.settled();
}

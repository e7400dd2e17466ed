//! What people use today, each as they would start it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::data::DATABASE;
use crate::support::servers::Server;

/// Runs statements in the server's own client; how long that took.
pub(crate) fn client(server: &Server, sql: &str) -> Duration {
    let begun = Instant::now();
    server.admin(Some(DATABASE), sql);
    begun.elapsed()
}

/// The same statement again and again until it changes nothing: what an administrator's script does.
pub(crate) fn client_loop(server: &Server, delete: &str) -> Duration {
    let begun = Instant::now();
    while server.admin(Some(DATABASE), &format!("{delete}; select row_count()")) != "0" {}
    begun.elapsed()
}

/// pt-archiver (percona-toolkit) with the options that its users are told to use.
pub(crate) fn pt_archiver(server: &Server, table: &str, expired: &str) -> Duration {
    let source = format!("S={}/sock,u=root,D={DATABASE},t={table}", server.folder.display());
    let begun = Instant::now();
    let output = Command::new("pt-archiver")
        .args(["--source", &source, "--where", expired, "--purge", "--no-check-charset"])
        .args(["--bulk-delete", "--limit", "1000", "--commit-each"])
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("pt-archiver: {error}: install percona-toolkit"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    begun.elapsed()
}

/// Waits until InnoDB has removed what was deleted; how long that took.
pub(crate) fn purge_history(server: &Server) -> Duration {
    let begun = Instant::now();
    let ask = "select count from information_schema.innodb_metrics where name = 'trx_rseg_history_len'";
    server.admin(None, "set global innodb_monitor_enable = 'trx_rseg_history_len'");
    while server.admin(None, ask).parse::<u64>().unwrap() > 100 {
        std::thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}

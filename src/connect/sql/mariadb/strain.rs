//! How a MariaDB or MySQL server bears what is done to it.

use super::catalogue::text;
use crate::connect::Strain;
use crate::connect::sql::engine::{Row, Session, SqlFault, Statement};
use crate::connect::sql::strain::{folder, hidden};
use crate::connect::sql::traces::may_ask;
use crate::domain::brake::{Brake, Reading};

/// One statement that every account may run.
const MARIADB: &str = "SELECT LOWER(VARIABLE_NAME), VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS \
     WHERE VARIABLE_NAME IN ('THREADS_RUNNING', 'INNODB_HISTORY_LIST_LENGTH', 'SLAVES_CONNECTED') \
     UNION ALL SELECT 'datadir', @@global.datadir";
const MYSQL: &str = "SELECT LOWER(VARIABLE_NAME), VARIABLE_VALUE FROM performance_schema.global_status \
     WHERE VARIABLE_NAME IN ('Threads_running') UNION ALL SELECT 'datadir', @@global.datadir";
/// MySQL tells it to accounts with PROCESS.
const MYSQL_HISTORY: &str = "SELECT 'innodb_history_list_length', COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len'";

pub(super) async fn strain(session: &mut dyn Session, mariadb: bool, account: &str) -> Result<Strain, SqlFault> {
    let mut rows = session.rows(&Statement::plain(if mariadb { MARIADB } else { MYSQL })).await?;
    if !mariadb {
        rows.extend(may_ask(session, MYSQL_HISTORY).await?.unwrap_or_default());
    }
    let value = |name: &str| rows.iter().find(|row| text(row, 0) == name).map(|row| text(row, 1));
    let number = |name: &str| value(name).and_then(|value| value.parse::<u64>().ok());
    let mut strain = Strain { folder: value("datadir").and_then(|path| folder(&path)), ..Strain::default() };
    let unknown = |what: &str, grant: &str| hidden(what, format!("GRANT {grant} ON *.* TO {account};"));
    // This very question is one of those that run.
    let running = number("threads_running").map(|all| Reading::Known(all.saturating_sub(1)));
    strain.add(Brake::Running, running.unwrap_or_else(|| unknown("how many threads work", "PROCESS")));
    let history = number("innodb_history_list_length").map(Reading::Known);
    strain.add(Brake::History, history.unwrap_or_else(|| unknown("how long InnoDB's history list is", "PROCESS")));
    if number("slaves_connected").unwrap_or(0) > 0 {
        let remedy = "name the replicas, which are asked themselves: brakes.replicas = [{ host = \"...\" }]";
        strain.add(Brake::ReplicaLag, hidden("how far the replicas of this server are behind", remedy.into()));
    }
    Ok(strain)
}

/// How far this replica is behind, over all its channels.
pub(super) async fn lag(session: &mut dyn Session, mariadb: bool, account: &str) -> Result<Reading, SqlFault> {
    let (ask, grant) = if mariadb {
        ("SHOW ALL SLAVES STATUS", "REPLICA MONITOR")
    } else {
        ("SHOW REPLICA STATUS", "REPLICATION CLIENT")
    };
    let Some(rows) = may_ask(session, ask).await? else {
        return Ok(Reading::Failed(format!("the account may not ask: GRANT {grant} ON *.* TO {account}")));
    };
    Ok(behind(&rows, mariadb))
}

/// Seconds behind, by the place of its column: names of columns do not reach here. In both it is the one after
/// Master_SSL_Key, and NULL where replication does not run.
fn behind(rows: &[Row], mariadb: bool) -> Reading {
    let column = if mariadb { MARIADB_SECONDS } else { MYSQL_SECONDS };
    let mut most = 0;
    for row in rows {
        match text(row, column).parse::<u64>() {
            Ok(seconds) => most = seconds.max(most),
            Err(_) => return Reading::Failed("it does not replicate now".into()),
        }
    }
    if rows.is_empty() {
        return Reading::Failed("it is no replica".into());
    }
    Reading::Known(most * 1_000)
}

/// `SHOW ALL SLAVES STATUS` begins with the connection's name and state.
const MARIADB_SECONDS: usize = 34;
const MYSQL_SECONDS: usize = 32;

//! Voorbeeld Fietsen B.V., a bicycle shop that does not exist: a webshop and a CRM in two SQLite files, as untidy as
//! such systems are after eleven years, and the same on every machine for the same day.
//!
//! What is due is counted here a second time, in plain SQL and without the engine, so that a plan can be held against it.

mod crm;
mod people;
mod policy;
mod sheet;
#[cfg(test)]
mod tests;
mod truth;
mod webshop;

use std::path::Path;

use chrono::NaiveDate;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

pub use policy::policy_text;
pub use truth::{Truth, Verdicts};

/// The file of the webshop.
pub const WEBSHOP: &str = "webshop.db";
/// The file of the CRM.
pub const CRM: &str = "crm.db";

/// Why the firm can't be made.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// An older file can't be removed.
    #[error("an older file of the demo can't be replaced")]
    Replace(#[from] std::io::Error),
    /// The database can't be written.
    #[error("a database of the demo can't be written")]
    Write(#[from] sqlx::Error),
}

/// Makes both databases in a folder that is there; older ones are replaced. `today` is the day on which all the rest
/// hangs, in the firm's zone: what was last month stays last month.
pub async fn build(folder: &Path, today: NaiveDate) -> Result<Truth, DemoError> {
    let (webshop, crm) = (folder.join(WEBSHOP), folder.join(CRM));
    tokio::try_join!(fill_webshop(&webshop, today), fill_crm(&crm, today))?;
    count(folder, today).await
}

/// Counts what is in the firm's databases, and what is due in them, on any day.
pub async fn count(folder: &Path, today: NaiveDate) -> Result<Truth, DemoError> {
    let mut webshop = open(&folder.join(WEBSHOP)).await?;
    let mut crm = open(&folder.join(CRM)).await?;
    let truth = truth::count(&mut webshop, &mut crm, today).await?;
    webshop.close().await?;
    crm.close().await?;
    Ok(truth)
}

async fn fill_webshop(path: &Path, today: NaiveDate) -> Result<(), DemoError> {
    let mut to = create(path).await?;
    webshop::fill(&mut to, today).await?;
    finish(to).await
}

async fn fill_crm(path: &Path, today: NaiveDate) -> Result<(), DemoError> {
    let mut to = create(path).await?;
    crm::fill(&mut to, today).await?;
    finish(to).await
}

async fn open(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new().filename(path).read_only(true).connect().await
}

async fn create(path: &Path) -> Result<SqliteConnection, DemoError> {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_os_string();
        name.push(suffix);
        crate::durable::remove(Path::new(&name))?;
    }
    // Nothing of it is worth a wait for the disk until it is whole; a half-made one is made anew.
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(false);
    let options = options.journal_mode(SqliteJournalMode::Off).synchronous(SqliteSynchronous::Off);
    let mut to = options.connect().await?;
    sqlx::query("BEGIN").execute(&mut to).await?;
    Ok(to)
}

async fn finish(mut to: SqliteConnection) -> Result<(), DemoError> {
    sqlx::query("COMMIT").execute(&mut to).await?;
    sqlx::query("PRAGMA journal_mode = DELETE").execute(&mut to).await?;
    sqlx::query("PRAGMA synchronous = NORMAL").execute(&mut to).await?;
    sqlx::query("ANALYZE").execute(&mut to).await?;
    Ok(to.close().await?)
}

//! What `[brakes]` says.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Brake, Window};
use crate::domain::policy::ServerAccess;

/// The brakes of one system, and its pace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brakes {
    /// How the time is shared with the site.
    pub pace: Pace,
    /// How long a run waits between two batches for brakes to be released before it ends.
    pub wait: Duration,
    /// Limits in each brake's own unit; a brake that is not here is off.
    pub limits: BTreeMap<Brake, u64>,
    /// Room that must be left on disks; `None`: not asked.
    pub free: Option<Free>,
    /// When purging may happen; empty: always.
    pub windows: Vec<Window>,
    /// By what a running backup is known.
    pub backups: Backups,
    /// The firm's own query.
    pub query: Option<OwnQuery>,
    /// Replicas to ask for their lag.
    pub replicas: Vec<ServerAccess>,
}

/// How the time is shared with the site. It never overrules a brake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// Short batches, and after each a rest as long as it took: the site has the server for at least half of the time.
    #[default]
    Gentle,
    /// Long batches without a rest: for a maintenance window.
    Fast,
}

/// Of a batch's own time, so many per cent are rested after it at the gentle pace.
const REST: u32 = 100;

impl Pace {
    /// How long to rest after a batch that took so long.
    pub fn rest(self, took: Duration) -> Duration {
        match self {
            Self::Gentle => took * REST / 100,
            Self::Fast => Duration::ZERO,
        }
    }

    /// A batch may grow while it stays below the first, and is halved beyond the second.
    pub fn batch_time(self) -> (Duration, Duration) {
        match self {
            Self::Gentle => (Duration::from_millis(100), Duration::from_secs(1)),
            Self::Fast => (Duration::from_secs(1), Duration::from_secs(5)),
        }
    }

    /// Its word in TOML.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gentle => "gentle",
            Self::Fast => "fast",
        }
    }
}

/// Room that must be left on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Free {
    /// So many bytes.
    Bytes(u64),
    /// So many per cent of it.
    Share(u64),
}

impl Free {
    /// In bytes, of a disk of so many.
    pub fn of(self, whole: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Share(share) => u64::try_from(u128::from(whole) * u128::from(share) / 100).unwrap_or(u64::MAX),
        }
    }
}

/// By what a running backup is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backups {
    /// Files that are there while it runs, absolute. One that holds the number of a process counts only while that runs.
    pub locks: Vec<String>,
    /// Names of programs.
    pub programs: Vec<String>,
}

/// A query of the firm's own: one number against a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnQuery {
    /// The statement, printed again from what was read.
    pub sql: String,
    /// The brake is on above this.
    pub above: u64,
}

/// Programs that copy a database whole.
const BACKUP_PROGRAMS: [&str; 8] = [
    "mariadb-backup",
    "mariabackup",
    "xtrabackup",
    "mariadb-dump",
    "mysqldump",
    "pg_basebackup",
    "pg_dump",
    "pg_dumpall",
];

impl Default for Brakes {
    /// What a policy that says nothing has. Load is left to who knows the host.
    fn default() -> Self {
        let limits = [
            (Brake::ReplicaLag, 10_000),
            (Brake::ReplicaBehind, 16 << 30),
            (Brake::Running, 50),
            (Brake::History, 1_000_000),
            (Brake::DeadRows, 10_000_000),
            (Brake::StatementTime, 5_000),
        ];
        Self {
            pace: Pace::Gentle,
            wait: Duration::from_mins(30),
            limits: limits.into(),
            free: Some(Free::Bytes(256 << 20)),
            windows: Vec::new(),
            backups: Backups { locks: Vec::new(), programs: BACKUP_PROGRAMS.iter().map(ToString::to_string).collect() },
            query: None,
            replicas: Vec::new(),
        }
    }
}

impl Brakes {
    /// The pace at this minute of the day: of the window that it is in, else of the system.
    pub fn pace_at(&self, minute: u32) -> Pace {
        let window = self.windows.iter().filter(|window| window.has(minute)).find_map(|window| window.pace);
        window.unwrap_or(self.pace)
    }

    /// Whether purging may happen at this minute of the day.
    pub fn is_open(&self, minute: u32) -> bool {
        self.windows.is_empty() || self.windows.iter().any(|window| window.has(minute))
    }

    /// Minutes until it may, from this minute of the day on.
    pub fn opens_in(&self, minute: u32) -> u32 {
        if self.is_open(minute) {
            return 0;
        }
        self.windows.iter().map(|window| window.opens_in(minute)).min().unwrap_or(0)
    }
}

//! Brakes: readings of how a system and its host bear the purge, and the state that they put it in. Any brake stops, none
//! overrules another; each is released only well below its limit, and only after it stayed there for a while.

mod config;
mod window;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::config::{Backups, Brakes, Free, OwnQuery, Pace};
pub use self::window::Window;

/// What can hold a run. The order is that in which they are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Brake {
    /// It is no time of day in which purging may happen.
    Windows,
    /// A backup runs.
    Backup,
    /// There is too little room on a disk of ours or of the database.
    DiskFree,
    /// Replicas are so many milliseconds behind.
    ReplicaLag,
    /// Replicas and replication slots are so many bytes behind.
    ReplicaBehind,
    /// So many of the server's threads or backends work at the same time.
    Running,
    /// So much waits to be cleaned up by the server (InnoDB's history list).
    History,
    /// So many dead rows wait for VACUUM in the tables of the rules.
    DeadRows,
    /// The host's load, in per cent of one process for each core.
    Load,
    /// What a query of the firm's own gives.
    Query,
    /// A batch, or a look at the server, took so many milliseconds.
    StatementTime,
}

impl Brake {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Windows,
        Self::Backup,
        Self::DiskFree,
        Self::ReplicaLag,
        Self::ReplicaBehind,
        Self::Running,
        Self::History,
        Self::DeadRows,
        Self::Load,
        Self::Query,
        Self::StatementTime,
    ];

    /// Its word in TOML, in JSON and in the state folder.
    pub fn word(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Backup => "backup",
            Self::DiskFree => "disk-free",
            Self::ReplicaLag => "replica-lag",
            Self::ReplicaBehind => "replica-behind",
            Self::Running => "running",
            Self::History => "history",
            Self::DeadRows => "dead-rows",
            Self::Load => "load",
            Self::Query => "query",
            Self::StatementTime => "statement-time",
        }
    }

    /// Whether less is worse.
    fn least(self) -> bool {
        self == Self::DiskFree
    }

    /// How many readings in a row must be well below the limit. The time of day does not waver.
    fn calm(self) -> u32 {
        if self == Self::Windows { 1 } else { CALM }
    }
}

/// Readings well below the limit before a brake is released.
const CALM: u32 = 3;
/// Well below: at most so many per cent of the limit.
const RELEASED_AT: u64 = 80;

/// What was read for one brake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// So much, in the brake's own unit.
    Known(u64),
    /// There is no such thing here: a server without replicas has no lag.
    Nothing,
    /// This account, or this process, may not see it.
    Hidden {
        /// What can't be seen.
        text: String,
        /// What would show it.
        remedy: String,
    },
    /// The firm asked for it by name and it can't be read now: nobody knows, so it holds.
    Failed(String),
}

/// A reading and what it is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Which brake.
    pub brake: Brake,
    /// What was read.
    pub reading: Reading,
    /// The limit, in the same unit.
    pub limit: u64,
    /// Where, if there are several places: a folder, a program. Never a value of a person.
    pub place: Option<String>,
}

impl Sample {
    /// Whether it is beyond its limit: the brake goes on.
    pub fn over(&self) -> bool {
        match self.reading {
            Reading::Known(value) if self.brake.least() => value < self.limit,
            Reading::Known(value) => value > self.limit,
            Reading::Failed(_) => true,
            Reading::Nothing | Reading::Hidden { .. } => false,
        }
    }

    /// Whether it is so far on the right side that the brake may be released.
    pub fn calm(&self) -> bool {
        match self.reading {
            Reading::Known(value) if self.brake.least() => {
                u128::from(value) * u128::from(RELEASED_AT) >= u128::from(self.limit) * 100
            }
            Reading::Known(value) => u128::from(value) * 100 <= u128::from(self.limit) * u128::from(RELEASED_AT),
            Reading::Failed(_) => false,
            Reading::Nothing | Reading::Hidden { .. } => true,
        }
    }
}

/// A brake that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which one.
    pub brake: Brake,
    /// The newest reading; none where it can't be read.
    pub reading: Option<u64>,
    /// What it is held against.
    pub limit: u64,
    /// Where.
    #[serde(default)]
    pub place: Option<String>,
    /// Why it can't be read.
    #[serde(default)]
    pub failure: Option<String>,
}

impl Held {
    /// What is said of it, with figures in the brake's unit.
    pub fn words(&self) -> String {
        let at = self.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
        if let Some(why) = &self.failure {
            return format!("{}: {why}{at}", self.brake.word());
        }
        let (reading, limit) = (self.reading.unwrap_or_default(), self.limit);
        let figures = match self.brake {
            Brake::Windows => "purging is for other times of the day".to_string(),
            Brake::Backup => "a backup runs".to_string(),
            Brake::DiskFree => format!("{} are free, under {}", bytes(reading), bytes(limit)),
            Brake::ReplicaLag | Brake::StatementTime => format!("{} s, over {} s", seconds(reading), seconds(limit)),
            Brake::ReplicaBehind => format!("{}, over {}", bytes(reading), bytes(limit)),
            Brake::Load => format!("{reading} % of one process a core, over {limit} %"),
            Brake::Running | Brake::History | Brake::DeadRows | Brake::Query => format!("{reading}, over {limit}"),
        };
        format!("{}: {figures}{at}", self.brake.word())
    }
}

fn seconds(millis: u64) -> String {
    let (whole, rest) = (millis / 1000, millis % 1000);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:03}").trim_end_matches('0').to_string() }
}

fn bytes(value: u64) -> String {
    let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (size, unit) in units {
        if value >= size {
            let tenths = u128::from(value) * 10 / u128::from(size);
            let (whole, tenth) = (tenths / 10, tenths % 10);
            return if tenth == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenth} {unit}") };
        }
    }
    format!("{value} bytes")
}

/// What a set of readings changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A brake went on.
    On(Held),
    /// A brake was released.
    Off(Brake),
}

/// Which brakes are on, over the readings so far.
#[derive(Debug, Clone, Default)]
pub struct Braked {
    on: BTreeMap<Brake, (Held, u32)>,
}

impl Braked {
    /// Takes one round of readings. A brake of which this round says nothing stays as it is. Of several readings of one
    /// brake (two disks, three replicas) any holds it, and it is released by all of them together.
    pub fn take(&mut self, samples: &[Sample]) -> Vec<Change> {
        let mut changes = Vec::new();
        for brake in Brake::ALL {
            let mut of_brake = samples.iter().filter(|sample| sample.brake == brake).peekable();
            if of_brake.peek().is_none() {
                continue;
            }
            let all: Vec<&Sample> = of_brake.collect();
            if let Some(over) = all.iter().find(|sample| sample.over()) {
                let held = held(over);
                if self.on.insert(brake, (held.clone(), 0)).is_none() {
                    changes.push(Change::On(held));
                }
                continue;
            }
            let Some((known, calm)) = self.on.get_mut(&brake) else { continue };
            if let Some(not_calm) = all.iter().find(|sample| !sample.calm()) {
                (*known, *calm) = (held(not_calm), 0);
                continue;
            }
            *calm += 1;
            if *calm >= brake.calm() {
                self.on.remove(&brake);
                changes.push(Change::Off(brake));
            }
        }
        changes
    }

    /// The brakes that are on, in order.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.on.values().map(|(held, _)| held)
    }

    /// Whether none is on.
    pub fn is_free(&self) -> bool {
        self.on.is_empty()
    }
}

fn held(sample: &Sample) -> Held {
    let (reading, failure) = match &sample.reading {
        Reading::Known(value) => (Some(*value), None),
        Reading::Failed(why) => (None, Some(why.clone())),
        Reading::Nothing | Reading::Hidden { .. } => (None, None),
    };
    Held { brake: sample.brake, reading, limit: sample.limit, place: sample.place.clone(), failure }
}

#[cfg(test)]
#[path = "brake/tests.rs"]
mod tests;

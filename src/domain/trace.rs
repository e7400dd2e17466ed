//! Traces that a system itself keeps of what is erased from it (logs, copies, pages not written over), and until when.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Until when a trace of an erasure lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Until {
    /// So many days after the erasure, by the system's own settings.
    Days(u64),
    /// Nobody can say from here.
    Unknown,
    /// Nothing ends it.
    Never,
}

/// When the last trace of what was purged dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dies {
    /// On this day.
    On(NaiveDate),
    /// Nobody can say from here.
    Unknown,
    /// Nothing ends it.
    Never,
}

impl Until {
    /// When a trace dies of what was purged on this day.
    pub fn after(self, purged: NaiveDate) -> Dies {
        match self {
            // Beyond the end of the calendar is never.
            Self::Days(days) => purged.checked_add_days(Days::new(days)).map_or(Dies::Never, Dies::On),
            Self::Unknown => Dies::Unknown,
            Self::Never => Dies::Never,
        }
    }
}

/// What a system still keeps of all that was purged there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    /// The day of the last purge.
    pub last_purge: Option<NaiveDate>,
    /// Whether the system ever told what it keeps.
    pub asked: bool,
    /// When the last trace of each kind dies.
    pub dies: BTreeMap<TraceKind, Dies>,
}

impl Traces {
    /// Takes in what was purged on a day, and what the system said then of its traces, where it could be asked.
    ///
    /// A kind that is named again lives as long as the settings of today let it. One that is named no more keeps its day:
    /// a log that was switched off still has what was written.
    pub fn note(&mut self, day: NaiveDate, purged: u64, told: Option<&BTreeMap<TraceKind, Until>>) {
        if purged > 0 {
            self.last_purge = self.last_purge.max(Some(day));
        }
        let (Some(last), Some(told)) = (self.last_purge, told) else { return };
        self.asked = true;
        self.dies.retain(|_, dies| *dies >= Dies::On(day));
        for (kind, until) in told {
            let new = until.after(last);
            let dies = self.dies.entry(*kind).or_insert(new);
            *dies = if purged > 0 { new.max(*dies) } else { new };
        }
    }

    /// Both together.
    pub fn merge(&mut self, other: &Self) {
        self.last_purge = self.last_purge.max(other.last_purge);
        self.asked |= other.asked;
        for (kind, dies) in &other.dies {
            let own = self.dies.entry(*kind).or_insert(*dies);
            *own = *dies.max(own);
        }
    }
}

/// As it is written: a number of days, `"unknown"` or `"never"`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Days(u64),
    Word(Word),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Unknown,
    Never,
}

impl Serialize for Until {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let written = match self {
            Self::Days(days) => Written::Days(*days),
            Self::Unknown => Written::Word(Word::Unknown),
            Self::Never => Written::Word(Word::Never),
        };
        written.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(from)? {
            Written::Days(days) => Self::Days(days),
            Written::Word(Word::Unknown) => Self::Unknown,
            Written::Word(Word::Never) => Self::Never,
        })
    }
}

/// A kind of trace. Its word is stable: it stands in the log and in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceKind {
    /// MariaDB and MySQL: the binary log has the old rows.
    BinaryLog,
    /// MariaDB and MySQL: every statement, with its values.
    GeneralLog,
    /// MariaDB and MySQL: slow statements, with their values.
    SlowLog,
    /// MariaDB and MySQL: what an audit plugin writes.
    AuditLog,
    /// MariaDB and MySQL: row versions for transactions that began before.
    Undo,
    /// MariaDB and MySQL: the last statements in memory.
    StatementHistory,
    /// PostgreSQL: statements in the server's log.
    ServerLog,
    /// PostgreSQL: the write-ahead log.
    Wal,
    /// PostgreSQL: the archive of the write-ahead log.
    WalArchive,
    /// PostgreSQL: slots that hold the write-ahead log back.
    ReplicationSlots,
    /// PostgreSQL: rows that are dead and not yet vacuumed.
    DeadRows,
    /// PostgreSQL: statistics of statements, with literals in some of them.
    StatementStatistics,
    /// Other servers that copy this one.
    Replicas,
    /// A table that keeps the history of its rows.
    RowVersions,
    /// SQLite: the rollback journal or write-ahead log beside the file.
    JournalFile,
    /// SQLite: pages that are free and not written over.
    FreePages,
    /// SQLite: a full-text index that repeats the text.
    FullText,
}

impl TraceKind {
    /// The word for it in the log and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::BinaryLog => "binary-log",
            Self::GeneralLog => "general-log",
            Self::SlowLog => "slow-log",
            Self::AuditLog => "audit-log",
            Self::Undo => "undo",
            Self::StatementHistory => "statement-history",
            Self::ServerLog => "server-log",
            Self::Wal => "wal",
            Self::WalArchive => "wal-archive",
            Self::ReplicationSlots => "replication-slots",
            Self::DeadRows => "dead-rows",
            Self::StatementStatistics => "statement-statistics",
            Self::Replicas => "replicas",
            Self::RowVersions => "row-versions",
            Self::JournalFile => "journal-file",
            Self::FreePages => "free-pages",
            Self::FullText => "full-text",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_is_written_as_days_or_a_word_and_read_again() {
        for (until, text) in [(Until::Days(10), "10"), (Until::Unknown, "\"unknown\""), (Until::Never, "\"never\"")] {
            assert_eq!(serde_json::to_string(&until).unwrap(), text);
            assert_eq!(serde_json::from_str::<Until>(text).unwrap(), until);
        }
        assert!(serde_json::from_str::<Until>("\"soon\"").is_err());
    }

    #[test]
    fn a_kind_is_written_by_its_word() {
        for kind in [TraceKind::BinaryLog, TraceKind::WalArchive, TraceKind::StatementStatistics, TraceKind::Undo] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
    }

    #[test]
    fn traces_live_by_the_settings_of_today_and_what_was_written_stays_written() {
        let day = |n| NaiveDate::from_ymd_opt(2026, 11, n).unwrap();
        let told = |kinds: &[(TraceKind, Until)]| kinds.iter().copied().collect::<BTreeMap<_, _>>();
        let mut traces = Traces::default();
        traces.note(day(1), 0, Some(&told(&[(TraceKind::BinaryLog, Until::Never)])));
        assert_eq!(traces, Traces::default(), "nothing was purged yet");
        traces.note(day(1), 5, None);
        assert!(!traces.asked && traces.last_purge == Some(day(1)));

        traces.note(
            day(2),
            5,
            Some(&told(&[(TraceKind::BinaryLog, Until::Days(10)), (TraceKind::GeneralLog, Until::Never)])),
        );
        let both = BTreeMap::from([(TraceKind::BinaryLog, Dies::On(day(12))), (TraceKind::GeneralLog, Dies::Never)]);
        assert_eq!(traces.dies, both);
        traces.note(day(3), 0, Some(&told(&[(TraceKind::BinaryLog, Until::Days(20))])));
        assert_eq!(traces.dies[&TraceKind::BinaryLog], Dies::On(day(22)), "kept longer since");
        assert_eq!(traces.dies[&TraceKind::GeneralLog], Dies::Never, "switched off, and still there");
        traces.note(day(4), 1, Some(&told(&[(TraceKind::BinaryLog, Until::Days(1))])));
        assert_eq!(traces.dies[&TraceKind::BinaryLog], Dies::On(day(22)), "what went before may live longer");
        traces.note(day(23), 0, Some(&told(&[])));
        assert!(!traces.dies.contains_key(&TraceKind::BinaryLog), "its day is over");
    }

    #[test]
    fn what_never_ends_outlives_what_is_unknown() {
        assert!(Until::Never > Until::Unknown && Until::Unknown > Until::Days(u64::MAX));
    }
}

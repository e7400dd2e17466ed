//! Traces that a system itself keeps of what is erased from it (logs, copies, pages not written over), and until when.

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    fn what_never_ends_outlives_what_is_unknown() {
        assert!(Until::Never > Until::Unknown && Until::Unknown > Until::Days(u64::MAX));
    }
}

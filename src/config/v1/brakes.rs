//! The keys of `[brakes]` and `[system.NAME.brakes]`.

use super::{SECRET, TEXTS, TLS, key, must};
use crate::config::shape::Kind::{Any, Count, List, Table, Text, Word};
use crate::config::shape::{Kind, Shape};

/// A whole number, or no brake.
const COUNT: Kind = Any(&[Count, Word(&["off"])]);

/// How the time is shared with the site.
const PACE: Kind = Word(&["gentle", "fast"]);

/// The keys that both have, and more of their own.
macro_rules! brakes {
    ($($more:expr),*) => {
        &[
            key("pace", PACE, "Gentle: short batches and a rest after each; fast: neither.", "pace = \"gentle\""),
            key("wait", Text, "How long a run waits for brakes to be released before it ends.", "wait = \"30 minutes\""),
            key("windows", WINDOWS, "Times of the day in which purging may happen.", "windows = [\"22:00-06:00\"]"),
            key("replica-lag", Text, "Most time that replicas may be behind, or \"off\".", "replica-lag = \"10 s\""),
            key(
                "replica-behind",
                Text,
                "PostgreSQL: most bytes that replicas and slots may be behind, or \"off\".",
                "replica-behind = \"16 GiB\"",
            ),
            key("running", COUNT, "Most threads or backends of others that work at the same time.", "running = 50"),
            key("history", COUNT, "MariaDB: the longest history list of InnoDB.", "history = 1_000_000"),
            key("dead-rows", COUNT, "PostgreSQL: most dead rows in the tables of the rules.", "dead-rows = 10_000_000"),
            key("statement-time", Text, "Most time of one batch, or \"off\".", "statement-time = \"5 s\""),
            key("load", Text, "Most load of the host for each core, in per cent; off unless set.", "load = \"300 %\""),
            key("disk-free", Text, "Least room on the disks of state, log and database.", "disk-free = \"256 MiB\""),
            key("backup-locks", TEXTS, "Files that are there while a backup runs.", "backup-locks = [\"/run/backup.pid\"]"),
            key("backup-programs", TEXTS, "Names of programs that make a backup.", "backup-programs = [\"mariadb-backup\"]"),
            $($more),*
        ]
    };
}

const WINDOWS: Kind = Any(&[Text, List(&Any(&[Text, Table(&WINDOW)]))]);

static WINDOW: Shape = Shape {
    name: "a window",
    keys: &[
        must("at", Text, "From and to, in the policy's zone.", "at = \"01:00-05:00\""),
        key("pace", PACE, "The pace within it.", "pace = \"fast\""),
    ],
};

/// `[brakes]`: of every system.
pub(in crate::config) static BRAKES: Shape = Shape { name: "[brakes]", keys: brakes!() };

/// `[system.NAME.brakes]`: what one system has otherwise.
pub(in crate::config) static SYSTEM_BRAKES: Shape = Shape {
    name: "[system.NAME.brakes]",
    keys: brakes!(
        key(
            "query",
            Table(&QUERY),
            "A query of your own: one number against a limit.",
            "query = { sql = \"SELECT COUNT(*) FROM jobs WHERE state = 'waiting'\", above = 500 }"
        ),
        key(
            "replicas",
            List(&Table(&REPLICA)),
            "Replicas to ask for their lag.",
            "replicas = [{ host = \"db2.example.nl\" }]"
        )
    ),
};

/// `query = { .. }`.
pub(in crate::config) static QUERY: Shape = Shape {
    name: "query",
    keys: &[
        must(
            "sql",
            Text,
            "One SELECT that gives one number.",
            "sql = \"SELECT COUNT(*) FROM jobs WHERE state = 'waiting'\"",
        ),
        must("above", Count, "The brake is on above this.", "above = 500"),
    ],
};

/// An entry of `replicas`.
pub(in crate::config) static REPLICA: Shape = Shape {
    name: "a replica",
    keys: &[
        key("host", Text, "Host name or address.", "host = \"db2.example.nl\""),
        key("port", Count, "TCP port.", "port = 3306"),
        key(
            "socket",
            Text,
            "A Unix socket (PostgreSQL: its folder), instead of host.",
            "socket = \"/run/mysqld2/mysqld.sock\"",
        ),
        key("user", Text, "The account; the system's where it is left out.", "user = \"bewaard\""),
        key(
            "password",
            Table(&SECRET),
            "Its password; the system's where user is left out.",
            "password = { credential = \"db2\" }",
        ),
        key("tls", TLS, "How the connection is encrypted.", "tls = \"system\""),
    ],
};

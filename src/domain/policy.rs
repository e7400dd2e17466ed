//! The policy: all systems and rules of one firm, as the TOML says and as it was checked.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::brake::Brakes;
use super::digest::Digest;
use super::id::{ActorId, RuleId, SystemId};
use super::rule::Rule;
use super::term::FinancialYear;

/// One firm's policy. Only `config` makes one.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Where the firm's days begin and end.
    pub zone: Tz,
    /// The firm.
    pub controller: String,
    /// When its financial year begins.
    pub year: FinancialYear,
    /// What holds data.
    pub systems: BTreeMap<SystemId, System>,
    /// What is kept how long.
    pub rules: BTreeMap<RuleId, Rule>,
    /// The brakes and the pace of each system.
    pub brakes: BTreeMap<SystemId, Brakes>,
    /// Who decides.
    pub actors: BTreeMap<ActorId, Actor>,
    /// The digest of the text that it was read from.
    pub digest: Digest,
}

/// A system: something that holds data about persons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// `[system.NAME]`.
    pub id: SystemId,
    /// What it is, in the firm's words.
    pub about: Option<String>,
    /// The data inventory's other lines (owner, operator, location, purposes, ...), as written.
    pub inventory: BTreeMap<String, Vec<String>>,
    /// How to reach it.
    pub access: Access,
    /// Keep a table `bewaard_batch` there, written in the erasing transaction, so that a lost answer can be settled
    /// beyond doubt.
    pub batch_table: bool,
}

/// How a system is reached, per kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// MariaDB or MySQL.
    Mariadb(ServerAccess),
    /// PostgreSQL.
    Postgres(ServerAccess),
    /// An SQLite file.
    Sqlite(SqliteAccess),
}

impl Access {
    /// The kind's word in TOML.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mariadb(_) => "mariadb",
            Self::Postgres(_) => "postgres",
            Self::Sqlite(_) => "sqlite",
        }
    }
}

/// A database server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerAccess {
    /// Host name or address; with `socket` unused.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// A Unix socket (PostgreSQL: the folder that holds it).
    pub socket: Option<String>,
    /// The database.
    pub database: String,
    /// PostgreSQL: the schema of tables named without one.
    pub schema: Option<String>,
    /// The account.
    pub user: String,
    /// Where its password is; `None` where the server asks for none (socket authentication).
    pub password: Option<SecretRef>,
    /// How the connection is encrypted.
    pub tls: Tls,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// Not at all: a socket, or loopback.
    Off,
    /// TLS, the server's name and certificate checked against the system's authorities.
    System,
    /// TLS, checked against this file of authorities (PEM).
    Authority(String),
}

/// An SQLite file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqliteAccess {
    /// The file, absolute.
    pub path: String,
    /// Enforce the file's foreign keys while we write to it. SQLite forgets this between connections, so it is a choice.
    pub foreign_keys: bool,
}

/// Where a secret is. Never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretRef {
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// A file that only its owner may read, absolute.
    File(String),
}

/// Somebody who decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// `[actor.NAME]`.
    pub id: ActorId,
    /// For the firm or for its hoster.
    pub role: Role,
    /// Their SSH public key, for signed approvals.
    pub key: Option<String>,
}

/// The role of an actor (GDPR art. 4(7), 4(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The firm, which decides why and how.
    Controller,
    /// Whoever works for it, such as its hosting provider.
    Processor,
}

impl Policy {
    /// Whether a controller has been declared: then weighty decisions need the controller's signature.
    pub fn has_controller(&self) -> bool {
        self.actors.values().any(|actor| actor.role == Role::Controller)
    }

    /// The brakes of a system.
    pub fn brakes_of(&self, system: &SystemId) -> Brakes {
        self.brakes.get(system).cloned().unwrap_or_default()
    }

    /// The system of a rule. A checked policy has it.
    pub fn system_of(&self, rule: &Rule) -> Option<&System> {
        self.systems.get(&rule.system)
    }
}

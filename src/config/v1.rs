//! The keys of a file of `version = "v1"`: the one table that the check, the schema and the reference go by.

mod brakes;
mod rule;

use super::shape::Kind::{Any, Count, Flag, List, Named, Table, Text, Word};
use super::shape::{Key, Kind, Shape};

pub(super) use brakes::{BRAKES, QUERY, SYSTEM_BRAKES};
pub(super) use rule::{MODES, PERIODS, PROTECT, RECIPES, RECORDS, RULE};

const fn key(name: &'static str, kind: Kind, about: &'static str, example: &'static str) -> Key {
    Key { name, kind, about, example, required: false }
}

const fn must(name: &'static str, kind: Kind, about: &'static str, example: &'static str) -> Key {
    Key { name, kind, about, example, required: true }
}

/// One text or several.
const TEXTS: Kind = Any(&[Text, List(&Text)]);

/// The whole file.
pub(super) static FILE: Shape = Shape {
    name: "the top level",
    keys: &[
        must("version", Word(&["v1"]), "The version of the file's form.", "version = \"v1\""),
        key("time-zone", Text, "Where the firm's days begin and end (IANA name).", "time-zone = \"Europe/Amsterdam\""),
        key(
            "controller",
            Text,
            "The firm whose data this is (GDPR art. 4(7)).",
            "controller = \"Voorbeeld Fietsen B.V.\"",
        ),
        key(
            "financial-year",
            Text,
            "The first day of the financial year, month and day.",
            "financial-year = \"07-01\"",
        ),
        key(
            "mode",
            Word(&MODES),
            "\"observe\": every rule plans and reports as if, and nothing is purged.",
            "mode = \"observe\"",
        ),
        key("state", Table(&STATE), "Our own files that are not the log.", "state.path = \"/var/lib/bewaard\""),
        key("log", Table(&LOG), "The log of purges.", "log.path = \"/var/lib/bewaard/log\""),
        key("keys", Table(&KEYS), "The keys of log and pseudonyms.", "keys.wrap = { credential = \"bewaard-wrap\" }"),
        key("brakes", Table(&BRAKES), "What holds a run, and its pace.", "brakes.pace = \"gentle\""),
        key("actor", Named(&ACTOR), "Who decides.", "[actor.anna]"),
        key("system", Named(&SYSTEM), "What holds data about persons.", "[system.webshop]"),
        key("rule", Named(&RULE), "What is kept how long.", "[rule.inactive-customers]"),
    ],
};

static STATE: Shape = Shape {
    name: "[state]",
    keys: &[key("path", Text, "The folder of locks, keys, notes and files in flight.", "path = \"/var/lib/bewaard\"")],
};

static LOG: Shape = Shape {
    name: "[log]",
    keys: &[
        key("path", Text, "The folder of the log.", "path = \"/var/lib/bewaard/log\""),
        key("origin", Text, "The log's name in its checkpoints.", "origin = \"bewaard.example.nl/2026\""),
        key(
            "key",
            TEXTS,
            "The public key by which the log is verified; more than one after a rotation.",
            "key = \"example.nl+1a2b3c4d+AZ..\"",
        ),
        key(
            "outside",
            TEXTS,
            "Paths on another disk that get every newest head.",
            "outside = [\"/mnt/backup/bewaard-heads\"]",
        ),
    ],
};

static KEYS: Shape = Shape {
    name: "[keys]",
    keys: &[key(
        "wrap",
        Table(&SECRET),
        "The secret under which keys on disk are sealed.",
        "wrap = { credential = \"bewaard-wrap\" }",
    )],
};

/// A reference to a secret.
pub(super) static SECRET: Shape = Shape {
    name: "a secret",
    keys: &[
        key("credential", Text, "The name of a systemd credential.", "{ credential = \"webshop-db\" }"),
        key("file", Text, "A file that only its owner may read.", "{ file = \"/etc/bewaard/webshop-db\" }"),
    ],
};

/// `[actor.NAME]`.
pub(super) static ACTOR: Shape = Shape {
    name: "[actor.NAME]",
    keys: &[
        must(
            "role",
            Word(&["controller", "processor"]),
            "For the firm (controller) or for its hoster (processor).",
            "role = \"controller\"",
        ),
        key("key", Text, "Their SSH public key, for signed approvals.", "key = \"ssh-ed25519 AAAA.. anna@example.nl\""),
    ],
};

/// `[system.NAME]`.
pub(super) static SYSTEM: Shape = Shape {
    name: "[system.NAME]",
    keys: &[
        key("about", Text, "What it is, in the firm's words.", "about = \"WooCommerce webshop\""),
        key("owner", TEXTS, "Who in the firm answers for it.", "owner = \"Sales\""),
        key("operator", TEXTS, "Who keeps it running.", "operator = \"Example Hosting B.V.\""),
        key("software-owner", TEXTS, "Whose software it is.", "software-owner = \"Automattic\""),
        key("location", TEXTS, "Where the data is.", "location = \"Amsterdam (NL)\""),
        key(
            "processor",
            TEXTS,
            "Who processes it for the firm (GDPR art. 28).",
            "processor = \"Example Hosting B.V.\"",
        ),
        key("purposes", TEXTS, "What the data is for.", "purposes = [\"orders\", \"invoices\"]"),
        key(
            "categories",
            TEXTS,
            "Which kinds of data about which kinds of persons.",
            "categories = [\"customers: name, address\"]",
        ),
        key(
            "batch-table",
            Flag,
            "Keep a table bewaard_batch there that settles a lost answer beyond doubt.",
            "batch-table = true",
        ),
        key(
            "brakes",
            Table(&SYSTEM_BRAKES),
            "What holds a run on this system, where it is not as in [brakes].",
            "brakes.running = 80",
        ),
        key(
            "protect",
            List(&Table(&PROTECT)),
            "Records that are never due, of the table named in `records`.",
            "protect = [{ records = \"customers\", where = \"vip = 1\" }]",
        ),
        key(
            "mariadb",
            Table(&MARIADB),
            "A MariaDB or MySQL database.",
            "mariadb = { host = \"localhost\", database = \"shop\", user = \"bewaard\", password = { credential = \"webshop-db\" } }",
        ),
        key(
            "postgres",
            Table(&POSTGRES),
            "A PostgreSQL database.",
            "postgres = { socket = \"/run/postgresql\", database = \"crm\", user = \"bewaard\" }",
        ),
        key("sqlite", Any(&[Text, Table(&SQLITE)]), "An SQLite file.", "sqlite = \"shop.db\""),
    ],
};

/// Keys of `[system.NAME]` that are the data inventory's.
pub(super) const INVENTORY: [&str; 7] =
    ["owner", "operator", "software-owner", "location", "processor", "purposes", "categories"];

/// What `tls` takes.
const TLS: Kind = Any(&[Word(&["off", "system"]), Table(&AUTHORITY)]);

static AUTHORITY: Shape = Shape {
    name: "tls",
    keys: &[must(
        "authority",
        Text,
        "A PEM file of the authorities that sign the server's certificate.",
        "{ authority = \"/etc/bewaard/ca.pem\" }",
    )],
};

/// `mariadb = { .. }`.
pub(super) static MARIADB: Shape = Shape {
    name: "mariadb",
    keys: &[
        key("host", Text, "Host name or address.", "host = \"db.example.nl\""),
        key("port", Count, "TCP port.", "port = 3306"),
        key("socket", Text, "A Unix socket, instead of host and port.", "socket = \"/run/mysqld/mysqld.sock\""),
        must("database", Text, "The database.", "database = \"shop\""),
        must("user", Text, "The account.", "user = \"bewaard\""),
        key(
            "password",
            Table(&SECRET),
            "Where its password is; none with socket authentication.",
            "password = { credential = \"webshop-db\" }",
        ),
        key("tls", TLS, "How the connection is encrypted.", "tls = \"system\""),
    ],
};

/// `postgres = { .. }`.
pub(super) static POSTGRES: Shape = Shape {
    name: "postgres",
    keys: &[
        key("host", Text, "Host name or address.", "host = \"db.example.nl\""),
        key("port", Count, "TCP port; it is part of the socket's name too.", "port = 5432"),
        key("socket", Text, "The folder of a Unix socket, instead of host and port.", "socket = \"/run/postgresql\""),
        must("database", Text, "The database.", "database = \"crm\""),
        key("schema", Text, "The schema of tables that are named without one.", "schema = \"public\""),
        must("user", Text, "The account.", "user = \"bewaard\""),
        key(
            "password",
            Table(&SECRET),
            "Where its password is; none with peer authentication.",
            "password = { credential = \"crm-db\" }",
        ),
        key("tls", TLS, "How the connection is encrypted.", "tls = \"system\""),
    ],
};

/// `sqlite = { .. }`.
pub(super) static SQLITE: Shape = Shape {
    name: "sqlite",
    keys: &[
        must("path", Text, "The file.", "path = \"shop.db\""),
        key("foreign-keys", Flag, "Enforce the file's foreign keys while bewaard writes to it.", "foreign-keys = true"),
    ],
};

#[cfg(test)]
mod tests;

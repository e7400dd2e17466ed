//! The keys of a file of `version = "v1"`: the one table that the check, the schema and the reference go by.

use super::shape::Kind::{Any, Count, Flag, List, Map, Named, Table, Text, Word};
use super::shape::{Key, Kind, Shape};

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
        key("state", Table(&STATE), "Our own files that are not the log.", "state.path = \"/var/lib/bewaard\""),
        key("log", Table(&LOG), "The log of purges.", "log.path = \"/var/lib/bewaard/log\""),
        key("keys", Table(&KEYS), "The keys of log and pseudonyms.", "keys.wrap = { credential = \"bewaard-wrap\" }"),
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
        key("port", Count, "TCP port.", "port = 5432"),
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

/// `[rule.NAME]`.
pub(super) static RULE: Shape = Shape {
    name: "[rule.NAME]",
    keys: &[
        must("system", Text, "The system that holds these records.", "system = \"webshop\""),
        key("about", Text, "What the rule is for, in the firm's words.", "about = \"Customers who left\""),
        must("records", Any(&[Text, Table(&RECORDS)]), "Which records.", "records.table = \"customers\""),
        key(
            "person",
            Table(&PERSON),
            "The columns by which the person is known, for holds and requests.",
            "person = { email = \"email\" }",
        ),
        key(
            "since",
            Table(&SINCE),
            "The clock: the moment that the term counts from.",
            "since.column = \"last_contact\"",
        ),
        key("keep", Text, "The term: how long after the clock.", "keep = \"2 years\""),
        key("from", FROM, "Count from the end of this period of the clock.", "from = \"end of financial year\""),
        key(
            "because",
            Text,
            "The reason, in words or as an id of the catalogue of grounds.",
            "because = \"Privacy statement, 4: two years after last contact\"",
        ),
        key("then", Table(&THEN), "What becomes of what is due.", "then.delete = true"),
        key(
            "ground",
            Named(&GROUND),
            "Several reasons to keep; the longest wins.",
            "ground.tax = { since.column = \"invoice_date\", because = \"nl.awr-52\" }",
        ),
        key(
            "part",
            Named(&PART),
            "The whole record or some of its fields, each with its own term.",
            "[rule.invoices.part.contact]",
        ),
        key(
            "children",
            List(&Table(&CHILD)),
            "Rows of other tables that go with the record.",
            "children = [{ table = \"addresses\", on = \"customer_id\" }]",
        ),
        key(
            "follow-foreign-keys",
            Flag,
            "Also take each table from which a foreign key leads here, to any depth.",
            "follow-foreign-keys = true",
        ),
        key(
            "protect",
            List(&Table(&PROTECT)),
            "Records that are never due.",
            "protect = [{ where = \"open = 1\" }, { table = \"disputes\", on = \"customer_id\" }]",
        ),
        key("limits", Table(&LIMITS), "How much may go.", "limits = { per-run = 20_000, share = \"10 %\" }"),
        key("schedule", Text, "When it runs, as cron writes it, in the policy's zone.", "schedule = \"30 2 * * *\""),
        key("allow-scan", Flag, "Accept reading the whole table where no index serves the clock.", "allow-scan = true"),
        key(
            "allow-no-transactions",
            Flag,
            "Accept a table without transactions, one record at a time.",
            "allow-no-transactions = true",
        ),
    ],
};

/// Periods that a term can count from the end of.
pub(super) const PERIODS: [&str; 4] = ["day", "end of month", "end of calendar year", "end of financial year"];
const FROM: Kind = Word(&PERIODS);

/// `records = { .. }`.
pub(super) static RECORDS: Shape = Shape {
    name: "records",
    keys: &[
        must("table", Text, "The table.", "table = \"customers\""),
        key("schema", Text, "Its schema, where it is not the system's own.", "schema = \"sales\""),
        key("key", TEXTS, "The columns that name a row; the primary key where it is left out.", "key = [\"id\"]"),
        key("where", Text, "Which rows: one condition over the table's columns.", "where = \"role = 'customer'\""),
    ],
};

static PERSON: Shape = Shape {
    name: "person",
    keys: &[
        key("email", Text, "The column of the e-mail address.", "email = \"email\""),
        key("phone", Text, "The column of the telephone number.", "phone = \"phone\""),
        key("customer-number", Text, "The column of the firm's own number.", "customer-number = \"customer_no\""),
        key("login", Text, "The column of the name to log in with.", "login = \"user_login\""),
    ],
};

const FORMAT: Kind = Any(&[Text, List(&Text)]);

/// `since = { .. }`.
pub(super) static SINCE: Shape = Shape {
    name: "since",
    keys: &[
        key("column", Text, "The column that holds the moment.", "since.column = \"last_contact\""),
        key(
            "format",
            FORMAT,
            "How it is written, where it is no date type: \"epoch\", \"epoch-ms\" or a pattern.",
            "since = { column = \"created\", format = \"%d-%m-%Y\" }",
        ),
        key(
            "zone",
            Text,
            "Where a date and time without offset was written; the policy's zone where it is left out.",
            "since = { column = \"created\", zone = \"UTC\" }",
        ),
        key(
            "newest",
            List(&Table(&CLOCK)),
            "Several clocks, also of related tables: the newest counts.",
            "since.newest = [{ column = \"last_login_at\" }, { table = \"orders\", column = \"created_at\", on = \"customer_id\" }]",
        ),
    ],
};

static CLOCK: Shape = Shape {
    name: "a clock of since.newest",
    keys: &[
        must("column", Text, "The column that holds the moment.", "column = \"created_at\""),
        key("table", Text, "The related table; the record's own where it is left out.", "table = \"orders\""),
        key("schema", Text, "Its schema.", "schema = \"sales\""),
        key("on", TEXTS, "Its columns that refer to the record.", "on = \"customer_id\""),
        key("to", TEXTS, "The record's columns that they refer to; its key where it is left out.", "to = \"id\""),
        key("where", Text, "Which of those rows.", "where = \"status <> 'cancelled'\""),
        key("format", FORMAT, "How it is written, where it is no date type.", "format = \"epoch\""),
        key("zone", Text, "Where a date and time without offset was written.", "zone = \"UTC\""),
    ],
};

/// `ground.NAME = { .. }`.
pub(super) static GROUND: Shape = Shape {
    name: "ground.NAME",
    keys: &[
        key("since", Table(&SINCE), "The clock.", "since.column = \"invoice_date\""),
        key("keep", Text, "The term.", "keep = \"7 years\""),
        key("from", FROM, "Count from the end of this period.", "from = \"end of financial year\""),
        key("because", Text, "The reason.", "because = \"nl.awr-52\""),
        key(
            "optional",
            Flag,
            "A record without this clock lacks this ground, instead of having no clock.",
            "optional = true",
        ),
    ],
};

/// `[rule.NAME.part.NAME]`.
pub(super) static PART: Shape = Shape {
    name: "[rule.NAME.part.NAME]",
    keys: &[
        key("fields", TEXTS, "The columns that this part is about.", "fields = [\"phone\", \"notes\"]"),
        key("since", Table(&SINCE), "The clock.", "since.column = \"last_contact\""),
        key("keep", Text, "The term.", "keep = \"2 years\""),
        key("from", FROM, "Count from the end of this period.", "from = \"end of calendar year\""),
        key("because", Text, "The reason.", "because = \"No need after two years\""),
        key(
            "ground",
            Named(&GROUND),
            "Several reasons to keep; the longest wins.",
            "ground.tax = { since.column = \"invoice_date\", because = \"nl.awr-52\" }",
        ),
        key("then", Table(&THEN), "What becomes of it.", "then.anonymise = { phone = \"null\" }"),
    ],
};

static THEN: Shape = Shape {
    name: "then",
    keys: &[
        key("delete", Flag, "The whole record goes.", "then.delete = true"),
        key(
            "anonymise",
            Map(&RECIPE),
            "These fields are anonymised; the record stays.",
            "then.anonymise = { phone = \"null\", name = { fixed = \"[removed]\" } }",
        ),
    ],
};

static RECIPE: Kind = Any(&[Word(&["null", "pseudonym", "marker"]), Table(&RECIPES)]);

/// `{ fixed = .. }` and the other recipes.
pub(super) static RECIPES: Shape = Shape {
    name: "a recipe",
    keys: &[
        key("fixed", Text, "Always this text.", "{ fixed = \"[removed]\" }"),
        key(
            "template",
            Text,
            "This text with {key} replaced by the record's key, for unique columns.",
            "{ template = \"removed-{key}@example.invalid\" }",
        ),
        key("truncate", Word(&["ip", "postcode", "month", "year"]), "A coarser value.", "{ truncate = \"postcode\" }"),
        key("pseudonym", Table(&PSEUDONYM), "A keyed pseudonym of the record.", "{ pseudonym = { length = 20 } }"),
        key(
            "json",
            Map(&RECIPE),
            "Members of a JSON document, by path.",
            "{ json = { \"customer.phone\" = \"null\" } }",
        ),
        key(
            "php",
            Map(&RECIPE),
            "Members of a PHP-serialised value, by path.",
            "{ php = { \"billing.phone\" = \"null\" } }",
        ),
    ],
};

static PSEUDONYM: Shape =
    Shape { name: "pseudonym", keys: &[must("length", Count, "Characters, 8 to 64.", "length = 20")] };

/// An entry of `children`.
pub(super) static CHILD: Shape = Shape {
    name: "a child table",
    keys: &[
        must("table", Text, "The table.", "table = \"addresses\""),
        key("schema", Text, "Its schema.", "schema = \"sales\""),
        key(
            "on",
            TEXTS,
            "Its columns that refer to the record; as the foreign key says where it is left out.",
            "on = \"customer_id\"",
        ),
        key("to", TEXTS, "The columns that they refer to; the key where it is left out.", "to = \"id\""),
        key("where", Text, "Which of those rows.", "where = \"kind = 'billing'\""),
        key(
            "then",
            Any(&[Word(&["delete", "clear"]), Table(&CHILD_THEN)]),
            "What becomes of them: \"delete\" (the default), \"clear\" (the reference becomes NULL) or anonymise.",
            "then = \"clear\"",
        ),
        key(
            "children",
            List(&Table(&CHILD)),
            "What belongs to them in turn.",
            "children = [{ table = \"order_lines\", on = \"order_id\" }]",
        ),
    ],
};

static CHILD_THEN: Shape = Shape {
    name: "then",
    keys: &[must(
        "anonymise",
        Map(&RECIPE),
        "These columns are anonymised; the row stays.",
        "then = { anonymise = { name = \"null\" } }",
    )],
};

/// An entry of `protect`.
pub(super) static PROTECT: Shape = Shape {
    name: "protect",
    keys: &[
        key("where", Text, "A condition on the record, or with `table` on the related row.", "where = \"open = 1\""),
        key("table", Text, "A table; a related row in it protects the record.", "table = \"disputes\""),
        key("schema", Text, "Its schema.", "schema = \"sales\""),
        key("on", TEXTS, "Its columns that refer to the record.", "on = \"customer_id\""),
        key("to", TEXTS, "The record's columns that they refer to.", "to = \"id\""),
        key("records", Text, "On a system: the table whose records are meant.", "records = \"customers\""),
    ],
};

/// `limits = { .. }`.
pub(super) static LIMITS: Shape = Shape {
    name: "limits",
    keys: &[
        key("per-run", Count, "Records in one run, oldest first.", "per-run = 20_000"),
        key("share", Text, "At most this part of the table's records may be due.", "share = \"10 %\""),
        key("max", Count, "At most so many records may be due.", "max = 500"),
        key("change", Text, "At most so many times the largest of the last five plans may be due.", "change = \"3 x\""),
    ],
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::super::shape::all_shapes;
    use super::super::source::SourceFile;
    use super::super::tree::{self, Node, Value};
    use super::*;

    /// Marks each key of each shape that a text uses.
    fn mark(node: &Node, kind: &'static Kind, seen: &mut BTreeSet<(&'static str, &'static str)>) {
        match kind {
            Table(shape) => {
                for entry in node.entries() {
                    if let Some(key) = shape.keys.iter().find(|key| key.name == entry.key) {
                        seen.insert((shape.name, key.name));
                        mark(&entry.node, &key.kind, seen);
                    }
                }
            }
            Named(shape) => {
                for entry in node.entries() {
                    for inner in entry.node.entries() {
                        if let Some(key) = shape.keys.iter().find(|key| key.name == inner.key) {
                            seen.insert((shape.name, key.name));
                            mark(&inner.node, &key.kind, seen);
                        }
                    }
                }
            }
            Map(kind) => node.entries().iter().for_each(|entry| mark(&entry.node, kind, seen)),
            List(kind) => node.items().iter().for_each(|item| mark(item, kind, seen)),
            Any(kinds) => {
                let table = matches!(node.value, Value::Table(_) | Value::List(_));
                kinds
                    .iter()
                    .filter(|kind| table == matches!(kind, Table(_) | List(_) | Map(_)))
                    .for_each(|kind| mark(node, kind, seen));
            }
            Text | Word(_) | Flag | Count | Kind::Date => {}
        }
    }

    #[test]
    fn every_key_is_explained_in_the_reference() {
        let file = SourceFile::new(PathBuf::new(), crate::config::REFERENCE);
        let root = tree::parse(&file, &mut Vec::new()).unwrap();
        let mut seen = BTreeSet::new();
        for entry in root.entries() {
            let key = FILE.keys.iter().find(|key| key.name == entry.key).unwrap();
            seen.insert((FILE.name, key.name));
            mark(&entry.node, &key.kind, &mut seen);
        }
        // What both servers have is explained at one of them.
        let at_one = |key: &str| seen.contains(&("mariadb", key)) || seen.contains(&("postgres", key));
        let mut lacking = Vec::new();
        for shape in all_shapes(&FILE) {
            for key in shape.keys {
                let server = ["mariadb", "postgres"].contains(&shape.name) && at_one(key.name);
                if !server && !seen.contains(&(shape.name, key.name)) {
                    lacking.push(format!("{} {}", shape.name, key.name));
                }
            }
        }
        assert!(lacking.is_empty(), "not in config/reference.toml: {lacking:?}");
    }
}

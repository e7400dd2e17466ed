//! The keys of `[rule.NAME]` and of all that stands below it.

use super::{TEXTS, key, must};
use crate::config::shape::Kind::{Any, Count, Flag, List, Map, Named, Table, Text, Word};
use crate::config::shape::{Kind, Shape};

/// `[rule.NAME]`.
pub(in crate::config) static RULE: Shape = Shape {
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
        key(
            "copies",
            List(&Table(&COPY)),
            "Columns of other tables that repeat a field of the record; they are looked at after it went.",
            "copies = [{ table = \"customer_lookup\", column = \"email\", of = \"email\" }]",
        ),
        key("limits", Table(&LIMITS), "How much may go.", "limits = { per-run = 20_000, share = \"10 %\" }"),
        key(
            "mode",
            Word(&MODES),
            "\"observe\": plan and report as if, purge nothing; the host's mode where it is left out.",
            "mode = \"observe\"",
        ),
        key(
            "undo",
            Text,
            "For so long what went can be put back, from a sealed quarantine: 1 to 30 days; no window where it is left out.",
            "undo = \"7 days\"",
        ),
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

/// Whether what is due goes.
pub(in crate::config) const MODES: [&str; 2] = ["enforce", "observe"];

/// Periods that a term can count from the end of.
pub(in crate::config) const PERIODS: [&str; 4] =
    ["day", "end of month", "end of calendar year", "end of financial year"];
const FROM: Kind = Word(&PERIODS);

/// `records = { .. }`.
pub(in crate::config) static RECORDS: Shape = Shape {
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
pub(in crate::config) static SINCE: Shape = Shape {
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
pub(in crate::config) static GROUND: Shape = Shape {
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
pub(in crate::config) static PART: Shape = Shape {
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
        key(
            "drop-partitions",
            Flag,
            "With delete, on PostgreSQL: a partition whose whole range is past the term, and of which every record goes, is dropped.",
            "then = { delete = true, drop-partitions = true }",
        ),
    ],
};

static RECIPE: Kind = Any(&[Word(&["null", "pseudonym", "marker"]), Table(&RECIPES)]);

/// `{ fixed = .. }` and the other recipes.
pub(in crate::config) static RECIPES: Shape = Shape {
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
pub(in crate::config) static CHILD: Shape = Shape {
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
pub(in crate::config) static PROTECT: Shape = Shape {
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

/// An entry of `copies`.
pub(in crate::config) static COPY: Shape = Shape {
    name: "a copy",
    keys: &[
        must("table", Text, "The table.", "table = \"customer_lookup\""),
        key("schema", Text, "Its schema.", "schema = \"sales\""),
        must("column", Text, "Its column that repeats the field.", "column = \"email\""),
        must("of", Text, "The record's column that it repeats.", "of = \"email\""),
        key(
            "normalised",
            Word(&["lower", "digits"]),
            "How the copy is written: in lower case, or its digits alone.",
            "normalised = \"lower\"",
        ),
    ],
};

/// `limits = { .. }`.
pub(in crate::config) static LIMITS: Shape = Shape {
    name: "limits",
    keys: &[
        key("per-run", Count, "Records in one run, oldest first.", "per-run = 20_000"),
        key("share", Text, "At most this part of the table's records may be due.", "share = \"10 %\""),
        key("max", Count, "At most so many records may be due.", "max = 500"),
        key("change", Text, "At most so many times the largest of the last five plans may be due.", "change = \"3 x\""),
        key(
            "first-bite",
            Count,
            "Records of the first run after an approval: they go alone and are looked for before the others go.",
            "first-bite = 10",
        ),
    ],
};

//! Values and kinds of columns: how each engine declares, takes and prints them.

use std::cmp::Ordering;

use super::engines::Engine;

/// One value of a row. The last two stand for what only bewaard can know beforehand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    /// A pseudonym of so many characters.
    Pseudonym(usize),
    /// The moment of the purge.
    Now,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    /// Text as the engine compares it by default: on MariaDB without regard to case.
    Text,
    /// Text that is compared by its characters; on MariaDB without regard to spaces at its end.
    Exact,
    Binary,
    Uuid,
    Bool,
    Json,
    Date,
    DateTime,
    Moment,
    Epoch,
    EpochMillis,
    IsoText,
    DutchText,
}

impl Kind {
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Exact | Self::IsoText | Self::DutchText)
    }

    /// As the engine declares it.
    pub(crate) fn declared(self, engine: Engine) -> &'static str {
        match (engine, self) {
            (Engine::Sqlite, Self::Int | Self::Epoch | Self::EpochMillis) => "integer",
            (Engine::Sqlite, Self::Binary) => "blob",
            (Engine::Sqlite, Self::Bool) => "boolean",
            (Engine::Sqlite, Self::Date) => "date",
            (Engine::Sqlite, Self::DateTime | Self::Moment) => "datetime",
            (Engine::Sqlite, _) => "text",
            (_, Self::Int | Self::Epoch | Self::EpochMillis) => "bigint",
            (Engine::Mariadb, Self::Exact) => "varchar(150) collate utf8mb4_bin",
            (_, Self::Text | Self::Exact | Self::IsoText | Self::DutchText) => "varchar(150)",
            (Engine::Mariadb, Self::Binary) => "varbinary(20)",
            (Engine::Postgres, Self::Binary) => "bytea",
            (_, Self::Uuid) => "uuid",
            (_, Self::Bool) => "boolean",
            (_, Self::Json) => "json",
            (_, Self::Date) => "date",
            (Engine::Mariadb, Self::DateTime) => "datetime",
            (Engine::Postgres, Self::DateTime) => "timestamp",
            (Engine::Mariadb, Self::Moment) => "timestamp null default null",
            (Engine::Postgres, Self::Moment) => "timestamptz",
        }
    }

    /// The SQL that prints a column as [`Value::printed`] has it.
    pub(crate) fn print(self, engine: Engine, name: &str) -> String {
        match (engine, self) {
            (Engine::Sqlite, _) => format!("typeof({name}) || ':' || lower(hex({name}))"),
            (Engine::Mariadb, Self::Binary) => format!("coalesce(lower(hex({name})), '-')"),
            (Engine::Mariadb, _) => format!("coalesce(lower(hex(cast({name} as char))), '-')"),
            (Engine::Postgres, Self::Binary) => format!("coalesce(encode({name}, 'hex'), '-')"),
            (Engine::Postgres, kind) => {
                let text = match kind {
                    Self::Bool => format!("{name}::int::text"),
                    Self::Moment => format!("({name} at time zone 'UTC')::text"),
                    _ => format!("{name}::text"),
                };
                format!("coalesce(encode(convert_to({text}, 'UTF8'), 'hex'), '-')")
            }
        }
    }
}

/// Letters and digits of bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Option<String> {
    let bytes = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok());
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()
}

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_string())
    }

    /// As it is written in a statement.
    pub(crate) fn literal(&self, engine: Engine, kind: Kind) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Int(number) if kind == Kind::Bool && engine == Engine::Postgres => (*number != 0).to_string(),
            Self::Int(number) => number.to_string(),
            Self::Text(text) if engine == Engine::Mariadb => {
                format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
            }
            Self::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Self::Bytes(bytes) if engine == Engine::Postgres => format!("'\\x{}'", hex(bytes)),
            Self::Bytes(bytes) => format!("x'{}'", hex(bytes)),
            Self::Pseudonym(_) | Self::Now => panic!("only bewaard writes these"),
        }
    }

    /// As the engine prints it; what only bewaard knows stays open.
    pub(crate) fn printed(&self, engine: Engine) -> String {
        let (ty, bytes) = match self {
            Self::Null if engine == Engine::Sqlite => return "null:".into(),
            Self::Null => return "-".into(),
            Self::Int(number) => ("integer", number.to_string().into_bytes()),
            Self::Text(text) => ("text", text.clone().into_bytes()),
            Self::Bytes(bytes) => ("blob", bytes.clone()),
            Self::Pseudonym(length) => return format!("pseudonym of {length}"),
            Self::Now => return "now".into(),
        };
        if engine == Engine::Sqlite { format!("{ty}:{}", hex(&bytes)) } else { hex(&bytes) }
    }

    /// Whether the engine printed this value; `between` are the moments before and after the purge, in UTC.
    pub(crate) fn is(&self, printed: &str, engine: Engine, between: &(String, String)) -> bool {
        let text = || unhex(printed.strip_prefix("text:").unwrap_or(printed));
        match self {
            Self::Pseudonym(length) => text().is_some_and(|text| {
                text.len() == *length
                    && text.strip_prefix("p-").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
            }),
            Self::Now => text().is_some_and(|text| text >= between.0 && text <= between.1),
            plain => plain.printed(engine) == printed,
        }
    }
}

/// A text as MariaDB's default collation compares it, for the letters that the data hold.
fn folded(text: &str) -> String {
    let fold = |c: char| match c {
        'é' | 'ë' | 'É' => 'E',
        other => other.to_ascii_uppercase(),
    };
    text.chars().map(fold).collect()
}

/// The text as an engine compares it in a column of this kind.
fn weighed(engine: Engine, kind: Kind, text: &str) -> String {
    match (engine, kind) {
        (Engine::Mariadb, Kind::Exact) => text.trim_end_matches(' ').to_string(),
        (Engine::Mariadb, kind) if kind.is_text() => folded(text).trim_end_matches(' ').to_string(),
        (_, Kind::Uuid) => text.to_lowercase(),
        _ => text.to_string(),
    }
}

/// How an engine compares two values of columns of one kind; `None` where one of them is NULL.
pub(crate) fn compare(engine: Engine, kind: Kind, a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => None,
        (Value::Text(a), Value::Text(b)) => {
            // The shorter of two texts is filled up with spaces on MariaDB.
            let (mut a, mut b) = (weighed(engine, kind, a), weighed(engine, kind, b));
            if engine == Engine::Mariadb && kind.is_text() {
                let most = a.chars().count().max(b.chars().count());
                let fill = |text: &mut String| text.extend(std::iter::repeat_n(' ', most - text.chars().count()));
                fill(&mut a);
                fill(&mut b);
            }
            Some(a.cmp(&b))
        }
        _ => Some(a.cmp(b)),
    }
}

/// Whether a text fits a pattern of LIKE.
pub(crate) fn like(engine: Engine, kind: Kind, text: &str, pattern: &str) -> bool {
    let fold = |text: &str| match (engine, kind) {
        (Engine::Sqlite, _) => text.to_ascii_lowercase(),
        (Engine::Mariadb, Kind::Exact) | (Engine::Postgres, _) => text.to_string(),
        (Engine::Mariadb, _) => folded(text),
    };
    let (text, pattern): (Vec<char>, Vec<char>) = (fold(text).chars().collect(), fold(pattern).chars().collect());
    fits(&text, &pattern)
}

fn fits(text: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => (0..=text.len()).any(|at| fits(&text[at..], rest)),
        Some((one, rest)) => text.split_first().is_some_and(|(c, left)| (*one == '_' || c == one) && fits(left, rest)),
    }
}

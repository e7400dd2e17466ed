//! What the account may do, read from SHOW GRANTS (which has the rights of its active role too), and what it needs.

use std::collections::{BTreeMap, BTreeSet};

use super::dialect::quoted;
use crate::codes;
use crate::connect::sql::engine::{BATCH_TABLE, Need};
use crate::connect::{Finding, Severity};

/// One line of SHOW GRANTS about tables.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Granted {
    /// The database; `None` is all of them. May hold the wildcards of LIKE.
    database: Option<String>,
    /// The table; `None` is all of them.
    table: Option<String>,
    /// Rights on the whole, by name.
    rights: BTreeSet<String>,
    /// Rights on columns, by name.
    columns: BTreeMap<String, BTreeSet<String>>,
    /// May hand them on.
    grantable: bool,
}

/// Reads the lines; those about roles, routines and proxies are left out.
pub(super) fn parse(lines: &[String]) -> Vec<Granted> {
    lines.iter().filter_map(|line| parse_line(line)).collect()
}

fn parse_line(line: &str) -> Option<Granted> {
    let rest = line.strip_prefix("GRANT ")?;
    let (rights, rest) = split_outside(rest, " ON ")?;
    let (object, rest) = split_outside(rest, " TO ")?;
    let object = object.strip_prefix("TABLE ").unwrap_or(object);
    let (database, table) = split_outside(object, ".")?;
    let mut granted = Granted {
        database: unquote(database)?,
        table: unquote(table)?,
        rights: BTreeSet::new(),
        columns: BTreeMap::new(),
        grantable: rest.contains("WITH GRANT OPTION"),
    };
    let mut left = rights;
    loop {
        let (one, more) = split_outside(left, ", ").map_or((left, None), |(one, more)| (one, Some(more)));
        match one.split_once(" (") {
            Some((right, columns)) => {
                let names = columns.trim_end_matches(')').split(", ").map(|name| match unquote(name) {
                    Some(Some(name)) => name,
                    _ => name.to_string(),
                });
                granted.columns.entry(right.to_string()).or_default().extend(names);
            }
            None => {
                granted.rights.insert(one.to_string());
            }
        }
        match more {
            Some(more) => left = more,
            None => return Some(granted),
        }
    }
}

/// Splits at the first place that is outside backticks and brackets.
fn split_outside<'a>(text: &'a str, at: &str) -> Option<(&'a str, &'a str)> {
    let (mut quoted, mut depth) = (false, 0i32);
    for (place, c) in text.char_indices() {
        if !quoted && depth == 0 && text[place..].starts_with(at) {
            return Some((&text[..place], &text[place + at.len()..]));
        }
        match c {
            '`' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `*` is everything (`Some(None)`); a name loses its backticks; anything else is no name.
#[expect(clippy::option_option, reason = "no name at all, every name, or one")]
fn unquote(name: &str) -> Option<Option<String>> {
    if name == "*" {
        return Some(None);
    }
    let inside = name.strip_prefix('`')?.strip_suffix('`')?;
    Some(Some(inside.replace("``", "`")))
}

/// LIKE of a database name: `%`, `_`, and `\` before what is meant as itself.
fn like(pattern: &str, name: &str) -> bool {
    fn go(pattern: &[char], name: &[char]) -> bool {
        match pattern {
            [] => name.is_empty(),
            ['%', rest @ ..] => (0..=name.len()).any(|skip| go(rest, &name[skip..])),
            ['_', rest @ ..] => !name.is_empty() && go(rest, &name[1..]),
            ['\\', c, rest @ ..] | [c, rest @ ..] => name.first() == Some(c) && go(rest, &name[1..]),
        }
    }
    go(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
}

impl Granted {
    fn covers(&self, database: &str, table: &str) -> bool {
        self.database.as_deref().is_none_or(|pattern| pattern == database || like(pattern, database))
            && self.table.as_deref().is_none_or(|name| name == table)
    }

    fn has(&self, right: &str) -> bool {
        self.rights.contains(right) || self.rights.iter().any(|name| name.starts_with("ALL PRIVILEGES"))
    }

    fn has_column(&self, right: &str, column: &str) -> bool {
        self.columns.get(right).is_some_and(|names| names.iter().any(|name| name.eq_ignore_ascii_case(column)))
    }
}

/// What is asked about.
pub(super) struct Asked<'a> {
    /// The system's name, for `system.NAME`.
    pub(super) system: &'a str,
    /// Its database.
    pub(super) database: &'a str,
    /// MariaDB locks rows by SELECT alone; MySQL wants a writing right.
    pub(super) mariadb: bool,
    /// The account, as the server writes it, quoted.
    pub(super) account: &'a str,
}

/// What lacks and what is too much.
pub(super) fn findings(granted: &[Granted], needs: &[Need], asked: &Asked<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = needs.iter().flat_map(|need| lacking(granted, need, asked)).collect();
    found.extend(hidden(granted, needs, asked));
    found.extend(hidden_triggers(granted, needs, asked));
    found.extend(surplus(granted, needs, asked));
    found
}

fn lacking(granted: &[Granted], need: &Need, asked: &Asked<'_>) -> Vec<Finding> {
    let database = need.table.schema.as_deref().unwrap_or(asked.database);
    let here: Vec<&Granted> = granted.iter().filter(|one| one.covers(database, &need.table.name)).collect();
    let whole = |right: &str| here.iter().any(|one| one.has(right));
    let any = |right: &str| whole(right) || here.iter().any(|one| one.columns.contains_key(right));
    let mut lacks = Vec::new();
    if need.select && !any("SELECT") {
        lacks.push("SELECT".to_string());
    }
    let needs_delete = need.delete || (need.lock && !asked.mariadb && need.update.is_empty() && !any("UPDATE"));
    if needs_delete && !whole("DELETE") {
        lacks.push("DELETE".to_string());
    }
    if inserts(need) && !whole("INSERT") {
        lacks.push("INSERT".to_string());
    }
    let missing =
        need.update.iter().filter(|c| !whole("UPDATE") && !here.iter().any(|one| one.has_column("UPDATE", c)));
    let missing: Vec<String> = missing.map(|column| quoted(column)).collect();
    if !missing.is_empty() {
        lacks.push(format!("UPDATE ({})", missing.join(", ")));
    }
    if lacks.is_empty() {
        return vec![];
    }
    let (rights, table) = (lacks.join(", "), format!("{}.{}", quoted(database), quoted(&need.table.name)));
    vec![Finding {
        code: codes::ACCOUNT_LACKS_RIGHT,
        severity: Severity::Fault,
        at: need.at.clone(),
        text: format!("the account may not {rights} on {table}"),
        remedy: format!("GRANT {rights} ON {table} TO {};", asked.account),
    }]
}

/// Whether rows of it go or change, so that its triggers fire.
fn writes(need: &Need) -> bool {
    (need.delete || !need.update.is_empty()) && need.table.name != BATCH_TABLE
}

/// Triggers are shown only to who may make them. The right reaches no further than the account's other rights, for a
/// trigger runs with those of who made it.
fn hidden_triggers(granted: &[Granted], needs: &[Need], asked: &Asked<'_>) -> Vec<Finding> {
    let sees = |need: &&Need| {
        let database = need.table.schema.as_deref().unwrap_or(asked.database);
        granted.iter().any(|one| one.covers(database, &need.table.name) && one.has("TRIGGER"))
    };
    let told = |need: &Need| {
        let database = need.table.schema.as_deref().unwrap_or(asked.database);
        let table = format!("{}.{}", quoted(database), quoted(&need.table.name));
        Finding {
            code: codes::SCHEMA_HIDDEN,
            severity: Severity::Warning,
            at: need.at.clone(),
            text: format!("the account can't see triggers of {table}, so what a delete sets off is not known"),
            remedy: format!("GRANT TRIGGER ON {table} TO {};", asked.account),
        }
    };
    needs.iter().filter(|need| writes(need)).filter(|need| !sees(need)).map(told).collect()
}

/// Whether the account is shown every table of a database with its foreign keys: by any right on the whole of it that
/// has to do with its tables.
pub(super) fn sees(granted: &[Granted], database: &str) -> bool {
    let shows = |right: &String| !matches!(right.as_str(), "USAGE" | "SELECT" | "EXECUTE" | "LOCK TABLES");
    granted.iter().any(|one| one.table.is_none() && one.covers(database, "") && one.rights.iter().any(shows))
}

/// Without a right on the whole database, foreign keys of other tables are not shown.
fn hidden(granted: &[Granted], needs: &[Need], asked: &Asked<'_>) -> Vec<Finding> {
    let databases: BTreeSet<&str> =
        needs.iter().map(|need| need.table.schema.as_deref().unwrap_or(asked.database)).collect();
    let told = |database: &str| Finding {
        code: codes::SCHEMA_HIDDEN,
        severity: Severity::Warning,
        at: format!("system.{}", asked.system),
        text: format!(
            "the account can't see foreign keys of all tables of {}, so what a delete sets off is not known",
            quoted(database)
        ),
        remedy: format!("GRANT SHOW VIEW ON {}.* TO {};", quoted(&escaped(database)), asked.account),
    };
    databases.into_iter().filter(|database| !sees(granted, database)).map(told).collect()
}

/// A database name in GRANT, where `_` and `%` would match others.
pub(super) fn escaped(database: &str) -> String {
    database.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
}

fn surplus(granted: &[Granted], needs: &[Need], asked: &Asked<'_>) -> Vec<Finding> {
    let wanted = |database: Option<&str>, table: Option<&str>| {
        needs.iter().find(|need| {
            database == Some(need.table.schema.as_deref().unwrap_or(asked.database))
                && table == Some(need.table.name.as_str())
        })
    };
    let mut found = Vec::new();
    for one in granted {
        let need = wanted(one.database.as_deref(), one.table.as_deref());
        let mut extra: Vec<String> =
            one.rights.iter().filter(|right| !expected(right, need, one)).map(ToString::to_string).collect();
        if need.is_none() {
            extra.extend(one.columns.keys().map(|right| format!("{right} on columns")));
        }
        if one.grantable {
            extra.push("GRANT OPTION".into());
        }
        if extra.is_empty() {
            continue;
        }
        let place = |name: &Option<String>| name.as_deref().map_or("*".to_string(), quoted);
        let target = format!("{}.{}", place(&one.database), place(&one.table));
        let rights = extra.join(", ");
        found.push(Finding {
            code: codes::ACCOUNT_HAS_MORE,
            severity: Severity::Warning,
            at: format!("system.{}", asked.system),
            text: format!("the account may {rights} on {target}, which no rule needs"),
            remedy: format!("REVOKE {} ON {target} FROM {};", rights.replace(" on columns", " (...)"), asked.account),
        });
    }
    found
}

fn expected(right: &str, need: Option<&Need>, one: &Granted) -> bool {
    match (right, need) {
        // Lets nobody do anything to a record; SHOW VIEW makes the schema visible.
        ("USAGE" | "SHOW VIEW", _) | ("SELECT", Some(_)) => true,
        ("INSERT", Some(need)) => inserts(need),
        ("TRIGGER", Some(need)) => writes(need),
        ("DELETE", Some(need)) => need.delete || need.lock,
        ("UPDATE", Some(need)) => !need.update.is_empty() || need.lock,
        ("LOCK TABLES", _) => one.database.is_some(),
        _ => false,
    }
}

/// The table of batches gets rows; so does what an undo puts back.
fn inserts(need: &Need) -> bool {
    need.insert || need.table.name == BATCH_TABLE
}

/// The statements for an account that may do exactly what is needed.
pub(super) fn grants(needs: &[Need], asked: &Asked<'_>) -> Vec<String> {
    let mut all = Vec::new();
    let mut databases = BTreeSet::new();
    for need in needs {
        let database = need.table.schema.as_deref().unwrap_or(asked.database);
        databases.insert(database);
        let mut rights = Vec::new();
        if need.select || need.delete || need.lock {
            rights.push("SELECT".to_string());
        }
        if need.delete || (need.lock && need.update.is_empty() && !asked.mariadb) {
            rights.push("DELETE".to_string());
        }
        if inserts(need) {
            rights.push("INSERT".to_string());
        }
        if !need.update.is_empty() {
            let columns: Vec<String> = need.update.iter().map(|column| quoted(column)).collect();
            rights.push(format!("UPDATE ({})", columns.join(", ")));
        }
        if writes(need) {
            rights.push("TRIGGER".to_string());
        }
        if !rights.is_empty() {
            let table = format!("{}.{}", quoted(database), quoted(&need.table.name));
            all.push(format!("GRANT {} ON {table} TO {};", rights.join(", "), asked.account));
        }
    }
    for database in databases {
        all.push(format!("GRANT SHOW VIEW ON {}.* TO {};", quoted(&escaped(database)), asked.account));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::selection::TableName;

    fn need(table: &str, delete: bool, update: &[&str]) -> Need {
        Need {
            table: TableName { schema: None, name: table.into() },
            select: true,
            delete,
            insert: false,
            update: update.iter().map(ToString::to_string).collect(),
            lock: true,
            at: "rule.old".into(),
        }
    }

    const ASKED: Asked<'_> = Asked { system: "shop", database: "shop_1", mariadb: true, account: "'b'@'localhost'" };

    fn told(lines: &[&str], needs: &[Need]) -> Vec<(&'static str, String)> {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        findings(&parse(&lines), needs, &ASKED).into_iter().map(|one| (one.code.id, one.text)).collect()
    }

    const EXACT: [&str; 4] = [
        "GRANT USAGE ON *.* TO `b`@`localhost` IDENTIFIED BY PASSWORD '*AB ON CD TO EF'",
        "GRANT SHOW VIEW ON `shop\\_1`.* TO `b`@`localhost`",
        "GRANT SELECT, DELETE, TRIGGER ON `shop_1`.`orders` TO `b`@`localhost`",
        "GRANT SELECT, UPDATE (`name`, `e ON x`), TRIGGER ON `shop_1`.`we``ird` TO `b`@`localhost`",
    ];

    #[test]
    fn exactly_what_is_needed_gives_no_finding() {
        assert_eq!(told(&EXACT, &[need("orders", true, &[]), need("we`ird", false, &["name", "e ON x"])]), []);
    }

    #[test]
    fn what_the_grants_say_is_what_is_needed() {
        let needs = [need("orders", true, &[]), need("we`ird", false, &["name", "e ON x"])];
        let lines = grants(&needs, &ASKED);
        let lines: Vec<&str> = lines.iter().map(|line| line.trim_end_matches(';')).collect();
        assert_eq!(told(&lines, &needs), [], "{lines:?}");
    }

    #[test]
    fn what_lacks_is_named_with_its_statement() {
        let found = told(&EXACT, &[need("orders", true, &["note"]), need("people", true, &[])]);
        assert!(
            found.iter().any(|(_, text)| text == "the account may not UPDATE (`note`) on `shop_1`.`orders`"),
            "{found:?}"
        );
        assert!(found.iter().any(|(_, text)| text.starts_with("the account may not SELECT, DELETE on")), "{found:?}");
    }

    #[test]
    fn what_is_too_much_is_named() {
        let all = ["GRANT ALL PRIVILEGES ON *.* TO `b`@`localhost` WITH GRANT OPTION"];
        let found = told(&all, &[need("orders", true, &[])]);
        assert_eq!(found.len(), 1);
        assert!(found[0].1.contains("ALL PRIVILEGES, GRANT OPTION on *.*"), "{found:?}");
        let other = told(&["GRANT SHOW VIEW, FILE ON *.* TO `b`@`localhost`"], &[]);
        assert!(other[0].1.contains("may FILE on *.*"), "{other:?}");
    }

    #[test]
    fn a_schema_that_cannot_be_seen_whole_is_told() {
        let lines = ["GRANT SELECT, DELETE ON `shop_1`.`orders` TO `b`@`localhost`"];
        assert_eq!(told(&lines, &[need("orders", true, &[])])[0].0, codes::SCHEMA_HIDDEN.id);
        let wild = [
            "GRANT SELECT, DELETE, TRIGGER ON `shop_1`.`orders` TO `b`@`%`",
            "GRANT SHOW VIEW ON `shop%`.* TO `b`@`%`",
        ];
        assert_eq!(told(&wild, &[need("orders", true, &[])]), []);
    }
}

//! `[system.NAME]`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Out, count, name, settings};
use crate::codes;
use crate::config::diagnostic::Diagnostic;
use crate::config::shape::{self, Shape};
use crate::config::source::shown;
use crate::config::tree::{Entry, Node, Value};
use crate::config::v1;
use crate::domain::id::SystemId;
use crate::domain::policy::{Access, ServerAccess, SqliteAccess, System, Tls};

/// The kinds of systems, as words in TOML.
const KINDS: [&str; 3] = ["mariadb", "postgres", "sqlite"];

pub(super) fn all(root: &Node, out: Out<'_>) -> BTreeMap<SystemId, System> {
    let mut systems = BTreeMap::new();
    for entry in root.get("system").map(Node::entries).unwrap_or_default() {
        if !matches!(entry.node.value, Value::Table(_)) {
            continue;
        }
        let id = name(entry, SystemId::new, out);
        let access = access(entry, out);
        if let (Some(id), Some(access)) = (id, access) {
            let node = &entry.node;
            let about = node.text_of("about").map(str::to_string);
            let lines = v1::INVENTORY.iter().map(|key| ((*key).to_string(), node.texts_of(key)));
            let inventory = lines.filter(|(_, texts)| !texts.is_empty()).collect();
            let batch_table = node.flag_of("batch-table");
            systems.insert(id.clone(), System { id, about, inventory, access, batch_table });
        }
    }
    systems
}

fn access(entry: &Entry, out: Out<'_>) -> Option<Access> {
    let path = format!("system.{}", entry.key);
    let found: Vec<&Entry> = entry.node.entries().iter().filter(|one| KINDS.contains(&one.key.as_str())).collect();
    match found.as_slice() {
        [one] => match one.key.as_str() {
            "mariadb" => server(one, &format!("{path}.mariadb"), &v1::MARIADB, 3306, out).map(Access::Mariadb),
            "postgres" => server(one, &format!("{path}.postgres"), &v1::POSTGRES, 5432, out).map(Access::Postgres),
            _ => sqlite(one, &format!("{path}.sqlite"), out).map(Access::Sqlite),
        },
        [] => {
            let text = format!("`{}` does not say what it is", shown(&path));
            let fault = Diagnostic::fault(codes::SYSTEM_KIND, text, &entry.key_place).label("which database is this?");
            out.push(
                fault
                    .help("add one of these lines:\nsqlite = \"shop.db\"\nmariadb = { host = \"localhost\", database = \"shop\", user = \"bewaard\", password = { credential = \"shop-db\" } }\npostgres = { socket = \"/run/postgresql\", database = \"crm\", user = \"bewaard\" }"),
            );
            None
        }
        [first, second, ..] => {
            let text = format!("`{}` is two systems: {} and {}", shown(&path), first.key, second.key);
            let fault = Diagnostic::fault(codes::SYSTEM_KIND, text, &second.key_place).label("and this");
            out.push(
                fault.also(&first.key_place, "this").help("make two tables of it: [system.ONE] and [system.OTHER]"),
            );
            None
        }
    }
}

fn server(entry: &Entry, path: &str, shape: &'static Shape, port: u16, out: Out<'_>) -> Option<ServerAccess> {
    let before = out.len();
    shape::lacking(entry, shape, path, out);
    let node = &entry.node;
    let socket = node.entry("socket").and_then(|one| settings::path(&one.node, out));
    // PostgreSQL's socket has the port in its name (.s.PGSQL.5433): a second cluster is told apart by it.
    let beside: &[&str] = if entry.key == "postgres" { &["host"] } else { &["host", "port"] };
    for key in beside {
        if let (Some(one), Some(socket)) = (node.entry(key), node.entry("socket")) {
            let text = format!("`{key}` has no meaning beside a socket");
            let fault = Diagnostic::fault(codes::CONTRADICTION, text, &one.key_place).label("over the network");
            out.push(fault.also(&socket.key_place, "through a socket").help("remove one of the two"));
        }
    }
    let port = match node.entry("port") {
        None => Some(port),
        Some(one) => port_of(one, out),
    };
    let host = node.text_of("host").unwrap_or("localhost").to_string();
    let password = node.entry("password").and_then(|one| settings::secret(one, out));
    let local = socket.is_some() || is_loopback(&host);
    let tls = tls(node, local, out);
    let access = ServerAccess {
        host,
        port: port?,
        socket: socket.map(|path| path.to_string_lossy().into_owned()),
        database: node.text_of("database")?.to_string(),
        schema: node.text_of("schema").map(str::to_string),
        user: node.text_of("user")?.to_string(),
        password,
        tls: tls?,
    };
    let faulty = out.iter().skip(before).any(Diagnostic::is_fault);
    (!faulty).then_some(access)
}

/// Another server of the same kind: what it does not say is as the system has it.
pub(super) fn replica(node: &Node, of: &ServerAccess, postgres: bool, out: Out<'_>) -> Option<ServerAccess> {
    if node.entry("host").is_none() && node.entry("socket").is_none() {
        let fault = Diagnostic::fault(codes::MISSING_KEY, "it is not said where the replica is", &node.place);
        out.push(fault.help("write a host or a socket: replicas = [{ host = \"db2.example.nl\" }]"));
        return None;
    }
    let before = out.len();
    let socket = node.entry("socket").and_then(|one| settings::path(&one.node, out));
    let port = match node.entry("port") {
        None => Some(if postgres { 5432 } else { 3306 }),
        Some(one) => port_of(one, out),
    };
    let host = node.text_of("host").unwrap_or("localhost").to_string();
    let user = node.text_of("user").map_or_else(|| of.user.clone(), str::to_string);
    let own = node.entry("password").and_then(|one| settings::secret(one, out));
    let password = own.or_else(|| of.password.clone().filter(|_| node.entry("user").is_none()));
    let local = socket.is_some() || is_loopback(&host);
    let tls = match (&of.tls, node.entry("tls")) {
        (Tls::Authority(path), None) if !local => Some(Tls::Authority(path.clone())),
        _ => tls(node, local, out),
    };
    let socket = socket.map(|path| path.to_string_lossy().into_owned());
    let access = ServerAccess { host, port: port?, socket, user, password, tls: tls?, ..of.clone() };
    (!out.iter().skip(before).any(Diagnostic::is_fault)).then_some(access)
}

fn port_of(entry: &Entry, out: Out<'_>) -> Option<u16> {
    let port = count(&entry.node).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    if port.is_none() && matches!(entry.node.value, Value::Integer(0..)) {
        let fault = Diagnostic::fault(codes::BAD_VALUE, "a TCP port is 1 to 65535", &entry.node.place);
        out.push(fault.help("MariaDB listens at 3306 and PostgreSQL at 5432 unless told otherwise"));
    }
    port
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn tls(node: &Node, local: bool, out: Out<'_>) -> Option<Tls> {
    let Some(entry) = node.entry("tls") else { return Some(if local { Tls::Off } else { Tls::System }) };
    if let Some(authority) = entry.node.entry("authority") {
        return Some(Tls::Authority(settings::path(&authority.node, out)?.to_string_lossy().into_owned()));
    }
    match entry.node.text() {
        Some("system") => Some(Tls::System),
        Some("off") => {
            if !local {
                let text = "everything that bewaard reads there, and its password, crosses the network readable";
                let warning = Diagnostic::warning(codes::CLEAR_TEXT, text, &entry.node.place);
                out.push(warning.help("write tls = \"system\", or tls = { authority = \"/etc/bewaard/ca.pem\" } for a certificate of your own"));
            }
            Some(Tls::Off)
        }
        _ => None,
    }
}

fn sqlite(entry: &Entry, path: &str, out: Out<'_>) -> Option<SqliteAccess> {
    if entry.node.text().is_some() {
        let path = settings::path(&entry.node, out)?;
        return Some(SqliteAccess { path: path.to_string_lossy().into_owned(), foreign_keys: false });
    }
    shape::lacking(entry, &v1::SQLITE, path, out);
    let path = settings::path(entry.node.get("path")?, out)?;
    Some(SqliteAccess { path: path.to_string_lossy().into_owned(), foreign_keys: entry.node.flag_of("foreign-keys") })
}

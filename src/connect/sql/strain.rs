//! The strain of a server: its own figures, those of its replicas, and the firm's own query, on a connection of their own.

use std::path::PathBuf;

use super::connector::SqlConnector;
use super::engine::{Engine, FaultKind, Purpose, Session, SqlFault, Statement};
use super::sessions::Slot;
use crate::connect::{ConnectError, STRAIN_LIMIT, Strain, StrainOf};
use crate::domain::brake::{Brake, Reading};
use crate::domain::policy::ServerAccess;
use crate::domain::rule::Rule;
use crate::domain::selection::{Child, Selection, TableName};
use crate::domain::value::Scalar;

/// A replica that is asked for its lag, with the connection to it.
pub(super) struct Replica {
    access: ServerAccess,
    engine: Box<dyn Engine>,
    slot: Slot,
}

/// The connections that watch.
pub(super) struct Watching {
    own: Slot,
    replicas: tokio::sync::Mutex<Vec<Replica>>,
}

impl Watching {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { own: Slot::new(Purpose::Watch), replicas: tokio::sync::Mutex::default() }
    }
}

impl SqlConnector {
    pub(super) async fn strain_of(&self, watch: &StrainOf<'_>) -> Result<Strain, ConnectError> {
        let doing = "look at its strain";
        let tables = tables_of(watch.rules);
        let mut lease = self.watching.own.lease(self.engine.as_ref()).await.map_err(self.sql(doing))?;
        let mut strain = match self.engine.strain(lease.session(), &tables).await {
            Ok(strain) => strain,
            Err(found) if found.kind == FaultKind::StatementTimeout => too_slow(),
            Err(found) => return Err(self.sql(doing)(found)),
        };
        if let Some(query) = watch.query {
            match own_query(lease.session(), query).await {
                Ok(reading) => strain.add(Brake::Query, reading),
                Err(found) if matches!(found.kind, FaultKind::Lost | FaultKind::Unreachable) => {
                    return Err(self.sql(doing)(found));
                }
                Err(found) => strain.add(Brake::Query, Reading::Failed(found.to_string())),
            }
        }
        lease.keep();
        if !watch.replicas.is_empty() {
            // What the server itself can't tell of its replicas is told by them.
            strain.readings.remove(&Brake::ReplicaLag);
            self.ask_replicas(watch.replicas, &mut strain).await;
        }
        Ok(strain)
    }

    async fn ask_replicas(&self, replicas: &[ServerAccess], strain: &mut Strain) {
        let mut known = self.watching.replicas.lock().await;
        for access in replicas {
            let place = access.socket.clone().unwrap_or_else(|| format!("{}:{}", access.host, access.port));
            let found = known.iter().position(|one| one.access == *access);
            let place_of = match found {
                Some(place_of) => place_of,
                None => match self.engine.replica(access) {
                    Ok(engine) => {
                        known.push(Replica { access: access.clone(), engine, slot: Slot::new(Purpose::Watch) });
                        known.len() - 1
                    }
                    Err(error) => {
                        strain.add_at(Brake::ReplicaLag, Reading::Failed(error.to_string()), Some(place));
                        continue;
                    }
                },
            };
            let Some(replica) = known.get(place_of) else { continue };
            let reading = replica.lag().await.unwrap_or_else(|found| Reading::Failed(found.to_string()));
            strain.add_at(Brake::ReplicaLag, reading, Some(place));
        }
    }
}

impl Replica {
    async fn lag(&self) -> Result<Reading, SqlFault> {
        let mut lease = self.slot.lease(self.engine.as_ref()).await?;
        let reading = self.engine.lag(lease.session()).await?;
        lease.keep();
        Ok(reading)
    }
}

/// A server that can't count its own threads in two seconds bears nothing more.
fn too_slow() -> Strain {
    let mut strain = Strain::default();
    let text = format!("the server did not tell its own state within {} s", STRAIN_LIMIT.as_secs());
    strain.add(Brake::StatementTime, Reading::Failed(text));
    strain
}

/// The query gives one number. Two rows are enough to see that it does not.
async fn own_query(session: &mut dyn Session, query: &str) -> Result<Reading, SqlFault> {
    let text = format!("SELECT * FROM ({query}) AS bewaard_brake LIMIT 2");
    let rows = session.rows(&Statement::plain(text)).await?;
    let number = match rows.as_slice() {
        [row] if row.len() == 1 => row.first().and_then(number),
        _ => None,
    };
    Ok(number.map_or_else(|| Reading::Failed("the query gives no single number".into()), Reading::Known))
}

/// A number, rounded up; what is below zero is nothing.
fn number(value: &Scalar) -> Option<u64> {
    let text = match value {
        Scalar::Null => return None,
        Scalar::Int(number) => return Some(u64::try_from(*number).unwrap_or(0)),
        Scalar::UInt(number) => return Some(*number),
        Scalar::Real(bits) => f64::from_bits(*bits).to_string(),
        Scalar::Bytes(bytes) => String::from_utf8(bytes.clone()).ok()?,
        other => other.as_text()?.to_string(),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    if let Some(below) = whole.strip_prefix('-') {
        return below.bytes().all(|digit| digit.is_ascii_digit()).then_some(0);
    }
    let more = u64::from(fraction.bytes().any(|digit| digit != b'0'));
    whole.parse::<u64>().ok()?.checked_add(more)
}

/// The tables that these rules write to, as the policy names them, each once.
fn tables_of(rules: &[&Rule]) -> Vec<TableName> {
    fn below(children: &[Child], out: &mut Vec<TableName>) {
        for child in children {
            out.push(child.relation.table.clone());
            below(&child.children, out);
        }
    }
    let mut out = Vec::new();
    for rule in rules {
        let Selection::Sql(sql) = &rule.selection;
        out.push(sql.table.clone());
        below(&sql.children, &mut out);
    }
    out.sort();
    out.dedup();
    out
}

/// A reading of what the account may not see.
pub(super) fn hidden(text: &str, remedy: String) -> Reading {
    Reading::Hidden { text: text.into(), remedy }
}

/// The folder that a server names, where it names one.
pub(super) fn folder(text: &str) -> Option<PathBuf> {
    Some(PathBuf::from(text)).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_whatever_type_the_server_gives_it() {
        let text = |text: &str| number(&Scalar::Text(text.into()));
        assert_eq!((text("12"), text("12.00"), text("12.01"), text("-3.5")), (Some(12), Some(12), Some(13), Some(0)));
        assert_eq!(number(&Scalar::from_f64(2.5)), Some(3));
        assert_eq!((number(&Scalar::Int(-4)), number(&Scalar::Int(4))), (Some(0), Some(4)));
        for none in ["", "x", "1e3", "NaN", "-x", "1.x", "99999999999999999999"] {
            assert_eq!(text(none), None, "{none}");
        }
        assert_eq!(number(&Scalar::Null), None);
    }
}

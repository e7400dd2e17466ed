//! Finding single records: again after a crash, and by a key that a person typed.

use super::catalogue::{Column, TypeClass};
use super::connector::SqlConnector;
use super::engine::{Session, Statement};
use super::fault;
use super::maps::HashMap;
use super::records::{ReadFault, Reader, Record};
use super::resolve::{RECORD, Resolved};
use super::write::one_row;
use crate::connect::{Advice, ConnectError, Item, Presence};
use crate::domain::value::{Key, Scalar};

/// Looks for items in an open transaction, waiting for whoever has them locked.
pub(super) async fn locate(
    reader: &Reader<'_>,
    session: &mut dyn Session,
    items: &[Item],
) -> Result<Vec<Presence>, ReadFault> {
    let keys: Vec<&Key> = items.iter().map(|item| &item.key).collect();
    // What was seen while waiting may be old: the lock is one statement and the look another.
    reader.lock(session, &keys).await?;
    let records = reader.by_key(session, &keys, false).await?;
    let by_key: HashMap<&Key, &Record> = records.iter().map(|record| (&record.key, record)).collect();
    // One that the server takes for an item although its key is written otherwise now: then nobody is surely gone.
    let strangers = records.iter().any(|record| !items.iter().any(|item| item.key == record.key));
    let presence = |item: &Item| match by_key.get(&item.key) {
        None if strangers => Presence::CannotTell,
        None => Presence::Gone,
        Some(record) => {
            let found = reader.found(record);
            Presence::Here { same: found.fingerprint == item.fingerprint, done: found.done }
        }
    };
    Ok(items.iter().map(presence).collect())
}

/// Reads a typed key in its columns' types; where the record exists, in the very form that the database gives.
pub(super) async fn parse_key(
    connector: &SqlConnector,
    resolved: &Resolved,
    session: &mut dyn Session,
    parts: &[String],
) -> Result<Key, ConnectError> {
    let doing = "read a key";
    let names: Vec<&str> = resolved.key.iter().map(|column| column.name.as_str()).collect();
    let wrong = || {
        let what = format!("a key of this rule is: {}", names.join(", "));
        fault::own(&connector.system, doing, what, Advice::Fix)
    };
    if parts.len() != resolved.key.len() {
        return Err(wrong());
    }
    let typed: Option<Vec<Scalar>> = resolved.key.iter().zip(parts).map(|(column, text)| typed(column, text)).collect();
    let key = Key(typed.ok_or_else(wrong)?);
    let dialect = connector.engine.dialect();
    let items: Vec<String> = resolved
        .key
        .iter()
        .map(|column| dialect.read(&format!("{RECORD}.{}", dialect.name(&column.name)), column))
        .collect();
    let text = format!(
        "SELECT {} FROM {} {RECORD} WHERE {}",
        items.join(", "),
        dialect.table(&resolved.table.name),
        one_row(dialect, RECORD, &resolved.key)
    );
    let rows = session
        .rows(&Statement { text, values: key.0.clone() })
        .await
        .map_err(|found| fault::from_sql(&connector.system, doing, &found))?;
    Ok(rows.into_iter().next().map_or(key, Key))
}

fn typed(column: &Column, text: &str) -> Option<Scalar> {
    match column.class {
        TypeClass::Integer => {
            text.parse::<i64>().map(Scalar::Int).ok().or_else(|| text.parse::<u64>().ok().map(Scalar::from_u64))
        }
        TypeClass::Text => Some(Scalar::Text(text.to_string())),
        TypeClass::Binary => hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok().map(Scalar::Bytes),
        TypeClass::Dynamic => Some(match text.parse::<i64>() {
            Ok(number) if number.to_string() == text => Scalar::Int(number),
            _ => Scalar::Text(text.to_string()),
        }),
        _ => Some(Scalar::Typed { ty: column.ty.clone(), text: text.to_string() }),
    }
}

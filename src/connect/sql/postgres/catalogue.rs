//! What `pg_catalog` says of a table. Everybody may read it, whatever the account's rights.

use crate::connect::sql::catalogue::{Column, ForeignKey, OnDelete, Table, TableKind, TypeClass};
use crate::connect::sql::engine::{Row, Session, SqlFault, Statement};
use crate::domain::selection::TableName;
use crate::domain::value::Scalar;

/// Reads a table by its exact name; `None` where there is none.
pub(super) async fn table(
    session: &mut dyn Session,
    schema: &str,
    name: &TableName,
) -> Result<Option<Table>, SqlFault> {
    let schema = name.schema.as_deref().unwrap_or(schema);
    let values = vec![Scalar::Text(schema.into()), Scalar::Text(name.name.clone())];
    let head = session.rows(&Statement { text: HEAD.into(), values }).await?;
    let Some(head) = head.into_iter().next() else { return Ok(None) };
    let oid = head.first().cloned().unwrap_or(Scalar::Null);
    let mut ask = async |text: &str| session.rows(&Statement { text: text.into(), values: vec![oid.clone()] }).await;
    let columns = ask(COLUMNS).await?.iter().map(column).collect();
    let (indexes, mut unique, mut primary_key) = indexes(&ask(INDEXES).await?);
    let partly_unique = ask(PARTLY_UNIQUE).await?.iter().map(|row| (text(row, 0), flag(row, 1))).collect();
    if flag(&head, 4) {
        // Rows of the tables that inherit from it are its rows too, and no key of it holds for them.
        unique.clear();
        primary_key.clear();
    }
    let own = ask(REFERENCES).await?;
    let others = ask(REFERENCED_BY).await?;
    let triggers = ask(TRIGGERS).await?.iter().map(|row| text(row, 0)).collect();
    let kind = text(&head, 1);
    Ok(Some(Table {
        name: TableName { schema: Some(schema.into()), name: name.name.clone() },
        kind: if matches!(kind.as_str(), "r" | "p") { TableKind::Table } else { TableKind::Other },
        columns,
        primary_key,
        unique,
        partly_unique,
        indexes,
        referenced_by: foreign_keys(&others),
        references: foreign_keys(&own),
        triggers,
        transactional: true,
        row_security: flag(&head, 2),
        versioned: false,
        partitioned: kind == "p",
        estimate: number(&head, 3).unwrap_or(0),
    }))
}

const HEAD: &str = "SELECT c.oid::text, c.relkind::text, row_security_active(c.oid), \
     CASE WHEN c.relkind = 'p' THEN (SELECT coalesce(sum(greatest(l.reltuples, 0)), 0)::int8 \
     FROM pg_partition_tree(c.oid) p JOIN pg_class l ON l.oid = p.relid WHERE p.isleaf) \
     ELSE greatest(c.reltuples, 0)::int8 END, \
     c.relkind = 'r' AND EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhparent = c.oid) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1::text AND c.relname = $2::text AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')";

// A domain counts as the type below it: its length is the domain's.
const COLUMNS: &str = "WITH RECURSIVE base(attnum, type, typmod) AS ( \
     SELECT attnum, atttypid, atttypmod FROM pg_attribute \
     WHERE attrelid = $1::text::oid AND attnum > 0 AND NOT attisdropped \
     UNION ALL SELECT b.attnum, t.typbasetype, t.typtypmod FROM base b JOIN pg_type t ON t.oid = b.type \
     WHERE t.typtype = 'd') \
     SELECT a.attname::text, format_type(b.type, b.typmod), t.typname::text, t.typcategory::text, \
     a.attnotnull, a.attgenerated <> '', b.typmod, \
     CASE WHEN NOT co.collisdeterministic THEN co.collname::text END \
     FROM pg_attribute a JOIN base b ON b.attnum = a.attnum JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd' \
     LEFT JOIN pg_collation co ON co.oid = a.attcollation \
     WHERE a.attrelid = $1::text::oid ORDER BY a.attnum";

// attnum 0 stands for an expression; included columns (beyond indnkeyatts) are no key.
const INDEXES: &str = "SELECT i.indexrelid::text, a.attname::text, i.indisunique AND (i.indcollation[k.place] = 0 OR i.indcollation[k.place] = a.attcollation OR (SELECT co.collisdeterministic FROM pg_collation co WHERE co.oid = a.attcollation)), i.indisprimary, \
     i.indpred IS NULL AND i.indisvalid, i.indimmediate, am.amname::text \
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam \
     CROSS JOIN LATERAL generate_series(0, i.indnkeyatts - 1) AS k(place) \
     LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.place] AND a.attnum > 0 \
     WHERE i.indrelid = $1::text::oid ORDER BY c.relname, k.place";

// What an index with an expression or a condition speaks of stands among its dependencies.
const PARTLY_UNIQUE: &str = "SELECT DISTINCT a.attname::text, i.indpred IS NULL FROM pg_index i \
     JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid \
     AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid > 0 \
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid \
     WHERE i.indrelid = $1::text::oid AND i.indisunique AND i.indisvalid \
     AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL) ORDER BY 1, 2";

// Copies of a key for single partitions have a parent.
const REFERENCES: &str = "SELECT f.conname::text, sn.nspname::text, s.relname::text, sa.attname::text, \
     tn.nspname::text, t.relname::text, ta.attname::text, f.confdeltype::text, f.oid::text \
     FROM pg_constraint f JOIN pg_class s ON s.oid = f.conrelid JOIN pg_namespace sn ON sn.oid = s.relnamespace \
     JOIN pg_class t ON t.oid = f.confrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace \
     CROSS JOIN LATERAL unnest(f.conkey, f.confkey) WITH ORDINALITY AS k(own, far, place) \
     JOIN pg_attribute sa ON sa.attrelid = f.conrelid AND sa.attnum = k.own \
     JOIN pg_attribute ta ON ta.attrelid = f.confrelid AND ta.attnum = k.far \
     WHERE f.contype = 'f' AND f.conparentid = 0 AND f.conrelid = $1::text::oid \
     ORDER BY sn.nspname, s.relname, f.conname, f.oid, k.place";

// A row of a partition is one of each table above it, and each of them may be referred to.
const REFERENCED_BY: &str = "SELECT f.conname::text, sn.nspname::text, s.relname::text, sa.attname::text, \
     tn.nspname::text, t.relname::text, ta.attname::text, f.confdeltype::text, f.oid::text \
     FROM pg_constraint f JOIN pg_class s ON s.oid = f.conrelid JOIN pg_namespace sn ON sn.oid = s.relnamespace \
     JOIN pg_class t ON t.oid = f.confrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace \
     CROSS JOIN LATERAL unnest(f.conkey, f.confkey) WITH ORDINALITY AS k(own, far, place) \
     JOIN pg_attribute sa ON sa.attrelid = f.conrelid AND sa.attnum = k.own \
     JOIN pg_attribute ta ON ta.attrelid = f.confrelid AND ta.attnum = k.far \
     WHERE f.contype = 'f' AND f.conparentid = 0 AND f.confrelid IN (SELECT $1::text::oid \
     UNION SELECT relid FROM pg_partition_tree($1::text::oid::regclass) \
     UNION SELECT relid FROM pg_partition_ancestors($1::text::oid::regclass)) \
     ORDER BY sn.nspname, s.relname, f.conname, f.oid, k.place";

// Bits of tgtype: 8 DELETE, 16 UPDATE. A rule can do all that a trigger can.
const TRIGGERS: &str = "SELECT DISTINCT name FROM ( \
     SELECT g.tgname::text AS name FROM pg_trigger g \
     WHERE g.tgrelid IN (SELECT $1::text::oid UNION SELECT relid FROM pg_partition_tree($1::text::oid::regclass)) \
     AND NOT g.tgisinternal AND g.tgenabled <> 'D' AND (g.tgtype & 24) <> 0 \
     UNION ALL SELECT 'rule ' || r.rulename::text FROM pg_rewrite r \
     WHERE r.ev_class = $1::text::oid AND r.ev_type IN ('2', '4') AND r.ev_enabled <> 'D') both_kinds ORDER BY name";

pub(super) fn text(row: &Row, at: usize) -> String {
    row.get(at).and_then(Scalar::as_text).unwrap_or_default().to_string()
}

pub(super) fn flag(row: &Row, at: usize) -> bool {
    row.get(at) == Some(&Scalar::Int(1))
}

fn number(row: &Row, at: usize) -> Option<u64> {
    match row.get(at) {
        Some(Scalar::Int(number)) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn column(row: &Row) -> Column {
    let class = class(&text(row, 2), &text(row, 3));
    // The length of a text type is kept with four added.
    let max_chars =
        if class == TypeClass::Text { number(row, 6).and_then(|typmod| typmod.checked_sub(4)) } else { None };
    Column {
        name: text(row, 0),
        ty: text(row, 1),
        class,
        nullable: !flag(row, 4),
        generated: flag(row, 5),
        max_chars,
        set_by_updates: false,
        collation: row.get(7).and_then(Scalar::as_text).map(String::from),
    }
}

fn class(name: &str, category: &str) -> TypeClass {
    match name {
        "int2" | "int4" | "int8" => TypeClass::Integer,
        "numeric" => TypeClass::Decimal,
        "float4" | "float8" => TypeClass::Float,
        "bool" => TypeClass::Bool,
        "bytea" => TypeClass::Binary,
        "date" => TypeClass::Date,
        "timestamp" => TypeClass::DateTime,
        "timestamptz" => TypeClass::Moment,
        "time" | "timetz" => TypeClass::Time,
        "uuid" => TypeClass::Uuid,
        "json" | "jsonb" => TypeClass::Json,
        _ if category == "S" => TypeClass::Text,
        _ => TypeClass::Other,
    }
}

/// All indexes by their leading plain columns, the unique ones among them, and the primary key.
fn indexes(rows: &[Row]) -> (Vec<Vec<String>>, Vec<Vec<String>>, Vec<String>) {
    let (mut all, mut unique, mut primary): (Vec<Vec<String>>, Vec<Vec<String>>, _) = (vec![], vec![], vec![]);
    for index in rows.chunk_by(|a, b| text(a, 0) == text(b, 0)) {
        // Partial, invalid, and those that serve no comparison by order or equality.
        let Some(first) = index.first().filter(|row| flag(row, 4)) else { continue };
        if !matches!(text(first, 6).as_str(), "btree" | "hash") {
            continue;
        }
        let columns: Vec<String> = index.iter().map(|row| text(row, 1)).take_while(|name| !name.is_empty()).collect();
        if columns.len() == index.len() && flag(first, 2) && flag(first, 5) {
            if flag(first, 3) {
                primary.clone_from(&columns);
            }
            unique.push(columns.clone());
        }
        if !columns.is_empty() {
            all.push(columns);
        }
    }
    (all, unique, primary)
}

fn foreign_keys(rows: &[Row]) -> Vec<ForeignKey> {
    let every = |rows: &[Row], at: usize| rows.iter().map(|row| text(row, at)).collect();
    rows.chunk_by(|a, b| text(a, 8) == text(b, 8))
        .filter_map(|key| key.first().map(|first| (key, first)))
        .map(|(key, first)| ForeignKey {
            name: text(first, 0),
            table: TableName { schema: Some(text(first, 1)), name: text(first, 2) },
            columns: every(key, 3),
            target: TableName { schema: Some(text(first, 4)), name: text(first, 5) },
            target_columns: every(key, 6),
            on_delete: match text(first, 7).as_str() {
                "c" => OnDelete::Cascade,
                "n" | "d" => OnDelete::Clear,
                _ => OnDelete::Refuse,
            },
        })
        .collect()
}

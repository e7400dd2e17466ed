//! Partitions of PostgreSQL: what `pg_catalog` says of them, and the statements by which one is dropped.

use std::time::Duration;

use async_trait::async_trait;

use super::catalogue::{flag, text};
use super::dialect::PostgresDialect;
use crate::connect::sql::catalogue::{Column, TypeClass};
use crate::connect::sql::engine::{Dialect, Row, Session, SqlFault, Statement};
use crate::connect::sql::partition::{OnePartition, Partitioned, Partitions};
use crate::domain::selection::TableName;
use crate::domain::value::Scalar;

/// The table's number, and the one plain column of its ranges.
const HEAD: &str = "SELECT c.oid::text, CASE WHEN p.partstrat = 'r' AND p.partnatts = 1 THEN a.attname::text END \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_partitioned_table p ON p.partrelid = c.oid \
     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0] AND a.attnum > 0 \
     WHERE n.nspname = $1::text AND c.relname = $2::text";

// Bit 8 of tgtype: DELETE. A trigger for each statement stands at a table above alone. Whoever may use a publication gets
// deletions, and no dropped table.
const EACH: &str = "WITH sent(relid) AS (SELECT c.oid FROM pg_publication_tables t \
     JOIN pg_namespace n ON n.nspname = t.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename) \
     SELECT n.nspname::text, c.relname::text, c.oid::text, pg_get_expr(c.relpartbound, c.oid)::text, \
     greatest(c.reltuples, 0)::int8, c.relkind = 'r', pg_has_role(c.relowner, 'USAGE'), \
     EXISTS (SELECT 1 FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = ANY (k.self)), \
     EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = ANY (k.self) AND NOT g.tgisinternal AND g.tgenabled <> 'D' \
     AND (g.tgtype & 8) <> 0) OR EXISTS (SELECT 1 FROM pg_rewrite r WHERE r.ev_class = ANY (k.self) \
     AND r.ev_type = '4' AND r.ev_enabled <> 'D'), \
     EXISTS (SELECT 1 FROM sent s WHERE s.relid = ANY (k.self)) \
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
     CROSS JOIN LATERAL (SELECT array_agg(a.relid::oid) AS self FROM (SELECT c.oid::regclass AS relid \
     UNION SELECT relid FROM pg_partition_ancestors(c.oid)) a) k \
     WHERE i.inhparent = $1::text::oid ORDER BY n.nspname, c.relname";

#[async_trait]
impl Partitions for PostgresDialect {
    async fn of(&self, session: &mut dyn Session, table: &TableName) -> Result<Partitioned, SqlFault> {
        let schema = table.schema.as_deref().unwrap_or(&self.schema);
        let values = vec![Scalar::Text(schema.into()), Scalar::Text(table.name.clone())];
        let head = session.rows(&Statement { text: HEAD.into(), values }).await?;
        let Some(head) = head.first() else { return Ok(Partitioned::default()) };
        let values = head.iter().take(1).cloned().collect();
        let rows = session.rows(&Statement { text: EACH.into(), values }).await?;
        let by = head.get(1).and_then(Scalar::as_text).map(String::from);
        Ok(Partitioned { by, each: rows.iter().map(one).collect() })
    }

    fn one_moment(&self) -> Statement {
        Statement::plain("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    }

    fn versions(&self, partition: &TableName) -> Statement {
        // Where a row stands and who wrote it name one version of it: a place is only used again by somebody else.
        let of = "hashtextextended(ctid::text || '/' || xmin::text, 0)";
        let table = self.table(partition);
        Statement::plain(format!("SELECT count(*), coalesce(sum({of}), 0)::text FROM ONLY {table}"))
    }

    fn hold(&self, table: &TableName, partition: &TableName, patience: Duration) -> Vec<Statement> {
        let (table, partition) = (self.table(table), self.table(partition));
        [
            format!("SET LOCAL lock_timeout = {}", patience.as_millis()),
            // Beside it nobody adds a trigger or a foreign key.
            format!("LOCK TABLE ONLY {table} IN ROW EXCLUSIVE MODE"),
            format!("LOCK TABLE ONLY {partition} IN SHARE MODE"),
        ]
        .map(Statement::plain)
        .into()
    }

    fn drop(&self, partition: &TableName) -> Statement {
        Statement::plain(format!("DROP TABLE {}", self.table(partition)))
    }

    fn before(&self, column: &Column) -> String {
        let ty = match column.class {
            TypeClass::Date => "date",
            TypeClass::DateTime => "timestamp",
            _ => "timestamptz",
        };
        format!("($1::text::{ty} - interval '1 microsecond')::{ty}")
    }
}

fn one(row: &Row) -> OnePartition {
    let bounds = text(row, 3);
    let reasons = [
        (
            !flag(row, 6),
            "does not belong to the account, so the account can't drop it",
            "give it to the account: ALTER TABLE .. OWNER TO .. (its owner may do anything with its rows)",
        ),
        (flag(row, 7), "is referred to by a foreign key", "take out `drop-partitions`, or the foreign key"),
        (
            flag(row, 8),
            "has a trigger or a rule for deletions, which a drop would not start",
            "take out `drop-partitions`, or the trigger",
        ),
        (
            flag(row, 9),
            "is published to another server, which would keep the rows of a dropped partition",
            "take out `drop-partitions`, or take the table out of the publication",
        ),
    ];
    let hindered = reasons.into_iter().find(|(holds, ..)| *holds).map(|(_, why, remedy)| (why, remedy));
    OnePartition {
        name: TableName { schema: Some(text(row, 0)), name: text(row, 1) },
        is: format!("{} {bounds}", text(row, 2)),
        upto: upto(&bounds),
        rows: row.get(4).and_then(|value| value.show().parse().ok()).unwrap_or(0),
        plain: flag(row, 5),
        hindered,
    }
}

/// The end of a range that ends at a moment.
fn upto(bounds: &str) -> Option<String> {
    let end = bounds.split_once(" TO ('")?.1.strip_suffix("')")?;
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | '+' | ' ');
    (!end.is_empty() && end.chars().all(plain)).then(|| end.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_at_a_moment_or_it_has_no_end() {
        let end = |text: &str| upto(text);
        assert_eq!(end("FOR VALUES FROM ('2019-01-01') TO ('2019-02-01')").as_deref(), Some("2019-02-01"));
        assert_eq!(
            end("FOR VALUES FROM (MINVALUE) TO ('2019-02-01 00:00:00+00')").as_deref(),
            Some("2019-02-01 00:00:00+00")
        );
        for none in [
            "DEFAULT",
            "FOR VALUES FROM ('2019-01-01') TO (MAXVALUE)",
            "FOR VALUES FROM ('2019-01-01') TO ('infinity')",
            "FOR VALUES FROM ('0044-01-01 BC') TO ('0043-01-01 BC')",
            "FOR VALUES IN ('2019-02-01')",
            "FOR VALUES FROM ('2019-01-01', 1) TO ('2019-02-01', 1)",
            "",
        ] {
            assert_eq!(end(none), None, "{none}");
        }
    }
}

//! What a column of PostgreSQL makes of a value: it is cast to the column's own type, a domain with its conditions.

use super::catalogue::text;
use super::dialect::{PostgresDialect, quoted};
use crate::connect::sql::catalogue::Column;
use crate::connect::sql::engine::{Dialect, Session, SqlFault, Statement};
use crate::connect::sql::reads_back::{ReadsBack, in_schema, passes, question};
use crate::domain::selection::TableName;
use crate::domain::value::Scalar;

/// The type of a column as it was declared, and each condition of its table that speaks of it alone.
const DECLARED: &str = "SELECT format_type(a.atttypid, a.atttypmod), pg_get_expr(k.conbin, k.conrelid) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum] \
     WHERE n.nspname = $1::text AND c.relname = $2::text AND a.attname = $3::text";

pub(super) async fn reads_back(
    session: &mut dyn Session,
    dialect: &PostgresDialect,
    table: &TableName,
    column: &Column,
    value: &Scalar,
) -> Result<ReadsBack, SqlFault> {
    // A cast cuts off what is too long; writing refuses it, but for blanks at the end.
    let length = value.as_text().map_or(0, |text| text.trim_end_matches(' ').chars().count() as u64);
    if column.max_chars.is_some_and(|most| length > most) {
        return Ok(ReadsBack::Refused);
    }
    let (schema, name) = in_schema(table, &dialect.schema);
    let values = [schema, name, &column.name].map(|text| Scalar::Text(text.into())).to_vec();
    let declared = session.rows(&Statement { text: DECLARED.into(), values }).await?;
    let Some(ty) = declared.first().map(|row| text(row, 0)) else { return Ok(ReadsBack::CannotTell) };
    let named = quoted(&column.name);
    let about = |what: &str| {
        let bound = dialect.bound(1, column);
        format!("SELECT {what} FROM (SELECT CAST(CAST({bound} AS {}) AS {ty}) AS {named}) alike", column.ty)
    };
    let told = question(session, &about(&dialect.read(&named, column)), value).await?;
    if matches!(told, ReadsBack::As(_)) {
        for check in declared.iter().map(|row| text(row, 1)).filter(|check| !check.is_empty()) {
            if !passes(session, &about(&format!("({check}) IS NOT FALSE")), value).await? {
                return Ok(ReadsBack::Refused);
            }
        }
    }
    Ok(told)
}

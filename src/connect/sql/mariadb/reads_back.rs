//! What a column of MariaDB makes of a value: a variable of the column's own type is asked, under our strict mode.

use super::dialect::{MariaDialect, quoted};
use crate::connect::sql::catalogue::Column;
use crate::connect::sql::engine::{Dialect, Session, SqlFault, Statement};
use crate::connect::sql::reads_back::{ReadsBack, about_the_value, in_schema, passes, question};
use crate::domain::selection::TableName;
use crate::domain::value::Scalar;

/// Conditions that stand behind a column, which may speak of that column alone (`JSON` is a text with such a one).
const CHECKS: &str = "SELECT CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS \
     WHERE CONSTRAINT_SCHEMA = ?1t AND TABLE_NAME = ?2t AND LEVEL = 'Column' AND CONSTRAINT_NAME = ?3t";

pub(super) async fn reads_back(
    session: &mut dyn Session,
    database: &str,
    table: &TableName,
    column: &Column,
    value: &Scalar,
) -> Result<ReadsBack, SqlFault> {
    let (schema, name) = in_schema(table, database);
    let variable = quoted(&column.name);
    // The variable has the column's name, so that a condition on the column is one on the variable.
    let about = |what: &str| {
        let of = format!("{}.{}.{variable}", quoted(schema), quoted(name));
        let bound = MariaDialect.bound(1, column);
        format!("BEGIN NOT ATOMIC DECLARE {variable} TYPE OF {of} DEFAULT {bound}; SELECT {what}; END")
    };
    let told = question(session, &about(&variable), value).await?;
    if !matches!(told, ReadsBack::As(_)) {
        return Ok(told);
    }
    let values = [schema, name, &column.name].map(|text| Scalar::Text(text.into())).to_vec();
    let checks = match session.rows(&Statement { text: CHECKS.into(), values }).await {
        // Older servers have no such list.
        Err(found) if about_the_value(&found) => Vec::new(),
        other => other?,
    };
    for check in &checks {
        let check = super::catalogue::text(check, 0);
        if !passes(session, &about(&format!("({check})")), value).await? {
            return Ok(ReadsBack::Refused);
        }
    }
    Ok(told)
}

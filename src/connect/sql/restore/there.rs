//! What stands in the tables now: where a row that went stood, where a rewritten one stands, what a row refers to.

use super::{Fitting, Not, Restorer, Stands, note};
use crate::connect::Back;
use crate::connect::sql::catalogue::{Column, TypeClass};
use crate::connect::sql::engine::{FaultKind, Row, Session, SqlFault, Statement};
use crate::connect::sql::keep::{Whole, WholeRow, Written, row_key};
use crate::domain::outcome::Restored;
use crate::domain::value::Scalar;

impl Restorer<'_> {
    /// Whether each reference of an item that is back leads to a row: what a deferred foreign key would ask at COMMIT.
    pub(super) async fn refers_somewhere(&self, session: &mut dyn Session, whole: &Whole) -> Result<(), Not> {
        if let Some(ask) = self.engine.ask_deferred() {
            session.execute(&ask).await?;
            return Ok(());
        }
        let rows = whole.rows.iter().map(|row| (&row.table, &row.columns, &row.values));
        let writes = whole.writes.iter().map(|write| (&write.table, &write.columns, &write.before));
        for (name, columns, values) in rows.chain(writes) {
            let table = self.tables.get(name).ok_or(Not::Misfit)?;
            let value = |column: &String| columns.iter().position(|one| one == column).and_then(|at| values.get(at));
            for key in &table.references {
                let by: Option<Vec<Scalar>> = key.columns.iter().map(|column| value(column).cloned()).collect();
                // With a NULL in it, it refers to nothing; and columns that were not written refer as they did.
                let Some(by) = by.filter(|by| !by.iter().any(Scalar::is_null)) else { continue };
                let Some(target) = self.engine.table(session, &key.target).await? else { continue };
                let to: Option<Vec<&Column>> = key.target_columns.iter().map(|column| target.column(column)).collect();
                let Some(to) = to else { continue };
                let fitting = Fitting { table: &target, columns: to.clone(), key: to };
                if self.select(session, &fitting, &by).await?.is_empty() {
                    return Err(SqlFault { kind: FaultKind::Constraint, code: "a deferred foreign key".into() }.into());
                }
            }
        }
        Ok(())
    }

    pub(super) async fn is_there(&self, session: &mut dyn Session, row: &WholeRow) -> Result<bool, Not> {
        Ok(self.there(session, row).await?.contains(&row.values))
    }

    /// The rows that stand where this one stood, locked: by its key, or where there is none by all its values.
    pub(super) async fn there(&self, session: &mut dyn Session, row: &WholeRow) -> Result<Vec<Row>, Not> {
        let fitting = self.fitting(&row.table, &row.columns, &row.key)?;
        if !row.key.is_empty() {
            return Ok(self.select(session, &fitting, &row_key(row).0).await?);
        }
        // What has no `=` of its own (json, xml, a point) is compared as the text that we read of it.
        let (dialect, as_text) = (self.dialect(), as_text());
        let mut by = Vec::new();
        let mut values = Vec::new();
        for (column, value) in fitting.columns.iter().copied().zip(&row.values) {
            if !matches!(value, Scalar::Int(_) | Scalar::Text(_)) {
                continue;
            }
            let name = dialect.name(&column.name);
            by.push(match column.class {
                TypeClass::Json | TypeClass::Other => (dialect.read(&name, column), &as_text),
                _ => (name, column),
            });
            values.push(value.clone());
        }
        Ok(self.select_by(session, &fitting, &by, &values).await?)
    }

    async fn select(
        &self,
        session: &mut dyn Session,
        fitting: &Fitting<'_>,
        key: &[Scalar],
    ) -> Result<Vec<Row>, SqlFault> {
        let name = |column: &&'_ Column| self.dialect().name(&column.name);
        let names: Vec<(String, &Column)> = fitting.key.iter().map(|column| (name(column), *column)).collect();
        self.select_by(session, fitting, &names, key).await
    }

    async fn select_by(
        &self,
        session: &mut dyn Session,
        fitting: &Fitting<'_>,
        names: &[(String, &Column)],
        key: &[Scalar],
    ) -> Result<Vec<Row>, SqlFault> {
        let dialect = self.dialect();
        let read = |column: &&Column| dialect.read(&dialect.name(&column.name), column);
        let items: Vec<String> = fitting.columns.iter().map(read).collect();
        let condition =
            if names.is_empty() { String::new() } else { format!(" WHERE {}", dialect.key_in(names, 1, 1)) };
        let text = format!(
            "SELECT {} FROM {}{condition}{}",
            items.join(", "),
            dialect.table(&fitting.table.name),
            dialect.lock()
        );
        session.rows(&Statement { text, values: key.to_vec() }).await
    }

    pub(super) async fn stands(&self, session: &mut dyn Session, write: &Written) -> Result<Stands, Not> {
        let fitting = self.fitting(&write.table, &write.columns, &write.key)?;
        let rows = self.select(session, &fitting, &write.row.0).await?;
        Ok(match rows.first() {
            Some(row) if *row == write.after => Stands::Final,
            Some(row) if *row == write.before => Stands::Before,
            _ => Stands::Other,
        })
    }

    /// Whether each item is back; nothing is written.
    pub(in crate::connect::sql) async fn look_all(
        &self,
        session: &mut dyn Session,
        wholes: &[Whole],
    ) -> Result<Vec<Back>, SqlFault> {
        let mut backs = Vec::with_capacity(wholes.len());
        for whole in wholes {
            backs.push(match self.look(session, whole).await {
                Ok(back) => back,
                Err(Not::Conflict) => Back::all(Restored::Conflict),
                Err(Not::Misfit) => Back::all(Restored::Failed),
                Err(Not::Sql(found)) => return Err(found),
            });
        }
        Ok(backs)
    }

    async fn look(&self, session: &mut dyn Session, whole: &Whole) -> Result<Back, Not> {
        if !self.missing(session, &whole.rows).await?.is_empty() {
            return Ok(Back::all(Restored::Failed));
        }
        let mut back = Back::all(Restored::Restored);
        for write in &whole.writes {
            let stands = self.stands(session, write).await?;
            note(&mut back, write, stands, Restored::Failed);
        }
        Ok(back)
    }
}

/// A column of text, for values that are compared as text.
fn as_text() -> Column {
    Column {
        name: String::new(),
        ty: "text".into(),
        class: TypeClass::Text,
        nullable: true,
        generated: false,
        max_chars: None,
        set_by_updates: false,
        collation: None,
    }
}

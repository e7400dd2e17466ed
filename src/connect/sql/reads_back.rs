//! What the engine gives back of what a recipe writes: `0` in a column of two decimals comes back as `0.00`.
//!
//! What comes back in another form is never in final form: the record would be found again at each run, written again,
//! and refused by the look behind the writing. So the engine is asked before, without writing to the table.

use chrono::DateTime;

use super::catalogue::{Column, Table, TypeClass};
use super::engine::{Dialect, Engine, FaultKind, Session, SqlFault};
use super::relate::NodeAction;
use super::resolve::{Faults, Resolved, part_path};
use crate::codes;
use crate::connect::Severity;
use crate::domain::digest::MacKey;
use crate::domain::recipe::{Recipe, RecipeContext};
use crate::domain::rule::{Action, Rule};
use crate::domain::selection::TableName;
use crate::domain::value::{Key, Scalar};

/// What became of a value in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadsBack {
    /// It reads back as this.
    As(Scalar),
    /// The column does not take it.
    Refused,
    /// This server can't be asked without writing to the table.
    CannotTell,
}

impl ReadsBack {
    /// What an answer means: `reads` reads a value back, `neutral` is the same question about NULL, which every column
    /// type takes. Who refuses that too did not understand the question.
    pub(super) fn of(reads: Result<Scalar, SqlFault>, neutral: Result<Scalar, SqlFault>) -> Result<Self, SqlFault> {
        match (reads, neutral) {
            // A value that became NULL was not taken either.
            (Ok(Scalar::Null), _) => Ok(Self::Refused),
            (Ok(value), _) => Ok(Self::As(value)),
            (Err(found), _) if !about_the_value(&found) => Err(found),
            (Err(_), Err(found)) if found.kind != FaultKind::Constraint => Ok(Self::CannotTell),
            (Err(_), _) => Ok(Self::Refused),
        }
    }
}

/// What a recipe gave, as it is written to a column: the text of a column of bytes is bytes.
pub(super) fn as_written(column: &Column, value: &Scalar) -> Scalar {
    match (column.class, value) {
        (TypeClass::Binary, Scalar::Text(text)) => Scalar::Bytes(text.as_bytes().to_vec()),
        (_, value) => value.clone(),
    }
}

/// Whether a fault may be about the value that was asked about, and not about the server or the way to it.
pub(super) fn about_the_value(found: &SqlFault) -> bool {
    matches!(found.kind, FaultKind::Constraint | FaultKind::Schema | FaultKind::Other | FaultKind::ReadOnly)
}

/// One field that a recipe writes.
pub(super) struct Field<'r> {
    pub(super) table: &'r Table,
    pub(super) column: &'r Column,
    pub(super) recipe: &'r Recipe,
    /// The recipe's path in the policy.
    pub(super) at: String,
}

/// Asks the engine about every recipe of a rule that writes a text of its own.
pub(super) async fn ask(
    engine: &dyn Engine,
    session: &mut dyn Session,
    pseudonym: &MacKey,
    rule: &Rule,
    resolved: &Resolved,
    faults: &mut Faults,
) -> Result<(), SqlFault> {
    let key = Key(vec![Scalar::Int(1)]);
    for field in fields(rule, resolved) {
        // What is wrong with it already says enough.
        if faults.findings.iter().any(|one| one.severity == Severity::Fault && one.at == field.at) {
            continue;
        }
        let now = moment(engine.dialect(), field.column);
        let context = RecipeContext { key: &key, record: &[], pseudonym, now: &now };
        let Some(text) = writes(field.recipe, &context) else { continue };
        let value = as_written(field.column, &Scalar::Text(text.clone()));
        let told = engine.reads_back(session, &field.table.name, field.column, &value).await?;
        let back = match told {
            ReadsBack::CannotTell => continue,
            ReadsBack::Refused => None,
            ReadsBack::As(back) if field.recipe.is_final(&back, &context) => continue,
            ReadsBack::As(back) => Some(back),
        };
        let remedy = match (field.recipe, &back) {
            (Recipe::Fixed(_), Some(back)) => instead(engine, session, &field, back).await?,
            _ => None,
        };
        tell(&field, &text, back.as_ref(), remedy.as_deref(), faults);
    }
    Ok(())
}

/// Every field that a rule rewrites, of its records and of their child rows.
pub(super) fn fields<'r>(rule: &'r Rule, resolved: &'r Resolved) -> Vec<Field<'r>> {
    let field = |table: &'r Table, then: &str, one: &'r (Column, Recipe)| Field {
        table,
        column: &one.0,
        recipe: &one.1,
        at: format!("{then}.anonymise.{}", one.0.name),
    };
    let mut out = Vec::new();
    for (part, fields) in rule.parts.iter().zip(&resolved.parts) {
        if let Action::Anonymise(_) = part.action {
            let then = format!("{}.then", part_path(rule, part));
            out.extend(fields.iter().map(|one| field(&resolved.table, &then, one)));
        }
    }
    for node in &resolved.nodes {
        if let NodeAction::Anonymise(fields) = &node.action {
            let then = format!("{}.then", node.at(rule));
            out.extend(fields.iter().map(|one| field(&node.table, &then, one)));
        }
    }
    out
}

/// Any moment, as a marker writes it.
fn moment(dialect: &dyn Dialect, column: &Column) -> String {
    dialect.moment(DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default(), column).show()
}

/// The text that a recipe writes over any value; `None` where it writes nothing of its own.
fn writes(recipe: &Recipe, context: &RecipeContext<'_>) -> Option<String> {
    let over = match recipe {
        Recipe::Fixed(_) | Recipe::Template(_) | Recipe::Pseudonym { .. } => Scalar::Bytes(vec![0]),
        Recipe::Marker => Scalar::Null,
        Recipe::Null | Recipe::Truncate(_) | Recipe::Json(_) | Recipe::PhpSerialised(_) => return None,
    };
    recipe.apply(&over, context).ok()?.as_text().map(String::from)
}

/// The text to write instead, where there is one that stays as it is.
async fn instead(
    engine: &dyn Engine,
    session: &mut dyn Session,
    field: &Field<'_>,
    back: &Scalar,
) -> Result<Option<String>, SqlFault> {
    let text = match back {
        Scalar::Bytes(bytes) => String::from_utf8(bytes.clone()).ok(),
        other => Some(other.show()),
    };
    let Some(text) = text.filter(|text| !text.chars().any(char::is_control)) else { return Ok(None) };
    let value = as_written(field.column, &Scalar::Text(text.clone()));
    let (key, pseudonym) = (Key(Vec::new()), MacKey::new(&[0; 32]));
    let context = RecipeContext { key: &key, record: &[], pseudonym: &pseudonym, now: "" };
    let stays = match engine.reads_back(session, &field.table.name, field.column, &value).await? {
        ReadsBack::As(again) => Recipe::Fixed(text.clone()).is_final(&again, &context),
        ReadsBack::Refused | ReadsBack::CannotTell => false,
    };
    Ok(stays.then_some(text))
}

fn tell(field: &Field<'_>, text: &str, back: Option<&Scalar>, instead: Option<&str>, faults: &mut Faults) {
    let named = format!("`{}`.`{}` (`{}`)", field.table.name.name, field.column.name, field.column.ty);
    let what = if matches!(field.recipe, Recipe::Fixed(_)) { format!("{text:?}") } else { "what it writes".into() };
    let Some(back) = back else {
        let text = format!("{named} does not take {what}");
        let remedy = "write a value of the column's type and size, or \"null\"";
        return faults.fault(codes::VALUE_REFUSED, &field.at, text, remedy);
    };
    let back = match (back, field.recipe) {
        (Scalar::Bytes(bytes), Recipe::Fixed(_)) => format!("as {} bytes that differ", bytes.len()),
        (back, Recipe::Fixed(_)) => format!("as {:?}", back.show()),
        _ => "in another form".into(),
    };
    let text = format!("{named} gives {what} back {back}: the record would be found and written again at each run");
    let remedy = match instead {
        Some(instead) => format!("write {instead:?}"),
        None => "write a value that the column keeps as it is, or \"null\"".into(),
    };
    faults.fault(codes::VALUE_ALTERED, &field.at, text, &remedy);
}

/// A question about a value that is bound, and about NULL in its place, for engines with a statement for it.
pub(super) async fn question(session: &mut dyn Session, text: &str, value: &Scalar) -> Result<ReadsBack, SqlFault> {
    let mut ask = async |value: Scalar| {
        let statement = super::engine::Statement { text: text.to_string(), values: vec![value] };
        let rows = session.rows(&statement).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or(Scalar::Null))
    };
    let reads = ask(value.clone()).await;
    let neutral = if reads.is_err() { ask(Scalar::Null).await } else { Ok(Scalar::Null) };
    ReadsBack::of(reads, neutral)
}

/// Whether the conditions that a column's table has on this column alone let a value pass; those that can't be asked
/// about are left to the engine.
pub(super) async fn passes(session: &mut dyn Session, text: &str, value: &Scalar) -> Result<bool, SqlFault> {
    let statement = super::engine::Statement { text: text.to_string(), values: vec![value.clone()] };
    match session.rows(&statement).await {
        Ok(rows) => Ok(rows.first().and_then(|row| row.first()) != Some(&Scalar::Int(0))),
        Err(found) if about_the_value(&found) => Ok(true),
        Err(found) => Err(found),
    }
}

/// The name of a table that is asked about.
pub(super) fn in_schema<'t>(name: &'t TableName, schema: &'t str) -> (&'t str, &'t str) {
    (name.schema.as_deref().unwrap_or(schema), &name.name)
}

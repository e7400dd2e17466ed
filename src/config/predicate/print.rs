//! A predicate for people: every bracket written, so that nobody must know what binds first.

use sqlparser::ast::Expr;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::Dialect;
use crate::domain::predicate::{Literal, Predicate};

/// The predicate as text in a dialect; [`super::parse`] reads it back as the same predicate.
pub fn print(predicate: &Predicate, dialect: Dialect) -> String {
    match predicate {
        Predicate::And(all) => joined(all, " AND ", dialect),
        Predicate::Or(all) => joined(all, " OR ", dialect),
        Predicate::Not(inner) => match inner.as_ref() {
            Predicate::IsNull(column) => format!("{} IS NOT NULL", name(column, dialect)),
            inner => format!("NOT ({})", print(inner, dialect)),
        },
        Predicate::Compare { column, op, with } => format!("{} {} {}", name(column, dialect), op.sql(), literal(with)),
        Predicate::In { column, values } => {
            let values: Vec<String> = values.iter().map(literal).collect();
            format!("{} IN ({})", name(column, dialect), values.join(", "))
        }
        Predicate::Like { column, pattern } => format!("{} LIKE {}", name(column, dialect), text(pattern)),
        Predicate::IsNull(column) => format!("{} IS NULL", name(column, dialect)),
        Predicate::Related { relation, matching: None } => format!("related({})", name(relation, dialect)),
        Predicate::Related { relation, matching: Some(matching) } => {
            format!("related({}, {})", name(relation, dialect), print(matching, dialect))
        }
    }
}

fn joined(all: &[Predicate], word: &str, dialect: Dialect) -> String {
    all.iter().map(|one| format!("({})", print(one, dialect))).collect::<Vec<_>>().join(word)
}

fn literal(literal: &Literal) -> String {
    match literal {
        Literal::Text(value) => text(value),
        Literal::Number(number) => number.clone(),
        Literal::Bool(flag) => if *flag { "TRUE" } else { "FALSE" }.to_string(),
    }
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn name(name: &str, dialect: Dialect) -> String {
    if is_plain(name, dialect) {
        return name.to_string();
    }
    let quote = if dialect == Dialect::Mariadb { "`" } else { "\"" };
    format!("{quote}{}{quote}", name.replace(quote, &quote.repeat(2)))
}

/// Whether a name means itself without quotes, in every place that a condition has for it.
fn is_plain(name: &str, dialect: Dialect) -> bool {
    let shape = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && name.starts_with(|c: char| c.is_ascii_lowercase());
    let whole = |text: String| {
        let mut parser = Parser::new(dialect.parser()).try_with_sql(&text).ok()?;
        let parsed = parser.parse_expr().ok()?;
        (parser.peek_token().token == Token::EOF).then_some(parsed)
    };
    // In brackets, for some words begin a subquery only there.
    let inner = |text: String| match whole(text) {
        Some(Expr::Nested(inner)) => Some(*inner),
        _ => None,
    };
    let itself = |expr: &Expr| matches!(expr, Expr::Identifier(found) if found.value == name);
    shape
        && matches!(inner(format!("({name} = 1)")), Some(Expr::BinaryOp { left, .. }) if itself(&left))
        && matches!(inner(format!("({name} IN (1))")), Some(Expr::In { expr, .. }) if itself(&expr))
        && matches!(inner(format!("({name} LIKE 'x')")), Some(Expr::Like { expr, .. }) if itself(&expr))
        && matches!(inner(format!("({name} IS NULL)")), Some(Expr::IsNull(expr)) if itself(&expr))
        && matches!(whole(format!("related({name}, {name} = 1)")), Some(Expr::Function(_)))
        && matches!(whole(format!("NOT ({name} = 1)")), Some(Expr::UnaryOp { .. }))
}

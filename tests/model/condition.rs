//! Conditions of a `where`: their text in the policy, and what the model says of a row in SQL's three values.

use std::cmp::Ordering;

use super::engines::Engine;
use super::schema::{Row, Table};
use super::value::{Kind, Value, compare, like};

/// A literal of a condition.
#[derive(Debug, Clone)]
pub(crate) enum Literal {
    Int(i64),
    /// A half more than this.
    Half(i64),
    Text(String),
    Bool(bool),
}

/// One condition.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Compare(String, &'static str, Literal),
    /// The literal first.
    Turned(Literal, &'static str, String),
    In(String, Vec<Literal>, bool),
    Between(String, Literal, Literal, bool),
    Like(String, String, bool),
    Null(String, bool),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Related(String, Option<Box<Condition>>),
}

impl Literal {
    fn text(&self) -> String {
        match self {
            Self::Int(number) => number.to_string(),
            Self::Half(number) => format!("{number}.5"),
            Self::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Self::Bool(flag) => flag.to_string().to_uppercase(),
        }
    }

    /// How a value stands to this literal.
    fn against(&self, engine: Engine, kind: Kind, value: &Value) -> Option<Ordering> {
        let number = |value: &Value| if let Value::Int(number) = value { Some(*number) } else { None };
        match self {
            Self::Int(with) => number(value).map(|number| number.cmp(with)),
            Self::Half(with) => number(value).map(|number| (2 * i128::from(number)).cmp(&(2 * i128::from(*with) + 1))),
            Self::Bool(with) => number(value).map(|number| number.cmp(&i64::from(*with))),
            Self::Text(with) => {
                let midnight = kind == Kind::DateTime && engine != Engine::Sqlite && with.len() == 10;
                let with = if midnight { format!("{with} 00:00:00") } else { with.clone() };
                compare(engine, kind, value, &Value::Text(with))
            }
        }
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

impl Condition {
    /// As the policy writes it.
    pub(crate) fn text(&self) -> String {
        let all = |all: &[Self], word: &str| all.iter().map(Self::bracketed).collect::<Vec<_>>().join(word);
        match self {
            Self::Compare(column, op, with) => format!("{column} {op} {}", with.text()),
            Self::Turned(with, op, column) => format!("{} {op} {column}", with.text()),
            Self::In(column, values, negated) => {
                let values: Vec<String> = values.iter().map(Literal::text).collect();
                format!("{column} {}IN ({})", not(*negated), values.join(", "))
            }
            Self::Between(column, low, high, negated) => {
                format!("{column} {}BETWEEN {} AND {}", not(*negated), low.text(), high.text())
            }
            Self::Like(column, pattern, negated) => {
                format!("{column} {}LIKE '{}'", not(*negated), pattern.replace('\'', "''"))
            }
            Self::Null(column, negated) => format!("{column} IS {}NULL", not(*negated)),
            Self::And(parts) => all(parts, " AND "),
            Self::Or(parts) => all(parts, " OR "),
            Self::Not(inner) => format!("NOT {}", inner.bracketed()),
            Self::Related(table, None) => format!("related({table})"),
            Self::Related(table, Some(inner)) => format!("related({table}, {})", inner.text()),
        }
    }

    fn bracketed(&self) -> String {
        match self {
            Self::And(_) | Self::Or(_) | Self::Not(_) | Self::Between(..) => format!("({})", self.text()),
            _ => self.text(),
        }
    }
}

/// Where conditions are judged: the engine, and which rows are related to a record by the name of their table.
pub(crate) struct Judge<'a> {
    pub(crate) engine: Engine,
    pub(crate) related: &'a dyn Fn(&str, &Row, Option<&Condition>) -> bool,
}

impl Judge<'_> {
    /// True, false, or neither where a NULL leaves it open.
    pub(crate) fn holds(&self, condition: &Condition, table: &Table, row: &Row) -> Option<bool> {
        let all = |parts: &[Condition]| -> Vec<Option<bool>> {
            parts.iter().map(|part| self.holds(part, table, row)).collect()
        };
        let flip = |answer: Option<bool>, negated: bool| answer.map(|answer| answer != negated);
        match condition {
            Condition::Compare(column, op, with) => self.compared(table, row, column, op, with),
            Condition::Turned(with, op, column) => {
                let turned = match *op {
                    "<" => ">",
                    ">" => "<",
                    "<=" => ">=",
                    ">=" => "<=",
                    same => same,
                };
                self.compared(table, row, column, turned, with)
            }
            Condition::In(column, values, negated) => {
                let any: Vec<Option<bool>> =
                    values.iter().map(|with| self.compared(table, row, column, "=", with)).collect();
                flip(either(&any), *negated)
            }
            Condition::Between(column, low, high, negated) => {
                let both =
                    [self.compared(table, row, column, ">=", low), self.compared(table, row, column, "<=", high)];
                flip(every(&both), *negated)
            }
            Condition::Like(column, pattern, negated) => {
                let kind = table.kind(column);
                let answer = match &row[column] {
                    Value::Text(text) => Some(like(self.engine, kind, text, pattern)),
                    _ => None,
                };
                flip(answer, *negated)
            }
            Condition::Null(column, negated) => Some((row[column] == Value::Null) != *negated),
            Condition::And(parts) => every(&all(parts)),
            Condition::Or(parts) => either(&all(parts)),
            Condition::Not(inner) => flip(self.holds(inner, table, row), true),
            Condition::Related(name, inner) => Some((self.related)(name, row, inner.as_deref())),
        }
    }

    fn compared(&self, table: &Table, row: &Row, column: &str, op: &str, with: &Literal) -> Option<bool> {
        let order = with.against(self.engine, table.kind(column), &row[column])?;
        Some(match op {
            "=" => order.is_eq(),
            "<>" => order.is_ne(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            ">=" => order.is_ge(),
            other => panic!("no operator: {other}"),
        })
    }
}

fn every(answers: &[Option<bool>]) -> Option<bool> {
    if answers.contains(&Some(false)) { Some(false) } else { answers.iter().all(Option::is_some).then_some(true) }
}

fn either(answers: &[Option<bool>]) -> Option<bool> {
    if answers.contains(&Some(true)) { Some(true) } else { answers.iter().all(Option::is_some).then_some(false) }
}

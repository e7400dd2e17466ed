//! The meaning of a `where`: one boolean expression over the columns of one table.
//!
//! Configuration parses the text into this tree, a connector prints the tree with every bracket, and the text itself
//! never reaches a server. A literal's kind must fit its column (see `config::predicate` and the catalogue check), for
//! an implicit cast can select more than was meant.

use serde::{Deserialize, Serialize};

/// A boolean expression. NULL has SQL's meaning: a comparison with it is unknown, and unknown is not selected.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Predicate {
    /// All must hold.
    And(Vec<Predicate>),
    /// One must hold.
    Or(Vec<Predicate>),
    /// It must not hold (and must not be unknown).
    Not(Box<Predicate>),
    /// `column op literal`.
    Compare {
        /// The column.
        column: String,
        /// How it is compared.
        op: Comparison,
        /// With what.
        with: Literal,
    },
    /// `column IN (...)`; never empty.
    In {
        /// The column.
        column: String,
        /// The values.
        values: Vec<Literal>,
    },
    /// `column LIKE 'pattern'` with `%` and `_`.
    Like {
        /// The column.
        column: String,
        /// The pattern, in the server's own meaning of LIKE without an escape character.
        pattern: String,
    },
    /// `column IS NULL`.
    IsNull(String),
    /// A row exists in a declared relation of the rule, and `matching` holds there.
    Related {
        /// The name of the relation (a table declared as child or clock of the rule).
        relation: String,
        /// A further condition on the related row.
        matching: Option<Box<Predicate>>,
    },
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparison {
    /// `=`
    #[serde(rename = "=")]
    Equal,
    /// `<>`
    #[serde(rename = "<>")]
    NotEqual,
    /// `<`
    #[serde(rename = "<")]
    Less,
    /// `<=`
    #[serde(rename = "<=")]
    LessOrEqual,
    /// `>`
    #[serde(rename = ">")]
    Greater,
    /// `>=`
    #[serde(rename = ">=")]
    GreaterOrEqual,
}

impl Comparison {
    /// The operator as SQL writes it.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// A literal of the policy's own text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Literal {
    /// Text, or a date or time in quotes.
    Text(String),
    /// A whole or decimal number, as written.
    Number(String),
    /// TRUE or FALSE.
    Bool(bool),
}

impl Predicate {
    /// Calls `visit` with each column of the rule's own table and the literals it is compared with.
    pub fn visit_columns<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &[&'a Literal])) {
        match self {
            Self::And(all) | Self::Or(all) => all.iter().for_each(|one| one.visit_columns(visit)),
            Self::Not(one) => one.visit_columns(visit),
            Self::Compare { column, with, .. } => visit(column, &[with]),
            Self::In { column, values } => visit(column, &values.iter().collect::<Vec<_>>()),
            Self::Like { column, .. } | Self::IsNull(column) => visit(column, &[]),
            Self::Related { .. } => {}
        }
    }

    /// Calls `visit` with each relation that the predicate asks for.
    pub fn visit_relations<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Option<&'a Predicate>)) {
        match self {
            Self::And(all) | Self::Or(all) => all.iter().for_each(|one| one.visit_relations(visit)),
            Self::Not(one) => one.visit_relations(visit),
            Self::Related { relation, matching } => visit(relation, matching.as_deref()),
            Self::Compare { .. } | Self::In { .. } | Self::Like { .. } | Self::IsNull(_) => {}
        }
    }
}

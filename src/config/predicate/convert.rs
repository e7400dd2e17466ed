//! The allow-list: from the parser's tree to ours.

use std::ops::Range;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, InTarget, ObjectNamePart,
    Spanned, UnaryOperator, Value,
};

use super::{Dialect, Fault, Relations, shown};
use crate::config::shape::nearest;
use crate::domain::predicate::{Comparison, Literal, Predicate};

pub(super) fn predicate(
    text: &str,
    expression: &Expr,
    dialect: Dialect,
    relations: &Relations,
) -> Result<Predicate, Vec<Fault>> {
    let mut converter = Converter { text, dialect, relations, faults: Vec::new() };
    match converter.condition(expression) {
        Some(predicate) if converter.faults.is_empty() => Ok(predicate),
        _ => {
            if converter.faults.is_empty() {
                converter.refuse::<()>(expression, "this is not allowed in a condition", "not on the list", HELP);
            }
            Err(converter.faults)
        }
    }
}

pub(super) const HELP: &str =
    "allowed: column = 'text' (also <> < <= > >=), IN, BETWEEN, LIKE, IS NULL, AND, OR, NOT, brackets, related(table)";

/// The byte at a line and column of the tokenizer, both from 1, counted in characters.
pub(super) fn offset(text: &str, line: u64, column: u64) -> usize {
    let (line, column) = (usize::try_from(line).unwrap_or(1).max(1), usize::try_from(column).unwrap_or(1).max(1));
    let start = match line {
        1 => 0,
        line => text.match_indices('\n').nth(line - 2).map_or(text.len(), |(at, _)| at + 1),
    };
    let rest = text.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at)
}

/// The end of a stretch with its closing brackets, which the parser's own spans leave out.
fn closed(text: &str, start: usize, mut end: usize) -> usize {
    let rest = |end: usize| text.get(end..).unwrap_or_default();
    if rest(end).starts_with("()") {
        end += 2;
    }
    let inner = text.get(start..end).unwrap_or_default();
    let open = inner.matches('(').count().saturating_sub(inner.matches(')').count());
    for _ in 0..open {
        if rest(end).starts_with(')') {
            end += 1;
        }
    }
    end
}

pub(super) struct Converter<'a> {
    text: &'a str,
    dialect: Dialect,
    relations: &'a Relations,
    faults: Vec<Fault>,
}

impl Converter<'_> {
    fn span(&self, expression: &Expr) -> Range<usize> {
        let span = expression.span();
        if span.start.line == 0 || span.end.line == 0 {
            return 0..self.text.len();
        }
        let start = offset(self.text, span.start.line, span.start.column);
        let end = offset(self.text, span.end.line, span.end.column);
        if start < end { start..closed(self.text, start, end) } else { 0..self.text.len() }
    }

    pub(super) fn refuse<T>(&mut self, expression: &Expr, text: &str, label: &str, help: &str) -> Option<T> {
        let span = self.span(expression);
        self.faults.push(Fault::new(span, text, label, help));
        None
    }

    fn condition(&mut self, expression: &Expr) -> Option<Predicate> {
        match expression {
            Expr::Nested(inner) => self.condition(inner),
            Expr::BinaryOp { op: BinaryOperator::And, .. } => {
                self.chain(expression, &BinaryOperator::And).map(Predicate::And)
            }
            Expr::BinaryOp { op: BinaryOperator::Or, .. } => {
                self.chain(expression, &BinaryOperator::Or).map(Predicate::Or)
            }
            Expr::BinaryOp { left, op, right } => self.comparison(expression, left, op, right),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => self.condition(expr).map(negate),
            Expr::IsNull(inner) => self.column(inner).map(Predicate::IsNull),
            Expr::IsNotNull(inner) => self.column(inner).map(Predicate::IsNull).map(negate),
            Expr::In { expr, target: InTarget::List(list), negated, .. } => {
                let column = self.column(expr);
                let values: Vec<Option<Literal>> = list.iter().map(|one| self.literal(one)).collect();
                let values: Vec<Literal> = values.into_iter().collect::<Option<_>>()?;
                if values.is_empty() {
                    return self.refuse(expression, "IN without values selects nothing", "empty", HELP);
                }
                Some(negate_if(*negated, Predicate::In { column: column?, values }))
            }
            Expr::Between { expr, negated, low, high } => {
                let column = self.column(expr);
                let (low, high) = (self.literal(low), self.literal(high));
                let (column, low, high) = (column?, low?, high?);
                let from = Predicate::Compare { column: column.clone(), op: Comparison::GreaterOrEqual, with: low };
                let to = Predicate::Compare { column, op: Comparison::LessOrEqual, with: high };
                Some(negate_if(*negated, Predicate::And(vec![from, to])))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                let column = self.column(expr);
                let pattern = self.pattern(pattern);
                Some(negate_if(*negated, Predicate::Like { column: column?, pattern: pattern? }))
            }
            Expr::Function(function) => self.related(expression, function),
            other => self.refuse_other(other),
        }
    }

    /// `a AND b AND c` without recursion along the left, however long.
    fn chain(&mut self, expression: &Expr, wanted: &BinaryOperator) -> Option<Vec<Predicate>> {
        let mut parts = Vec::new();
        let mut rest = expression;
        while let Expr::BinaryOp { left, op, right } = rest
            && op == wanted
        {
            parts.push(right.as_ref());
            rest = left;
        }
        parts.push(rest);
        let found: Vec<Option<Predicate>> = parts.into_iter().rev().map(|part| self.condition(part)).collect();
        found.into_iter().collect()
    }

    fn comparison(&mut self, whole: &Expr, left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Predicate> {
        let op = match op {
            BinaryOperator::Eq => Comparison::Equal,
            BinaryOperator::NotEq => Comparison::NotEqual,
            BinaryOperator::Lt => Comparison::Less,
            BinaryOperator::LtEq => Comparison::LessOrEqual,
            BinaryOperator::Gt => Comparison::Greater,
            BinaryOperator::GtEq => Comparison::GreaterOrEqual,
            _ => {
                let label = "this operator is not on the list";
                return self.refuse(whole, "only comparisons of a column with a literal are allowed", label, HELP);
            }
        };
        let (left, right) = (bare(left), bare(right));
        if is_double_quoted(left) != is_double_quoted(right) && self.dialect != Dialect::Mariadb {
            let (column, quoted) = if is_double_quoted(left) { (right, left) } else { (left, right) };
            if is_column(column) {
                return self.literal(quoted).and(None);
            }
        }
        match (is_column(left), is_column(right)) {
            (true, true) => {
                let help = "compare with a value: status = 'closed'; text stands in single quotes, and a column beside a column has no fixed meaning";
                self.refuse(whole, "a column is compared with a column", "two columns", help)
            }
            (true, false) => {
                let (column, with) = (self.column(left), self.literal(right));
                Some(Predicate::Compare { column: column?, op, with: with? })
            }
            (false, true) => {
                let (column, with) = (self.column(right), self.literal(left));
                Some(Predicate::Compare { column: column?, op: mirrored(op), with: with? })
            }
            (false, false) => {
                let strange = if is_literal(left) { right } else { left };
                if is_literal(strange) {
                    let help = "a condition that is the same for every row selects all of them or none: name a column";
                    return self.refuse(whole, "a literal is compared with a literal", "no column in it", help);
                }
                self.refuse_other(strange)
            }
        }
    }

    fn column(&mut self, expression: &Expr) -> Option<String> {
        match bare(expression) {
            Expr::Identifier(name) if name.value.is_empty() => {
                let help = "write a column between the quotes; empty text is ''";
                self.refuse(expression, "a column without a name", "empty", help)
            }
            Expr::Identifier(name) => Some(self.name(name)),
            Expr::CompoundIdentifier(names) => {
                let last = names.last().map(|name| name.value.clone()).unwrap_or_default();
                let help = format!("a condition is about one table; write the column alone: {}", shown(&last));
                self.refuse(expression, "a column with a table before it", "of which table?", &help)
            }
            other if is_literal(other) => self.refuse(
                other,
                "a value where a column is expected",
                "not a column",
                "write the column first: status = 'closed'",
            ),
            other => self.refuse_other(other),
        }
    }

    /// A name as the server's catalogue has it: PostgreSQL folds what is not quoted.
    fn name(&self, name: &Ident) -> String {
        if self.dialect == Dialect::Postgres && name.quote_style.is_none() {
            name.value.to_lowercase()
        } else {
            name.value.clone()
        }
    }

    fn literal(&mut self, expression: &Expr) -> Option<Literal> {
        let expression = bare(expression);
        match expression {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) => Some(Literal::Text(text.clone())),
                Value::Number(number, false) if is_plain_number(number) => Some(Literal::Number(number.clone())),
                Value::Boolean(flag) => Some(Literal::Bool(*flag)),
                Value::Null => {
                    let help = "a comparison with NULL is never true: write column IS NULL, or column IS NOT NULL";
                    self.refuse(expression, "NULL is no value to compare with", "never equal to anything", help)
                }
                Value::DoubleQuotedString(text) => {
                    let help = format!("write '{}'", shown(text));
                    self.refuse(expression, "text stands in single quotes", "double quotes", &help)
                }
                _ => {
                    let help = "write text as 'text', numbers as 12 or 12.50, and TRUE or FALSE";
                    self.refuse(
                        expression,
                        "this kind of literal is not allowed",
                        "not plain text, number, TRUE or FALSE",
                        help,
                    )
                }
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
                Expr::Value(value) => match &value.value {
                    Value::Number(number, false) if is_plain_number(number) => {
                        Some(Literal::Number(format!("-{number}")))
                    }
                    _ => self.refuse_other(expression),
                },
                _ => self.refuse_other(expression),
            },
            Expr::Identifier(name) if name.quote_style == Some('"') => {
                let help = format!("write '{}'; double quotes are for names of columns", shown(&name.value));
                self.refuse(expression, "text stands in single quotes", "double quotes", &help)
            }
            other if is_column(other) => self.refuse(
                other,
                "a column where a value is expected",
                "not a value",
                "text stands in single quotes: status = 'closed'",
            ),
            other => self.refuse_other(other),
        }
    }

    fn pattern(&mut self, expression: &Expr) -> Option<String> {
        match self.literal(expression)? {
            Literal::Text(text) if text.contains('\\') => {
                let help =
                    "% stands for any text and _ for one character; a pattern with an escape character is not allowed";
                self.refuse(
                    expression,
                    "a backslash in a pattern means something else on each server",
                    "backslash",
                    help,
                )
            }
            Literal::Text(text) => Some(text),
            Literal::Number(_) | Literal::Bool(_) => {
                self.refuse(expression, "LIKE takes text", "not text", "write column LIKE 'begin%'")
            }
        }
    }

    /// `related(table)` and `related(table, condition)`.
    fn related(&mut self, whole: &Expr, function: &Function) -> Option<Predicate> {
        let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else {
            return self.refuse_function(whole, "");
        };
        let plain = function.filter.is_none() && function.over.is_none() && function.within_group.is_empty();
        let FunctionArguments::List(list) = &function.args else { return self.refuse_function(whole, &name.value) };
        if !name.value.eq_ignore_ascii_case("related") || !plain || !list.clauses.is_empty() {
            return self.refuse_function(whole, &name.value);
        }
        let mut arguments = list.args.iter().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
            _ => None,
        });
        let (table, matching, more) = (arguments.next().flatten(), arguments.next(), arguments.next());
        let (Some(table), None) = (table, more) else {
            let help = "write related(orders), or related(orders, status = 'open')";
            return self.refuse(whole, "related(..) takes a table and at most one condition", "here", help);
        };
        let relation = self.relation(table)?;
        let matching = match matching {
            None => None,
            Some(Some(condition)) => Some(Box::new(self.matching(condition)?)),
            Some(None) => return self.refuse_other(whole),
        };
        Some(Predicate::Related { relation, matching })
    }

    fn relation(&mut self, expression: &Expr) -> Option<String> {
        let name = match expression {
            Expr::Identifier(name) => self.name(name),
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
                _ => return self.refuse_other(expression),
            },
            other => return self.refuse_other(other),
        };
        if self.relations.has(&name) {
            return Some(name);
        }
        let text = format!("`{}` is not declared as a related table of this rule", shown(&name));
        let help = match nearest(&name, self.relations.0.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None if self.relations.0.is_empty() => {
                "declare it first: under children, since.newest or protect, with the columns that refer to the record"
                    .into()
            }
            None => format!("declared are: {}; others under children, since.newest or protect", self.relations.names()),
        };
        self.refuse(expression, &text, "not declared", &help)
    }

    /// A condition on the related row: as it stands, or in quotes.
    fn matching(&mut self, expression: &Expr) -> Option<Predicate> {
        let quoted = match expression {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Some(text),
                _ => None,
            },
            Expr::Identifier(name) if name.quote_style == Some('"') => Some(&name.value),
            _ => None,
        };
        let none = Relations::none();
        let result = match quoted {
            Some(text) => super::parse(text, self.dialect, &none).map_err(|faults| {
                let span = self.span(expression);
                faults.into_iter().map(|fault| Fault { span: span.clone(), ..fault }).collect()
            }),
            None => predicate(self.text, expression, self.dialect, &none),
        };
        match result {
            Ok(predicate) => Some(predicate),
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        }
    }
}

fn negate(predicate: Predicate) -> Predicate {
    Predicate::Not(Box::new(predicate))
}

fn negate_if(negated: bool, predicate: Predicate) -> Predicate {
    if negated { negate(predicate) } else { predicate }
}

/// Without brackets around it.
fn bare(mut expression: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expression {
        expression = inner;
    }
    expression
}

fn is_column(expression: &Expr) -> bool {
    matches!(expression, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

fn is_double_quoted(expression: &Expr) -> bool {
    matches!(expression, Expr::Identifier(name) if name.quote_style == Some('"'))
}

fn is_literal(expression: &Expr) -> bool {
    match expression {
        Expr::Value(_) => true,
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => matches!(expr.as_ref(), Expr::Value(_)),
        _ => false,
    }
}

fn is_plain_number(number: &str) -> bool {
    number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && number.starts_with(|c: char| c.is_ascii_digit())
        && number.ends_with(|c: char| c.is_ascii_digit())
}

fn mirrored(op: Comparison) -> Comparison {
    match op {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same @ (Comparison::Equal | Comparison::NotEqual) => same,
    }
}

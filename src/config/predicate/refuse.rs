//! What is refused, and what to write instead.

use sqlparser::ast::Expr;

use super::convert::{Converter, HELP};

impl Converter<'_> {
    pub(super) fn refuse_function<T>(&mut self, whole: &Expr, name: &str) -> Option<T> {
        let help = match name.to_ascii_lowercase().as_str() {
            "now" | "curdate" | "date" | "date_sub" | "datediff" | "julianday" | "current_timestamp"
            | "unix_timestamp" => "how old something must be is the rule's `since` and `keep`, not part of its `where`",
            "lower" | "upper" | "trim" => {
                "compare the column itself: what counts as equal is its collation's; or list the spellings: role IN ('admin', 'Admin')"
            }
            "coalesce" | "ifnull" | "isnull" => "write it out: (column = 'x' OR column IS NULL)",
            _ => "compare a column itself with a value; a row of another table: related(orders)",
        };
        self.refuse(whole, "functions are not allowed in a condition", "a function", help)
    }

    pub(super) fn refuse_other<T>(&mut self, expression: &Expr) -> Option<T> {
        let (text, label, help) = match expression {
            Expr::Subquery(_) | Expr::In { .. } | Expr::Exists { .. } => (
                "subqueries are not allowed in a condition",
                "a subquery",
                "declare the table under children, since.newest or protect and write related(orders) or related(orders, status = 'open')",
            ),
            Expr::Cast { .. } | Expr::Convert { .. } => (
                "casts are not allowed in a condition",
                "a cast",
                "compare with a literal of the column's own kind: text in single quotes, numbers without",
            ),
            Expr::TypedString(_) | Expr::Interval(_) => (
                "a date is written as text here",
                "with a type before it",
                "write created_at < '2020-01-01'; how old it must be is the rule's `since` and `keep`",
            ),
            Expr::Like { .. } | Expr::ILike { .. } | Expr::SimilarTo { .. } | Expr::RLike { .. } => (
                "only LIKE with % and _ is allowed",
                "another kind of pattern",
                "write column LIKE 'begin%'; without ESCAPE",
            ),
            Expr::IsTrue(_) | Expr::IsNotTrue(_) | Expr::IsFalse(_) | Expr::IsNotFalse(_) => (
                "IS TRUE and IS FALSE are not allowed",
                "a comparison",
                "write column = TRUE, or column = FALSE OR column IS NULL",
            ),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => (
                "a column alone is no condition",
                "compared with what?",
                "write what it must be: active = TRUE, active = 1 or active IS NOT NULL",
            ),
            Expr::Value(_) => (
                "a value alone is no condition",
                "no column in it",
                "name a column: status = 'closed'; leave `where` out to mean every row",
            ),
            Expr::BinaryOp { .. } | Expr::UnaryOp { .. } => {
                ("arithmetic is not allowed in a condition", "computed", "compare the column itself with a value")
            }
            Expr::Case { .. } => ("CASE is not allowed in a condition", "CASE", "write it out with AND and OR"),
            Expr::Function(function) => return self.refuse_function(expression, &function.name.to_string()),
            _ => ("this is not allowed in a condition", "not on the list", HELP),
        };
        self.refuse(expression, text, label, help)
    }
}

//! Random conditions.

use super::calendar::{Term, after, show};
use super::condition::{Condition, Literal};
use super::draw::{Draw, SORTS};
use super::schema::Table;
use super::value::Kind;

const OPERATORS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

fn day(draw: &mut Draw) -> Literal {
    let back = Term { months: -draw.between(0, 60), days: draw.between(-20, 20) };
    let day = show(after(draw.today, back));
    Literal::Text(if draw.chance(50) { day } else { format!("{day} 12:00:00") })
}

fn literal(draw: &mut Draw, column: &str, kind: Kind) -> Literal {
    match (column, kind) {
        ("num", _) if draw.chance(20) => Literal::Half(draw.between(-3, 12).max(0)),
        ("num", _) => Literal::Int(draw.between(-3, 12)),
        ("flag", _) if draw.engine == super::engines::Engine::Mariadb => Literal::Int(draw.between(0, 1)),
        ("flag", _) => Literal::Bool(draw.chance(50)),
        ("seen", _) => day(draw),
        ("name", _) => Literal::Text(draw.pick(&["Jan Jansen", "[removed]", "d'Artagnan", ""]).into()),
        _ => Literal::Text(draw.pick(&SORTS).into()),
    }
}

/// A condition on one column.
fn leaf(draw: &mut Draw, table: &Table) -> Condition {
    let all = ["sort", "sort", "num", "num", "flag", "seen", "name"];
    let here: Vec<&str> =
        all.into_iter().filter(|name| table.columns.iter().any(|column| column.name == *name)).collect();
    let column = draw.pick(&here).to_string();
    let kind = table.kind(&column);
    let negated = draw.chance(30);
    match draw.below(10) {
        0 => Condition::Null(column, negated),
        1 | 2 if column != "flag" => {
            let values = (0..=draw.below(3)).map(|_| literal(draw, &column, kind)).collect();
            Condition::In(column, values, negated)
        }
        3 if matches!(column.as_str(), "num" | "seen" | "sort") => {
            let (low, high) = (literal(draw, &column, kind), literal(draw, &column, kind));
            Condition::Between(column, low, high, negated)
        }
        4..=6 if column == "sort" => {
            let pattern = draw.pick(&["cust%", "%s%", "VIP_", "a_b", "%'%", "1__%", "zo%", "", "%", "_%P"]);
            Condition::Like(column, pattern.to_string(), negated)
        }
        7 => Condition::Turned(literal(draw, &column, kind), operator(draw, &column), column),
        _ => Condition::Compare(column.clone(), operator(draw, &column), literal(draw, &column, kind)),
    }
}

fn operator(draw: &mut Draw, column: &str) -> &'static str {
    // Two are enough for true and false.
    if matches!(column, "flag") { draw.pick(&["=", "<>"]) } else { draw.pick(&OPERATORS) }
}

/// A condition of one table.
pub(crate) fn simple(draw: &mut Draw, table: &Table) -> Condition {
    joined(draw, &|draw| leaf(draw, table), 1)
}

/// A condition on records, which may ask for related rows.
pub(crate) fn condition(draw: &mut Draw, root: &Table, tables: &[Table], askable: &[String]) -> Condition {
    let one = |draw: &mut Draw| {
        if askable.is_empty() || !draw.chance(25) {
            return leaf(draw, root);
        }
        let name = draw.pick(askable);
        let table = tables.iter().find(|table| table.name == name).unwrap();
        let inner = draw.chance(50).then(|| Box::new(simple(draw, table)));
        Condition::Related(name, inner)
    };
    joined(draw, &one, 2)
}

fn joined(draw: &mut Draw, one: &dyn Fn(&mut Draw) -> Condition, depth: u64) -> Condition {
    if depth == 0 || draw.chance(45) {
        let leaf = one(draw);
        return if draw.chance(15) { Condition::Not(Box::new(leaf)) } else { leaf };
    }
    let parts = (0..2 + draw.below(2)).map(|_| joined(draw, one, depth - 1)).collect();
    match draw.below(5) {
        0 | 1 => Condition::And(parts),
        2 | 3 => Condition::Or(parts),
        _ => Condition::Not(Box::new(Condition::Or(parts))),
    }
}

//! PHP-serialised values (`a:1:{s:5:"email";s:4:"jan@";}`), rewritten with the right lengths.
//!
//! The format counts bytes, and refers to values by their number in the order of the text (`R:2;`). So a member that is
//! replaced by one of another size leaves all else byte for byte, and the references behind it are numbered anew. What
//! can't be read to its last byte, or would leave a reference without its value, is refused.

mod read;
#[cfg(test)]
mod tests;

use super::recipe::{RecipeFault, Step, decimal, truth};
use super::value::Scalar;
use read::{Kind, Name, Node};

/// Edits the members that the path leads to; `None` when nothing changes.
pub(super) fn edit(
    bytes: &[u8],
    path: &[Step],
    member: &dyn Fn(&Scalar) -> Result<Scalar, RecipeFault>,
) -> Result<Option<Vec<u8>>, RecipeFault> {
    let nodes = read::read(bytes).ok_or(RecipeFault::NotSerialised)?;
    let mut edits: Vec<Option<Vec<u8>>> = vec![None; nodes.len()];
    for place in find(&nodes, path) {
        let Some(node) = nodes.get(place) else { continue };
        let raw = bytes.get(node.span.clone()).unwrap_or_default();
        let value = scalar(node, raw);
        let after = member(&value)?;
        if after != value
            && let Some(slot) = edits.get_mut(place)
        {
            *slot = Some(write(&after, node.kind)?);
        }
    }
    if edits.iter().all(Option::is_none) {
        return Ok(None);
    }
    let numbers = renumber(&nodes, &edits).ok_or(RecipeFault::NotSerialised)?;
    assemble(bytes, &nodes, &edits, &numbers).ok_or(RecipeFault::NotSerialised).map(Some)
}

/// The places of the nodes that the path leads to.
fn find(nodes: &[Node], path: &[Step]) -> Vec<usize> {
    if path.is_empty() {
        return Vec::new();
    }
    let mut at = vec![0];
    for step in path {
        let fits = |name: &Name| match (step, name) {
            (Step::All, _) => true,
            (Step::Index(wanted), Name::Number(number)) => i64::try_from(*wanted) == Ok(*number),
            (Step::Index(_), Name::Text(_)) => false,
            (Step::Name(wanted), Name::Number(number)) => *wanted == number.to_string(),
            (Step::Name(wanted), Name::Text(name)) => wanted.as_bytes() == name,
        };
        at = at
            .into_iter()
            .flat_map(|parent| members(nodes, parent))
            .filter(|child| nodes.get(*child).and_then(|node| node.name.as_ref()).is_some_and(fits))
            .collect();
    }
    at
}

fn members(nodes: &[Node], parent: usize) -> Vec<usize> {
    let end = nodes.get(parent).map_or(0, |node| node.end);
    let next = |place: &usize| nodes.get(*place).map(|node| node.end).filter(|place| *place < end);
    std::iter::successors(Some(parent + 1).filter(|place| *place < end), next).collect()
}

/// A container or a reference is bytes: a recipe may replace it and can't read it.
fn scalar(node: &Node, raw: &[u8]) -> Scalar {
    let body = || String::from_utf8_lossy(raw.get(2..raw.len().saturating_sub(1)).unwrap_or_default()).into_owned();
    match node.kind {
        Kind::Null => Scalar::Null,
        Kind::Bool => Scalar::Typed { ty: "boolean".into(), text: body() },
        Kind::Int => body().parse().map_or_else(|_| Scalar::Bytes(raw.to_vec()), Scalar::Int),
        Kind::Float => Scalar::Typed { ty: "number".into(), text: body() },
        Kind::Text { start, end } => {
            let from = node.span.start;
            let bytes = raw.get(start - from..end - from).unwrap_or_default().to_vec();
            String::from_utf8(bytes).map_or_else(|error| Scalar::Bytes(error.into_bytes()), Scalar::Text)
        }
        Kind::Array | Kind::Object | Kind::Custom | Kind::Enum | Kind::Same(_) | Kind::SameObject(_) => {
            Scalar::Bytes(raw.to_vec())
        }
    }
}

/// A member in PHP's form; of the kind that it had, where the text allows it.
fn write(value: &Scalar, before: Kind) -> Result<Vec<u8>, RecipeFault> {
    let text = match value {
        Scalar::Null => return Ok(b"N;".to_vec()),
        Scalar::Text(text) | Scalar::Typed { text, .. } => text,
        Scalar::Int(_) | Scalar::UInt(_) | Scalar::Real(_) | Scalar::Bytes(_) => return Err(RecipeFault::Kind),
    };
    let same_kind = match before {
        Kind::Bool => truth(text).map(|truth| format!("b:{};", u8::from(truth))),
        Kind::Int => decimal(text).and_then(|text| text.parse::<i64>().ok()).map(|number| format!("i:{number};")),
        Kind::Float => decimal(text).map(|text| format!("d:{text};")),
        _ => None,
    };
    Ok(same_kind.unwrap_or_else(|| format!("s:{}:\"{text}\";", text.len())).into_bytes())
}

/// What number each old number has afterwards, and whether its value was replaced. `None`: the numbers move, and there
/// are objects that number their own contents where nobody can see it.
fn renumber(nodes: &[Node], edits: &[Option<Vec<u8>>]) -> Option<Vec<Option<(usize, bool)>>> {
    // Numbers begin at 1.
    let mut numbers = vec![None; nodes.len() + 1];
    let (mut next, mut place, mut moved) = (1, 0, false);
    while let Some(node) = nodes.get(place) {
        let replaced = edits.get(place).is_some_and(Option::is_some);
        if let Some(number) = node.number {
            moved |= number != next;
            *numbers.get_mut(number)? = Some((next, replaced));
        }
        if node.number.is_some() || replaced {
            next += 1;
        }
        place = if replaced { node.end } else { place + 1 };
    }
    let before = nodes.iter().filter(|node| node.number.is_some()).count();
    moved |= next != before + 1;
    (!moved || nodes.iter().all(|node| node.kind != Kind::Custom)).then_some(numbers)
}

fn assemble(
    bytes: &[u8],
    nodes: &[Node],
    edits: &[Option<Vec<u8>>],
    numbers: &[Option<(usize, bool)>],
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut from, mut place) = (0, 0);
    while let Some(node) = nodes.get(place) {
        let text = match (edits.get(place).and_then(Option::as_ref), node.kind) {
            (Some(text), _) => text.clone(),
            (None, Kind::Same(number)) => format!("R:{};", numbers.get(number).copied()??.0).into_bytes(),
            (None, Kind::SameObject(number)) => match numbers.get(number).copied()?? {
                // It may only refer to an object, and that is gone.
                (_, true) => return None,
                (number, false) => format!("r:{number};").into_bytes(),
            },
            (None, _) => {
                place += 1;
                continue;
            }
        };
        out.extend_from_slice(bytes.get(from..node.span.start)?);
        out.extend_from_slice(&text);
        from = node.span.end;
        place = node.end;
    }
    out.extend_from_slice(bytes.get(from..)?);
    Some(out)
}

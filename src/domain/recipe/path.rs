//! Paths to the members of a document: `a.b[0].c`, `items[*].email`, `meta["x.y"]`.

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The member, key or property of this name.
    Name(String),
    /// The element at this place (JSON, from 0) or under this number (PHP).
    Index(u64),
    /// All members or elements.
    All,
}

/// Reads a path; `None` where it is none: it is empty, or has an empty step or a bracket that does not close.
pub fn parse_path(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (step, after) = if let Some(inside) = rest.strip_prefix('[') {
            bracket(inside)?
        } else {
            let (name, after) = rest.split_at_checked(rest.find(['.', '[']).unwrap_or(rest.len()))?;
            (named(name)?, after)
        };
        steps.push(step);
        rest = match after.strip_prefix('.') {
            // A dot promises another name.
            Some(next) if next.is_empty() || next.starts_with('[') => return None,
            Some(next) => next,
            None if after.is_empty() || after.starts_with('[') => after,
            None => return None,
        };
    }
    (!steps.is_empty()).then_some(steps)
}

fn named(name: &str) -> Option<Step> {
    match name {
        "*" => Some(Step::All),
        "" => None,
        name if name.contains(']') => None,
        name => Some(Step::Name(name.to_string())),
    }
}

fn bracket(inside: &str) -> Option<(Step, &str)> {
    if let Some(quoted) = inside.strip_prefix('"') {
        let (name, after) = quoted.split_once("\"]")?;
        return Some((Step::Name(name.to_string()), after));
    }
    let (place, after) = inside.split_once(']')?;
    match place {
        "*" => Some((Step::All, after)),
        number if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
            Some((Step::Index(number.parse().ok()?), after))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_or_refused() {
        let name = |text: &str| Step::Name(text.into());
        assert_eq!(parse_path("a.b[0].c"), Some(vec![name("a"), name("b"), Step::Index(0), name("c")]));
        assert_eq!(parse_path("*"), Some(vec![Step::All]));
        assert_eq!(parse_path("items[*].e-mail"), Some(vec![name("items"), Step::All, name("e-mail")]));
        assert_eq!(parse_path("[\"a.b\"][1]"), Some(vec![name("a.b"), Step::Index(1)]));
        assert_eq!(parse_path("naïef.ключ"), Some(vec![name("naïef"), name("ключ")]));
        for bad in ["", ".", "a.", ".a", "a..b", "a[", "a]", "a[x]", "a[]", "a[0]b", "a.[0]", "a[-1]", "[\"a]"] {
            assert_eq!(parse_path(bad), None, "{bad}");
        }
    }
}

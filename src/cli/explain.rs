//! `bewaard explain CODE`.

use super::args::Explain;
use super::out::Out;
use super::{Ended, Failure, exit};
use crate::codes::{self, Code};
use crate::report::json::SCHEMA;
use crate::report::words;

pub(super) fn run(wish: &Explain, out: Out) -> Ended {
    let Some(id) = &wish.code else {
        if out.json {
            let all: Vec<_> = codes::ALL.iter().map(|code| one(code)).collect();
            out.value(&serde_json::json!({ "schema": SCHEMA, "codes": all }))?;
            return Ok(exit::DONE);
        }
        for code in codes::ALL {
            out.line(format!("{}  {}", code.id, code.title))?;
        }
        return Ok(exit::DONE);
    };
    let code = codes::find(id).ok_or_else(|| {
        Failure::new(exit::USAGE, format!("there is no code `{}`; `bewaard explain` lists them all", words::safe(id)))
    })?;
    if out.json {
        let mut value = one(code);
        value["schema"] = SCHEMA.into();
        out.value(&value)?;
    } else {
        out.line(format!("{}: {}\n\n{}", code.id, code.title, wrap(code.explain, 92)))?;
    }
    Ok(exit::DONE)
}

fn one(code: &Code) -> serde_json::Value {
    serde_json::json!({ "code": code.id, "title": code.title, "explain": code.explain })
}

fn wrap(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut();
        match last {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines.join("\n")
}

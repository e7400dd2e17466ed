//! Any text as a policy: it is read, or every fault is told with its place; nothing of it reaches a terminal.

use std::path::Path;

use bewaard::config::load::load_text;
use bewaard::config::{Diagnostics, Loaded};

use super::input::Input;

const FILE: &str = "/policy/bewaard.toml";

pub(super) fn run(data: &[u8]) {
    let text = Input::new(data).text();
    let (first, second) = (load(&text), load(&text));
    match (&first, &second) {
        (Ok(one), Ok(two)) => {
            assert_eq!(meaning(one), meaning(two), "the same text gives the same policy");
            assert_eq!(one.settings, two.settings, "the same text gives the same settings");
            assert!(!one.warnings.has_faults(), "a policy with a fault is not used");
            is_told_well(&one.warnings, &text);
            as_on_another_system(&text, one);
            places_are_found(one);
        }
        (Err(one), Err(two)) => {
            assert_eq!(one.render(false, 100), two.render(false, 100), "the same text gives the same faults");
            assert!(one.has_faults(), "a text that is no policy has a fault");
            is_told_well(one, &text);
        }
        _ => panic!("the same text is a policy, and is none"),
    }
}

fn load(text: &str) -> Result<Loaded, Diagnostics> {
    load_text(Path::new(FILE), text)
}

/// All that a policy says.
fn meaning(loaded: &Loaded) -> String {
    format!("{:?}", loaded.policy)
}

/// Each has its place, and its drawing holds nothing that a terminal obeys.
pub(super) fn is_told_well(told: &Diagnostics, text: &str) {
    for one in told {
        let place = one.show_place().expect("a diagnostic says where");
        assert!(place.starts_with('/'), "{place}");
        if let Some((line, column)) = place.rsplit_once(':').and_then(|(file, column)| {
            let (_, line) = file.rsplit_once(':')?;
            Some((line.parse::<usize>().ok()?, column.parse::<usize>().ok()?))
        }) {
            assert!(line >= 1 && line <= text.lines().count().max(1) + 1, "line {line}");
            assert!(column >= 1 && column <= text.chars().count() + 1, "column {column}");
        }
        assert!(!one.text.is_empty() && !one.code.id.is_empty());
    }
    for width in [40, 100] {
        let drawn = told.render(false, width);
        assert_eq!(drawn.is_empty(), told.is_empty(), "what there is to tell is drawn");
        obeyed_by_no_terminal(&drawn);
    }
    assert_eq!(told.to_json().as_array().map(Vec::len), Some(told.len()));
}

/// No control character but the end of a line, and nothing that turns the order of letters round.
pub(super) fn obeyed_by_no_terminal(drawn: &str) {
    let obeyed = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if let Some(found) = drawn.chars().find(|c| obeyed(*c)) {
        panic!("a drawing holds {found:?}:\n{}", drawn.escape_debug());
    }
}

/// A byte order mark and other line ends change nothing.
fn as_on_another_system(text: &str, loaded: &Loaded) {
    if text.contains('\r') || text.starts_with('\u{feff}') {
        return;
    }
    let other = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let other = load(&other).unwrap_or_else(|faults| panic!("not a policy with other line ends: {faults}"));
    assert_eq!(meaning(loaded), meaning(&other), "the same policy with other line ends");
}

/// What a live system shows is drawn under the key that a rule or system is written with.
fn places_are_found(loaded: &Loaded) {
    let rules = loaded.policy.rules.keys().map(|id| format!("rule.{id}"));
    for at in rules.chain(loaded.policy.systems.keys().map(|id| format!("system.{id}"))) {
        let place = loaded.sources.show(&at).unwrap_or_else(|| panic!("{at} has no place"));
        assert!(place.starts_with(FILE), "{place}");
    }
}

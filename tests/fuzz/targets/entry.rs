//! Any text as a line of the journal: it is refused, or reads the same whichever way it is asked.

use bewaard::audit::entry::{Body, Entry, is_marked_by, segment_of};
use bewaard::audit::journal::index_of;
use bewaard::domain::digest::MacKey;

use super::input::Input;

pub(super) fn run(data: &[u8]) {
    let text = Input::new(data).text();
    is_read_once(&text);
    // Nearly no text is canonical by chance.
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
        is_read_once(&value.to_string());
    }
}

fn is_read_once(line: &str) {
    let ours = [MacKey::new(&[1; 32]), MacKey::new(&[2; 32])];
    assert!(!is_marked_by(line, &ours), "a line that we did not write bears our mark");
    let Ok(entry) = Entry::read(line) else { return };
    assert!(!line.contains('\n'), "an entry of several lines");
    let value: serde_json::Value = serde_json::from_str(line).expect("an entry is JSON");
    assert_eq!(value.to_string(), line, "not canonical");
    assert_eq!(index_of(line.as_bytes()), Some(entry.index));
    let _ = segment_of(entry.time);
    if matches!(entry.body, Body::Unknown(_)) {
        return;
    }
    let written = entry.line().expect("what was read can be written");
    assert_eq!(Entry::read(&written).as_ref(), Ok(&entry), "{written} does not read back");
    let marked = entry.marked_line(&ours[0]).expect("what was read can be written");
    assert!(is_marked_by(&marked, &ours) && !is_marked_by(&marked, &ours[1..]), "{marked}");
    assert_eq!(Entry::read(&marked).as_ref(), Ok(&entry), "{marked} does not read back");
    assert!(!is_marked_by(&marked.replacen(":1", ":2", 1), &ours) || !marked.contains(":1"), "an altered line");
}

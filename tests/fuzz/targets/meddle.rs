//! Changes to files, one after the other as an input chooses them: what a disk, an editor, a restored backup, and
//! somebody who knows the formats and has no key of ours would do.

use bewaard::audit::heads::Head;
use bewaard::audit::note::{Checkpoint, Note};
use bewaard::audit::tile;
use bewaard::audit::tree::leaf_hash;
use serde_json::Value;

use super::input::Input;
use super::place::Files;
use super::story::{ORIGIN, signer};
use super::tree::root;

/// More changes than these say nothing more.
const MOST: usize = 12;
/// Names under which a file may come in.
const NAMES: [&str; 14] = [
    "log/journal/2026-Q4.jsonl",
    "log/journal/2027-Q1.jsonl",
    "log/journal/2026-Q3.jsonl",
    "log/journal/2027-Q2.jsonl",
    "log/journal/2026-Q4.jsonl~",
    "log/heads",
    "log/checkpoint",
    "log/tile/0/000.p/3",
    "log/tile/0/000",
    "log/tile/entries/000.p/3",
    "log/more",
    "state/last-head",
    "state/frontier.json",
    "state/publishing-from",
];
/// What a field of an entry may be changed to.
const VALUES: [&str; 10] =
    ["0", "1", "7", "true", "null", "\"changed\"", "\"withheld\"", "\"init\"", "\"replaced\"", "\"2027-Q1\""];

/// Changes files; `earlier` are the same files as they were before.
pub(super) fn meddle(files: &mut Files, earlier: &[Files], input: &mut Input<'_>) {
    for _ in 0..MOST {
        if input.is_empty() {
            return;
        }
        let what = input.byte() % 18;
        // Where nothing is left, something may still come in.
        let name = files.keys().nth(input.below(files.len())).cloned().unwrap_or_else(|| NAMES[5].into());
        match what {
            0..=9 => bytes_of(files.entry(name).or_default(), what, input),
            10 => drop(files.remove(&name)),
            11 => {
                let to = (*input.one_of(&NAMES)).to_string();
                files.insert(to, files.get(&name).cloned().unwrap_or_default());
            }
            12 => drop(files.insert((*input.one_of(&NAMES)).into(), input.counted().to_vec())),
            13 if !earlier.is_empty() => {
                files.remove(&name);
                files.extend(input.one_of(earlier).get(&name).map(|bytes| (name, bytes.clone())));
            }
            14 if !earlier.is_empty() => {
                let (then, below) = (input.one_of(earlier), *input.one_of(&["log/", "state/", ""]));
                files.retain(|name, _| !name.starts_with(below));
                files.extend(
                    then.iter().filter(|(name, _)| name.starts_with(below)).map(|(n, b)| (n.clone(), b.clone())),
                );
            }
            15 => rewritten(files.entry(name).or_default(), input),
            16 => tiles_of_the_journal(files),
            17 => signed_again(files, input.flag()),
            _ => {}
        }
    }
}

/// What happens to bytes and lines.
fn bytes_of(bytes: &mut Vec<u8>, what: u8, input: &mut Input<'_>) {
    let at = input.below(bytes.len());
    match what {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << (input.byte() & 7),
        1 if !bytes.is_empty() => bytes[at] = input.byte(),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..(at + usize::from(input.byte())).min(bytes.len()))),
        4 => drop(bytes.splice(at..at, input.counted().iter().copied())),
        5 => bytes.extend_from_slice(input.counted()),
        6 => bytes.extend(std::iter::repeat_n(0, usize::from(input.byte()))),
        _ => {
            let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
            let (one, other) = (input.below(lines.len()), input.below(lines.len() + 1));
            match what {
                7 if other < lines.len() => lines.swap(one, other),
                8 if !lines.is_empty() => lines.insert(other, lines[one].clone()),
                9 if !lines.is_empty() => drop(lines.remove(one)),
                _ => {}
            }
            *bytes = lines.concat();
        }
    }
}

/// One field of one line says something else, and the line is as canonical as before.
fn rewritten(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    let mut lines: Vec<Vec<u8>> = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let line = input.below(lines.len());
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(&lines[line]) else { return };
    let name = fields.keys().nth(input.below(fields.len())).cloned().unwrap_or_default();
    let value = input.one_of(&VALUES).parse().unwrap_or_default();
    if input.flag() {
        fields.insert(name, value)
    } else {
        fields.remove(&name)
    };
    lines[line] = Value::Object(fields).to_string().into_bytes();
    *bytes = lines.join(&b'\n');
}

/// The whole lines of the journal.
pub(super) fn journal(files: &Files) -> Vec<&[u8]> {
    let segment =
        |name: &str| name.strip_prefix("log/journal/").is_some_and(|name| name.strip_suffix(".jsonl").is_some());
    let segments = files.iter().filter(|(name, _)| segment(name));
    segments.flat_map(|(_, bytes)| whole_lines(bytes)).collect()
}

/// The lines that end in a newline.
pub(super) fn whole_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|b| *b == b'\n').filter_map(|line| line.strip_suffix(b"\n"))
}

/// Tiles as this journal would have them.
fn tiles_of_the_journal(files: &mut Files) {
    let lines: Vec<Vec<u8>> = journal(files).into_iter().map(<[u8]>::to_vec).collect();
    let Some(width) = u8::try_from(lines.len()).ok().filter(|width| *width > 0) else { return };
    let (hashes, entries) = tiles(&lines);
    files.retain(|name, _| !name.starts_with("log/tile/"));
    files.insert(format!("log/tile/0/000.p/{width}"), hashes);
    files.insert(format!("log/tile/entries/000.p/{width}"), entries);
}

/// The hashes and the entries of one partial tile.
pub(super) fn tiles(lines: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    let mut entries = Vec::new();
    for line in lines {
        tile::push_entry(&mut entries, line);
    }
    (lines.iter().flat_map(|line| leaf_hash(line).0).collect(), entries)
}

/// A head over the journal as it is, by a key that is not ours; with it the last head and the checkpoint, or not.
fn signed_again(files: &mut Files, everywhere: bool) {
    let stranger = signer(99);
    let leaves: Vec<_> = journal(files).into_iter().map(leaf_hash).collect();
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size: leaves.len() as u64, root: root(&leaves) };
    let note = Note::sign(checkpoint.text(), &[&stranger]);
    let head = Head { checkpoint, note };
    let heads = files.entry("log/heads".into()).or_default();
    let before = whole_lines(heads).last().unwrap_or_default().to_vec();
    heads.extend_from_slice(format!("{}\n", head.line(Some((&stranger, &before)))).as_bytes());
    if everywhere {
        files.insert("state/last-head".into(), head.note.encode().into_bytes());
        files.insert("log/checkpoint".into(), head.note.encode().into_bytes());
    }
}

//! A small log that somebody had in hand, verified and opened for writing.
//!
//! Never "verified" for a log that differs; never a signature over anything but a true continuation; nothing that is cut
//! is lost; and a log that nobody touched verifies, opens and goes on.

use bewaard::audit::entry::{Body, Entry};
use bewaard::audit::heads::Head;
use bewaard::audit::log::Log;
use bewaard::audit::note::Signer;
use bewaard::audit::tree::leaf_hash;
use bewaard::audit::verify::{Against, Keys, Options, Report, verify};
use bewaard::audit::{outside, prove, read};

use super::input::Input;
use super::meddle::{journal, meddle, tiles, whole_lines};
use super::place::{Files, Place};
use super::story::{KEY, ORIGIN, STORIES, Story, day, first, paths, signer};
use super::tree::root;

/// What a log truly holds.
struct Truth<'a> {
    lines: Vec<Vec<u8>>,
    heads: Vec<(u64, String)>,
    keys: &'a [String],
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (story, how) = (input.one_of(&STORIES), input.byte());
    let mut files = story.files().clone();
    meddle(&mut files, &story.steps, &mut input);
    let place = Place::with(&files);
    let truth = Truth { lines: story.lines.clone(), heads: story.heads.clone(), keys: &story.keys };
    let against = (how & 1 == 1).then(|| Against { name: "kept".into(), note: story.newest().to_vec() });
    let report = verified(&place, &truth, against);
    if files == *story.files() {
        assert!(report.is_sound(), "nobody touched it: {:?}", report.faults);
    }
    assert_eq!(place.files(), files, "to verify writes nothing");
    if how & 8 == 8 {
        let own = verify(&place.path("log"), &Options { keys: Keys::Log, against: Vec::new() });
        assert!(own.is_sound() || !report.is_sound(), "sound with the right key, and not with its own");
    }
    reads(&place, &truth, usize::from(how >> 4));
    if how & 4 == 4 {
        begins_again(&place, &files, story);
    }
    goes_on(&place, story, how & 2 == 2);
}

/// Verifies; what verifies is true.
fn verified(place: &Place, truth: &Truth<'_>, against: Option<Against>) -> Report {
    let newest = against.is_some();
    let keys = Keys::Given(truth.keys.to_vec());
    let report = verify(&place.path("log"), &Options { keys, against: against.into_iter().collect() });
    assert_eq!(report.is_sound(), report.sentence().starts_with("verified"));
    if report.is_sound() {
        is_true(&place.files(), truth, &report, newest);
    }
    report
}

/// Every byte of the log is as it truly is, but for what nobody has signed yet.
fn is_true(files: &Files, truth: &Truth<'_>, report: &Report, newest: bool) {
    let sealed = usize::try_from(report.size).expect("a size");
    let lines = journal(files);
    assert_eq!(lines.get(..sealed), truth.lines.get(..sealed).map(<[_]>::iter).map(refs).as_deref(), "other entries");
    let known = truth.heads.iter().position(|(size, _)| *size == report.size).expect("a size that was signed");
    assert!(!newest || known + 1 == truth.heads.len(), "an older log agrees with the newest head");
    let heads: Vec<_> = truth.heads[..=known].iter().map(|(_, line)| line.as_bytes()).collect();
    let found: Vec<_> = whole_lines(&files["log/heads"]).filter(|line| !line.contains(&0)).collect();
    assert_eq!(found, heads, "other heads");
    let leaves: Vec<_> = lines[..sealed].iter().map(|line| leaf_hash(line)).collect();
    assert_eq!(report.root, root(&leaves));
    // With the first zeros begins what a power cut left; all of that is cut off.
    for (index, line) in lines.iter().enumerate().skip(sealed).take_while(|(_, line)| !line.contains(&0)) {
        let entry = std::str::from_utf8(line).ok().and_then(|line| Entry::read(line).ok());
        assert_eq!(entry.map(|entry| entry.index), Some(index as u64), "a line that is no entry");
    }
    let checkpoint = String::from_utf8_lossy(&files["log/checkpoint"]).into_owned();
    let published = |line: &&[u8]| Head::from_line(line).is_ok_and(|(head, _)| head.note.encode() == checkpoint);
    assert!(heads.iter().any(published), "a checkpoint that was never signed");
    for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with("log/")) {
        belongs(name, bytes, &lines);
    }
}

fn refs(lines: std::slice::Iter<'_, Vec<u8>>) -> Vec<&[u8]> {
    lines.map(Vec::as_slice).collect()
}

/// A file of the log has its place there, and a tile is the journal's.
fn belongs(name: &str, bytes: &[u8], lines: &[&[u8]]) {
    let Some(tile) = name.strip_prefix("log/tile/") else {
        let known = ["log/heads", "log/checkpoint"].contains(&name) || name.starts_with("log/journal/20");
        return assert!(known && !name.ends_with('~'), "{name} does not belong there");
    };
    let (kind, width) = tile.split_once("/000.p/").expect("a small log has small tiles");
    let lines: Vec<Vec<u8>> = lines[..width.parse().expect("a width")].iter().map(|line| line.to_vec()).collect();
    let (hashes, entries) = tiles(&lines);
    assert_eq!(bytes, if kind == "0" { hashes } else { entries }, "{name} is not the journal's");
}

/// Reading entries for people, and proofs of them, out of whatever lies there.
fn reads(place: &Place, truth: &Truth<'_>, index: usize) {
    let Ok(entries) = read::entries(&place.path("log"), index as u64) else { return };
    for (next, (at, entry, line)) in (index as u64..).zip(entries.map_while(Result::ok)) {
        assert_eq!((at, entry.index), (next, next), "an entry in the place of another");
        assert_eq!(Entry::read(&line), Ok(entry));
    }
    let Some(line) = truth.lines.get(index) else { return };
    if let Ok(proof) = prove::prove(&place.path("log"), index as u64, line) {
        let keys = [signer(7), signer(8)];
        let keys: Vec<_> = keys.iter().map(Signer::verifier).collect();
        if let Ok(checkpoint) = proof.verify(line, &keys) {
            assert!(truth.heads.iter().any(|(size, _)| *size == checkpoint.size), "a proof for no head of ours");
        }
    }
}

/// `init` once more: it finishes what an earlier one began, or changes nothing.
fn begins_again(place: &Place, files: &Files, story: &Story) {
    let created = Log::create(paths(place), story.signers(), ORIGIN, &[first()], KEY, day(0));
    let now = place.files();
    if created.is_err() {
        nothing_is_lost(files, &now);
    }
}

/// What is no longer in the log lies in the state folder.
fn nothing_is_lost(before: &Files, now: &Files) {
    for (name, bytes) in before.iter().filter(|(name, _)| name.starts_with("log/")) {
        let left = now.get(name).map(Vec::as_slice).unwrap_or_default();
        let cut = bytes.strip_prefix(left).unwrap_or_else(|| panic!("{name} was written over"));
        let kept = |(name, kept): (&String, &Vec<u8>)| name.starts_with("state/torn-") && kept == cut;
        assert!(cut.is_empty() || now.iter().any(kept), "{name} lost {} bytes", cut.len());
    }
}

/// Opens it for writing, and writes.
fn goes_on(place: &Place, story: &Story, later: bool) {
    let before = place.files();
    let untouched = before == *story.files();
    let seen = outside::read(&[place.path("outside-head")]);
    let opened = Log::open(paths(place), story.signers());
    let now = place.files();
    nothing_is_lost(&before, &now);
    let mut log = match opened {
        Ok(log) => log,
        Err(fault) => return assert!(!untouched, "nobody touched it, and it does not open: {fault}"),
    };
    let line = String::from_utf8_lossy(whole_lines(&now["log/heads"]).last().unwrap_or_default()).into_owned();
    let known = story.heads.iter().position(|(_, head)| *head == line).expect("a head that we signed");
    let whole = before.get("outside-head") == story.files().get("outside-head") && !seen.is_empty();
    if whole && before.contains_key("outside-head") {
        let published = seen[0].head.as_ref().expect("a head that nobody touched").checkpoint.size;
        let told = outside::contradiction(&log, &seen);
        assert!(published <= story.heads[known].0 || !matches!(told, Ok(None)), "an older log was put back, unseen");
    }
    let when = day(if later { 130 } else { 61 });
    let body = Body::key_changed("log", "log-2027-Q1-00000001", "made");
    let committed = log.commit(&[body], KEY, when);
    let range = match committed {
        Ok(range) => range,
        Err(fault) => return assert!(!untouched, "nobody touched it, and it does not go on: {fault}"),
    };
    let mut truth = continued(place, story, known, usize::try_from(range.start).expect("an index"), &log);
    let published = log.publish();
    assert!(published.is_ok() || !untouched, "nobody touched it, and it is not published: {published:?}");
    truth.lines.truncate(usize::try_from(log.size()).expect("a size"));
    let report = verified(place, &truth, None);
    assert!(report.is_sound() || !untouched, "nobody touched it: {:?}", report.faults);
}

/// What we signed: entries of ours in their order, and the new one.
fn continued<'a>(place: &Place, story: &'a Story, known: usize, index: usize, log: &Log) -> Truth<'a> {
    let files = place.files();
    let line = journal(&files).last().map(|line| line.to_vec()).expect("a line was written");
    let text = std::str::from_utf8(&line).expect("text");
    assert_eq!(Entry::read(text).map(|entry| entry.index), Ok(index as u64), "not the entry that was written");
    let signed = usize::try_from(story.heads[known].0).expect("a size");
    assert!((signed..=story.lines.len()).contains(&index), "entries were written that nobody wrote");
    let mut lines = story.lines[..index].to_vec();
    lines.push(line);
    let leaves: Vec<_> = lines.iter().map(|line| leaf_hash(line)).collect();
    assert_eq!(log.head().checkpoint.root, root(&leaves), "something was signed that we did not write");
    assert_eq!(log.head().checkpoint.size, lines.len() as u64);
    let last = Head::read(&String::from_utf8_lossy(&files["state/last-head"])).expect("the last head");
    assert_eq!(&last, log.head(), "the last head is another");
    let head = whole_lines(&files["log/heads"]).last().unwrap_or_default();
    let mut heads = story.heads[..=known].to_vec();
    heads.push((lines.len() as u64, String::from_utf8_lossy(head).into_owned()));
    Truth { lines, heads, keys: &story.keys }
}

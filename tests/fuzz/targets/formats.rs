//! Signed notes, checkpoints, keys, proofs, heads and tiles: as any text, and as ours after somebody had them in hand.
//! There is one way to write each, and what verifies is what we signed.

use std::sync::LazyLock;

use bewaard::audit::heads::Head;
use bewaard::audit::note::{Checkpoint, Note, VerifierKey, is_name};
use bewaard::audit::prove::{Proof, prove};
use bewaard::audit::tile::{self, Tile};
use bewaard::audit::{export, outside};

use super::input::Input;
use super::meddle::{meddle, whole_lines};
use super::place::{Files, Place};
use super::story::{STORIES, Story, signer};

/// A log's newest head in its forms, a proof, and the entry that it is of.
struct Papers {
    files: Files,
    index: u64,
}

static PAPERS: LazyLock<Vec<Papers>> = LazyLock::new(|| {
    let story = &STORIES[0];
    let place = Place::with(story.files());
    (0..story.lines.len()).map(|index| papers(story, &place, index)).collect()
});

fn papers(story: &Story, place: &Place, index: usize) -> Papers {
    let line = &story.lines[index];
    let proof = prove(&place.path("log"), index as u64, line).expect("a proof");
    let mut files = Files::new();
    files.insert("proof".into(), proof.encode().into_bytes());
    files.insert("line".into(), line.clone());
    files.insert("key".into(), story.keys[0].clone().into_bytes());
    files.insert("note".into(), story.newest().to_vec());
    let head = whole_lines(&story.files()["log/heads"]).last().unwrap_or_default().to_vec();
    files.insert("head".into(), head);
    files.insert("tile".into(), b"tile/entries/x001/234.p/17".to_vec());
    Papers { files, index: index as u64 }
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    if input.flag() {
        let text = input.text();
        for read in [note, checkpoint, key, proof, head, tile_path] {
            read(&text);
        }
        return bundle(text.as_bytes());
    }
    let papers = input.one_of(&PAPERS);
    let mut files = papers.files.clone();
    meddle(&mut files, &[], &mut input);
    let text = |name: &str| String::from_utf8(files.get(name).cloned().unwrap_or_default()).unwrap_or_default();
    for (name, read) in
        [("note", note as fn(&str)), ("key", key), ("proof", proof), ("head", head), ("tile", tile_path)]
    {
        read(&text(name));
    }
    holds_for_this_entry(papers, &text("proof"), files.get("line").map(Vec::as_slice).unwrap_or_default());
    bundle(files.get("note").map(Vec::as_slice).unwrap_or_default());
}

/// A proof by our key is of the entry that it says, in a log that we signed.
fn holds_for_this_entry(papers: &Papers, text: &str, line: &[u8]) {
    let ours = signer(7);
    let Ok(proof) = Proof::read(text) else { return assert!(text.as_bytes() != papers.files["proof"]) };
    match proof.verify(line, &[ours.verifier()]) {
        Ok(checkpoint) => {
            assert_eq!(proof.index, papers.index, "another place");
            assert_eq!(line, papers.files["line"], "another entry");
            is_ours(&checkpoint);
        }
        Err(fault) => {
            let whole = text.as_bytes() == papers.files["proof"] && line == papers.files["line"];
            assert!(!whole, "nobody touched it: {fault}");
        }
    }
}

fn is_ours(checkpoint: &Checkpoint) {
    let story = &STORIES[0];
    assert!(story.heads.iter().any(|(size, _)| *size == checkpoint.size), "a checkpoint that we never signed");
}

fn note(text: &str) {
    let Ok(note) = Note::read(text) else { return };
    assert_eq!(note.encode(), text, "a note has two forms");
    let ours = signer(7);
    let exported = export::export(&note, ours.verifier(), None);
    match note.verify(&[ours.verifier()]) {
        Ok(keys) => {
            assert_eq!(keys, [ours.verifier()]);
            let checkpoint = note.checkpoint().expect("we sign nothing else");
            is_ours(&checkpoint);
            assert!(exported.is_ok_and(|files| files.iter().any(|file| file.bytes == note.text.as_bytes())));
        }
        Err(_) => assert!(exported.is_err(), "a note that does not verify is exported"),
    }
    checkpoint(&note.text);
}

fn checkpoint(text: &str) {
    let Ok(checkpoint) = Checkpoint::read(text) else { return };
    assert!(text.starts_with(&checkpoint.text()), "a checkpoint has two forms");
    assert_eq!(Checkpoint::read(&checkpoint.text()).as_ref(), Ok(&checkpoint));
}

fn key(text: &str) {
    let Ok(key) = VerifierKey::parse(text) else { return };
    assert_eq!(key.to_string(), text, "a key has two forms");
    assert!(is_name(key.name()));
    assert_eq!(VerifierKey::new(key.name(), *key.public()), Ok(key));
}

fn proof(text: &str) {
    let Ok(proof) = Proof::read(text) else { return };
    let again = Proof::read(&proof.encode()).expect("a proof reads back");
    assert_eq!(again, proof);
    assert!(proof.encode() == text || text.contains("\nextra "), "a proof has two forms");
}

fn head(text: &str) {
    if let Ok(head) = Head::read(text) {
        let line = head.line(None);
        assert_eq!(Head::from_line(line.as_bytes()), Ok((head, false)), "a head does not read back");
    }
    if let Ok((head, sealed)) = Head::from_line(text.as_bytes()) {
        assert_eq!(sealed, text.contains("\"seal\":"));
        assert!(sealed || head.line(None) == text, "a head has two forms");
    }
}

fn tile_path(text: &str) {
    if let Some(tile) = Tile::from_path(text) {
        assert_eq!(tile.path(), text, "a tile has two names");
    }
}

fn bundle(bytes: &[u8]) {
    if let Some(entries) = tile::entries(bytes) {
        let mut again = Vec::new();
        assert!(entries.iter().all(|entry| tile::push_entry(&mut again, entry)));
        assert_eq!(again, bytes, "a bundle has two forms");
    }
    if let Some(hashes) = tile::hashes(bytes) {
        assert_eq!(tile::bytes(&hashes), bytes);
    }
    let place = Place::with(&[("head".to_string(), bytes.to_vec())].into());
    let seen = outside::read(&[place.path("head"), place.path("nothing")]);
    assert!(seen.len() == 2 && seen[1].head.is_none());
    let whole = std::str::from_utf8(bytes).is_ok_and(|text| Head::read(text).is_ok());
    assert_eq!(seen[0].head.is_some(), whole, "an outside head is read otherwise");
}

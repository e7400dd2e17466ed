//! The demo's folder: it empties what is its own, and touches nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Said, said};

fn demo(folder: &Path) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bewaard"));
    said(&command.args(["demo", "--no-run", "--dir"]).arg(folder).output().unwrap())
}

/// Every path below a folder with what it is, so that any touch shows.
fn all(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::symlink_metadata(&path).unwrap();
            let text = about.is_file().then(|| fs::read(&path).unwrap());
            found.push(format!("{} {:?} {text:?}", path.display(), about.file_type()));
            if about.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

fn put(path: &Path, text: &str) {
    use std::io::Write;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// A folder as the demo leaves it, but for its size.
fn left_by_a_demo(place: &Path) -> PathBuf {
    let folder = place.join("a demo's");
    put(&folder.join(".bewaard-demo"), "Made by `bewaard demo`, which may empty this folder.\n");
    for name in ["bewaard.toml", "webshop.db", "crm.db-wal", "state/last-head", "state/keys/wrap.key", "log/heads"] {
        put(&folder.join(name), "x");
    }
    put(&folder.join("log/tile/0/000.p/7"), "x");
    put(&folder.join("state/plans/0123456789abcdef.json"), "x");
    folder
}

/// What somebody does to the demo's folder.
type Change<'a> = &'a dyn Fn(&Path);

#[test]
fn a_folder_with_anything_foreign_at_any_depth_is_left_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let outside = place.path().join("outside");
    put(&outside.join("precious.txt"), "mine");
    let changes: [(&str, Change<'_>); 9] = [
        ("mine.txt", &|folder| put(&folder.join("mine.txt"), "mine")),
        ("state/mine.txt", &|folder| put(&folder.join("state/mine.txt"), "mine")),
        ("log/tile/0/mine", &|folder| put(&folder.join("log/tile/0/mine"), "mine")),
        ("state/keys/mine", &|folder| put(&folder.join("state/keys/mine/deep/letter.txt"), "mine")),
        ("bewaard.toml~", &|folder| put(&folder.join("bewaard.toml~"), "mine")),
        ("attack", &|folder| symlink(&outside, folder.join("attack")).unwrap()),
        ("state/notes", &|folder| symlink(&outside, folder.join("state/notes")).unwrap()),
        ("state/pause", &|folder| {
            assert!(Command::new("mkfifo").arg(folder.join("state/pause")).status().unwrap().success());
        }),
        ("crm.db", &|folder| fs::create_dir(folder.join("crm.db")).unwrap()),
    ];
    for (named, change) in changes {
        let folder = left_by_a_demo(place.path());
        change(&folder);
        let before = all(&folder);
        let refused = demo(&folder).ends(2);
        assert!(refused.err.contains(&format!("`{named}`")), "{named}: {}", refused.err);
        assert!(refused.err.contains("nothing was touched"), "{named}: {}", refused.err);
        assert_eq!(all(&folder), before, "{named}");
        assert_eq!(fs::read_to_string(outside.join("precious.txt")).unwrap(), "mine");
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn a_place_that_is_no_folder_of_the_demo_is_refused_in_clear_words() {
    let place = tempfile::tempdir().unwrap();
    let folder = left_by_a_demo(place.path());
    let (link, file) = (place.path().join("link"), place.path().join("file"));
    symlink(&folder, &link).unwrap();
    put(&file, "mine");
    assert!(demo(&link).ends(2).err.contains("symbolic link"));
    assert!(demo(&file).ends(2).err.contains("is no folder"));
    // A folder with files of the demo's names, but never marked by it.
    bewaard::durable::remove(&folder.join(".bewaard-demo")).unwrap();
    assert!(demo(&folder).ends(2).err.contains("marker"));
    put(&folder.join(".bewaard-demo"), "my own notes");
    assert!(demo(&folder).ends(2).err.contains("marker"));
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
    if rustix::process::geteuid().is_root() {
        let others = place.path().join("others");
        fs::create_dir(&others).unwrap();
        std::os::unix::fs::chown(&others, Some(65_534), None).unwrap();
        assert!(demo(&others).ends(2).err.contains("another user"));
    }
}

#[test]
fn the_demo_empties_its_own_folder_and_its_commands_can_be_pasted() {
    let place = tempfile::tempdir().unwrap();
    let folder = left_by_a_demo(place.path());
    put(&folder.join("log/journal/1999-Q1.jsonl"), "x");
    let said = demo(&folder).ends(0);
    assert!(!folder.join("log/journal/1999-Q1.jsonl").exists());
    // What it printed is run by a shell: the path has a space and an apostrophe.
    let shown =
        said.out.lines().find_map(|line| line.strip_prefix("$ bewaard ").filter(|line| line.ends_with(" check")));
    let script = format!("\"$0\" {}", shown.unwrap());
    let mut shell = Command::new("sh");
    crate::bench::said(&shell.args(["-c", &script, env!("CARGO_BIN_EXE_bewaard")]).output().unwrap()).ends(0);
}

//! A log that somebody else had in hand: every change is found and named.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use bewaard::audit::log::{Log, Signers};
use bewaard::audit::verify::{Against, Keys, Options, Report, verify};
use chrono::TimeDelta;

use super::support::{KEY, ORIGIN, Place, batch, filled, init, intended, outcome, signer, signer_of, time};

pub(super) fn options(place: &Place) -> Options {
    let against = [("the last head", place.paths().last_head), ("the outside head", place.path().join("outside-head"))];
    let against =
        against.into_iter().filter_map(|(name, path)| Some(Against { name: name.into(), note: fs::read(path).ok()? }));
    Options { keys: Keys::Given(vec![signer().verifier().to_string()]), against: against.collect() }
}

fn check(place: &Place) -> Report {
    verify(&place.folder(), &options(place))
}

fn codes(report: &Report) -> Vec<&str> {
    let mut codes: Vec<_> = report.faults.iter().map(|fault| fault.code.id).collect();
    codes.dedup();
    codes
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}

/// Another place with the same files.
fn twin(place: &Place) -> Place {
    let twin = Place::new();
    copy(place.path(), twin.path());
    twin
}

#[test]
fn a_whole_log_verifies_and_says_what_it_was_compared_with() {
    let place = filled(6, 100);
    let report = check(&place);
    assert_eq!(report.faults, [], "{:?}", report.told);
    assert_eq!(report.told, Vec::<String>::new());
    assert_eq!((report.size, report.heads, report.origin.as_str()), (607, 7, ORIGIN));
    assert_eq!(report.counts["outcome"], 600);
    assert_eq!(report.sentence(), "verified: 607 entries, in agreement with the last head, the outside head");
    let alone = verify(&place.folder(), &Options { against: Vec::new(), ..options(&place) });
    assert_eq!(alone.sentence(), "verified: 607 entries, complete as far as this folder knows");
    let own = verify(&place.folder(), &Options { keys: Keys::Log, against: Vec::new() });
    assert!(own.is_sound() && own.told.len() == 1, "{own:?}");
}

#[test]
fn any_flipped_bit_in_any_file_is_found() {
    let place = filled(4, 70);
    let mut flipped = 0;
    for file in files(&place.folder()) {
        let whole = fs::read(&file).unwrap();
        let bits = whole.len() * 8;
        // Every bit of the first and last bytes, and a sample of all between.
        let step = (bits / 60).max(1) | 1;
        for bit in (0..40.min(bits)).chain((40..bits).step_by(step)).chain(bits.saturating_sub(24)..bits) {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&file, &bytes).unwrap();
            let report = check(&place);
            assert!(!report.is_sound(), "bit {bit} of {}", file.display());
            flipped += 1;
        }
        fs::write(&file, whole).unwrap();
    }
    assert!(check(&place).is_sound());
    assert!(flipped > 500, "{flipped}");
}

#[test]
fn a_file_that_is_cut_removed_or_added_is_found_and_named() {
    let place = filled(4, 70);
    for file in files(&place.folder()) {
        let name = file.strip_prefix(place.folder()).unwrap().to_str().unwrap().to_string();
        let whole = fs::read(&file).unwrap();
        for keep in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&file, &whole[..keep]).unwrap();
            let report = check(&place);
            assert!(!report.is_sound(), "{name} cut to {keep}");
        }
        fs::remove_file(&file).unwrap();
        let report = check(&place);
        assert!(!report.is_sound(), "{name} removed");
        if name == "checkpoint" {
            assert_eq!(codes(&report), ["B425"], "{report:?}");
        }
        fs::write(&file, whole).unwrap();
    }
    for name in [
        "x",
        "journal/2026-Q4.jsonl~",
        "journal/2026-Q9.jsonl",
        "tile/0/999",
        "tile/0/000.p/7",
        "tile/x",
        "tile/entries/.x",
        "checkpoint.new",
        "tile/9/000",
        "journal/.2026-Q4.jsonl.swp",
        "tile/0/000.p/x",
        "more/x",
    ] {
        let path = place.folder().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        let report = check(&place);
        let named = report.faults.iter().any(|fault| name.starts_with(&fault.file));
        assert!(named, "{name}: {report:?}");
        fs::remove_file(&path).unwrap();
        let _ = fs::remove_dir(path.parent().unwrap());
    }
    std::os::unix::fs::symlink("heads", place.folder().join("link")).unwrap();
    assert_eq!(codes(&check(&place)), ["B410"]);
    fs::remove_file(place.folder().join("link")).unwrap();
    assert!(check(&place).is_sound());
}

#[test]
fn lines_that_are_moved_removed_doubled_or_saved_by_an_editor_are_found() {
    let place = filled(2, 20);
    let journal = place.folder().join("journal/2026-Q4.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let join = |lines: Vec<&str>| lines.iter().map(|line| (*line).to_owned() + "\n").collect::<String>();
    let mut swapped = lines.clone();
    swapped.swap(5, 6);
    let mut less = lines.clone();
    less.remove(5);
    let mut twice = lines.clone();
    twice.insert(5, lines[5]);
    let expected: [(String, &[&str]); 6] = [
        (join(swapped), &["B409", "B407"]),
        (join(less), &["B409", "B407"]),
        (join(twice), &["B409", "B420", "B407"]),
        (text.replace('\n', "\r\n"), &["B408"]),
        (format!("\u{feff}{text}"), &["B408"]),
        (format!("{text}\n"), &["B408"]),
    ];
    for (altered, expected) in expected {
        fs::write(&journal, &altered).unwrap();
        let report = check(&place);
        for code in expected {
            assert!(codes(&report).contains(code), "{code}: {report:?}");
        }
    }
}

#[test]
fn t26_a_cut_tail_is_found_by_the_last_head() {
    let (place, shorter) = (filled(3, 20), filled(2, 20));
    // The folder as it was yesterday is whole in itself: only a head from outside knows better.
    let yesterday = Options { against: Vec::new(), ..options(&place) };
    assert!(verify(&shorter.folder(), &yesterday).is_sound());
    let report = verify(&shorter.folder(), &options(&place));
    assert_eq!(codes(&report), ["B405"], "{report:?}");
    assert_eq!(report.faults.len(), 2, "both the last head and the outside head say so");
    // And with the heads cut, but not the journal.
    let heads = place.folder().join("heads");
    let text = fs::read_to_string(&heads).unwrap();
    let fewer: String = text.lines().take(3).map(|line| (*line).to_owned() + "\n").collect();
    fs::write(&heads, fewer).unwrap();
    assert!(codes(&check(&place)).contains(&"B405"));
}

#[test]
fn another_history_is_a_fork() {
    let place = filled(3, 20);
    let fork = Place::new();
    let mut log = fork.create();
    for number in 1..=3 {
        log.commit(&batch(number, 21), KEY, time() + TimeDelta::days(20 * i64::from(number))).unwrap();
    }
    log.publish().unwrap();
    assert!(check(&fork).is_sound());
    let report = verify(&fork.folder(), &options(&place));
    assert_eq!(codes(&report), ["B406"], "{report:?}");
    let mut of_another = options(&place);
    of_another.against = vec![Against { name: "x".into(), note: b"no note".to_vec() }];
    assert_eq!(codes(&verify(&place.folder(), &of_another)), ["B418"]);
}

#[test]
fn a_log_signed_again_with_another_key_is_found() {
    let place = filled(2, 20);
    let again = Place::new();
    fs::create_dir(again.path().join("state")).unwrap();
    let mut first = init();
    if let bewaard::audit::entry::Body::Init { verifier, .. } = &mut first {
        *verifier = signer_of(8).verifier().to_string();
    }
    let mut log = Log::create(again.paths(), signer_of(8), ORIGIN, &[first], KEY, time()).unwrap();
    log.commit(&batch(1, 20), KEY, time()).unwrap();
    log.publish().unwrap();
    let report = verify(&again.folder(), &Options { against: Vec::new(), ..options(&place) });
    assert_eq!(codes(&report), ["B415"], "{report:?}");
    assert!(verify(&again.folder(), &Options { keys: Keys::Log, against: Vec::new() }).is_sound());
    // Only the heads were signed again: the first entry still names our key.
    let heads: String = fs::read_to_string(place.folder().join("heads"))
        .unwrap()
        .lines()
        .map(|line| {
            let note: serde_json::Value = serde_json::from_str(line).unwrap();
            let note = bewaard::audit::note::Note::read(note["note"].as_str().unwrap()).unwrap();
            let forged = bewaard::audit::note::Note::sign(note.text, &[&signer_of(8)]);
            serde_json::json!({ "note": forged.encode() }).to_string() + "\n"
        })
        .collect();
    fs::write(place.folder().join("heads"), heads).unwrap();
    assert!(codes(&check(&place)).contains(&"B415"));
}

#[test]
fn a_damaged_or_foreign_public_key_is_named() {
    let place = filled(1, 3);
    let key = signer().verifier().to_string();
    let with = |keys: &[String]| {
        let report = verify(&place.folder(), &Options { keys: Keys::Given(keys.to_vec()), against: Vec::new() });
        report.faults.first().map_or("no fault", |fault| fault.code.id)
    };
    assert_eq!(with(std::slice::from_ref(&key)), "no fault");
    assert_eq!(with(&[key.replace('A', "B")]), "B416");
    assert_eq!(with(&[key[..key.len() - 4].to_string()]), "B416");
    assert_eq!(with(&[signer_of(8).verifier().to_string()]), "B415");
    assert_eq!(with(&[]), "B415");
}

#[test]
fn what_a_crash_leaves_is_told_and_no_fault() {
    let place = filled(2, 5);
    let mut log = place.open();
    log.append(&[intended(3, 2), outcome(3, 1)], KEY, time() + TimeDelta::days(60)).unwrap();
    drop(log);
    let newest = place.folder().join("journal/2027-Q1.jsonl");
    for torn in ["{\"batch\":", "\0\0\0"] {
        let before = fs::read(&newest).unwrap();
        fs::OpenOptions::new().append(true).open(&newest).unwrap().write_all(torn.as_bytes()).unwrap();
        let report = check(&place);
        assert_eq!(report.faults, []);
        let told = report.told.join("\n");
        for part in ["2 entries not yet sealed", "torn", "is open: 1 of 2 outcomes are missing"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        fs::write(&newest, before).unwrap();
    }
    let heads = fs::read(place.folder().join("heads")).unwrap();
    for torn in [&b"{\"no"[..], b"\0\0\0", b"\0\0\0\"}\n"] {
        fs::write(place.folder().join("heads"), [&heads, torn].concat()).unwrap();
        let report = check(&place);
        assert!(report.is_sound() && report.told.iter().any(|told| told.contains("heads is torn")), "{report:?}");
    }
    let mut log = place.open();
    log.seal().unwrap();
    let report = check(&place);
    assert!(
        report.is_sound()
            && report
                .told
                .iter()
                .any(|told| told.contains("published up to 13 entries of 15") || told.contains("published up to 13")),
        "{report:?}"
    );
}

#[test]
fn whole_lines_behind_the_head_that_are_no_entries_are_a_fault() {
    let place = filled(2, 5);
    let newest = place.folder().join("journal/2027-Q1.jsonl");
    fs::OpenOptions::new().append(true).open(&newest).unwrap().write_all(b"an editor was here\n").unwrap();
    assert_eq!(codes(&check(&place)), ["B408"]);
}

#[test]
fn outcomes_must_fit_their_batch() {
    let attack = |bodies: &[bewaard::audit::entry::Body]| {
        let place = Place::new();
        let mut log = place.create();
        log.commit(bodies, KEY, time()).unwrap();
        log.publish().unwrap();
        let report = check(&place);
        assert!(report.faults.iter().all(|fault| fault.code.id == "B420"), "{report:?}");
        report.faults.len()
    };
    assert_eq!(attack(&batch(1, 3)), 0);
    assert_eq!(attack(&[outcome(1, 1)]), 1, "not announced");
    assert_eq!(attack(&[intended(1, 2), intended(1, 2)]), 1, "announced twice");
    assert_eq!(attack(&[intended(1, 2), outcome(1, 1), outcome(1, 1)]), 1, "a second outcome");
    assert_eq!(attack(&[intended(1, 1), outcome(1, 1), outcome(1, 2)]), 1, "one too many");
}

#[test]
fn the_key_is_passed_on_and_a_crash_in_between_is_taken_up() {
    let rotating = || Signers { current: signer(), staged: Some(signer_of(8)) };
    let place = filled(1, 3);
    let mut log = Log::open(place.paths(), rotating()).unwrap();
    assert_eq!(log.rotate(KEY, None, time()).unwrap(), *signer_of(8).verifier());
    log.commit(&batch(2, 3), KEY, time()).unwrap();
    log.publish().unwrap();
    let keys = |seeds: &[u8]| Options {
        keys: Keys::Given(seeds.iter().map(|seed| signer_of(*seed).verifier().to_string()).collect()),
        ..options(&place)
    };
    for seeds in [&[7][..], &[8], &[7, 8]] {
        let report = verify(&place.folder(), &keys(seeds));
        assert_eq!(report.faults, [], "{seeds:?}");
        assert_eq!(report.key, Some(signer_of(8).verifier().to_string()));
    }
    assert_eq!(codes(&verify(&place.folder(), &keys(&[7, 9]))), ["B415"]);
    // With both keys at hand the log knows which is in force; with the old one alone it is not opened.
    assert_eq!(Log::open(place.paths(), rotating()).unwrap().verifier(), signer_of(8).verifier());
    assert!(Log::open(place.paths(), signer()).is_err());

    // Cut off between the entry and its head.
    let place = filled(1, 3);
    Log::open(place.paths(), rotating()).unwrap().rotate(KEY, None, time()).unwrap();
    let heads = fs::read_to_string(place.folder().join("heads")).unwrap();
    let lines: Vec<_> = heads.lines().collect();
    fs::write(
        place.folder().join("heads"),
        lines[..lines.len() - 1].iter().map(|line| (*line).to_owned() + "\n").collect::<String>(),
    )
    .unwrap();
    fs::copy(place.path().join("outside-head"), place.paths().last_head).unwrap();
    let fault = Log::open(place.paths(), signer()).unwrap().seal().unwrap_err();
    assert_eq!(fault.code().id, "B417", "the old key alone does not seal it");
    let mut log = Log::open(place.paths(), rotating()).unwrap();
    log.rotate(KEY, None, time()).unwrap();
    log.publish().unwrap();
    let report = check(&place);
    assert_eq!((report.faults, report.counts["key-changed"]), (Vec::new(), 1));
}

#[test]
fn a_key_change_without_the_new_keys_own_signature_is_found() {
    let place = filled(1, 3);
    let forged = bewaard::audit::entry::Body::KeyChanged {
        purpose: "signing".into(),
        id: signer_of(8).verifier().to_string(),
        change: "replaced".into(),
        proof: Some("AAAA".into()),
        by: None,
        note: None,
    };
    let mut log = Log::open(place.paths(), Signers { current: signer(), staged: Some(signer_of(8)) }).unwrap();
    log.commit(&[forged], KEY, time()).unwrap();
    assert!(codes(&check(&place)).contains(&"B417"));
}

#[test]
fn verification_beside_a_writer_never_finds_a_fault() {
    let place = filled(1, 3);
    let writing = twin(&place);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = writing.open();
            for number in 2..60 {
                log.commit(&batch(number, 40), KEY, time() + TimeDelta::days(30)).unwrap();
                log.publish().unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        let mut verified = 0;
        while !done.load(std::sync::atomic::Ordering::SeqCst) || verified == 0 {
            let report = check(&writing);
            assert_eq!(report.faults, [], "{:?}", report.told);
            verified += 1;
        }
    });
    assert!(check(&writing).is_sound());
}

type Hand<'a> = (&'a str, &'a dyn Fn(&Path));

/// What somebody can do to a file, by name.
fn hands() -> Vec<Hand<'static>> {
    fn rewrite(path: &Path, change: &dyn Fn(Vec<u8>) -> Vec<u8>) {
        fs::write(path, change(fs::read(path).unwrap())).unwrap();
    }
    vec![
        ("removed", &|path| fs::remove_file(path).unwrap()),
        ("emptied", &|path| fs::write(path, "").unwrap()),
        ("cut in the middle", &|path| rewrite(path, &|bytes| bytes[..bytes.len() / 2].to_vec())),
        ("cut by its last line", &|path| {
            rewrite(path, &|bytes| {
                let end = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                bytes[..end].to_vec()
            });
        }),
        ("a line removed from its middle", &|path| {
            rewrite(path, &|bytes| {
                let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
                lines.remove(lines.len() / 2);
                lines.concat()
            });
        }),
        ("a line more", &|path| rewrite(path, &|bytes| [bytes, b"x\n".to_vec()].concat())),
        ("its lines doubled", &|path| rewrite(path, &|bytes| [bytes.clone(), bytes].concat())),
        ("copied beside itself", &|path| assert!(fs::copy(path, path.with_extension("copy")).is_ok())),
        ("renamed", &|path| fs::rename(path, path.with_extension("moved")).unwrap()),
        ("a folder in its place", &|path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("a link in its place", &|path| {
            let kept = path.ancestors().find(|above| above.ends_with("log")).unwrap().with_file_name("kept");
            fs::copy(path, &kept).unwrap();
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink(kept, path).unwrap();
        }),
        ("a pipe in its place", &|path| {
            fs::remove_file(path).unwrap();
            assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        }),
    ]
}

#[test]
fn every_hand_on_every_file_is_a_fault_and_nobody_waits_for_it() {
    let whole = filled(4, 70);
    let names: Vec<PathBuf> =
        files(&whole.folder()).iter().map(|file| file.strip_prefix(whole.folder()).unwrap().into()).collect();
    for name in &names {
        let mut told = Vec::new();
        for (what, hand) in hands() {
            let place = twin(&whole);
            hand(&place.folder().join(name));
            let report = check(&place);
            assert!(!report.is_sound(), "{} {what}: {:?}", name.display(), report.told);
            told.push(format!("{what}: {}", codes(&report).join(" ")));
        }
        // Each file in the place of each other one.
        for other in names.iter().filter(|other| *other != name) {
            let place = twin(&whole);
            fs::copy(whole.folder().join(other), place.folder().join(name)).unwrap();
            let report = check(&place);
            let same = fs::read(whole.folder().join(other)).unwrap() == fs::read(whole.folder().join(name)).unwrap();
            assert_eq!(report.is_sound(), same, "{} in the place of {}", other.display(), name.display());
        }
        println!("{}\n    {}", name.display(), told.join("\n    "));
    }
}

#[test]
fn a_head_removed_from_the_middle_is_found_and_an_empty_journal_file_too() {
    let place = filled(4, 5);
    let heads = place.folder().join("heads");
    let text = fs::read_to_string(&heads).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for gone in 0..lines.len() - 1 {
        let rest: String =
            lines.iter().enumerate().filter(|(n, _)| *n != gone).map(|(_, line)| (*line).to_owned() + "\n").collect();
        fs::write(&heads, rest).unwrap();
        let report = check(&place);
        assert_eq!(codes(&report), ["B414"], "line {gone} gone: {report:?}");
    }
    // The seals taken off do not make it an older log: its first entry says that heads are sealed.
    let bare: String = lines.iter().map(|line| line.split(",\"seal\"").next().unwrap().to_owned() + "}\n").collect();
    fs::write(&heads, bare).unwrap();
    assert_eq!(codes(&check(&place)), ["B414"]);
    assert!(Log::open(place.paths(), signer()).is_err());
    fs::write(&heads, &text).unwrap();
    for name in ["1999-Q1", "2026-Q3", "2099-Q4"] {
        let path = place.folder().join(format!("journal/{name}.jsonl"));
        fs::write(&path, "").unwrap();
        assert_eq!(codes(&check(&place)), ["B410"], "{name}");
        assert_eq!(Log::open(place.paths(), signer()).unwrap_err().code().id, "B410", "{name}");
        fs::remove_file(path).unwrap();
    }
    assert!(check(&place).is_sound());
}

#[test]
fn nothing_is_sealed_to_a_head_whose_seal_was_altered() {
    let place = filled(3, 5);
    let heads = place.folder().join("heads");
    let text = fs::read_to_string(&heads).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let seal = |line: &str| line.split_once("\"seal\":").unwrap().1.to_string();
    let (before, newest) = (lines[lines.len() - 2], lines[lines.len() - 1]);
    for altered in [newest.replace(&seal(newest), &seal(before)), newest.replace("==\"}", "=\"}")] {
        fs::write(&heads, text.replace(newest, &altered)).unwrap();
        let fault = Log::open(place.paths(), signer()).unwrap_err();
        assert_eq!(fault.code().id, "B414", "{fault}");
        assert!(!check(&place).is_sound());
    }
    // The line before it was altered, and nothing else.
    fs::write(&heads, text.replace(before, &before.replace(&seal(before), &seal(newest)))).unwrap();
    assert_eq!(Log::open(place.paths(), signer()).unwrap_err().code().id, "B414");
    fs::write(&heads, text).unwrap();
    assert!(check(&place).is_sound());
    place.open();
}

#[test]
fn what_is_published_is_made_again_from_the_journal() {
    let whole = filled(4, 70);
    for name in ["checkpoint", "tile/0/000", "tile/entries/000"] {
        for hand in [0, 1] {
            let place = twin(&whole);
            let path = place.folder().join(name);
            if hand == 0 {
                fs::remove_file(&path).unwrap();
            } else {
                fs::write(&path, "x").unwrap();
            }
            assert!(!check(&place).is_sound(), "{name}");
            place.open().republish().unwrap();
            assert_eq!(check(&place).faults, [], "{name}");
        }
    }
}

#[test]
fn who_publishes_anew_waits_for_who_publishes() {
    use std::os::unix::fs::MetadataExt;
    let place = filled(4, 70);
    let path = place.path().join("state/publish.lock");
    let held = bewaard::durable::lock(&path).unwrap();
    let tile = place.folder().join("tile/0/000");
    fs::remove_file(&tile).unwrap();
    let mut log = place.open();
    let inode = format!(":{} ", fs::metadata(&path).unwrap().ino());
    // The kernel lists who waits for a lock with an arrow.
    let waits =
        || fs::read_to_string("/proc/locks").unwrap().lines().any(|line| line.contains("->") && line.contains(&inode));
    std::thread::scope(|scope| {
        let other = scope.spawn(move || log.republish().unwrap());
        while !waits() {
            assert!(!other.is_finished(), "it did not wait");
            std::thread::yield_now();
        }
        assert!(!tile.exists(), "nothing is published while another publishes");
        drop(held);
    });
    assert!(tile.exists());
    assert_eq!(check(&place).faults, []);
}

//! Writing, opening again, publishing.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use bewaard::audit::fault::LogFault;
use bewaard::audit::log::Log;
use bewaard::audit::read::entries;
use bewaard::audit::verify::verify;
use bewaard::domain::digest::Digest;
use chrono::TimeDelta;

use super::support::{KEY, ORIGIN, Place, batch, filled, init, intended, outcome, signer, signer_of, time};

fn code(result: Result<Log, LogFault>) -> &'static str {
    result.err().map_or("no fault", |fault| fault.code().id)
}

#[test]
fn what_was_written_is_read_back_in_order_and_from_any_place() {
    let place = filled(6, 100);
    let all: Vec<_> = entries(&place.folder(), 0).unwrap().map(Result::unwrap).collect();
    assert_eq!(all.len(), 607);
    for from in [0, 1, 300, 606, 607] {
        let some: Vec<_> = entries(&place.folder(), from).unwrap().map(Result::unwrap).collect();
        assert_eq!(some, all[usize::try_from(from).unwrap()..]);
    }
    assert_eq!(entries(&place.folder(), 608).unwrap().count(), 0);
    assert!(fs::read_dir(place.folder().join("journal")).unwrap().count() > 1, "several segments");
    let log = place.open();
    assert_eq!((log.size(), log.origin(), log.head().checkpoint.size), (607, ORIGIN, 607));
}

#[test]
fn a_log_is_created_once() {
    let place = filled(1, 3);
    assert_eq!(code(Log::create(place.paths(), signer(), ORIGIN, &[init()], KEY, time())), "B403");
    fs::remove_file(place.paths().last_head).unwrap();
    assert_eq!(code(Log::create(place.paths(), signer(), ORIGIN, &[init()], KEY, time())), "B403");
    let nowhere = Place::new();
    assert_eq!(code(Log::open(nowhere.paths(), signer())), "B402");
}

#[test]
fn a_creation_that_was_cut_off_before_the_last_head_is_finished() {
    let place = Place::new();
    drop(place.create());
    fs::remove_file(place.paths().last_head).unwrap();
    assert_eq!(code(Log::open(place.paths(), signer())), "B404");
    let log = Log::create(place.paths(), signer(), ORIGIN, &[init()], KEY, time()).unwrap();
    assert_eq!(log.size(), 1);
}

#[test]
fn whole_lines_behind_the_head_stay_and_a_torn_one_is_moved_aside() {
    let place = filled(1, 3);
    let mut log = place.open();
    log.append(&[intended(2, 1)], KEY, time()).unwrap();
    drop(log);
    let journal = place.folder().join("journal/2026-Q4.jsonl");
    let before = fs::read(&journal).unwrap();
    for torn in [&b"{\"batch\":\"ba"[..], b"\0\0\0\0", b"\0\0\nabc\n"] {
        fs::OpenOptions::new().append(true).open(&journal).unwrap().write_all(torn).unwrap();
        let mut log = place.open();
        assert_eq!(log.size(), 6);
        assert_eq!(fs::read(&journal).unwrap(), before);
        let aside = fs::read_dir(place.path().join("state")).unwrap().map(|item| item.unwrap().path());
        let aside: Vec<_> = aside.filter(|path| fs::read(path).unwrap() == torn).collect();
        assert_eq!(aside.len(), 1, "the torn bytes are kept");
        assert_eq!(log.append(&[], KEY, time()).unwrap(), 6..6);
    }
    fs::OpenOptions::new().append(true).open(place.folder().join("heads")).unwrap().write_all(b"{\"note").unwrap();
    let mut log = place.open();
    assert_eq!(log.commit(&[outcome(2, 1)], KEY, time()).unwrap(), 6..7);
    assert_eq!(place.open().head().checkpoint.size, 7);
}

#[test]
fn of_two_groups_in_one_write_the_first_is_sealed() {
    let place = filled(1, 3);
    let mut log = place.open();
    let (from, sealed, now) = (log.size(), batch(2, 5), time() + TimeDelta::days(21));
    let range = log.commit_then((&sealed, KEY), (&[intended(3, 1)], "log-2"), now).unwrap();
    assert_eq!(range, from..from + 7);
    assert_eq!((log.size(), log.head().checkpoint.size), (from + 7, from + 6));
    let keys = entries(&place.folder(), from).unwrap().map(|read| read.unwrap().1.key).collect::<Vec<_>>();
    assert_eq!((keys[5].as_str(), keys[6].as_str()), (KEY, "log-2"));
    // Another writer knows the rest as ours, and goes on behind it.
    let mut other = place.open();
    assert_eq!(other.size(), from + 7);
    other.commit(&batch(3, 1)[1..], KEY, now).unwrap();
    assert_eq!(log.append(&[intended(4, 0)], KEY, now).unwrap(), from + 8..from + 9);
    let report = verify(&place.folder(), &super::attacks::options(&place));
    assert_eq!(report.faults, []);
    assert_eq!(report.size, from + 8);
    assert!(report.told.contains(&"1 entry not yet sealed by a head: nobody has signed for them".into()));
}

#[test]
fn a_log_may_pass_to_another_thread() {
    fn passes<T: Send + 'static>() {}
    passes::<Log>();
}

#[test]
fn two_writers_take_turns() {
    let place = filled(1, 3);
    let (mut one, mut two) = (place.open(), place.open());
    assert_eq!(one.append(&[intended(2, 2)], KEY, time()).unwrap(), 5..6);
    assert_eq!(two.commit(&[outcome(2, 1)], KEY, time()).unwrap(), 6..7);
    assert_eq!(one.commit(&[outcome(2, 2)], KEY, time()).unwrap(), 7..8);
    assert_eq!(two.seal().unwrap().size, 8);
    one.publish().unwrap();
    two.publish().unwrap();
}

#[test]
fn a_tail_that_does_not_agree_is_refused() {
    let attack = |damage: &dyn Fn(&Place)| {
        let place = filled(2, 5);
        damage(&place);
        code(Log::open(place.paths(), signer()))
    };
    let edit = |place: &Place, edit: &dyn Fn(String) -> String| {
        let newest = place.folder().join("journal/2027-Q1.jsonl");
        let text = fs::read_to_string(&newest).unwrap();
        fs::write(newest, edit(text)).unwrap();
    };
    let uncached = |place: &Place| fs::remove_file(place.path().join("state/frontier.json")).unwrap();
    let heads = |place: &Place| place.folder().join("heads");
    assert_eq!(attack(&|_| ()), "no fault");
    assert_eq!(attack(&uncached), "no fault", "the cache may be lost");
    let altered = |place: &Place| {
        uncached(place);
        edit(place, &|text| text.replacen("erased", "failed", 1));
    };
    assert_eq!(attack(&altered), "B407");
    assert_eq!(attack(&|place| edit(place, &|text| format!("{text}an editor was here\n"))), "B408");
    assert_eq!(attack(&|place| edit(place, &|text| text[..text.len() - 90].to_string())), "B407", "cut into the head");
    assert_eq!(attack(&|place| edit(place, &|_| String::new())), "B410");
    assert_eq!(attack(&|place| fs::write(heads(place), "").unwrap()), "B414");
    assert_eq!(attack(&|place| fs::write(heads(place), "{\"note\":\"x\"}\n").unwrap()), "B414");
    let one_head_less = |place: &Place| {
        let text = fs::read_to_string(heads(place)).unwrap();
        let kept = text.lines().count() - 1;
        fs::write(heads(place), text.lines().take(kept).map(|line| line.to_owned() + "\n").collect::<String>())
            .unwrap();
    };
    assert_eq!(attack(&one_head_less), "B405", "an older state was put back");
    assert_eq!(attack(&|place| fs::write(place.paths().last_head, "x").unwrap()), "B404");
    let other = |place: &Place| fs::copy(filled(2, 4).paths().last_head, place.paths().last_head).map(|_| ()).unwrap();
    assert_eq!(attack(&other), "B406", "a head of another history");
    let place = filled(1, 1);
    assert_eq!(code(Log::open(place.paths(), signer_of(8))), "B415");
}

#[test]
fn tiles_that_were_written_ahead_are_those_that_publishing_writes() {
    let files = |place: &Place| {
        let (mut files, mut open) = (BTreeMap::new(), vec![place.folder().join("tile")]);
        while let Some(folder) = open.pop() {
            for item in fs::read_dir(folder).into_iter().flatten().map(|item| item.unwrap().path()) {
                if item.is_dir() {
                    open.push(item);
                } else {
                    let name = item.strip_prefix(place.folder()).unwrap().to_path_buf();
                    files.insert(name, Digest::of(&fs::read(item).unwrap()));
                }
            }
        }
        files
    };
    let write = |log: &mut Log, number: u8, count: u64| {
        log.commit(&batch(number, count), KEY, time() + TimeDelta::days(60)).unwrap();
    };
    let (ahead, plain) = (filled(1, 3), filled(1, 3));
    let (mut one, mut other) = (ahead.open(), plain.open());
    one.publish().unwrap();
    for (number, count) in (2..).zip([100, 200, 900, 5, 255, 256]) {
        write(&mut one, number, count);
        let promised = fs::read(ahead.folder().join("checkpoint")).unwrap();
        one.publish_ahead().unwrap();
        assert_eq!(fs::read(ahead.folder().join("checkpoint")).unwrap(), promised, "nothing is promised yet");
        let full = files(&ahead).keys().filter(|name| name.starts_with("tile/0")).count() as u64;
        assert!(full >= one.size() / 256, "{full} of {}", one.size());
        write(&mut other, number, count);
    }
    for log in [&mut one, &mut other] {
        log.publish().unwrap();
    }
    assert_eq!(files(&ahead), files(&plain));
    // And it goes on from there.
    for (log, place) in [(&mut one, &ahead), (&mut other, &plain)] {
        write(log, 9, 700);
        log.publish().unwrap();
        assert_eq!(verify(&place.folder(), &super::attacks::options(place)).faults, []);
    }
    assert_eq!(files(&ahead), files(&plain));
}

#[test]
fn an_outside_head_is_never_written_over_by_another_history() {
    let outside = |place: &Place| place.path().join("outside-head");
    let (place, longer) = (filled(2, 5), filled(3, 5));
    let mine = fs::read(outside(&place)).unwrap();
    assert_eq!(mine, fs::read(place.folder().join("checkpoint")).unwrap());
    let published = |place: &Place| place.open().publish().err().map_or("no fault", |fault| fault.code().id);
    assert_eq!(published(&place), "no fault");
    for (there, expected) in [
        (fs::read(outside(&longer)).unwrap(), "B418"),
        (fs::read(outside(&filled(2, 4))).unwrap(), "B418"),
        (b"notes of somebody".to_vec(), "B419"),
        (vec![0xff, 0xfe], "B419"),
        (fs::read(outside(&filled(1, 5))).unwrap(), "no fault"),
        (Vec::new(), "no fault"),
    ] {
        fs::write(outside(&place), &there).unwrap();
        assert_eq!(published(&place), expected);
        assert_eq!(fs::read(outside(&place)).unwrap(), if expected == "no fault" { mine.clone() } else { there });
    }
    fs::remove_file(outside(&place)).unwrap();
    fs::create_dir(outside(&place)).unwrap();
    let fault = place.open().publish().unwrap_err();
    assert!(fault.code().id == "B419" && !fault.is_io(), "an outside target that fails is no fault of the log");
}

#[test]
fn the_log_refuses_what_a_bundle_can_not_hold() {
    let place = filled(1, 1);
    let mut log = place.open();
    let marks = vec![Digest([1; 32]); 1000];
    let hold = bewaard::audit::entry::Body::HoldChanged {
        hold: bewaard::domain::id::HoldId::from_random([1; 8]),
        change: "placed".into(),
        marks,
        system: None,
        rule: None,
        owner: None,
        review: None,
        set: Digest([1; 32]),
        hold_key: "holds-00000000".into(),
        by: bewaard::audit::entry::By { uid: 0, actor: None },
        note: Digest([1; 32]),
    };
    assert_eq!(log.append(&[hold], KEY, time()).unwrap_err().code().id, "B421");
    assert_eq!(log.commit(&batch(2, 1), KEY, time()).unwrap(), 3..5, "nothing was written of it");
    log.reserve(100_000).unwrap();
}

//! The shape of the source: which room may know which, and that the pure rooms stay pure.
//!
//! The source is read as Rust's own tokens, so that comments and text in quotes can't be taken for code, and
//! `use a::{b, c}` counts as `a::b` and `a::c`. What stands under `#[cfg(test)]` is left out.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what should not be")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Named edges and words that every room with effects may know.
const EDGES: &[&str] = &["codes", "crash", "crash_point", "durable", "now", "random", "secret"];

/// What each room may know besides itself and, where it has effects, the [`EDGES`].
/// A new line here wants its line in docs/architecture.md.
const MAY_KNOW: &[(&str, &[&str])] = &[
    // An edge knows no room, but for the words of the domain.
    ("codes", &[]),
    ("crash", &[]),
    ("durable", &[]),
    ("now", &[]),
    ("random", &[]),
    ("secret", &["domain"]),
    // Without effects: not even the edges.
    ("domain", &[]),
    ("report", &["domain", "codes", "audit::entry"]),
    ("config", &["domain", "codes", "durable"]),
    ("audit", &["domain"]),
    ("connect", &["domain"]),
    // The keys that sign the log lie among the other keys, and are handed out as what signs.
    ("state", &["domain", "audit::note", "audit::log::Signers"]),
    ("engine", &["domain", "config", "report", "audit", "connect", "state"]),
    ("daemon", &["domain", "config", "report", "audit", "connect", "state", "engine"]),
    ("cli", &["domain", "config", "report", "audit", "connect", "state", "engine", "daemon"]),
];

/// The rooms that reach out.
const WITH_EFFECTS: &[&str] = &["audit", "connect", "state", "engine", "daemon", "cli"];

/// Rooms that decide and print, and never reach out.
const PURE: &[&str] = &["domain", "report"];

/// What a pure room may not name: effects of the standard library, and crates that have nothing but effects.
const EFFECTS: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "chrono::Local",
    "async_trait",
    "futures_util",
    "mysql_async",
    "ring::rand",
    "rustix",
    "rustls",
    "sqlx",
    "tokio",
];

/// What looks like an effect and is a value: an address as it is written.
const VALUES: &[&str] = &["std::net::AddrParseError", "std::net::IpAddr", "std::net::Ipv4Addr", "std::net::Ipv6Addr"];

/// The engines that speak through sqlx, each with at most one file where text becomes a statement.
const SQLX_ENGINES: &[&str] = &["postgres", "sqlite"];

/// What one file names.
#[derive(Default)]
struct Names {
    /// Paths as written out: `crate::domain::rule::Rule`, `std::fs::read`; `super` is already resolved.
    paths: BTreeSet<String>,
    /// Every word of the code.
    words: BTreeSet<String>,
}

impl Names {
    fn of(source: &str, module: &[String]) -> Self {
        let tokens: TokenStream = source.parse().expect("the source is Rust");
        let mut names = Self::default();
        names.read(tokens, &[], module);
        names
    }

    /// Whether a path begins with this one, other than to name a value.
    fn name(&self, path: &str) -> bool {
        let value = |named: &str| VALUES.iter().any(|value| begins(named, value));
        self.paths.iter().any(|named| begins(named, path) && !value(named))
    }

    fn read(&mut self, tokens: TokenStream, before: &[String], module: &[String]) {
        let mut path = before.to_vec();
        let mut colons = 0;
        let mut item = String::new(); // the word before the last, such as `mod` in `mod tests`
        let mut last_word = String::new();
        let mut in_test = false;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Punct(punct) => {
                    self.end(&mut path, before, module, in_test);
                    if punct.as_char() == ';' {
                        in_test = false;
                    }
                    colons = 0;
                }
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end(&mut path, before, module, in_test);
                    }
                    colons = 0;
                    item = std::mem::replace(&mut last_word, ident.to_string());
                    if !in_test {
                        self.words.insert(last_word.clone());
                    }
                    path.push(last_word.clone());
                }
                TokenTree::Group(group) => {
                    let braces = group.delimiter() == Delimiter::Brace;
                    if group.delimiter() == Delimiter::Bracket && marks_tests(&group.stream()) {
                        in_test = true;
                    }
                    if !in_test {
                        let inner_path = if colons == 2 { path.as_slice() } else { &[] };
                        let mut inner_module = module.to_vec();
                        if braces && item == "mod" && path.len() == 1 {
                            inner_module.push(last_word.clone());
                        }
                        self.read(group.stream(), inner_path, &inner_module);
                    }
                    self.end(&mut path, before, module, in_test || colons == 2);
                    colons = 0;
                    if braces {
                        in_test = false;
                    }
                }
                TokenTree::Literal(_) => {
                    self.end(&mut path, before, module, in_test);
                    colons = 0;
                }
            }
        }
        self.end(&mut path, before, module, in_test);
    }

    /// A path is complete. It is dropped where it is part of a test, or only the stem of a group.
    fn end(&mut self, path: &mut Vec<String>, before: &[String], module: &[String], drop: bool) {
        if path.len() > before.len() && !drop {
            self.paths.insert(resolve(path, module).join("::"));
        }
        path.truncate(0);
        path.extend_from_slice(before);
    }
}

/// Whether a path is this one or lies below it.
fn begins(path: &str, with: &str) -> bool {
    path.strip_prefix(with).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether an attribute is `cfg(test)`.
fn marks_tests(attribute: &TokenStream) -> bool {
    attribute.to_string().replace(' ', "") == "cfg(test)"
}

/// Writes `super` and `self` out as a path from `crate`.
fn resolve(path: &[String], module: &[String]) -> Vec<String> {
    let ups = path.iter().take_while(|part| *part == "super" || *part == "self").count();
    if ups == 0 {
        return path.to_vec();
    }
    let levels = path.iter().take(ups).filter(|part| *part == "super").count();
    let keep = module.len().saturating_sub(levels);
    let stem = std::iter::once("crate".to_owned()).chain(module.iter().take(keep).cloned());
    stem.chain(path.iter().skip(ups).cloned()).collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

/// `src/connect/sql/mod.rs` is the module `connect::sql`.
fn module_of(file: &Path) -> Vec<String> {
    let mut module: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

/// Every file of `src` by its path there, with what it names; `main.rs` and `lib.rs` are the two ends and know all.
fn sources() -> BTreeMap<PathBuf, Names> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let sources: BTreeMap<_, _> = files
        .into_iter()
        .map(|file| (file.strip_prefix(&src).unwrap().to_path_buf(), fs::read_to_string(&file).unwrap()))
        .filter(|(file, _)| file != Path::new("main.rs") && file != Path::new("lib.rs"))
        .map(|(file, text)| {
            let names = Names::of(&text, &module_of(&file));
            (file, names)
        })
        .collect();
    assert!(sources.len() > 20, "the source is where it was");
    sources
}

#[test]
fn every_room_knows_only_those_below_it() {
    let mut faults = Vec::new();
    for (file, names) in sources() {
        let room = module_of(&file).remove(0);
        let Some((_, allowed)) = MAY_KNOW.iter().find(|(name, _)| *name == room) else {
            faults.push(format!("{room} is a new room: say in MAY_KNOW what it may know"));
            continue;
        };
        for path in names.paths.iter().filter(|path| path.starts_with("crate::")) {
            let inside = &path["crate::".len()..];
            let edges = if WITH_EFFECTS.contains(&room.as_str()) { EDGES } else { &[] };
            if !begins(inside, &room) && !allowed.iter().chain(edges).any(|other| begins(inside, other)) {
                faults.push(format!("src/{}: {room} may not know {path}", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_table_of_rooms_has_no_circle() {
    let rooms: Vec<&str> = MAY_KNOW.iter().map(|(room, _)| *room).collect();
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    while settled.len() < rooms.len() {
        let ready: Vec<&str> = MAY_KNOW
            .iter()
            .filter(|(room, _)| !settled.contains(room))
            .filter(|(_, knows)| knows.iter().all(|other| settled.contains(other.split("::").next().unwrap())))
            .map(|(room, _)| *room)
            .collect();
        assert!(!ready.is_empty(), "these know each other in a circle: {rooms:?} less {settled:?}");
        settled.extend(ready);
    }
}

#[test]
fn what_decides_and_prints_has_no_effects() {
    let mut faults = Vec::new();
    for (file, names) in sources() {
        if !PURE.contains(&module_of(&file)[0].as_str()) {
            continue;
        }
        for effect in EFFECTS.iter().filter(|effect| names.name(effect)) {
            faults.push(format!("src/{} names {effect}", file.display()));
        }
        for word in ["async", "await", "unsafe"].iter().filter(|word| names.words.contains(**word)) {
            faults.push(format!("src/{} has the word {word}", file.display()));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn text_becomes_a_statement_in_one_file_per_engine() {
    let claiming: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|(_, names)| names.words.contains("AssertSqlSafe"))
        .map(|(file, _)| file)
        .collect();
    for file in &claiming {
        assert!(file.starts_with("connect/sql"), "src/{} makes statements from text", file.display());
    }
    for engine in SQLX_ENGINES {
        let own: Vec<_> = claiming.iter().filter(|file| file.to_string_lossy().contains(engine)).collect();
        assert!(own.len() <= 1, "{engine} makes statements from text in more than one file: {own:?}");
    }
    let strangers: Vec<_> = claiming
        .iter()
        .filter(|file| !SQLX_ENGINES.iter().any(|engine| file.to_string_lossy().contains(engine)))
        .collect();
    assert!(strangers.is_empty(), "these make statements from text and belong to no engine: {strangers:?}");
}

/// docs/traps.md has a row for each trap, and the tests that it names are there.
#[test]
fn the_tests_that_the_page_of_traps_names_exist() {
    let page = fs::read_to_string("docs/traps.md").unwrap();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| T"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let numbers: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    assert_eq!(numbers, (1..=27).map(|number| format!("T{number}")).collect::<Vec<_>>());
    let (mut named, mut faults) = (BTreeSet::new(), Vec::new());
    for row in &rows {
        let mut text = None;
        let mut tests = 0;
        for word in row[4].split('`').skip(1).step_by(2) {
            if Path::new(word).extension().is_some_and(|ext| ext == "rs") {
                text = Some((word, fs::read_to_string(word).unwrap_or_default()));
                continue;
            }
            let (file, text) = text.as_ref().expect("a test stands behind its file");
            tests += 1;
            named.insert(word);
            if !text.contains(&format!("fn {word}(")) {
                faults.push(format!("{}: {file} has no {word}", row[1]));
            }
        }
        if tests == 0 {
            faults.push(format!("{}: no test", row[1]));
        }
    }
    // The other way round: who carries a trap's number in its name is on the page.
    let (mut files, mut numbered) = (Vec::new(), 0);
    rust_files(Path::new("tests"), &mut files);
    rust_files(Path::new("src"), &mut files);
    for file in files {
        for rest in fs::read_to_string(&file).unwrap().split("fn t").skip(1) {
            let name = format!("t{}", rest.split('(').next().unwrap());
            let trap = name.len() > 4 && name.as_bytes()[1..3].iter().all(u8::is_ascii_digit) && &name[3..4] == "_";
            numbered += usize::from(trap);
            if trap && !named.contains(name.as_str()) {
                faults.push(format!("docs/traps.md lacks {name} of {}", file.display()));
            }
        }
    }
    assert!(numbered > 20, "trap tests carry their number");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The reader of names, on source that tries to hide something and source that only talks about it.
#[test]
fn the_reader_of_names_is_not_fooled() {
    let module = ["domain".to_owned(), "rule".to_owned()];
    let names = Names::of(
        r##"
        //! tokio is not used here, nor std::fs.
        use super::{clock::Clock, super::connect::{self as other, sql}};
        use std::{collections::BTreeMap, env as surroundings, net::IpAddr};
        /// See `std::net`.
        fn f(x: Option<crate::engine::run::Run>) -> bool { /* async */ ::tokio::spawn("std::process"); a.b::<rustix::fs::Mode>() }
        mod inner { use super::super::super::audit; #[cfg(test)] mod tests { use std::fs; fn g() { sqlx::query(); } } }
        const T: &str = r#"use std::io;"#;
        #[cfg(test)] use crate::state::Lock;
        #[cfg(test)]
        mod tests { use super::*; use crate::daemon; async fn h() {} }
        fn after() { std::os::unix::f(); }
        "##,
        &module,
    );
    for named in [
        "crate::domain::clock::Clock",
        "crate::connect",
        "crate::connect::sql",
        "std::env",
        "crate::engine",
        "tokio",
        "rustix",
        "crate::audit",
        "std::os",
    ] {
        assert!(names.name(named), "{named} is not among {:?}", names.paths);
    }
    for hidden in ["std::fs", "std::net", "std::process", "std::io", "crate::state", "crate::daemon", "sqlx"] {
        assert!(!names.name(hidden), "{hidden} is among {:?}", names.paths);
    }
    assert!(!names.words.contains("async"));
}

//! What comes in with a dependency: the lines of `deny.toml`, held without `cargo deny`, and a reason for each.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at what should not be")]

use std::fs;
use std::path::Path;
use std::process::Command;

use toml::{Table, Value};

/// What the auditor's build must do without: it reads a log and decides, and reaches for nothing.
const NOT_FOR_THE_AUDITOR: &[&str] =
    &["async-trait", "futures-util", "hyper", "mio", "mysql_async", "reqwest", "rustls", "socket2", "sqlx", "tokio"];

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn table(name: &str) -> Table {
    read(name).parse().unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn strings<'a>(list: &'a Value, key: Option<&str>) -> Vec<&'a str> {
    let pick = |item: &'a Value| key.map_or(Some(item), |key| item.get(key)).and_then(Value::as_str).unwrap();
    list.as_array().unwrap().iter().map(pick).collect()
}

/// Our two packages: what is shipped, and the fuzzing of it.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "tests/fuzz/Cargo.toml"];

fn locked_packages() -> Vec<Value> {
    let mut all = Vec::new();
    for lock in ["Cargo.lock", "tests/fuzz/Cargo.lock"] {
        let packages = table(lock)["package"].as_array().unwrap().clone();
        assert!(packages.len() > 50, "{lock} lists the packages");
        all.extend(packages);
    }
    all
}

/// What cargo says, without the network.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The target that this test was built for: packages of other targets are not on the machine.
fn host() -> String {
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(version.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

#[test]
fn nothing_banned_is_locked_for_any_target() {
    let deny = table("deny.toml");
    let banned = strings(&deny["bans"]["deny"], Some("crate"));
    for needed in ["openssl-sys", "native-tls", "aws-lc-rs"] {
        assert!(banned.contains(&needed), "deny.toml bans {needed}");
    }
    for package in locked_packages() {
        let name = package["name"].as_str().unwrap();
        assert!(!banned.contains(&name), "{name} is banned by deny.toml; `cargo tree -i {name}` shows who brings it");
    }
}

#[test]
fn every_package_comes_from_one_registry_with_a_checksum() {
    let mut sources: Vec<String> = Vec::new();
    for package in locked_packages() {
        let name = package["name"].as_str().unwrap();
        if [env!("CARGO_PKG_NAME"), "bewaard-fuzz"].contains(&name) {
            continue;
        }
        let source =
            package.get("source").and_then(Value::as_str).unwrap_or_else(|| panic!("{name} comes from a folder"));
        assert!(source.starts_with("registry+"), "{name} comes from {source}");
        assert!(package.get("checksum").is_some(), "{name} has no checksum");
        sources.push(source.to_owned());
    }
    sources.dedup();
    assert_eq!(sources.len(), 1, "{sources:?}");
}

/// Where a comment starts, outside quotes.
fn comment(line: &str) -> Option<&str> {
    let mut quoted = false;
    let at = line.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '#' && !quoted).then_some(at)
    })?;
    Some(line[at + 1..].trim())
}

#[test]
fn every_dependency_says_what_it_is_for() {
    MANIFESTS.into_iter().for_each(dependencies_say_what_they_are_for);
}

fn dependencies_say_what_they_are_for(name: &str) {
    let manifest = read(name);
    let mut section = "";
    let mut seen = 0;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]") && !line.is_empty() && !line.starts_with('#') {
            seen += 1;
            let reason = comment(line).unwrap_or_default();
            assert!(reason.len() >= 8, "say what this is for, at the end of its line: {line}");
        }
    }
    let table = table(name);
    let count = |kind: &&str| table.get(*kind).and_then(Value::as_table).map_or(0, Table::len);
    let declared = ["dependencies", "dev-dependencies"].iter().map(count).sum::<usize>();
    assert!(declared > 5, "{name} has dependencies");
    assert_eq!(seen, declared, "one dependency a line");
}

#[test]
fn no_dependency_takes_just_any_version() {
    for manifest in MANIFESTS {
        let table = table(manifest);
        let kinds = ["dependencies", "dev-dependencies"].iter().filter_map(|kind| table.get(*kind)?.as_table());
        // The fuzzing names us by our folder.
        for (name, wanted) in kinds.flatten().filter(|(name, _)| *name != env!("CARGO_PKG_NAME")) {
            let version = wanted.as_str().or_else(|| wanted.get("version").and_then(Value::as_str));
            assert!(version.is_some_and(|version| !version.contains('*')), "{manifest}: {name} names no version");
        }
    }
}

/// Whether a licence expression can be met with the allowed ones. `/` is the old way to write OR.
fn allowed(expression: &str, list: &[&str]) -> bool {
    let tokens = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = tokens.split_whitespace().collect();
    let mut at = 0;
    let met = any_of(&tokens, &mut at, list);
    assert_eq!(at, tokens.len(), "unreadable licence: {expression}");
    met
}

fn any_of(tokens: &[&str], at: &mut usize, list: &[&str]) -> bool {
    let mut met = all_of(tokens, at, list);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all_of(tokens, at, list);
    }
    met
}

fn all_of(tokens: &[&str], at: &mut usize, list: &[&str]) -> bool {
    let mut met = one(tokens, at, list);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(tokens, at, list);
    }
    met
}

fn one(tokens: &[&str], at: &mut usize, list: &[&str]) -> bool {
    let first = tokens[*at];
    *at += 1;
    if first == "(" {
        let met = any_of(tokens, at, list);
        *at += 1; // the closing bracket
        return met;
    }
    if tokens.get(*at) == Some(&"WITH") {
        let whole = format!("{first} WITH {}", tokens[*at + 1]);
        *at += 2;
        return list.contains(&whole.as_str());
    }
    list.contains(&first)
}

#[test]
fn every_licence_is_on_the_list() {
    let deny = table("deny.toml");
    let list = strings(&deny["licenses"]["allow"], None);
    let host = host();
    let text = cargo(&["metadata", "--format-version", "1", "--all-features", "--filter-platform", &host]);
    let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50);
    for package in packages {
        let (name, licence) = (&package["name"], package["license"].as_str().unwrap_or("none"));
        assert!(allowed(licence, &list), "{name} is under {licence}, which deny.toml does not allow");
    }
}

#[test]
fn licences_are_read_as_their_words_say() {
    let list = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"];
    for yes in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/Apache-2.0",
        "(MIT OR GPL-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
    ] {
        assert!(allowed(yes, &list), "{yes}");
    }
    for no in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND OpenSSL", "MIT WITH strings", "none"] {
        assert!(!allowed(no, &list), "{no}");
    }
}

#[test]
fn the_auditors_build_has_no_systems_and_no_network() {
    let host = host();
    let tree = |more: &[&str]| {
        let mut arguments = vec!["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--target", &host];
        arguments.extend(more);
        cargo(&arguments).lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect::<Vec<_>>()
    };
    let all = tree(&[]);
    let auditors = tree(&["--no-default-features"]);
    assert!(auditors.iter().any(|name| name == "ring"), "the verifier checks signatures");
    for name in NOT_FOR_THE_AUDITOR {
        assert!(!auditors.iter().any(|other| other == name), "the auditor's build brings {name}");
    }
    assert!(all.iter().any(|name| name == "sqlx"), "the whole build is the larger one");
}

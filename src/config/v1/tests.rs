use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;
use crate::config::shape::Kind::Map;
use crate::config::shape::all_shapes;
use crate::config::source::SourceFile;
use crate::config::tree::{self, Node, Value};

/// Marks each key of each shape that a text uses.
fn mark(node: &Node, kind: &'static Kind, seen: &mut BTreeSet<(&'static str, &'static str)>) {
    match kind {
        Table(shape) => {
            for entry in node.entries() {
                if let Some(key) = shape.keys.iter().find(|key| key.name == entry.key) {
                    seen.insert((shape.name, key.name));
                    mark(&entry.node, &key.kind, seen);
                }
            }
        }
        Named(shape) => {
            for entry in node.entries() {
                for inner in entry.node.entries() {
                    if let Some(key) = shape.keys.iter().find(|key| key.name == inner.key) {
                        seen.insert((shape.name, key.name));
                        mark(&inner.node, &key.kind, seen);
                    }
                }
            }
        }
        Map(kind) => node.entries().iter().for_each(|entry| mark(&entry.node, kind, seen)),
        List(kind) => node.items().iter().for_each(|item| mark(item, kind, seen)),
        Any(kinds) => {
            let table = matches!(node.value, Value::Table(_) | Value::List(_));
            kinds
                .iter()
                .filter(|kind| table == matches!(kind, Table(_) | List(_) | Map(_)))
                .for_each(|kind| mark(node, kind, seen));
        }
        Text | Word(_) | Flag | Count | Kind::Date => {}
    }
}

#[test]
fn every_key_is_explained_in_the_reference() {
    let file = SourceFile::new(PathBuf::new(), crate::config::REFERENCE);
    let root = tree::parse(&file, &mut Vec::new()).unwrap();
    let mut seen = BTreeSet::new();
    for entry in root.entries() {
        let key = FILE.keys.iter().find(|key| key.name == entry.key).unwrap();
        seen.insert((FILE.name, key.name));
        mark(&entry.node, &key.kind, &mut seen);
    }
    // What both servers have is explained at one of them.
    let at_one = |key: &str| seen.contains(&("mariadb", key)) || seen.contains(&("postgres", key));
    let mut lacking = Vec::new();
    for shape in all_shapes(&FILE) {
        for key in shape.keys {
            let server = ["mariadb", "postgres"].contains(&shape.name) && at_one(key.name);
            // A system's own brakes have the keys of all brakes.
            let brakes = shape.name == "[system.NAME.brakes]" && seen.contains(&("[brakes]", key.name));
            if !server && !brakes && !seen.contains(&(shape.name, key.name)) {
                lacking.push(format!("{} {}", shape.name, key.name));
            }
        }
    }
    assert!(lacking.is_empty(), "not in config/reference.toml: {lacking:?}");
}

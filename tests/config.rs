//! The configuration: what a person writes, and what they are told.

use std::path::Path;

use bewaard::config::load::load_text;

const SHORT: &str = r#"
version = "v1"
time-zone = "Europe/Amsterdam"
controller = "Voorbeeld Fietsen B.V."

[system.shop]
sqlite = "shop.db"

[rule.inactive]
system = "shop"
records.table = "customers"
since.column = "last_contact"
keep = "2 years"
because = "Privacy statement, 4"
then.delete = true
"#;

#[test]
fn the_short_form_loads() {
    let loaded = load_text(Path::new("/etc/bewaard/bewaard.toml"), SHORT).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(loaded.policy.rules.len(), 1);
}

/// Each broken configuration and all that a person is told about it. Read them: a tired engineer at 3 a.m. must know what
/// to type.
#[test]
fn broken_configurations_say_what_to_type() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    files.sort();
    assert!(files.len() >= 14, "only {} fixtures", files.len());
    for path in files {
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let told = match load_text(Path::new(&format!("{name}.toml")), &text) {
            Ok(loaded) => loaded.warnings,
            Err(faults) => faults,
        };
        assert!(!told.is_empty(), "{name} is not broken");
        insta::assert_snapshot!(name, told.render(false, 110));
    }
}

fn load_ok(name: &str, text: &str) -> bewaard::config::Loaded {
    load_text(Path::new(name), text).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn the_reference_and_the_examples_load_without_a_warning() {
    for (name, text) in [
        ("reference.toml", bewaard::config::REFERENCE),
        ("webshop.toml", include_str!("../config/examples/webshop.toml")),
        ("crm.toml", include_str!("../config/examples/crm.toml")),
    ] {
        let loaded = load_ok(name, text);
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }
}

/// `BEWAARD_BLESS=1 cargo test` writes it anew.
#[test]
fn the_committed_schema_is_the_one_of_the_keys() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/bewaard.schema.json");
    let schema = bewaard::config::schema();
    if std::env::var_os("BEWAARD_BLESS").is_some() {
        bewaard::durable::replace(&path, schema.as_bytes(), bewaard::durable::PUBLIC, path.parent().unwrap()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), schema, "run: BEWAARD_BLESS=1 cargo test --test config");
}

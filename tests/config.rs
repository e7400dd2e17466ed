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

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

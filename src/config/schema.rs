//! The JSON schema for editors, made from the table of keys.

/// The schema as text.
pub fn schema() -> String {
    String::new()
}

//! The firm's policy.

/// The text of the demo's `bewaard.toml`: short form, one key a line.
pub fn policy_text() -> String {
    POLICY.to_string()
}

const POLICY: &str = include_str!("policy.toml");

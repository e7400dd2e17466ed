//! Names and identifiers. Each is checked once, when it is made.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes that the name of a log and of its keys may have at most.
pub const LONGEST_LOG_NAME: usize = 200;

/// Why a name is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 64 characters: lower-case letters, digits and single hyphens inside")]
pub struct BadName;

/// Whether a text is a name, as each of a rule, a part, a system is.
pub fn is_name(name: &[u8]) -> bool {
    (1..=64).contains(&name.len())
        && name.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        && !name.starts_with(b"-")
        && !name.ends_with(b"-")
}

/// Whether a text is the id of a batch.
pub fn is_batch(text: &[u8]) -> bool {
    is_random(text, "batch-")
}

/// Whether a text is this and 16 hexadecimal digits.
fn is_random(text: &[u8], prefix: &str) -> bool {
    let digit = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    text.strip_prefix(prefix.as_bytes()).is_some_and(|digits| digits.len() == 16 && digits.iter().all(digit))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and keeps a name.
            pub fn new(name: impl Into<String>) -> Result<Self, BadName> {
                let name = name.into();
                if is_name(name.as_bytes()) { Ok(Self(name)) } else { Err(BadName) }
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(name: String) -> Result<Self, BadName> {
                Self::new(name)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name_type!(
    /// A rule: `[rule.NAME]`.
    RuleId
);
name_type!(
    /// A system: `[system.NAME]`.
    SystemId
);
name_type!(
    /// A part of a rule; `record` is the part for the whole record.
    PartId
);
name_type!(
    /// A ground to keep within a part.
    GroundId
);
name_type!(
    /// A person who decides: `[actor.NAME]`.
    ActorId
);

impl PartId {
    /// The part for the whole record, and the only part of a rule in the short form.
    pub fn record() -> Self {
        Self("record".into())
    }
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Makes an id from 8 random bytes.
            pub fn from_random(random: [u8; 8]) -> Self {
                Self(format!("{}{}", $prefix, hex::encode(random)))
            }
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                if is_random(text.as_bytes(), $prefix) { Ok(Self(text)) } else { Err(BadName) }
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

random_id!(
    /// One run: `run-` and 16 hexadecimal digits.
    RunId, "run-"
);
random_id!(
    /// One batch of a run: `batch-` and 16 hexadecimal digits.
    BatchId, "batch-"
);
random_id!(
    /// One hold: `hold-` and 16 hexadecimal digits.
    HoldId, "hold-"
);

/// A plan: the first 16 bytes of the digest of (decision digest, cut-off day, set), so that the same rule, day and
/// set give the same id. Printed as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanId(pub [u8; 16]);

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}
impl fmt::Debug for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlanId({self})")
    }
}
impl TryFrom<String> for PlanId {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(&text, &mut bytes).map_err(|_| BadName)?;
        Ok(Self(bytes))
    }
}
impl From<PlanId> for String {
    fn from(id: PlanId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_once() {
        for good in ["a", "inactive-customers", "2fa", &"x".repeat(64)] {
            assert!(RuleId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a b", "é", &"x".repeat(65)] {
            assert!(RuleId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_survive_text() {
        let run = RunId::from_random([0xab; 8]);
        assert_eq!(run.as_str(), "run-abababababababab");
        assert_eq!(RunId::try_from(run.to_string()), Ok(run));
        let plan = PlanId([7; 16]);
        assert_eq!(PlanId::try_from(plan.to_string()), Ok(plan));
        assert!(PlanId::try_from("07".to_string()).is_err());
    }
}

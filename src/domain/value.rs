//! Values and keys of other people's records. They may be personal data: they have no printing form.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::{push_field, push_nested};
use super::id::SystemId;

/// One value as a system gave it.
///
/// `Debug` prints the kind and never the value, so that no value can reach a log by accident.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scalar {
    /// No value.
    Null,
    /// A signed whole number.
    Int(i64),
    /// A whole number above `i64::MAX`; smaller ones are `Int`.
    UInt(u64),
    /// A floating-point number, by its bits. Never part of a key.
    Real(u64),
    /// Text.
    Text(String),
    /// Bytes that are no text.
    Bytes(Vec<u8>),
    /// A value of another type in the system's own canonical text (decimal, uuid, date, ...).
    Typed {
        /// The system's name of the type.
        ty: String,
        /// The canonical text.
        text: String,
    },
}

impl Scalar {
    /// A whole number in its one form.
    pub fn from_u64(value: u64) -> Self {
        i64::try_from(value).map_or(Self::UInt(value), Self::Int)
    }

    /// A floating-point number.
    pub fn from_f64(value: f64) -> Self {
        Self::Real(value.to_bits())
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a text or typed value.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Typed { text, .. } => Some(text),
            Self::Null | Self::Int(_) | Self::UInt(_) | Self::Real(_) | Self::Bytes(_) => None,
        }
    }

    /// Appends the canonical bytes: a type tag, a length and the value, so that `1` and `'1'` differ.
    pub fn push_canonical(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => push_field(out, b'n', &[]),
            Self::Int(value) => push_nested(out, b'i', |out| push_number(out, value)),
            Self::UInt(value) => push_nested(out, b'i', |out| push_number(out, value)),
            Self::Real(bits) => push_field(out, b'r', &bits.to_be_bytes()),
            Self::Text(text) => push_field(out, b't', text.as_bytes()),
            Self::Bytes(bytes) => push_field(out, b'b', bytes),
            Self::Typed { ty, text } => {
                push_field(out, b'y', ty.as_bytes());
                push_field(out, b'v', text.as_bytes());
            }
        }
    }

    /// The value for a person who is allowed to see it (`plan --sample`, proofs on their terminal). Never for a log.
    pub fn show(&self) -> String {
        match self {
            Self::Null => "NULL".into(),
            Self::Int(value) => value.to_string(),
            Self::UInt(value) => value.to_string(),
            Self::Real(bits) => f64::from_bits(*bits).to_string(),
            Self::Text(text) | Self::Typed { text, .. } => text.clone(),
            Self::Bytes(bytes) => format!("0x{}", hex::encode(bytes)),
        }
    }
}

fn push_number(out: &mut Vec<u8>, number: impl fmt::Display) {
    struct Digits<'a>(&'a mut Vec<u8>);
    impl fmt::Write for Digits<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    // Memory takes all that is written.
    let _ = fmt::Write::write_fmt(&mut Digits(out), format_args!("{number}"));
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Int(_) => "Int(..)",
            Self::UInt(_) => "UInt(..)",
            Self::Real(_) => "Real(..)",
            Self::Text(_) => "Text(..)",
            Self::Bytes(_) => "Bytes(..)",
            Self::Typed { .. } => "Typed(..)",
        })
    }
}

/// What names a record within its collection: ordered typed parts (columns, a mailbox UID with its UIDVALIDITY,
/// a path, an API's id).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(pub Vec<Scalar>);

impl Key {
    /// The canonical bytes of the key alone.
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 * self.0.len());
        self.push_canonical(&mut out);
        out
    }

    /// Appends the same.
    pub fn push_canonical(&self, out: &mut Vec<u8>) {
        self.0.iter().for_each(|part| part.push_canonical(out));
    }

    /// The key for a person who is allowed to see it. Never for a log.
    pub fn show(&self) -> String {
        self.0.iter().map(Scalar::show).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} parts)", self.0.len())
    }
}

/// The canonical bytes that commitments are made over: (system, collection, key).
/// A collection is a table, a mailbox, a folder, an API's list.
pub fn record_bytes(system: &SystemId, collection: &str, key: &Key) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    push_field(&mut out, b'S', system.as_str().as_bytes());
    push_field(&mut out, b'C', collection.as_bytes());
    push_nested(&mut out, b'K', |out| key.push_canonical(out));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_bytes_never_meet() {
        let keys = [
            Key(vec![Scalar::Int(1)]),
            Key(vec![Scalar::Text("1".into())]),
            Key(vec![Scalar::Bytes(b"1".to_vec())]),
            Key(vec![Scalar::Text("1".into()), Scalar::Null]),
            Key(vec![Scalar::Text("12".into()), Scalar::Text("3".into())]),
            Key(vec![Scalar::Text("1".into()), Scalar::Text("23".into())]),
            Key(vec![Scalar::Typed { ty: "uuid".into(), text: "1".into() }]),
        ];
        for (i, a) in keys.iter().enumerate() {
            for b in keys.iter().skip(i + 1) {
                assert_ne!(a.canonical(), b.canonical());
            }
        }
        assert_eq!(Scalar::from_u64(7), Scalar::Int(7));
    }

    #[test]
    fn debug_shows_no_value() {
        let key = Key(vec![Scalar::Text("jan@example.nl".into()), Scalar::Int(4711)]);
        let shown = format!("{key:?} {:?}", key.0);
        assert!(!shown.contains("jan") && !shown.contains("4711"), "{shown}");
    }
}

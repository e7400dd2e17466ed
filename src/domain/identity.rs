//! How a person is known: kinds of identity and the one form in which each is compared.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::push_field;

/// A kind of identity. Two records with the same identity of one kind are the same person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityKind {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// The firm's own number of a customer.
    CustomerNumber,
    /// A name to log in with.
    Login,
}

impl IdentityKind {
    /// Every kind, in order.
    pub const ALL: [Self; 4] = [Self::Email, Self::Phone, Self::CustomerNumber, Self::Login];

    /// The word for it in TOML and on standard input.
    pub fn word(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::CustomerNumber => "customer-number",
            Self::Login => "login",
        }
    }
}

impl fmt::Display for IdentityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One identity of a person, in the form in which it is compared. Never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    kind: IdentityKind,
    normal: String,
}

impl Identity {
    /// Normalises; `None` where nothing is left to compare.
    ///
    /// E-mail: trimmed, lower case (trap T25: JAN@... is jan@...). Phone: digits, with 00 and a Dutch leading 0 written
    /// as the country code. The others: trimmed, lower case.
    pub fn new(kind: IdentityKind, text: &str) -> Option<Self> {
        let text = text.trim();
        let normal = match kind {
            IdentityKind::Email | IdentityKind::CustomerNumber | IdentityKind::Login => text.to_lowercase(),
            IdentityKind::Phone => normal_phone(text),
        };
        (!normal.is_empty()).then_some(Self { kind, normal })
    }

    /// The bytes that commitments are made over.
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.normal.len() + 24);
        push_field(&mut out, b'I', self.kind.word().as_bytes());
        push_field(&mut out, b'V', self.normal.as_bytes());
        out
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, ..)", self.kind)
    }
}

fn normal_phone(text: &str) -> String {
    let international = text.starts_with('+') || text.starts_with("00");
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    match (international, digits.as_str()) {
        (true, all) => all.strip_prefix("00").unwrap_or(all).to_string(),
        (false, all) => all.strip_prefix('0').map_or_else(|| all.to_string(), |rest| format!("31{rest}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t25_variants_of_an_address_are_one_person() {
        let same = |kind, a, b| Identity::new(kind, a) == Identity::new(kind, b);
        assert!(same(IdentityKind::Email, " Jan@Voorbeeld.NL ", "jan@voorbeeld.nl"));
        assert!(same(IdentityKind::Phone, "06-1234 5678", "+31 6 12345678"));
        assert!(same(IdentityKind::Phone, "0031612345678", "0612345678"));
        assert!(!same(IdentityKind::Email, "jan@voorbeeld.nl", "jane@voorbeeld.nl"));
        assert_eq!(Identity::new(IdentityKind::Email, "  "), None);
    }
}

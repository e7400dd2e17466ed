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

/// What stands in the place of an identity that can't be read; no text normalises to it.
const UNREADABLE: &str = "\u{0}";

/// One identity of a person, in the form in which it is compared. Never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    kind: IdentityKind,
    normal: String,
}

/// What a field says about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Nothing.
    Empty,
    /// These identities, at least one.
    Known(Vec<Identity>),
    /// Something that can't be read as identities of its kind: it may be anybody's.
    Unreadable,
}

impl Identity {
    /// Reads a field as a firm's program may have filled it: `Jan <jan@x.nl>`, `jan@x.nl; piet@y.nl`, `mailto:jan@x.nl`,
    /// `06-12345678 / 020-1234567`.
    pub fn read(kind: IdentityKind, text: &str) -> Reading {
        let text = text.trim();
        if text.is_empty() {
            return Reading::Empty;
        }
        let found: Option<Vec<Self>> = match kind {
            IdentityKind::Email => {
                let ends = |c: char| c.is_whitespace() || ",;<>()[]\"'|".contains(c);
                let words = text.split(ends).filter(|word| word.contains('@'));
                Some(words.filter_map(|word| Self::new(kind, word.rsplit(':').next().unwrap_or(word))).collect())
            }
            IdentityKind::Phone => {
                let digits = |part: &str| part.chars().filter(char::is_ascii_digit).count();
                let plain = text.chars().all(|c| c.is_ascii_digit() || " +-.()/,;|".contains(c));
                let parts: Vec<&str> = text.split(['/', ',', ';', '|']).filter(|part| digits(part) > 0).collect();
                // Several numbers, or one that is written with a slash (0475/12.34.56).
                let whole = |part: &&str| (7..=15).contains(&digits(part));
                let several = parts.iter().all(whole);
                // A number and something else (020-1234567/68) is anybody's.
                let one = !parts.iter().any(whole) && digits(text) <= 15;
                let numbers = if several { parts } else { vec![text] };
                let readable = plain && (several || one);
                readable.then(|| numbers.into_iter().filter_map(|one| Self::new(kind, one)).collect())
            }
            IdentityKind::CustomerNumber | IdentityKind::Login => Self::new(kind, text).map(|one| vec![one]),
        };
        match found {
            Some(found) if !found.is_empty() => Reading::Known(found),
            _ => Reading::Unreadable,
        }
    }

    /// What stands for a field of this kind that can't be read: a hold on any identity of the kind binds it.
    pub fn unreadable(kind: IdentityKind) -> Self {
        Self { kind, normal: UNREADABLE.into() }
    }

    /// Its kind.
    pub fn kind(&self) -> IdentityKind {
        self.kind
    }

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
        (!normal.is_empty() && normal != UNREADABLE).then_some(Self { kind, normal })
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
    let international = text.starts_with('+') || text.starts_with("00") || text.starts_with("(+");
    // +31 (0)6 is how many write it: the zero in brackets is not dialled after a country code.
    let text = if international { text.replace("(0)", "") } else { text.to_string() };
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
        assert_eq!(Identity::read(IdentityKind::Login, "\0"), Reading::Unreadable, "not what stands for it");
    }

    #[test]
    fn a_field_may_hold_more_than_the_bare_identity() {
        let known = |kind, texts: &[&str]| {
            Reading::Known(texts.iter().filter_map(|text| Identity::new(kind, text)).collect::<Vec<_>>())
        };
        let email = |text| Identity::read(IdentityKind::Email, text);
        for text in ["Jan Jansen <jan@x.nl>", "mailto:Jan@X.nl", " jan@x.nl", "'jan@x.nl'", "(jan@x.nl)"] {
            assert_eq!(email(text), known(IdentityKind::Email, &["jan@x.nl"]), "{text}");
        }
        assert_eq!(email("jan@x.nl; Piet <piet@y.nl>"), known(IdentityKind::Email, &["jan@x.nl", "piet@y.nl"]));
        assert_eq!(email("geen"), Reading::Unreadable);
        assert_eq!(email(" "), Reading::Empty);
        let phone = |text| Identity::read(IdentityKind::Phone, text);
        for text in ["+31 (0)6 12345678", "\t06-12345678\n", "(06) 12 34 56 78", "0031 6 12345678", "+31.6.12345678"] {
            assert_eq!(phone(text), known(IdentityKind::Phone, &["0612345678"]), "{text}");
        }
        let two = known(IdentityKind::Phone, &["0612345678", "0201234567"]);
        assert_eq!(phone("(06)12345678 / 020-1234567"), two);
        assert_eq!(phone("0475/12.34.56"), known(IdentityKind::Phone, &["0475123456"]));
        for text in ["06-12345678 (werk)", "020-1234567/68", "06-12345678 / 020"] {
            assert_eq!(phone(text), Reading::Unreadable, "{text}");
        }
    }
}

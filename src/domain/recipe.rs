//! Recipes: what becomes of a field that is anonymised.
//!
//! Every recipe is idempotent, and that is its recogniser: a value is in final form when the recipe leaves it as it is.
//! What is in final form is never found again (trap T27: rows that are anonymised every night anew).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::MacKey;
use super::selection::Field;
use super::value::Key;

/// Recipes by field.
pub type Recipes = BTreeMap<Field, Recipe>;

/// What becomes of one field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipe {
    /// No value.
    Null,
    /// Always this text.
    Fixed(String),
    /// This text with `{key}` replaced by the record's key, for columns that are unique.
    Template(String),
    /// A coarser value.
    Truncate(Truncate),
    /// A keyed pseudonym of the record: the same for the same record, meaningless without the key.
    /// This is pseudonymous, not anonymous (GDPR art. 4(5)), until the key is destroyed.
    Pseudonym {
        /// At most this many characters (8 to 64).
        length: u32,
    },
    /// Members of a JSON document, by path (`a.b[0].c`); the rest stays.
    Json(BTreeMap<String, Recipe>),
    /// Members of a PHP-serialised value, by path, with the lengths made right; the rest stays.
    PhpSerialised(BTreeMap<String, Recipe>),
    /// The moment of the purge, in a column that was NULL: the sign that the record was done.
    Marker,
}

/// How a value is made coarser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truncate {
    /// IPv4 to its /24, IPv6 to its /48; other text becomes empty.
    Ip,
    /// A Dutch postcode to its four digits; other text becomes empty.
    Postcode,
    /// A date to the first day of its month.
    Month,
    /// A date to the first day of its year.
    Year,
}

/// What a recipe may depend on besides the value.
#[derive(Debug, Clone)]
pub struct RecipeContext<'a> {
    /// The record's key.
    pub key: &'a Key,
    /// The record's canonical bytes ([`super::value::record_bytes`]).
    pub record: &'a [u8],
    /// The key of pseudonyms.
    pub pseudonym: &'a MacKey,
    /// The moment of the purge as text that the field takes, for [`Recipe::Marker`].
    pub now: &'a str,
}

/// Why a recipe can't be applied to a value. It names no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeFault {
    /// The value is no JSON document.
    #[error("the value is no JSON document")]
    NotJson,
    /// The value is no PHP-serialised value.
    #[error("the value is no PHP-serialised value")]
    NotSerialised,
    /// The value is of a kind that this recipe can't read.
    #[error("the value is not of a kind that this recipe reads")]
    Kind,
}

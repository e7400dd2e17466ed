//! Recipes: what becomes of a field that is anonymised.
//!
//! Every recipe is idempotent, and that is its recogniser: a value is in final form when the recipe leaves it as it is.
//! What is in final form is never found again (trap T27: rows that are anonymised every night anew).
//!
//! NULL stays NULL under every recipe but the marker: there is nothing to remove, and no record may gain data by being
//! anonymised. An empty text is no document either, and stays under the recipes for documents.

mod json;
mod path;
mod reading;
#[cfg(test)]
mod tests;
mod truncate;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::MacKey;
use super::selection::Field;
use super::serialised;
use super::value::{Key, Scalar};

pub use path::{Step, parse_path};
pub(super) use reading::{decimal, reads_as, truth};

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
    /// Members of a JSON document, by path (`a.b[0].c`, `*` for all members or elements, `["a.b"]` for a name with a
    /// dot); the rest of the document stays as it is, to the byte. A path that is not there is no fault.
    Json(BTreeMap<String, Recipe>),
    /// Members of a PHP-serialised value, by the same paths, with the lengths and references made right; the rest stays.
    /// Private and protected properties go by their bare name.
    PhpSerialised(BTreeMap<String, Recipe>),
    /// The moment of the purge, in a column that was NULL: the sign that the record was done.
    Marker,
}

/// How a value is made coarser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truncate {
    /// IPv4 (also mapped into IPv6) to its /24, IPv6 to its /48; a network suffix stays; other text becomes empty.
    Ip,
    /// A Dutch postcode to its four digits; other text becomes empty.
    Postcode,
    /// A date to the first day of its month; a time to midnight. ISO 8601 only: other text is a fault, since a day and
    /// a month can't be told apart by looking.
    Month,
    /// A date to the first day of its year; a time to midnight.
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
    /// A path of the policy can't be read; see [`parse_path`].
    #[error("a path of the recipe can't be read")]
    Path,
}

impl Recipe {
    /// What becomes of a value. A value that is in final form comes back as it is, in its own type.
    ///
    /// Text may come back for a column of another type (`fixed = "0"` for a number): whoever writes it binds it as the
    /// column's type.
    pub fn apply(&self, value: &Scalar, ctx: &RecipeContext<'_>) -> Result<Scalar, RecipeFault> {
        match (self, value) {
            (Self::Marker, Scalar::Null) => Ok(Scalar::Text(ctx.now.to_string())),
            (_, Scalar::Null) | (Self::Null, _) => Ok(Scalar::Null),
            (Self::Marker, value) => Ok(value.clone()),
            (Self::Fixed(text), value) => Ok(unless_there(value, text.clone())),
            (Self::Template(text), value) => Ok(unless_there(value, text.replace("{key}", &key_text(ctx.key)))),
            (Self::Pseudonym { length }, value) => Ok(unless_there(value, pseudonym(ctx, *length))),
            (Self::Truncate(how), value) => truncate::truncate(*how, value),
            (Self::Json(members), value) => {
                rewrite(value, &RecipeFault::NotJson, |bytes| edit_all(bytes, members, ctx, json::edit))
            }
            (Self::PhpSerialised(members), value) => {
                rewrite(value, &RecipeFault::NotSerialised, |bytes| edit_all(bytes, members, ctx, serialised::edit))
            }
        }
    }

    /// Whether the value is in final form: the recipe would leave it as it is. A value that the recipe can't be applied
    /// to is not.
    pub fn is_final(&self, value: &Scalar, ctx: &RecipeContext<'_>) -> bool {
        self.apply(value, ctx).is_ok_and(|applied| applied == *value)
    }

    /// Whether this recipe may stand for a member of a document: any but documents and markers.
    pub fn is_simple(&self) -> bool {
        matches!(self, Self::Null | Self::Fixed(_) | Self::Template(_) | Self::Truncate(_) | Self::Pseudonym { .. })
    }
}

/// Turns one member of a document into what it becomes.
type MemberEdit<'a> = dyn Fn(&Scalar) -> Result<Scalar, RecipeFault> + 'a;
/// Rewrites the members of a document that a path leads to; `None` when nothing changes.
type DocumentEdit = fn(&[u8], &[Step], &MemberEdit<'_>) -> Result<Option<Vec<u8>>, RecipeFault>;

fn edit_all(
    bytes: &[u8],
    members: &BTreeMap<String, Recipe>,
    ctx: &RecipeContext<'_>,
    edit: DocumentEdit,
) -> Result<Option<Vec<u8>>, RecipeFault> {
    // Without any path the document is still read: what is none is refused.
    edit(bytes, &[], &|value| Ok(value.clone()))?;
    let mut changed: Option<Vec<u8>> = None;
    for (path, recipe) in members {
        let steps = parse_path(path).ok_or(RecipeFault::Path)?;
        if !recipe.is_simple() {
            return Err(RecipeFault::Kind);
        }
        let now = changed.as_deref().unwrap_or(bytes);
        if let Some(next) = edit(now, &steps, &|value| recipe.apply(value, ctx))? {
            changed = Some(next);
        }
    }
    Ok(changed)
}

fn rewrite(
    value: &Scalar,
    fault: &RecipeFault,
    edit: impl FnOnce(&[u8]) -> Result<Option<Vec<u8>>, RecipeFault>,
) -> Result<Scalar, RecipeFault> {
    let bytes = match value {
        Scalar::Text(text) | Scalar::Typed { text, .. } => text.as_bytes(),
        Scalar::Bytes(bytes) => bytes,
        Scalar::Null | Scalar::Int(_) | Scalar::UInt(_) | Scalar::Real(_) => return Err(RecipeFault::Kind),
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(value.clone());
    }
    let Some(bytes) = edit(bytes)? else { return Ok(value.clone()) };
    let text = |bytes| String::from_utf8(bytes).map_err(|_| fault.clone());
    Ok(match value {
        Scalar::Bytes(_) => Scalar::Bytes(bytes),
        Scalar::Typed { ty, .. } => Scalar::Typed { ty: ty.clone(), text: text(bytes)? },
        _ => Scalar::Text(text(bytes)?),
    })
}

fn unless_there(value: &Scalar, text: String) -> Scalar {
    if reads_as(value, &text) { value.clone() } else { Scalar::Text(text) }
}

fn key_text(key: &Key) -> String {
    let part = |part: &Scalar| match part {
        Scalar::Bytes(bytes) => hex::encode(bytes),
        other => other.show(),
    };
    key.0.iter().map(part).collect::<Vec<_>>().join("-")
}

fn pseudonym(ctx: &RecipeContext<'_>, length: u32) -> String {
    let length = usize::try_from(length.clamp(8, 64)).unwrap_or(64);
    let mut text = format!("p-{}", ctx.pseudonym.mac(ctx.record));
    text.truncate(length);
    text
}

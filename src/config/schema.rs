//! The JSON schema for editors, made from the same table of keys as the check.

use serde_json::{Map, Value, json};

use super::shape::{Key, Kind, Shape, all_shapes};
use super::v1;

/// The schema as text, as `config/bewaard.schema.json` holds it. The first line of a policy can name it for editors:
/// `#:schema bewaard.schema.json`.
pub fn schema() -> String {
    let definitions: Map<String, Value> =
        all_shapes(&v1::FILE).into_iter().map(|shape| (id(shape), table(shape))).collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bewaard.toml",
        "description": "The retention policy of one firm.",
        "$ref": reference(&v1::FILE),
        "$defs": definitions,
    });
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// A name for a shape: that of its table, told apart where two tables are called the same.
fn id(shape: &Shape) -> String {
    let same: Vec<&Shape> = all_shapes(&v1::FILE).into_iter().filter(|one| one.name == shape.name).collect();
    let place = same.iter().position(|one| std::ptr::eq(*one, shape)).unwrap_or_default();
    let name: String = shape.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = name.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-").to_lowercase();
    if place == 0 { name } else { format!("{name}-{}", place + 1) }
}

fn reference(shape: &Shape) -> Value {
    json!(format!("#/$defs/{}", id(shape)))
}

fn table(shape: &'static Shape) -> Value {
    let properties: Map<String, Value> = shape.keys.iter().map(|key| (key.name.to_string(), property(key))).collect();
    let required: Vec<&str> = shape.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn property(key: &'static Key) -> Value {
    let mut value = kind(&key.kind);
    if let Some(object) = value.as_object_mut() {
        object.insert("description".into(), json!(format!("{} Example: {}", key.about, key.example)));
    }
    value
}

fn kind(of: &'static Kind) -> Value {
    match of {
        Kind::Text => json!({ "type": "string" }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Count => json!({ "type": "integer", "minimum": 0 }),
        Kind::Date => json!({ "type": "string", "format": "date" }),
        Kind::Table(shape) => json!({ "$ref": reference(shape) }),
        Kind::Named(shape) => json!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$" },
            "additionalProperties": { "$ref": reference(shape) },
        }),
        // Tables are references, so that a recipe which holds recipes ends here.
        Kind::Map(inner) => json!({ "type": "object", "additionalProperties": kind(inner) }),
        Kind::List(inner) => json!({ "type": "array", "items": kind(inner) }),
        Kind::Any(kinds) => json!({ "anyOf": kinds.iter().map(kind).collect::<Vec<_>>() }),
    }
}

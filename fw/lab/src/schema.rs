//! Answers against their published schemas. Strictly: a field that the schema does not name is an error too.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bailey_control::schema::schemas;
use jsonschema::Validator;
use serde_json::Value;

/// Verbs of the command line whose JSON is an answer of the API, and its schema.
const VERBS: [(&str, &str); 7] = [
    ("status", "status"),
    ("rules", "rules"),
    ("counters", "counters"),
    ("conntrack stats", "conntrack-stats"),
    ("conntrack top", "conntrack-top"),
    ("top -b", "talkers"),
    ("blocks", "blocks"),
];

static VALIDATORS: LazyLock<BTreeMap<&str, Validator>> = LazyLock::new(|| {
    let strict = schemas().into_iter().map(|(name, schema)| {
        let mut schema = schema.to_value();
        forbid_other_fields(&mut schema);
        (name, jsonschema::validator_for(&schema).expect(name))
    });
    strict.collect()
});

/// Sets `additionalProperties` of all objects that name their fields.
fn forbid_other_fields(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(forbid_other_fields);
            if fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_other_fields),
        _ => {}
    }
}

/// Asserts that an answer matches the schema with this name.
///
/// # Panics
/// If it does not, or there is no such schema.
pub fn assert_valid(name: &str, answer: &Value) {
    let validator = VALIDATORS.get(name);
    let validator = validator.unwrap_or_else(|| panic!("no schema {name}"));
    let errors = validator.iter_errors(answer);
    let errors: Vec<String> = errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{name}: {}\n{answer}", errors.join("\n"));
}

/// As [`assert_valid`], for the JSON that a verb prints. Verbs whose JSON is no answer are not checked.
pub fn assert_valid_output(verb: &str, answer: &Value) {
    let found = VERBS.iter().find(|(known, _)| verb.starts_with(known));
    if let Some((_, name)) = found {
        assert_valid(name, answer);
    }
}

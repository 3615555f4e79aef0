//! The schemas in docs/api are those of the types. With `BAILEY_RECORD_SCHEMAS` the test writes them.

use std::fs;
use std::path::{Path, PathBuf};

use bailey_control::schema::schemas;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api")
}

#[test]
fn published_schemas_are_those_of_the_types() {
    let record = std::env::var_os("BAILEY_RECORD_SCHEMAS").is_some();
    let mut files = Vec::new();
    for (name, schema) in schemas() {
        let file = format!("{name}.schema.json");
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let path = folder().join(&file);
        if record {
            fs::write(&path, &text).unwrap();
        }
        let published = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            published == text,
            "{file} is not current: run `make api-schemas`"
        );
        files.push(file);
    }
    // No file of a type that no longer exists.
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(files.contains(&name), "{name} has no type");
    }
}

//! The published JSON Schemas.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folder of the schemas.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

/// Checks a value against the schema of its member `kind`.
pub(crate) fn assert_valid(value: &Value) {
    let kind = value["kind"].as_str().unwrap().replace('_', "-");
    let text = std::fs::read_to_string(folder().join(kind).join("1.0.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{}\n{value:#}", errors.join("\n"));
}

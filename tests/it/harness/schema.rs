//! The published JSON Schemas.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::Value;

/// The folder of the schemas.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

/// The schemas, each compiled once: the conformance tests check many thousands of events.
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

fn validator(kind: &str) -> Arc<Validator> {
    let mut validators = VALIDATORS.lock().unwrap();
    let compiled = validators.entry(kind.to_owned()).or_insert_with(|| Arc::new(compile(kind)));
    Arc::clone(compiled)
}

fn compile(kind: &str) -> Validator {
    let text = std::fs::read_to_string(folder().join(kind).join("1.0.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Checks a value against the schema of its member `kind`.
pub(crate) fn assert_valid(value: &Value) {
    let validator = validator(&value["kind"].as_str().unwrap().replace('_', "-"));
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{}\n{value:#}", errors.join("\n"));
}

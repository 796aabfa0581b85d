//! `--set`: changes of a simulated body.

use anyhow::Context as _;
use serde_json::Value;

/// Changes one field. Text stays text, a number stays a number where the new value is one.
pub(super) fn set(body: &mut Value, change: &str) -> anyhow::Result<()> {
    let (path, value) = change.split_once('=').context("--set takes FIELD=VALUE, such as status=rejected")?;
    let (path, as_json) = path.strip_suffix(':').map_or((path, false), |path| (path, true));
    let mut place = body;
    for name in path.split('.') {
        let object = place
            .as_object_mut()
            .with_context(|| format!("--set {path}: {name} is below a value that is no object"))?;
        place = object.entry(name).or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    *place = match (as_json, place.is_number()) {
        (true, _) => serde_json::from_str(value).with_context(|| format!("--set {path}: {value} is not JSON"))?,
        (false, true) => serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
        (false, false) => Value::from(value),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_changed_and_made_by_path() {
        let mut body = json!({"status": "delivered", "error": {"code": 1300}});
        for change in [
            "status=rejected",
            "error.code=1130",
            "error.title=1130",
            "sms:={\"count_total\":\"2\"}",
            "to=447700900009",
        ] {
            set(&mut body, change).unwrap();
        }
        assert_eq!(
            body,
            json!({"status": "rejected", "error": {"code": 1130, "title": "1130"}, "sms": {"count_total": "2"}, "to": "447700900009"})
        );
        assert!(set(&mut body, "status").is_err());
        assert!(set(&mut body, "status.x=1").is_err());
        assert!(set(&mut body, "sms:=nonsense").is_err());
    }
}

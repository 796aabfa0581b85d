//! What is in the spool, told in JSON: by `trunkline spool list` and by the operators' server alike.

use serde_json::{Value, json};

use super::error::SpoolError;
use super::heads::Table;
use super::row::{Listed, Verification};
use super::store::Store;
use crate::event::time::Time;

impl Store {
    /// What waits and what is in the quarantine: how much there is, and the first rows, at most so many
    /// of each. The values of the events are not told.
    ///
    /// # Errors
    /// When the database can not be read.
    pub fn overview(&self, limit: usize) -> Result<Value, SpoolError> {
        Ok(json!({
            "waiting": self.section(Table::Record, &self.list(limit)?)?,
            "quarantined": self.section(Table::Quarantine, &self.list_quarantined(limit)?)?,
        }))
    }

    fn section(&self, table: Table, listed: &[Listed]) -> Result<Value, SpoolError> {
        let sql = format!("SELECT count(*), coalesce(sum(bytes), 0), min(spooled_at_ms) FROM {}", table.name());
        let (rows, bytes, oldest): (i64, i64, Option<i64>) =
            self.connection.query_row(&sql, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let list: Vec<Value> = listed.iter().map(Listed::json).collect();
        Ok(json!({"rows": rows, "bytes": bytes, "oldest_at": oldest.map(Time::from_unix_ms), "list": list}))
    }
}

impl Listed {
    fn json(&self) -> Value {
        let mut object = json!({
            "number": self.number,
            "topic": self.topic,
            "bytes": self.bytes,
            "spooled_at": Time::from_unix_ms(self.spooled_at_ms),
        });
        match &self.label {
            Err(damaged) => object["damaged"] = damaged.what.into(),
            Ok(label) => {
                object["key"] = label.key.as_str().into();
                object["source_name"] = label.source_name.as_str().into();
                object["provider"] = label.provider.as_str().into();
                if let Some((reason, at_ms)) = &label.quarantined {
                    object["quarantine"] = json!({"reason": reason, "at": Time::from_unix_ms(*at_ms)});
                }
            }
        }
        object
    }
}

impl Verification {
    /// What was found, as JSON.
    pub fn json(&self) -> Value {
        json!({"rows": self.rows, "quarantined": self.quarantined, "problems": self.problems})
    }
}

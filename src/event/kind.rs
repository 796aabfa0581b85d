//! The kinds of event and the topics they are published to.

/// What an event tells. Each kind has a topic and a JSON Schema of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A message's delivery status.
    MessageStatus,
    /// A message that somebody sent to the account.
    InboundMessage,
    /// Something that happened in a call.
    CallEvent,
    /// A call detail record.
    CallRecord,
    /// A row of accounting that is neither a message nor a call.
    UsageRecord,
}

/// Everything that depends on the kind alone.
#[derive(Debug)]
pub struct KindInfo {
    /// The kind itself.
    pub kind: Kind,
    /// Value of the member `kind`.
    pub name: &'static str,
    /// Name inside an event id.
    pub id_name: &'static str,
    /// CloudEvents `type`.
    pub ce_type: &'static str,
    /// CloudEvents `dataschema`.
    pub dataschema: &'static str,
    /// Where the topic of this kind gets its settings.
    pub topic: &'static TopicInfo,
    /// File of the JSON Schema below `schemas/`.
    pub schema_file: &'static str,
    /// The JSON Schema.
    pub schema: &'static str,
}

/// A topic and the settings it is created with.
#[derive(Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Name after the configured prefix.
    pub suffix: &'static str,
    /// Number of partitions. It is never changed later, since keys would move.
    pub partitions: i32,
    /// What becomes of old records.
    pub cleanup: Cleanup,
    /// Greatest record, where the broker's default is not enough.
    pub max_message_bytes: Option<u32>,
    /// What the topic holds, for people.
    pub summary: &'static str,
}

/// What becomes of old records of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// They are deleted.
    Delete {
        /// The age at which they are, in days.
        after_days: u32,
    },
    /// Of each key the last record is kept for ever.
    Compact,
}

/// Dead letters and raw requests carry whole request bodies.
pub const LARGE_RECORD_BYTES: u32 = 16 * 1024 * 1024;

static MESSAGE_STATUS_TOPIC: TopicInfo = TopicInfo {
    suffix: "message-status.v1",
    partitions: 12,
    cleanup: Cleanup::Delete { after_days: 30 },
    max_message_bytes: None,
    summary: "delivery statuses of messages",
};

static INBOUND_MESSAGE_TOPIC: TopicInfo = TopicInfo {
    suffix: "inbound-message.v1",
    partitions: 12,
    cleanup: Cleanup::Delete { after_days: 7 },
    max_message_bytes: None,
    summary: "messages sent to the account",
};

static CALL_EVENT_TOPIC: TopicInfo = TopicInfo {
    suffix: "call-event.v1",
    partitions: 12,
    cleanup: Cleanup::Delete { after_days: 7 },
    max_message_bytes: None,
    summary: "what happens in calls",
};

static CALL_RECORD_TOPIC: TopicInfo = TopicInfo {
    suffix: "call-record.v1",
    partitions: 12,
    cleanup: Cleanup::Delete { after_days: 90 },
    max_message_bytes: None,
    summary: "call detail records",
};

static USAGE_RECORD_TOPIC: TopicInfo = TopicInfo {
    suffix: "usage-record.v1",
    partitions: 6,
    cleanup: Cleanup::Delete { after_days: 90 },
    max_message_bytes: None,
    summary: "what was charged for and is no message or call",
};

/// Authentic requests that could not be understood.
pub static DEAD_LETTER_TOPIC: TopicInfo = TopicInfo {
    suffix: "dead-letter.v1",
    partitions: 3,
    cleanup: Cleanup::Delete { after_days: 30 },
    max_message_bytes: Some(LARGE_RECORD_BYTES),
    summary: "authentic requests that could not be understood",
};

/// The exact authentic requests. Off unless the configuration says otherwise.
pub static RAW_TOPIC: TopicInfo = TopicInfo {
    suffix: "raw.v1",
    partitions: 6,
    cleanup: Cleanup::Delete { after_days: 7 },
    max_message_bytes: Some(LARGE_RECORD_BYTES),
    summary: "exact authentic requests",
};

/// What the program has to remember. It is there once something needs it.
pub static STATE_TOPIC: TopicInfo = TopicInfo {
    suffix: "state.v1",
    partitions: 12,
    cleanup: Cleanup::Compact,
    max_message_bytes: None,
    summary: "what the program has to remember",
};

/// The same, where topics are asked for as a list.
pub static STATE_TOPICS: &[&TopicInfo] = &[&STATE_TOPIC];

/// Every kind that exists, in the order in which people should meet them.
pub static KINDS: [KindInfo; 5] = [
    KindInfo {
        kind: Kind::MessageStatus,
        name: "message_status",
        id_name: "message.status",
        ce_type: "trunkline.message.status.v1",
        dataschema: "urn:trunkline:schemas/message-status/1.0.json",
        topic: &MESSAGE_STATUS_TOPIC,
        schema_file: "message-status/1.0.json",
        schema: include_str!("../../schemas/message-status/1.0.json"),
    },
    KindInfo {
        kind: Kind::InboundMessage,
        name: "inbound_message",
        id_name: "inbound.message",
        ce_type: "trunkline.inbound.message.v1",
        dataschema: "urn:trunkline:schemas/inbound-message/1.0.json",
        topic: &INBOUND_MESSAGE_TOPIC,
        schema_file: "inbound-message/1.0.json",
        schema: include_str!("../../schemas/inbound-message/1.0.json"),
    },
    KindInfo {
        kind: Kind::CallEvent,
        name: "call_event",
        id_name: "call.event",
        ce_type: "trunkline.call.event.v1",
        dataschema: "urn:trunkline:schemas/call-event/1.0.json",
        topic: &CALL_EVENT_TOPIC,
        schema_file: "call-event/1.0.json",
        schema: include_str!("../../schemas/call-event/1.0.json"),
    },
    KindInfo {
        kind: Kind::CallRecord,
        name: "call_record",
        id_name: "call.record",
        ce_type: "trunkline.call.record.v1",
        dataschema: "urn:trunkline:schemas/call-record/1.0.json",
        topic: &CALL_RECORD_TOPIC,
        schema_file: "call-record/1.0.json",
        schema: include_str!("../../schemas/call-record/1.0.json"),
    },
    KindInfo {
        kind: Kind::UsageRecord,
        name: "usage_record",
        id_name: "usage.record",
        ce_type: "trunkline.usage.record.v1",
        dataschema: "urn:trunkline:schemas/usage-record/1.0.json",
        topic: &USAGE_RECORD_TOPIC,
        schema_file: "usage-record/1.0.json",
        schema: include_str!("../../schemas/usage-record/1.0.json"),
    },
];

/// File and text of the JSON Schema of dead letters, which are no events.
pub const DEAD_LETTER_SCHEMA: (&str, &str) =
    ("dead-letter/1.0.json", include_str!("../../schemas/dead-letter/1.0.json"));

/// File and text of the JSON Schema of raw requests, which are no events.
pub const RAW_SCHEMA: (&str, &str) = ("raw/1.0.json", include_str!("../../schemas/raw/1.0.json"));

/// Version of the data objects, the `schema_version` of every event.
pub const SCHEMA_VERSION: &str = "1.0";

impl Kind {
    /// The facts about this kind.
    pub fn info(self) -> &'static KindInfo {
        &KINDS[self as usize]
    }

    /// Reads the member `kind`.
    pub fn from_name(name: &str) -> Option<Self> {
        KINDS.iter().find(|info| info.name == name).map(|info| info.kind)
    }
}

/// Every topic that a service always writes, in the order of [`KINDS`] and the dead letters last.
pub fn topics() -> impl Iterator<Item = &'static TopicInfo> {
    KINDS.iter().map(|info| info.topic).chain([&DEAD_LETTER_TOPIC])
}

/// Every topic that the program may ever write, those that are not always there last.
pub fn all_topics() -> impl Iterator<Item = &'static TopicInfo> {
    topics().chain([&RAW_TOPIC, &STATE_TOPIC])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_finds_its_own_row_and_schema() {
        for info in &KINDS {
            assert_eq!(info.kind.info().name, info.name);
            assert_eq!(Kind::from_name(info.name), Some(info.kind));
            assert!(info.dataschema.ends_with(info.schema_file));
            let schema: serde_json::Value = serde_json::from_str(info.schema).unwrap();
            assert_eq!(schema["$id"], info.dataschema);
        }
    }
}

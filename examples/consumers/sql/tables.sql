-- Tables of a consumer of message statuses and call records. Runs as it is on SQLite 3.38 and PostgreSQL 15, or newer.
--
-- The other files of this folder hold one statement each, for one event. A consumer runs them in one transaction and
-- commits its offsets after that, so that a crash in between repeats events that change nothing the second time.

-- Every event that was taken, once. A copy has both ids of one that is here; a correction, such as a price that came
-- later, has its event_id and another facthash. Rows older than the topics' retention can be deleted.
CREATE TABLE IF NOT EXISTS event (
    event_id TEXT NOT NULL,
    facthash TEXT NOT NULL,
    value JSONB NOT NULL,
    PRIMARY KEY (event_id, facthash)
);

-- Records that are no event, kept so that one of them does not stop the partition.
CREATE TABLE IF NOT EXISTS unreadable (
    topic TEXT NOT NULL,
    partition_number INTEGER NOT NULL,
    record_offset BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (topic, partition_number, record_offset)
);

-- The state of each message. Times end without Z, so that they sort as text.
CREATE TABLE IF NOT EXISTS message_status (
    provider TEXT NOT NULL,
    account_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    recipient TEXT NOT NULL,
    status TEXT NOT NULL,
    status_rank INTEGER NOT NULL,
    is_final BOOLEAN NOT NULL,
    since TEXT NOT NULL,
    price_amount TEXT,
    price_currency TEXT,
    PRIMARY KEY (provider, account_id, message_id, recipient)
);

-- The best version of each record that is known. leg_id is '' where the provider tells none.
CREATE TABLE IF NOT EXISTS call_record (
    provider TEXT NOT NULL,
    account_id TEXT NOT NULL,
    record_id TEXT NOT NULL,
    leg_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    is_final INTEGER NOT NULL,
    version TEXT NOT NULL,
    received_at TEXT NOT NULL,
    direction TEXT NOT NULL,
    outcome TEXT NOT NULL,
    answered BOOLEAN,
    started_at TEXT,
    ended_at TEXT,
    talk_ms BIGINT,
    PRIMARY KEY (provider, account_id, record_id, leg_id)
);

CREATE INDEX IF NOT EXISTS call_record_session ON call_record (provider, account_id, session_id);

-- Brings a call record up to date with one event. Parameters: event_id, facthash.
--
-- A final record replaces a provisional one, never the other way round. Of two with one state the greater version of the
-- provider wins, which is a time; where the provider has none (the version is a hash, h:...), the one received later.
INSERT INTO call_record AS known (
    provider, account_id, record_id, leg_id, session_id, is_final, version, received_at,
    direction, outcome, answered, started_at, ended_at, talk_ms
)
SELECT
    value ->> 'provider',
    value ->> 'account_id',
    value ->> 'record_id',
    COALESCE(value ->> 'leg_id', ''),
    COALESCE(value ->> 'session_id', value ->> 'record_id'),
    CASE WHEN value ->> 'state' = 'provisional' THEN 0 ELSE 1 END,
    CASE WHEN value ->> 'record_version' LIKE 'h:%' THEN '' ELSE RTRIM(value ->> 'record_version', 'Z') END,
    RTRIM(value ->> 'received_at', 'Z'),
    value ->> 'direction',
    value ->> 'outcome',
    CAST(value ->> 'answered' AS BOOLEAN),
    RTRIM(value ->> 'started_at', 'Z'),
    RTRIM(value ->> 'ended_at', 'Z'),
    CAST(value ->> 'talk_ms' AS BIGINT)
FROM event
WHERE event_id = ? AND facthash = ?
ON CONFLICT (provider, account_id, record_id, leg_id) DO UPDATE SET
    session_id = excluded.session_id,
    is_final = excluded.is_final,
    version = excluded.version,
    received_at = excluded.received_at,
    direction = excluded.direction,
    outcome = excluded.outcome,
    answered = excluded.answered,
    started_at = excluded.started_at,
    ended_at = excluded.ended_at,
    talk_ms = excluded.talk_ms
WHERE (excluded.is_final, excluded.version, excluded.received_at) > (known.is_final, known.version, known.received_at)

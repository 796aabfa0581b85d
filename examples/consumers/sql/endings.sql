-- How each leg of a call ended. A leg may end several times: Vonage sends `completed` also after `busy` or `failed`, and
-- knows less then. An end that tells a cause, or a conversation with its length, wins; among equals the latest.
SELECT provider, account_id, call_id, leg_id, outcome, answered, occurred_at
FROM (
    SELECT
        value ->> 'provider' AS provider,
        value ->> 'account_id' AS account_id,
        value ->> 'call_id' AS call_id,
        value ->> 'leg_id' AS leg_id,
        value ->> 'outcome' AS outcome,
        value ->> 'answered' AS answered,
        value ->> 'occurred_at' AS occurred_at,
        ROW_NUMBER() OVER (
            PARTITION BY value ->> 'provider', value ->> 'account_id', value ->> 'leg_id'
            ORDER BY
                CASE
                    WHEN value ->> 'outcome' = 'unknown' THEN 1
                    WHEN value ->> 'outcome' = 'answered' AND value ->> 'talk_ms' IS NULL THEN 1
                    ELSE 0
                END,
                RTRIM(value ->> 'occurred_at', 'Z') DESC
        ) AS place
    FROM event
    WHERE value ->> 'kind' = 'call_event' AND value ->> 'event' = 'ended'
) AS ending
WHERE place = 1
ORDER BY provider, account_id, call_id, leg_id;

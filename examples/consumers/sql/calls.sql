-- One row for each call: its legs joined by the session. Provisional legs do not count once the record is final, since
-- a provider may report a call as a whole in the end.
SELECT
    provider,
    account_id,
    session_id,
    COUNT(*) AS legs,
    MIN(started_at) AS started_at,
    MAX(ended_at) AS ended_at,
    SUM(talk_ms) AS talk_ms,
    MAX(CASE WHEN answered THEN 1 ELSE 0 END) AS answered,
    MIN(is_final) AS is_final
FROM call_record AS leg
WHERE is_final = 1 OR NOT EXISTS (
    SELECT 1 FROM call_record AS final_leg
    WHERE final_leg.provider = leg.provider
        AND final_leg.account_id = leg.account_id
        AND final_leg.record_id = leg.record_id
        AND final_leg.is_final = 1
)
GROUP BY provider, account_id, session_id
ORDER BY provider, account_id, session_id

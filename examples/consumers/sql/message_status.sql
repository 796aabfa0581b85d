-- Brings the state of a message up to date with one event. Parameters: event_id, facthash.
--
-- Webhooks overtake each other, so the greatest rank wins and not the last event; at equal rank the later time, then
-- the one that came first. A price is taken from any event, since it may come with an early status or a correction.
INSERT INTO message_status AS known (
    provider, account_id, message_id, recipient, status, status_rank, is_final, since, price_amount, price_currency
)
SELECT
    value ->> 'provider',
    value ->> 'account_id',
    value ->> 'message_id',
    COALESCE(value -> 'to' ->> 'e164', value -> 'to' ->> 'value', value -> 'to' ->> 'hash', value -> 'to' ->> 'masked', ''),
    value ->> 'status',
    CAST(value ->> 'status_rank' AS INTEGER),
    CAST(value ->> 'is_final' AS BOOLEAN),
    RTRIM(COALESCE(value ->> 'occurred_at', value ->> 'received_at'), 'Z'),
    value -> 'price' ->> 'amount',
    value -> 'price' ->> 'currency'
FROM event
WHERE event_id = ? AND facthash = ?
ON CONFLICT (provider, account_id, message_id, recipient) DO UPDATE SET
    status = CASE WHEN (excluded.status_rank, excluded.since) > (known.status_rank, known.since)
        THEN excluded.status ELSE known.status END,
    is_final = CASE WHEN (excluded.status_rank, excluded.since) > (known.status_rank, known.since)
        THEN excluded.is_final ELSE known.is_final END,
    since = CASE WHEN (excluded.status_rank, excluded.since) > (known.status_rank, known.since)
        THEN excluded.since ELSE known.since END,
    status_rank = CASE WHEN excluded.status_rank > known.status_rank
        THEN excluded.status_rank ELSE known.status_rank END,
    price_amount = COALESCE(excluded.price_amount, known.price_amount),
    price_currency = COALESCE(excluded.price_currency, known.price_currency)

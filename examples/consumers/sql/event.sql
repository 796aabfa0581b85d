-- Takes in one event; no row is changed by a copy, and then there is nothing more to do.
-- Parameters: event_id, header ce_facthash or '', value.
INSERT INTO event (event_id, facthash, value)
VALUES (?, ?, ?)
ON CONFLICT (event_id, facthash) DO NOTHING

-- Sets aside a record that is no event. Parameters: topic, partition, offset, reason.
INSERT INTO unreadable (topic, partition_number, record_offset, reason)
VALUES (?, ?, ?, ?)
ON CONFLICT (topic, partition_number, record_offset) DO NOTHING

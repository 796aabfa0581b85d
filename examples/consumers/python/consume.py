"""Keeps the state of messages and calls in an SQLite database, from the topics of Trunkline.

    pip install -r requirements.txt
    python consume.py --brokers localhost:9092 --database telecom.db

The statements are those of ../sql. With psycopg instead of sqlite3, write their parameters as %s.
"""

import argparse
import json
import pathlib
import sqlite3

from confluent_kafka import Consumer, KafkaError, KafkaException

SQL = pathlib.Path(__file__).resolve().parent.parent / "sql"
TOPICS = {"message-status.v1": "message_status", "call-record.v1": "call_record"}
BATCH = 500


def statement(name):
    return (SQL / f"{name}.sql").read_text(encoding="utf-8")


TAKE = statement("event")
SET_ASIDE = statement("unreadable")
APPLY = {kind: statement(kind) for kind in TOPICS.values()}


def take(database, record):
    """Applies one event, unless it is a copy. Raises if the record is no event."""
    event = json.loads(record.value())
    event_id, kind = event["event_id"], event["kind"]
    facthash = dict(record.headers() or []).get("ce_facthash", b"").decode()
    text = record.value().decode()
    is_new = database.execute(TAKE, (event_id, facthash, text)).rowcount == 1
    if is_new and kind in APPLY:
        database.execute(APPLY[kind], (event_id, facthash))


def take_or_set_aside(database, record):
    """A record that can not be read is noted and passed by: it would be as unreadable the next time."""
    database.execute("SAVEPOINT record")
    try:
        take(database, record)
    except (ValueError, TypeError, KeyError, RecursionError, sqlite3.IntegrityError) as error:
        database.execute("ROLLBACK TO record")
        reason = type(error).__name__  # Not its text, which may quote what stands in the record.
        database.execute(SET_ASIDE, (record.topic(), record.partition(), record.offset(), reason))
    database.execute("RELEASE record")


def process(consumer, database, records):
    """One transaction for the batch, and the offsets only after it."""
    database.execute("BEGIN")
    for record in records:
        take_or_set_aside(database, record)
    database.execute("COMMIT")
    consumer.commit(asynchronous=False)


def batches(consumer, until_end):
    """Lists of records, and with until_end no more once all partitions were read to their ends."""
    at_end = set()
    while not until_end or len(at_end) < (len(consumer.assignment()) or 1):
        records = []
        for record in consumer.consume(BATCH, timeout=1.0):
            place = (record.topic(), record.partition())
            if record.error() is None:
                at_end.discard(place)
                records.append(record)
            elif record.error().code() == KafkaError._PARTITION_EOF:
                at_end.add(place)
            elif not record.error().retriable():
                raise KafkaException(record.error())
        if records:
            yield records


def main():
    arguments = argparse.ArgumentParser(description="Keeps the state of messages and calls in an SQLite database")
    arguments.add_argument("--brokers", default="localhost:9092")
    arguments.add_argument("--group", default="telecom-state")
    arguments.add_argument("--prefix", default="telecom.", help="what the topics' names begin with")
    arguments.add_argument("--database", default="telecom.db")
    arguments.add_argument("--until-end", action="store_true", help="stop when everything is read")
    options = arguments.parse_args()

    # Without an isolation level the module begins no transactions of its own.
    database = sqlite3.connect(options.database, isolation_level=None)
    database.executescript(statement("tables"))
    consumer = Consumer({
        "bootstrap.servers": options.brokers,
        "group.id": options.group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.partition.eof": options.until_end,
    })
    consumer.subscribe([options.prefix + topic for topic in TOPICS])
    try:
        for records in batches(consumer, options.until_end):
            process(consumer, database, records)
    finally:
        consumer.close()


if __name__ == "__main__":
    main()

//! The database: its settings, its tables, and how older ones are brought up to date.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::SpoolError;
use super::heads::number_of;

/// `TLSP`, so that `file` and SQLite's own tools can tell whose database it is.
const APPLICATION_ID: i64 = 0x544C_5350;

/// Written into every new database; an existing one keeps what it has.
pub(super) const PAGE_BYTES: usize = 4096;

/// Greater numbers are no formats of a future version but damage.
const GREATEST_FORMAT: i64 = 9999;

/// Each step brings the database from the format of its index to the next; the last one is today's.
///
/// `record` and `quarantine` keep in `sealed` a whole row under its own checksum. The columns before it
/// repeat what is asked at start, so that no value need be read for it, under `head_crc`.
const MIGRATIONS: [&str; 2] = [
    "CREATE TABLE record (number INTEGER PRIMARY KEY, topic TEXT NOT NULL, kind TEXT NOT NULL,
         key_hash INTEGER NOT NULL, bytes INTEGER NOT NULL, event_id BLOB, fact_hash BLOB,
         spooled_at_ms INTEGER NOT NULL, head_crc INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
     CREATE TABLE quarantine (number INTEGER PRIMARY KEY, topic TEXT NOT NULL, kind TEXT NOT NULL,
         key_hash INTEGER NOT NULL, bytes INTEGER NOT NULL, event_id BLOB, fact_hash BLOB,
         spooled_at_ms INTEGER NOT NULL, head_crc INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
     CREATE TABLE progress (sequence INTEGER NOT NULL) STRICT;
     INSERT INTO progress VALUES (1);",
    "CREATE TABLE partition_count (topic TEXT NOT NULL, partitions INTEGER NOT NULL) STRICT;",
];

/// Opens a database, of which a number of transactions had been synced, and brings it up to date.
pub(super) fn open(path: &Path, vfs: Option<&str>, witnessed: u64) -> Result<Connection, SpoolError> {
    open_with(path, vfs, witnessed, &MIGRATIONS)
}

fn open_with(path: &Path, vfs: Option<&str>, witnessed: u64, migrations: &[&str]) -> Result<Connection, SpoolError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        None => Connection::open_with_flags(path, flags)?,
    };
    // A connection that ends leaves everything as it is: what was found may have to be looked into.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Before the first access, so that the log's index is in memory and needs no file.
    connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
    let format = format_of(&connection, migrations.len())?;
    // Before anything is written: that would go to where the lost transactions may still be.
    compare(sequence_of(&connection, format)?, witnessed)?;
    configure(&connection)?;
    migrate(&mut connection, format, migrations)?;
    Ok(connection)
}

/// How many migrations the database has seen.
fn format_of(connection: &Connection, newest: usize) -> Result<usize, SpoolError> {
    let application: i64 = pragma(connection, "application_id")?;
    let found: i64 = pragma(connection, "user_version")?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    let known = i64::try_from(newest).map_err(|_| SpoolError::OutOfRange("the format"))?;
    match (application, found) {
        (0, 0) if tables == 0 => Ok(0),
        (APPLICATION_ID, _) if found > known && found <= GREATEST_FORMAT => Err(SpoolError::Newer { found, known }),
        (APPLICATION_ID, 1..) if found <= known => Ok(usize::try_from(found).unwrap_or(newest)),
        _ => Err(SpoolError::Corrupt("its header is not that of a spool".to_owned())),
    }
}

/// The number of the last transaction.
fn sequence_of(connection: &Connection, format: usize) -> Result<u64, SpoolError> {
    match format {
        0 => Ok(0),
        _ => number_of(connection.query_row("SELECT sequence FROM progress", (), |row| row.get(0))?),
    }
}

fn compare(sequence: u64, witnessed: u64) -> Result<(), SpoolError> {
    if sequence < witnessed {
        let message = format!("its last transaction is {sequence}, though {witnessed} had been synced");
        return Err(SpoolError::Corrupt(message));
    }
    Ok(())
}

fn configure(connection: &Connection) -> Result<(), SpoolError> {
    connection.execute_batch(&format!("PRAGMA page_size = {PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL"))?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0))?;
    if mode != "wal" {
        return Err(SpoolError::Corrupt(format!("its journal mode is {mode}")));
    }
    // The log is synced at each commit. Deleted rows are overwritten: what is personal does not outlive
    // its delivery, and what is salvaged from single pages had not been deleted. A log that has grown
    // is cut back.
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA secure_delete = ON;
         PRAGMA wal_autocheckpoint = 2000;
         PRAGMA journal_size_limit = 16777216;
         PRAGMA cache_size = -8192;
         PRAGMA temp_store = MEMORY;
         PRAGMA cell_size_check = ON;
         PRAGMA trusted_schema = OFF",
    )?;
    Ok(())
}

fn migrate(connection: &mut Connection, format: usize, migrations: &[&str]) -> Result<(), SpoolError> {
    for (number, step) in (1_i64..).zip(migrations).skip(format) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

pub(super) fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<T> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(connection: &Connection) -> (i64, i64) {
        (pragma(connection, "application_id").unwrap(), pragma(connection, "user_version").unwrap())
    }

    #[test]
    fn a_new_database_has_the_settings_that_its_promises_rest_on() {
        let dir = tempfile::tempdir().unwrap();
        let connection = open(&dir.path().join("a.db"), None, 0).unwrap();
        for (name, wanted) in [("synchronous", 2), ("secure_delete", 1), ("auto_vacuum", 2), ("page_size", 4096)] {
            assert_eq!(pragma::<i64>(&connection, name).unwrap(), wanted, "{name}");
        }
        assert_eq!(pragma::<String>(&connection, "journal_mode").unwrap(), "wal");
        assert_eq!(pragma::<String>(&connection, "locking_mode").unwrap(), "exclusive");
        assert_eq!(format(&connection), (APPLICATION_ID, 2));
        assert!(!dir.path().join("a.db-shm").exists());
    }

    #[test]
    fn an_older_database_is_brought_up_to_date_and_keeps_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let old = open_with(&path, None, 0, &MIGRATIONS[..1]).unwrap();
        old.execute_batch("UPDATE progress SET sequence = 7").unwrap();
        assert_eq!(format(&old), (APPLICATION_ID, 1));
        drop(old);
        let new = open(&path, None, 0).unwrap();
        assert_eq!(format(&new), (APPLICATION_ID, 2));
        let kept: i64 = new.query_row("SELECT sequence FROM progress", (), |row| row.get(0)).unwrap();
        let added: i64 = new.query_row("SELECT count(*) FROM partition_count", (), |row| row.get(0)).unwrap();
        assert_eq!((kept, added), (7, 0));
        drop(new);
        assert!(open(&path, None, 7).is_ok());
        assert!(matches!(open(&path, None, 8), Err(SpoolError::Corrupt(_))));
    }

    #[test]
    fn a_newer_database_is_refused_and_another_program_s_is_none_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        drop(open(&path, None, 0).unwrap());
        let older = open_with(&path, None, 0, &MIGRATIONS[..1]);
        assert!(matches!(older, Err(SpoolError::Newer { found: 2, known: 1 })), "{older:?}");
        let other = dir.path().join("b.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
        assert!(matches!(open(&other, None, 0), Err(SpoolError::Corrupt(_))));
    }
}

//! The index: an LMDB environment that several processes read and write
//! without a daemon.
//!
//! ```text
//! index/data.mdb
//!   trees      tree id         → directory row (fs::encode)
//!   blobs      blob digest     → names of its objects, without the digest, separated by newlines
//!   records    record key      → JSON (actions, layers, images)
//!   checkouts  checkout name   → sorted inode ids, 8 bytes each
//!   contexts   directory key   → stat rows of one context directory
//!   uses       record key      → seconds since 1970 of its last use
//! ```
//!
//! Writers are serialised by LMDB; transactions are short. `NOMETASYNC`: a
//! power cut may lose the last records, which are then cache misses, never
//! wrong. The environment must not be opened from a sandboxed process: LMDB
//! knows readers by process id, and those of another PID namespace lie.

#![allow(unsafe_code, reason = "opening an LMDB environment is unsafe in heed")]

use std::path::{Path, PathBuf};

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, MdbError, RoTxn, RwTxn, WithoutTls};

use super::error::StoreError;

/// Address space reserved for the map. The file grows only as it is filled.
const MAP_SIZE: usize = 64 << 30;
/// Readers at the same time, over all processes.
const MAX_READERS: u32 = 1022;
/// LMDB's pages are the system's.
const PAGE_SIZE: u64 = 4096;

type Table = Database<Bytes, Bytes>;

/// The opened index.
pub(crate) struct Index {
    env: Env<WithoutTls>,
    path: PathBuf,
    pub(crate) trees: Table,
    pub(crate) blobs: Table,
    pub(crate) records: Table,
    pub(crate) checkouts: Table,
    pub(crate) contexts: Table,
    pub(crate) uses: Table,
}

impl Index {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let fail = |e: heed::Error| index_error(path, &e);
        std::fs::create_dir_all(path).map_err(|e| StoreError::io("create", path, e))?;
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(MAP_SIZE).max_readers(MAX_READERS).max_dbs(8);
        // SAFETY: the directory is private to rbc (mode 0700), on a local
        // file system, and only this type opens it; NO_META_SYNC trades
        // durability of the last transactions, not consistency.
        let env = unsafe {
            options.flags(EnvFlags::NO_META_SYNC);
            options.open(path).map_err(fail)?
        };
        fill_up(&env, path);
        const NAMES: [&str; 6] = ["trees", "blobs", "records", "checkouts", "contexts", "uses"];
        let existing = {
            let txn = env.read_txn().map_err(fail)?;
            let mut tables = Vec::with_capacity(NAMES.len());
            for name in NAMES {
                tables.push(env.open_database::<Bytes, Bytes>(&txn, Some(name)).map_err(fail)?);
            }
            // Handles opened in a read transaction stay valid only if it is
            // committed (LMDB, `mdb_dbi_open`).
            txn.commit().map_err(fail)?;
            tables.into_iter().collect::<Option<Vec<Table>>>()
        };
        let tables = match existing {
            Some(tables) => tables,
            None => {
                let mut txn = env.write_txn().map_err(fail)?;
                let mut tables = Vec::with_capacity(NAMES.len());
                for name in NAMES {
                    tables.push(env.create_database::<Bytes, Bytes>(&mut txn, Some(name)).map_err(fail)?);
                }
                txn.commit().map_err(fail)?;
                tables
            }
        };
        let [trees, blobs, records, checkouts, contexts, uses] = tables[..] else {
            return Err(StoreError::Index { path: path.to_owned(), message: "cannot open its tables".to_owned() });
        };
        Ok(Self { env, path: path.to_owned(), trees, blobs, records, checkouts, contexts, uses })
    }

    /// Wraps an LMDB error.
    pub(crate) fn error(&self, e: &heed::Error) -> StoreError {
        index_error(&self.path, e)
    }

    /// Runs `read` in a read transaction.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&RoTxn<'_, WithoutTls>) -> heed::Result<T>,
    ) -> Result<T, StoreError> {
        let txn = self.env.read_txn().map_err(|e| self.error(&e))?;
        read(&txn).map_err(|e| self.error(&e))
    }

    /// Runs `write` in a write transaction and commits it.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut RwTxn<'_>) -> heed::Result<T>) -> Result<T, StoreError> {
        let mut txn = self.env.write_txn().map_err(|e| self.error(&e))?;
        let value = write(&mut txn).map_err(|e| self.error(&e))?;
        txn.commit().map_err(|e| self.error(&e))?;
        Ok(value)
    }

    /// Returns one value.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|txn| Ok(table.get(txn, key)?.map(<[u8]>::to_vec)))
    }
}

/// Makes a file that was cut short as long as its last page says: reading past
/// the end of a map is a bus error, a page of zeros an error that is told.
/// Allocating never shortens what another process has made longer.
fn fill_up(env: &Env<WithoutTls>, path: &Path) {
    let pages = u64::try_from(env.info().last_page_number).unwrap_or_default() + 1;
    let size = pages * PAGE_SIZE;
    let Ok(file) = std::fs::File::options().write(true).open(path.join("data.mdb")) else { return };
    if file.metadata().is_ok_and(|m| m.len() < size) {
        // On a full disk it stays as it is.
        let _ = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), size - 1, 1);
    }
}

fn is_full(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|s| s.f_bavail < 256)
}

fn index_error(path: &Path, e: &heed::Error) -> StoreError {
    let path = path.to_owned();
    match e {
        heed::Error::Io(io)
            if matches!(io.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) =>
        {
            StoreError::NoSpace { path }
        }
        // LMDB calls a write that was cut short by a full disk EIO.
        heed::Error::Io(io) if io.raw_os_error() == Some(libc::EIO) && is_full(&path) => StoreError::NoSpace { path },
        heed::Error::Mdb(
            MdbError::Invalid | MdbError::Corrupted | MdbError::PageNotFound | MdbError::VersionMismatch,
        ) => StoreError::IndexDamaged { path, message: e.to_string() },
        e => StoreError::Index { path, message: e.to_string() },
    }
}

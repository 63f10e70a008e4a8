//! Directories: in memory first, in the index with the next record.

use std::sync::Arc;

use super::Store;
use crate::fs::{Dir, Forest, Totals, TreeError, TreeId, encode};

impl Store {
    /// Tells whether a directory is there.
    pub(crate) fn has_dir(&self, id: &TreeId) -> bool {
        self.dirs.contains_key(id)
            || *id == super::snapshot::empty_dir_id()
            || self.index.read(|txn| Ok(self.index.trees.get(txn, &id.0)?.is_some())).unwrap_or(false)
    }

    fn load<T>(&self, id: &TreeId, decode: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, TreeError> {
        let row = self.index.read(|txn| Ok(self.index.trees.get(txn, &id.0)?.map(decode)));
        match row {
            Ok(Some(Some(value))) => Ok(value),
            Ok(Some(None)) => {
                self.note_damage();
                Err(TreeError::Damaged(*id))
            }
            Ok(None) => {
                self.note_damage();
                Err(TreeError::Missing(*id))
            }
            Err(e) => Err(TreeError::Index(e.to_string())),
        }
    }
}

impl Forest for Store {
    fn dir(&self, id: &TreeId) -> Result<Arc<Dir>, TreeError> {
        if let Some(dir) = self.dirs.get(id) {
            return Ok(dir.clone());
        }
        if *id == super::snapshot::empty_dir_id() {
            return Ok(self.keep(Dir::new(Vec::new(), |_| Totals::default())));
        }
        let dir = Arc::new(self.load(id, |row| encode::decode_row(*id, row))?);
        self.dirs.insert(*id, dir.clone());
        Ok(dir)
    }

    fn keep(&self, dir: Dir) -> Arc<Dir> {
        let mut new = false;
        let kept = self.dirs.entry(dir.id()).or_insert_with(|| {
            new = true;
            Arc::new(dir)
        });
        let kept = kept.clone();
        if new {
            self.note_dir(kept.clone());
        }
        kept
    }

    fn totals(&self, id: &TreeId) -> Result<Totals, TreeError> {
        if let Some(dir) = self.dirs.get(id) {
            return Ok(*dir.totals());
        }
        if *id == super::snapshot::empty_dir_id() {
            return Ok(Totals::default());
        }
        self.load(id, encode::decode_totals)
    }
}

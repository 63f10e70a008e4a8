//! What all processes of one build share: the directory that becomes the
//! mount point of their roots, and the files that say `/etc/hosts` and
//! `/etc/resolv.conf`.
//!
//! A step makes as few inodes as it can: on an ext4 where much was removed
//! lately, making one takes up to a millisecond.

use std::fs;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rbc_ir::Digest;
use rustc_hash::FxHashMap;

use crate::store::{IoContext, Store, StoreError, remove_tree};

/// A directory below `run`; removed when it is dropped.
pub(crate) struct SharedDir {
    path: PathBuf,
    root: PathBuf,
    files: Mutex<FxHashMap<Digest, PathBuf>>,
}

impl SharedDir {
    pub(crate) fn new(store: &Store) -> Result<Self, StoreError> {
        let path = store.new_run()?;
        let root = path.join("root");
        fs::create_dir(&root).on("create", &root)?;
        Ok(Self { path, root, files: Mutex::default() })
    }

    /// Returns an empty directory to mount a root on: each sandbox does so in
    /// a mount namespace of its own.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns a file with this content, for read-only mounts.
    pub(crate) fn file(&self, content: &[u8]) -> Result<PathBuf, StoreError> {
        let digest = Digest::of(content);
        let mut files = self.files.lock();
        if let Some(path) = files.get(&digest) {
            return Ok(path.clone());
        }
        let path = self.path.join(digest.hex());
        fs::write(&path, content).on("write", &path)?;
        files.insert(digest, path.clone());
        Ok(path)
    }
}

impl Drop for SharedDir {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next process.
        let _ = remove_tree(&self.path);
    }
}

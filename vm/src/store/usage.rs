//! How much room the store takes.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustc_hash::FxBuildHasher;

use super::Store;
use super::error::{IoContext, StoreError};

/// Room taken, by kind, in bytes on disk. An inode counts once, however many
/// names it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Files of trees.
    pub objects: u64,
    /// How many of them.
    pub object_count: u64,
    /// What checkouts take beyond the objects that they link: directories,
    /// symbolic links, files whose object existed already.
    pub checkouts: u64,
    /// How many checkouts.
    pub checkout_count: u64,
    /// Archives of layers, manifests, configurations.
    pub blobs: u64,
    /// Cache mounts.
    pub caches: u64,
    /// The index.
    pub index: u64,
    /// Steps with a result.
    pub records: u64,
}

impl DiskUsage {
    /// Returns the sum in bytes.
    pub fn total(&self) -> u64 {
        self.objects + self.checkouts + self.blobs + self.caches + self.index
    }
}

/// Inodes that were counted.
type Seen = HashSet<u64, FxBuildHasher>;

impl Store {
    /// Measures the store.
    ///
    /// # Errors
    ///
    /// If part of it cannot be read.
    pub fn disk_usage(&self) -> Result<DiskUsage, StoreError> {
        let home = self.home();
        let mut seen = Seen::default();
        let (objects, object_count) = measure(&home.join("obj"), &mut seen)?;
        let (checkouts, _) = measure(&home.join("checkout"), &mut seen)?;
        let (blobs, _) = measure(&home.join("blob"), &mut seen)?;
        let (caches, _) = measure(&home.join("cache"), &mut seen)?;
        let (index, _) = measure(&home.join("index"), &mut seen)?;
        let records = self.index.read(|txn| self.index.records.len(txn))?;
        let checkout_count = self.index.read(|txn| self.index.checkouts.len(txn))?;
        Ok(DiskUsage { objects, object_count, checkouts, checkout_count, blobs, caches, index, records })
    }
}

/// Bytes on disk and number of other things than directories below a path.
fn measure(path: &Path, seen: &mut Seen) -> Result<(u64, u64), StoreError> {
    let (mut bytes, mut count) = (0, 0);
    for entry in std::fs::read_dir(path).on("read", path)? {
        let entry = entry.on("read", path)?;
        // Another process may be publishing or removing right now.
        let Ok(meta) = entry.path().symlink_metadata() else { continue };
        if meta.is_dir() {
            let (below, n) = measure(&entry.path(), seen)?;
            bytes += below + meta.blocks() * 512;
            count += n;
        } else {
            count += 1;
            if meta.nlink() == 1 || seen.insert(meta.ino()) {
                bytes += meta.blocks() * 512;
            }
        }
    }
    Ok((bytes, count))
}

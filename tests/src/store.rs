//! Looks at rbc's store from outside, as `find` and `stat` would.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::image::digest;

/// What must never change about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Inode number.
    pub inode: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// Modification time in nanoseconds.
    pub mtime: (i64, i64),
    /// Digest of its content.
    pub digest: String,
}

/// Returns all objects of a store by path.
///
/// # Errors
///
/// If the store cannot be read.
pub fn objects(home: &Path) -> Result<BTreeMap<PathBuf, Object>> {
    let mut found = BTreeMap::new();
    for path in files(&home.join("obj"))? {
        let meta = fs::symlink_metadata(&path)?;
        let object = Object {
            inode: meta.ino(),
            mode: meta.mode(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            digest: digest(&fs::read(&path)?),
        };
        found.insert(path, object);
    }
    Ok(found)
}

/// Returns all files below a directory.
///
/// # Errors
///
/// If it cannot be read.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// Returns the bytes that a store takes on disk, shared inodes counted once.
///
/// # Errors
///
/// If the store cannot be read.
pub fn size(home: &Path) -> Result<u64> {
    let mut seen = std::collections::BTreeSet::new();
    let mut total = 0;
    for path in files(home)? {
        let meta = fs::symlink_metadata(path)?;
        if seen.insert(meta.ino()) {
            total += meta.blocks() * 512;
        }
    }
    Ok(total)
}

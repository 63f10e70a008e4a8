//! Compares directory trees.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Result;

/// Describes all files below `root`: path → type, mode, size or target.
///
/// # Errors
///
/// If the tree cannot be read.
pub fn describe(root: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let meta = fs::symlink_metadata(&path)?;
            let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
            let what = if meta.is_dir() {
                open.push(path);
                format!("dir {:o}", meta.mode() & 0o7777)
            } else if meta.is_symlink() {
                format!("symlink {}", fs::read_link(&path)?.display())
            } else {
                format!("file {:o} {}", meta.mode() & 0o7777, meta.size())
            };
            found.insert(name, what);
        }
    }
    Ok(found)
}

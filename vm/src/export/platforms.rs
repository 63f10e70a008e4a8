//! The files of several platforms as one tree, for outputs that are files.

use std::collections::BTreeMap;

use rbc_ir::Platform;

use super::error::ExportError;
use crate::fs::{DirRef, Entry, Forest, Meta, Mtime, Name, Node, Root};

/// Returns the directory of a platform: `linux_arm_v7`.
pub fn dir_name(platform: &Platform) -> String {
    platform.to_string().replace('/', "_")
}

/// Joins trees. With `split` (by default: if there are several) each stands
/// in a directory named after its platform; without, they lie in one, and
/// may not contradict each other.
///
/// # Errors
///
/// If two platforms bring different entries of one name and are not split.
pub fn join(roots: &[(Platform, Root)], split: Option<bool>, forest: &dyn Forest) -> Result<Root, ExportError> {
    if split.unwrap_or(roots.len() > 1) {
        let entries = roots.iter().map(|(platform, root)| (dir_name(platform).into_bytes().into(), root.entry()));
        let dir = forest.make(entries.collect())?;
        let meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: Mtime::default(), xattrs: None };
        return Ok(Root { meta, dir: dir.reference() });
    }
    let mut roots = roots.iter().map(|(_, root)| root);
    let mut joined = roots.next().cloned().unwrap_or_else(|| forest.empty());
    for root in roots {
        joined.dir = both(&joined.dir, &root.dir, forest, &mut String::new())?;
    }
    Ok(joined)
}

fn both(a: &DirRef, b: &DirRef, forest: &dyn Forest, path: &mut String) -> Result<DirRef, ExportError> {
    if a.id == b.id {
        return Ok(*a);
    }
    let mut entries: BTreeMap<Name, Entry> = forest.dir(&a.id)?.entries().iter().cloned().collect();
    for (name, new) in forest.dir(&b.id)?.entries() {
        let Some(old) = entries.get_mut(name) else {
            entries.insert(name.clone(), new.clone());
            continue;
        };
        let length = path.len();
        path.push_str(&String::from_utf8_lossy(name));
        match (&old.node, &new.node) {
            (Node::Dir(x), Node::Dir(y)) => {
                path.push('/');
                *old = Entry { node: Node::Dir(both(x, y, forest, path)?), meta: old.meta.clone() };
            }
            // Times differ from build to build.
            (x, y) if x == y && Meta { mtime: new.meta.mtime, ..old.meta.clone() } == new.meta => {}
            _ => return Err(ExportError::Conflict { path: path.clone() }),
        }
        path.truncate(length);
    }
    Ok(forest.make(entries.into_iter().collect())?.reference())
}

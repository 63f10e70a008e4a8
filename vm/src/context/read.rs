//! From what was found to a tree.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rayon::prelude::*;
use rbc_ir::Digest;
use rustc_hash::FxHashMap;
use rustix::fs::{FileType, Mode, OFlags, Stat};

use super::ContextError;
use super::scan::{Found, FoundDir};
use super::stat_index::{Row, Stamp, key, now};
use crate::fs::deep::{PARALLEL_LEVELS, deeper};
use crate::fs::links::group_number;
use crate::fs::{DirRef, Entry, FileRef, Forest, Meta, Mtime, Name, Node, Root, TreeError};
use crate::store::{Store, StoreError};

struct Reader<'a> {
    store: &'a Store,
    context: &'a Path,
    /// Hard link groups by inode.
    groups: FxHashMap<(u64, u64), u64>,
    /// Rows that changed.
    rows: Mutex<Vec<([u8; 32], Vec<u8>)>>,
    /// Bytes read so far.
    bytes: AtomicU64,
    progress: &'a (dyn Fn(u64) + Sync),
}

/// Makes a tree of what was found.
pub(super) fn read(
    store: &Store,
    context: &Path,
    found: &FoundDir,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Root, ContextError> {
    let mut names = FxHashMap::default();
    links(found, &mut Vec::new(), &mut names, 0);
    let groups = names.into_iter().filter(|(_, paths): &(_, Vec<_>)| paths.len() > 1);
    let groups = groups.map(|(inode, paths)| (inode, group_number(paths))).collect();
    let reader = Reader { store, context, groups, rows: Mutex::default(), bytes: AtomicU64::new(0), progress };
    let dir = reader.dir(found, &[], 0)?;
    let rows = reader.rows.into_inner();
    if !rows.is_empty() {
        store.put_context_rows(&rows)?;
    }
    Ok(Root { meta: meta(&found.stat), dir })
}

/// Finds files with several names, by inode.
fn links(dir: &FoundDir, path: &mut Vec<u8>, names: &mut FxHashMap<(u64, u64), Vec<Vec<u8>>>, level: usize) {
    for (name, found) in &dir.children {
        let length = path.len();
        path.push(b'/');
        path.extend_from_slice(name);
        match found {
            Found::Dir(below) => deeper(level, || links(below, path, names, level + 1)),
            Found::File(stat) if stat.st_nlink > 1 => {
                names.entry((stat.st_dev, stat.st_ino)).or_default().push(path.clone());
            }
            _ => {}
        }
        path.truncate(length);
    }
}

fn meta(stat: &Stat) -> Meta {
    Meta {
        mode: stat.st_mode & 0o7777,
        uid: 0,
        gid: 0,
        mtime: Mtime { seconds: stat.st_mtime, nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or_default() },
        xattrs: None,
    }
}

fn tree_error(e: TreeError) -> ContextError {
    ContextError::Store(StoreError::Tree(e))
}

impl Reader<'_> {
    fn dir(&self, found: &FoundDir, path: &[u8], level: usize) -> Result<DirRef, ContextError> {
        let has_files = found.children.values().any(|c| matches!(c, Found::File(_)));
        let row_key = key(self.context.as_os_str().as_bytes(), path, &found.stat);
        let row = if has_files { self.store.context_row(&row_key)? } else { None };
        let mut row = row.map(|bytes| Row::decode(&bytes)).unwrap_or_default();
        let children: Vec<(&Name, &Found)> = found.children.iter().collect();
        let one = |(name, child): &(&Name, &Found)| self.entry(&row, path, name, child, level);
        let entries: Result<Vec<_>, ContextError> = if level < PARALLEL_LEVELS {
            children.par_iter().with_min_len(32).map(one).collect()
        } else {
            children.iter().map(one).collect()
        };
        let mut changed = false;
        let mut list = Vec::new();
        for (name, entry, hashed) in entries? {
            if let Some((stamp, at, blob)) = hashed {
                row.put(&name, stamp, at, blob);
                changed = true;
            }
            list.push((name, entry));
        }
        if changed {
            row.keep_only(|name| found.children.contains_key(name) || !found.is_complete());
            self.rows.lock().push((row_key, row.encode()));
        }
        Ok(self.store.make(list).map_err(tree_error)?.reference())
    }

    fn entry(&self, row: &Row, path: &[u8], name: &Name, found: &Found, level: usize) -> Result<Read, ContextError> {
        let plain = |stat: &Stat, node| Ok((name.clone(), Entry { meta: meta(stat), node }, None));
        match found {
            Found::Dir(dir) => {
                let mut below = path.to_vec();
                if !below.is_empty() {
                    below.push(b'/');
                }
                below.extend_from_slice(name);
                plain(&dir.stat, Node::Dir(deeper(level, || self.dir(dir, &below, level + 1))?))
            }
            Found::Symlink(stat, text) => plain(stat, Node::Symlink(text.clone())),
            Found::Special(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::CharacterDevice => plain(stat, Node::Char(stat.st_rdev)),
                FileType::BlockDevice => plain(stat, Node::Block(stat.st_rdev)),
                // An empty file stands for it (fsutil clears the bit that
                // makes it a socket).
                FileType::Socket => {
                    plain(stat, Node::File(FileRef { blob: rbc_ir::Digest::of(b""), size: 0, link: 0 }))
                }
                _ => plain(stat, Node::Fifo),
            },
            Found::File(stat) => self.file(row, path, name, stat),
        }
    }

    fn file(&self, row: &Row, path: &[u8], name: &Name, stat: &Stat) -> Result<Read, ContextError> {
        let link = self.groups.get(&(stat.st_dev, stat.st_ino)).copied().unwrap_or_default();
        let stamp = Stamp::of(stat);
        if let Some(blob) = row.get(name, &stamp) {
            let size = u64::try_from(stat.st_size).unwrap_or_default();
            let node = Node::File(FileRef { blob, size, link: if size == 0 { 0 } else { link } });
            return Ok((name.clone(), Entry { meta: meta(stat), node }, None));
        }
        let at = self.path(path, name);
        // A file that changes under our hands is read once more; then it is
        // the user's turn.
        for _ in 0..2 {
            let fail = |action, source| ContextError::Io { action, path: at.clone(), source };
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let fd = rustix::fs::open(&at, flags, Mode::empty()).map_err(|e| fail("open", e.into()))?;
            let before = rustix::fs::fstat(&fd).map_err(|e| fail("look at", e.into()))?;
            let hashed_at = now();
            let mut file = File::from(fd);
            let mut file_ref = crate::fs::Blobs::put_stream(self.store, &mut file, 0, &meta(&before))
                .map_err(|e| store_or_io(e, &at))?;
            let after = rustix::fs::fstat(&file).map_err(|e| fail("look at", e.into()))?;
            if Stamp::of(&before) != Stamp::of(&after) {
                continue;
            }
            let done = self.bytes.fetch_add(file_ref.size, Ordering::Relaxed) + file_ref.size;
            (self.progress)(done);
            let blob = file_ref.blob;
            file_ref.link = if file_ref.size == 0 { 0 } else { link };
            let entry = Entry { meta: meta(&before), node: Node::File(file_ref) };
            return Ok((name.clone(), entry, Some((Stamp::of(&before), hashed_at, blob))));
        }
        Err(ContextError::Changed { path: at })
    }

    fn path(&self, path: &[u8], name: &[u8]) -> PathBuf {
        self.context.join(std::ffi::OsStr::from_bytes(path)).join(std::ffi::OsStr::from_bytes(name))
    }
}

/// An entry, and what the stat index is to learn.
type Read = (Name, Entry, Option<(Stamp, i128, Digest)>);

/// Tells the store's failures from those of reading the source.
fn store_or_io(e: std::io::Error, path: &Path) -> ContextError {
    match e.downcast::<StoreError>() {
        Ok(store) => ContextError::Store(store),
        Err(source) => ContextError::Io { action: "read", path: path.to_owned(), source },
    }
}

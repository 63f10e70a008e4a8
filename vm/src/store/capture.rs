//! What a process left in its upper directory becomes a difference tree, and
//! its files become objects where they stand.
//!
//! Only to be called when nobody can write there any more: the process's PID
//! namespace is gone and the overlay unmounted.
//!
//! A store that cannot keep owners has but one id on disk, so an upper
//! directory says nothing about owners. There, what was at the same path
//! before keeps the owner that it has in the tree below: a directory is copied
//! up because something in it changed, a file because it was written to.
//! What is new is root's, as the process was.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};

use super::Store;
use super::error::{IoContext, StoreError};
use crate::directory::{DIRECTORY, names};
use crate::fs::deep::{PARALLEL_LEVELS, deeper};
use crate::fs::links::group_number;
use crate::fs::{DirRef, Entry, FileRef, Forest, Meta, Mtime, Name, Node, Root, TreeId, Xattrs};

/// An upper directory that was taken in.
pub(crate) struct Captured {
    /// The difference, as the upper directory says it.
    pub(crate) diff: Root,
    /// Ids of the inodes that are objects now.
    pub(crate) inodes: Vec<u64>,
}

/// What the walk gathers over all directories.
struct Walk<'a> {
    store: &'a Store,
    place: &'a Path,
    inodes: Mutex<Vec<u64>>,
    /// Files with several names in the upper directory.
    groups: FxHashMap<u64, u64>,
    /// The first name of a group hashes the file; the others copy it.
    hashed: Mutex<FxHashMap<u64, FileRef>>,
}

impl Store {
    /// Takes in an upper directory that stood above `lower`.
    pub(crate) fn capture(&self, upper: &Path, lower: &Root) -> Result<Captured, StoreError> {
        let fd = rustix::fs::open(upper, DIRECTORY, Mode::empty()).on("open", upper)?;
        let mut paths: FxHashMap<u64, Vec<Vec<u8>>> = FxHashMap::default();
        find_links(fd.as_fd(), &mut Vec::new(), &mut paths, 0).on("read", upper)?;
        let groups = paths.into_iter().filter(|(_, paths)| paths.len() > 1);
        let groups = groups.map(|(inode, paths)| (inode, group_number(paths))).collect();
        let walk = Walk { store: self, place: upper, inodes: Mutex::default(), groups, hashed: Mutex::default() };
        let stat = rustix::fs::fstat(&fd).on("stat", upper)?;
        let (mut meta, opaque) = walk.meta(fd.as_fd(), &stat)?;
        let below = if self.keeps_owners() {
            None
        } else {
            (meta.uid, meta.gid) = (lower.meta.uid, lower.meta.gid);
            Some(lower.dir.id)
        };
        let mut dir = walk.dir(fd.as_fd(), below, 0)?;
        dir.opaque = opaque;
        Ok(Captured { diff: Root { meta, dir }, inodes: walk.inodes.into_inner() })
    }
}

/// Finds regular files with more than one name, by inode. The number of links
/// alone does not tell: nothing here is an object yet.
fn find_links(
    fd: BorrowedFd<'_>,
    path: &mut Vec<u8>,
    found: &mut FxHashMap<u64, Vec<Vec<u8>>>,
    level: usize,
) -> io::Result<()> {
    for name in names(fd)? {
        let stat = rustix::fs::statat(fd, &*name, AtFlags::SYMLINK_NOFOLLOW)?;
        let length = path.len();
        path.push(b'/');
        path.extend_from_slice(&name);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let child = rustix::fs::openat(fd, &*name, DIRECTORY, Mode::empty())?;
                deeper(level, || find_links(child.as_fd(), path, found, level + 1))?;
            }
            FileType::RegularFile if stat.st_nlink > 1 => found.entry(stat.st_ino).or_default().push(path.clone()),
            _ => {}
        }
        path.truncate(length);
    }
    Ok(())
}

impl Walk<'_> {
    /// `below` is the directory that this one covers, if owners are to be
    /// found there.
    fn dir(&self, fd: BorrowedFd<'_>, below: Option<TreeId>, level: usize) -> Result<DirRef, StoreError> {
        let names = names(fd).on("read", self.place)?;
        let below = below.map(|id| self.store.dir(&id)).transpose()?;
        let below = below.as_deref();
        let one = |name: Name| {
            let covered = below.and_then(|dir| dir.get(&name));
            self.entry(fd, name, covered, level).transpose()
        };
        let entries: Result<Vec<_>, StoreError> = if level < PARALLEL_LEVELS {
            names.into_par_iter().with_min_len(8).filter_map(one).collect()
        } else {
            names.into_iter().filter_map(one).collect()
        };
        Ok(self.store.make(entries?)?.reference())
    }

    fn entry(
        &self,
        fd: BorrowedFd<'_>,
        name: Name,
        covered: Option<&Entry>,
        level: usize,
    ) -> Result<Option<(Name, Entry)>, StoreError> {
        let at = || self.place.join("…").join(String::from_utf8_lossy(&name).as_ref());
        let stat = rustix::fs::statat(fd, &*name, AtFlags::SYMLINK_NOFOLLOW).on("stat", at())?;
        let entry = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let child = rustix::fs::openat(fd, &*name, DIRECTORY, Mode::empty()).on("open", at())?;
                let (mut meta, opaque) = self.meta(child.as_fd(), &stat)?;
                // Opaque: removed and made anew.
                let covered = covered.filter(|_| !opaque).and_then(|e| Some((e, e.as_dir()?.id)));
                if let Some((lower, _)) = covered {
                    (meta.uid, meta.gid) = (lower.meta.uid, lower.meta.gid);
                }
                let below = covered.map(|(_, id)| id);
                let mut dir = deeper(level, || self.dir(child.as_fd(), below, level + 1))?;
                dir.opaque = opaque;
                Entry { meta, node: Node::Dir(dir) }
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(fd, &*name, flags, Mode::empty()).on("open", at())?;
                self.file(file, &stat, covered.filter(|e| matches!(e.node, Node::File(_))))?
            }
            FileType::Symlink => {
                let text = rustix::fs::readlinkat(fd, &*name, Vec::new()).on("read", at())?;
                Entry {
                    meta: plain_meta(&stat, self.store.keeps_owners()),
                    node: Node::Symlink(text.to_bytes().into()),
                }
            }
            // overlayfs: 0:0 is a whiteout.
            FileType::CharacterDevice if stat.st_rdev == 0 => Entry { meta: Meta::default(), node: Node::Whiteout },
            FileType::CharacterDevice => self.special(&stat, Node::Char(stat.st_rdev)),
            FileType::BlockDevice => self.special(&stat, Node::Block(stat.st_rdev)),
            FileType::Fifo => self.special(&stat, Node::Fifo),
            // A socket without its process is nothing; tar has no type for it.
            _ => return Ok(None),
        };
        Ok(Some((name, entry)))
    }

    fn special(&self, stat: &Stat, node: Node) -> Entry {
        Entry { meta: plain_meta(stat, self.store.keeps_owners()), node }
    }

    fn file(&self, fd: OwnedFd, stat: &Stat, covered: Option<&Entry>) -> Result<Entry, StoreError> {
        let (mut meta, _) = self.meta(fd.as_fd(), stat)?;
        let group = self.groups.get(&stat.st_ino).copied().unwrap_or_default();
        // The names of one file have one owner.
        if let Some(lower) = covered.filter(|_| group == 0) {
            (meta.uid, meta.gid) = (lower.meta.uid, lower.meta.gid);
        }
        if group != 0
            && let Some(known) = self.hashed.lock().get(&group)
        {
            return Ok(Entry { meta, node: Node::File(*known) });
        }
        let (mut file_ref, inode) = self.store.adopt(&File::from(fd), &meta)?;
        file_ref.link = group;
        self.inodes.lock().extend(inode);
        if group != 0 {
            self.hashed.lock().insert(group, file_ref);
        }
        Ok(Entry { meta, node: Node::File(file_ref) })
    }

    /// Reads mode, owner, time and attributes by handle; the second value is
    /// overlayfs's mark of an opaque directory.
    fn meta(&self, fd: BorrowedFd<'_>, stat: &Stat) -> Result<(Meta, bool), StoreError> {
        let mut meta = plain_meta(stat, self.store.keeps_owners());
        let (xattrs, opaque) = read_xattrs(fd).on("read the attributes of a file in", self.place)?;
        meta.xattrs = xattrs;
        Ok((meta, opaque))
    }
}

fn plain_meta(stat: &Stat, owners: bool) -> Meta {
    Meta {
        mode: stat.st_mode & 0o7777,
        uid: if owners { stat.st_uid } else { 0 },
        gid: if owners { stat.st_gid } else { 0 },
        mtime: Mtime { seconds: stat.st_mtime, nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or_default() },
        xattrs: None,
    }
}

/// Reads extended attributes; overlayfs's own never leave its upper directory.
fn read_xattrs(fd: BorrowedFd<'_>) -> io::Result<(Xattrs, bool)> {
    // Nearly every file has none, which one call tells.
    let mut names = match rustix::fs::flistxattr_query(fd) {
        Ok(0) | Err(rustix::io::Errno::NOTSUP) => return Ok((None, false)),
        Ok(n) => vec![0u8; n + 256],
        Err(e) => return Err(e.into()),
    };
    let n = rustix::fs::flistxattr(fd, &mut names[..])?;
    names.truncate(n);
    let (mut list, mut opaque) = (Vec::new(), false);
    for name in names.split(|&b| b == 0).filter(|n| !n.is_empty()) {
        let size = rustix::fs::fgetxattr_query(fd, name)?;
        let mut value = vec![0u8; size];
        let n = rustix::fs::fgetxattr(fd, name, &mut value[..])?;
        value.truncate(n);
        if let Some(key) = name.strip_prefix(b"trusted.overlay.").or_else(|| name.strip_prefix(b"user.overlay.")) {
            opaque |= key == b"opaque" && value == b"y";
        } else if !name.starts_with(b"trusted.") && name != b"security.selinux" {
            list.push((Box::from(name), value.into_boxed_slice()));
        }
    }
    list.sort();
    Ok((if list.is_empty() { None } else { Some(Arc::from(list)) }, opaque))
}

/// Identity of a difference that says nothing.
pub(crate) fn says_nothing(diff: &Root, lower: &Root) -> bool {
    let nothing: TreeId = super::snapshot::empty_dir_id();
    diff.dir.id == nothing && !diff.dir.opaque && diff.meta == lower.meta
}

//! Checkouts: a tree or a difference as a real directory of hard links,
//! used only as an overlay lower directory or a read-only mount.
//!
//! Built below `tmp`, published with one rename; if the name is there,
//! somebody else was first and ours is dropped. Subtrees are made in
//! parallel, never two threads in one directory: its lock would make them
//! take turns.
//!
//! **Replicas.** Two paths of one root file system never share an inode
//! unless the tree says that they are one file: cp and tar would take them
//! for the same file. The n-th path that wants an object gets replica n. A
//! checkout notes the inodes that it holds, so that one that is stacked above
//! others avoids theirs; if it has to, it is one of its own for that stack.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use dashmap::{DashMap, DashSet};
use rayon::prelude::*;
use rbc_ir::Digest;
use rustc_hash::FxBuildHasher;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags};
use rustix::io::Errno;

use super::Store;
use super::error::{IoContext, StoreError};
use super::objects::{empty_blob, inode_id, mapped, object_name, set_meta, timestamps};
use crate::directory::DIRECTORY;
use crate::fs::deep::{PARALLEL_LEVELS, deeper};
use crate::fs::{Dir, Entry, FileRef, Forest, Meta, Name, Node, Root};

/// From this many entries on, a directory's subdirectories are made on other
/// threads.
const PARALLEL_FROM: u64 = 256;

/// How many replicas of a clashing object go into a checkout's name.
const REPLICAS_IN_NAME: u32 = 16;

/// Inodes of a stack of checkouts.
#[derive(Debug, Default, Clone)]
pub(crate) struct Inodes(HashSet<u64, FxBuildHasher>);

/// Work on one checkout.
struct Job<'a> {
    store: &'a Store,
    /// Inodes that checkouts below hold.
    avoid: &'a Inodes,
    /// Inodes of this checkout.
    taken: DashSet<u64, FxBuildHasher>,
    /// The next replica of each object: thousands of files may be equal.
    next: DashMap<u64, u32, FxBuildHasher>,
    /// The object that each hard link group got.
    groups: DashMap<(u64, u64), String, FxBuildHasher>,
    /// Where it is made, for messages.
    place: PathBuf,
    /// Files are copies that may be written to, not links.
    copies: bool,
}

impl Store {
    /// Returns the directory of a tree or difference for use above the
    /// checkouts that hold `below`; its own inodes are added to them.
    pub(crate) fn checkout(&self, root: &Root, below: &mut Inodes) -> Result<PathBuf, StoreError> {
        let plain = hex::encode(root.id().0);
        if let Some(path) = self.reuse_checkout(&plain, below)? {
            return Ok(path);
        }
        let name = self.name_above(plain, root, below)?;
        if let Some(path) = self.reuse_checkout(&name, below)? {
            return Ok(path);
        }
        let job = Job {
            store: self,
            avoid: below,
            taken: DashSet::default(),
            next: DashMap::default(),
            groups: DashMap::default(),
            place: self.layout.scratch(),
            copies: false,
        };
        if let Err(e) = job.make(root) {
            // Half a checkout is of no use, and the disk may be full.
            let _ = remove_tree(&job.place);
            return Err(e);
        }
        let Job { taken, place, .. } = job;
        let inodes = sorted(taken.into_iter().collect());
        self.publish_checkout(&place, &name, &inodes)?;
        below.0.extend(inodes);
        Ok(self.layout.checkout(&name))
    }

    /// Writes a tree as files that may be changed: the content of a new cache
    /// mount. On an error what was written stays, at the caller's path.
    pub(crate) fn write_out(&self, root: &Root, place: &Path) -> Result<(), StoreError> {
        let job = Job {
            store: self,
            avoid: &Inodes::default(),
            taken: DashSet::default(),
            next: DashMap::default(),
            groups: DashMap::default(),
            place: place.to_owned(),
            copies: true,
        };
        job.make(root)
    }

    /// Returns a checkout that is there, if it shares no inode with those
    /// below.
    fn reuse_checkout(&self, name: &str, below: &mut Inodes) -> Result<Option<PathBuf>, StoreError> {
        match self.checkout_inodes(name)? {
            Some(inodes) if inodes.iter().all(|id| !below.0.contains(id)) => {
                below.0.extend(inodes);
                Ok(Some(self.layout.checkout(name)))
            }
            _ => Ok(None),
        }
    }

    /// Turns a process's upper directory into the checkout of the difference
    /// that it holds. `inodes` are those that are objects.
    pub(crate) fn adopt_checkout(&self, upper: &Path, diff: &Root, inodes: Vec<u64>) -> Result<(), StoreError> {
        self.publish_checkout(upper, &hex::encode(diff.id().0), &sorted(inodes))
    }

    fn publish_checkout(&self, from: &Path, name: &str, inodes: &[u64]) -> Result<(), StoreError> {
        let to = self.layout.checkout(name);
        match std::fs::rename(from, &to) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && from.is_dir() => {
                let shard = to.parent().unwrap_or(&to);
                std::fs::create_dir_all(shard).on("create", shard)?;
                std::fs::rename(from, &to).on("publish", &to)?;
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
                if self.checkout_inodes(name)?.is_some() {
                    return remove_tree(from);
                }
                // Nobody vouches for what is there: its maker was killed
                // before it wrote the row, or the row was withdrawn. A
                // process may still have it mounted, so it is only moved.
                self.set_aside(&to)?;
                match std::fs::rename(from, &to) {
                    // Another process did the same.
                    Err(e) if matches!(e.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
                        remove_tree(from)?;
                    }
                    renamed => renamed.on("publish", &to)?,
                }
            }
            renamed => renamed.on("publish", &to)?,
        }
        let row: Vec<u8> = inodes.iter().flat_map(|id| id.to_le_bytes()).collect();
        self.index.write(|txn| self.index.checkouts.put(txn, name.as_bytes(), &row))
    }

    /// Inodes of a checkout that is there.
    fn checkout_inodes(&self, name: &str) -> Result<Option<Vec<u64>>, StoreError> {
        let Some(row) = self.index.get(self.index.checkouts, name.as_bytes())? else { return Ok(None) };
        if !self.layout.checkout(name).is_dir() {
            return Ok(None);
        }
        let ids = row.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b));
        Ok(Some(ids.collect()))
    }

    /// Names the checkout of a tree above others: by the tree alone if no
    /// object clashes with theirs, else also by which replicas are taken, so
    /// that the same stack finds it again.
    fn name_above(&self, plain: String, root: &Root, below: &Inodes) -> Result<String, StoreError> {
        if below.0.is_empty() {
            return Ok(plain);
        }
        let mut clashes = Vec::new();
        self.each_file(&root.dir.id, 0, &mut |entry, file| {
            let taken = (0..REPLICAS_IN_NAME)
                .map(|replica| inode_id(&object_name(&file.blob, &entry.meta, replica)))
                .take_while(|id| below.0.contains(id));
            clashes.extend(taken);
        })?;
        if clashes.is_empty() {
            return Ok(plain);
        }
        let bytes: Vec<u8> = sorted(clashes).iter().flat_map(|id| id.to_le_bytes()).collect();
        Ok(format!("{plain}.{}", &Digest::of(&bytes).hex()[..16]))
    }

    fn each_file(
        &self,
        id: &crate::fs::TreeId,
        level: usize,
        see: &mut (dyn FnMut(&Entry, &FileRef) + Send),
    ) -> Result<(), StoreError> {
        for (_, entry) in self.dir(id)?.entries() {
            match &entry.node {
                Node::Dir(dir) => deeper(level, || self.each_file(&dir.id, level + 1, see))?,
                Node::File(file) if file.size > 0 => see(entry, file),
                _ => {}
            }
        }
        Ok(())
    }
}

fn sorted(mut ids: Vec<u64>) -> Vec<u64> {
    ids.sort_unstable();
    ids
}

impl Job<'_> {
    fn make(&self, root: &Root) -> Result<(), StoreError> {
        std::fs::create_dir(&self.place).on("create", &self.place)?;
        let fd = rustix::fs::open(&self.place, DIRECTORY, Mode::empty()).on("open", &self.place)?;
        let dir = self.store.dir(&root.dir.id)?;
        self.fill(fd.as_fd(), &dir, 0)?;
        self.finish_dir(fd.as_fd(), &root.entry())
    }

    /// Makes the entries of a directory.
    fn fill(&self, fd: BorrowedFd<'_>, dir: &Dir, level: usize) -> Result<(), StoreError> {
        let mut below = Vec::new();
        for (name, entry) in dir.entries() {
            match &entry.node {
                Node::Dir(sub) => {
                    rustix::fs::mkdirat(fd, &**name, Mode::from_raw_mode(0o700)).on("create", self.at(name))?;
                    below.push((name, entry, sub));
                }
                Node::File(file) => self.file(fd, name, entry, file)?,
                _ => self.special_file(fd, name, entry)?,
            }
        }
        let work = |(name, entry, sub): &(&Name, &Entry, &crate::fs::DirRef)| -> Result<(), StoreError> {
            let child = open_dir(fd, name).on("open", self.at(name))?;
            let dir = self.store.dir(&sub.id)?;
            deeper(level, || self.fill(child.as_fd(), &dir, level + 1))?;
            self.finish_dir(child.as_fd(), entry)
        };
        let totals = dir.totals();
        if below.len() > 1 && level < PARALLEL_LEVELS && totals.files + totals.dirs >= PARALLEL_FROM {
            below.par_iter().try_for_each(work)
        } else {
            below.iter().try_for_each(work)
        }
    }

    /// Links the object, or the next replica of it, to a path.
    fn file(&self, fd: BorrowedFd<'_>, name: &Name, entry: &Entry, file: &FileRef) -> Result<(), StoreError> {
        if file.blob == empty_blob() && file.link == 0 {
            return self.empty_file(fd, name, &entry.meta);
        }
        if self.copies {
            return self.copy(fd, name, &entry.meta, file);
        }
        if file.link != 0 {
            // Held while linking: the other paths of the group wait for it.
            // A number alone does not tell: layers from elsewhere may have
            // the same one for another file.
            let object = inode_id(&object_name(&file.blob, &entry.meta, 0));
            let group = self.groups.entry((file.link, object));
            return match group {
                dashmap::Entry::Occupied(object) => self.link(object.get(), fd, name),
                dashmap::Entry::Vacant(vacant) => {
                    let object = self.link_new(fd, name, &entry.meta, file)?;
                    vacant.insert(object);
                    Ok(())
                }
            };
        }
        self.link_new(fd, name, &entry.meta, file).map(drop)
    }

    /// Links an inode that no path of the stack has yet; returns its object.
    fn link_new(&self, fd: BorrowedFd<'_>, name: &Name, meta: &Meta, file: &FileRef) -> Result<String, StoreError> {
        let first = inode_id(&object_name(&file.blob, meta, 0));
        loop {
            let replica = {
                let mut next = self.next.entry(first).or_default();
                let replica = *next;
                *next += 1;
                replica
            };
            let object = object_name(&file.blob, meta, replica);
            let id = inode_id(&object);
            if self.avoid.0.contains(&id) || !self.taken.insert(id) {
                continue;
            }
            let linked = match self.store.object_is_whole(&object, file.size)? {
                true => self.try_link(&object, fd, name),
                false => Err(Errno::NOENT),
            };
            match linked {
                Ok(()) => return Ok(object),
                Err(Errno::NOENT) => {
                    self.store.make_variant(file, meta, replica)?;
                    self.link(&object, fd, name)?;
                    return Ok(object);
                }
                // 65,000 links on ext4, 65,535 on btrfs: a fresh inode.
                Err(Errno::MLINK) => {}
                Err(e) => return Err(StoreError::io("link", self.at(name), e.into())),
            }
        }
    }

    fn try_link(&self, object: &str, fd: BorrowedFd<'_>, name: &Name) -> Result<(), Errno> {
        rustix::fs::linkat(&self.store.layout.objects, object, fd, &**name, AtFlags::empty())
    }

    fn link(&self, object: &str, fd: BorrowedFd<'_>, name: &Name) -> Result<(), StoreError> {
        self.try_link(object, fd, name).on("link", self.at(name))
    }

    fn copy(&self, fd: BorrowedFd<'_>, name: &Name, meta: &Meta, file: &FileRef) -> Result<(), StoreError> {
        let mut source = self.store.open_whole(file)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let to = rustix::fs::openat(fd, &**name, flags, Mode::from_raw_mode(0o600)).on("create", self.at(name))?;
        let mut to = std::fs::File::from(to);
        io::copy(&mut source, &mut to).on("write", self.at(name))?;
        set_meta(to.as_fd(), meta, self.store.keeps_owners()).on("set the metadata of", self.at(name))
    }

    fn empty_file(&self, fd: BorrowedFd<'_>, name: &Name, meta: &Meta) -> Result<(), StoreError> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(fd, &**name, flags, Mode::from_raw_mode(0o600)).on("create", self.at(name))?;
        set_meta(file.as_fd(), meta, self.store.keeps_owners()).on("set the metadata of", self.at(name))
    }

    fn special_file(&self, fd: BorrowedFd<'_>, name: &Name, entry: &Entry) -> Result<(), StoreError> {
        let meta = &entry.meta;
        let mode = Mode::from_raw_mode(meta.mode);
        let node = |kind, rdev| rustix::fs::mknodat(fd, &**name, kind, mode, rdev);
        let made = match &entry.node {
            Node::Symlink(text) => rustix::fs::symlinkat(&**text, fd, &**name),
            Node::Char(rdev) => node(FileType::CharacterDevice, *rdev),
            Node::Block(rdev) => node(FileType::BlockDevice, *rdev),
            Node::Fifo => node(FileType::Fifo, 0),
            // overlayfs: a character device 0:0 hides the name below.
            Node::Whiteout => return node(FileType::CharacterDevice, 0).on("create", self.at(name)),
            Node::Dir(_) | Node::File(_) => Ok(()),
        };
        if made == Err(Errno::PERM) && matches!(entry.node, Node::Char(_) | Node::Block(_)) {
            // In a user namespace nobody makes devices, and a process could
            // not open one: it is in the tree alone. No whiteout instead, as
            // overlayfs lists those in a directory that hides no other.
            return Ok(());
        }
        made.on("create", self.at(name))?;
        if self.store.keeps_owners() {
            let (uid, gid) = (Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)));
            mapped(rustix::fs::chownat(fd, &**name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)).on("chown", self.at(name))?;
        }
        if !matches!(entry.node, Node::Symlink(_)) {
            // The umask was in the way, and chown cleared setuid.
            rustix::fs::chmodat(fd, &**name, mode, AtFlags::empty()).on("chmod", self.at(name))?;
        }
        rustix::fs::utimensat(fd, &**name, &timestamps(meta), AtFlags::SYMLINK_NOFOLLOW)
            .on("set the time of", self.at(name))
    }

    /// Sets what a directory's own inode holds, once its entries are made.
    fn finish_dir(&self, fd: BorrowedFd<'_>, entry: &Entry) -> Result<(), StoreError> {
        if entry.as_dir().is_some_and(|d| d.opaque) {
            rustix::fs::fsetxattr(fd, self.store.overlay_xattr("opaque"), b"y", XattrFlags::empty())
                .on("mark as opaque", &self.place)?;
        }
        set_meta(fd, &entry.meta, self.store.keeps_owners()).on("set the metadata of", &self.place)
    }

    fn at(&self, name: &Name) -> PathBuf {
        self.place.join("…").join(String::from_utf8_lossy(name).as_ref())
    }
}

fn open_dir(fd: BorrowedFd<'_>, name: &Name) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(fd, &**name, DIRECTORY, Mode::empty())
}

/// Removes a directory with all below, also parts without permissions.
pub(crate) fn remove_tree(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(StoreError::io("remove", path, e)),
    }
}

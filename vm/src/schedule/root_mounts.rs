//! Mount points of a process: where they really are, and stubs for those that
//! the root file system lacks.
//!
//! Stubs never stand in the process's upper directory: they are a lower
//! directory of their own, on top of the others, in which each directory has
//! the metadata that it has below. So nothing is to be tidied away after the
//! process (BuildKit's `removeMountStubs`), and a step that leaves the mount
//! points alone adds nothing to the image.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::BuildErrorKind;
use crate::fs::{Follow, Forest, Meta, Mtime, Name, Node, Root, locate};
use crate::store::{IoContext, Store, set_meta};

/// What a mount point must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stub {
    Dir,
    File,
}

/// The stubs that a root needs.
pub(super) struct Stubs<'a> {
    store: &'a Store,
    root: &'a Root,
    /// Missing paths.
    missing: BTreeMap<Vec<Name>, Stub>,
}

impl<'a> Stubs<'a> {
    pub(super) fn new(store: &'a Store, root: &'a Root) -> Self {
        Self { store, root, missing: BTreeMap::new() }
    }

    /// Finds where a mount point really is: symbolic links are followed in
    /// the tree. Notes it if it is not there.
    pub(super) fn place(&mut self, target: &str, stub: Stub) -> Result<PathBuf, BuildErrorKind> {
        let found = locate(self.store, self.root, target.as_bytes(), Follow::Last)?;
        let wrong = |why: &str| BuildErrorKind::Mount { target: target.to_owned(), why: why.to_owned() };
        match found.entry.as_ref().map(|e| &e.node) {
            None => {
                self.missing.insert(found.names.clone(), stub);
            }
            Some(Node::Dir(_)) if stub == Stub::File => return Err(wrong("is a directory, not a file")),
            Some(Node::Dir(_)) => {}
            Some(_) if stub == Stub::Dir => return Err(wrong("is a file, not a directory")),
            Some(_) => {}
        }
        let mut path = PathBuf::from("/");
        path.extend(found.names.iter().map(|n| Path::new(std::ffi::OsStr::from_bytes(n))));
        Ok(path)
    }

    /// Makes the stubs in a directory; `None` if there are none.
    pub(super) fn make(&self, place: &Path) -> Result<Option<PathBuf>, BuildErrorKind> {
        if self.missing.is_empty() {
            return Ok(None);
        }
        let mut dirs: BTreeMap<Vec<Name>, Meta> = BTreeMap::from([(Vec::new(), self.root.meta.clone())]);
        for names in self.missing.keys() {
            let mut at = self.store.dir(&self.root.dir.id).ok();
            for depth in 1..names.len() {
                let path = names.get(..depth).unwrap_or_default();
                let name = path.last();
                let entry = at.as_ref().zip(name).and_then(|(dir, name)| dir.get(name).cloned());
                at = entry.as_ref().and_then(|e| e.as_dir()).and_then(|d| self.store.dir(&d.id).ok());
                dirs.entry(path.to_vec()).or_insert_with(|| entry.map_or_else(stub_meta, |e| e.meta));
            }
        }
        for names in dirs.keys() {
            let path = join(place, names);
            fs::create_dir(&path).on("create", &path)?;
        }
        for (names, stub) in &self.missing {
            let path = join(place, names);
            match stub {
                // A parent of another stub may have made it.
                Stub::Dir => match fs::create_dir(&path) {
                    Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                        return Err(crate::store::StoreError::io("create", path, e).into());
                    }
                    _ => {}
                },
                Stub::File => fs::write(&path, "").on("create", &path)?,
            }
            let meta = Meta { mode: if *stub == Stub::Dir { 0o755 } else { 0o644 }, ..stub_meta() };
            self.give(&path, &meta)?;
        }
        // Deepest first: making an entry touches its parent.
        for (names, meta) in dirs.iter().rev() {
            self.give(&join(place, names), meta)?;
        }
        Ok(Some(place.to_owned()))
    }

    fn give(&self, path: &Path, meta: &Meta) -> Result<(), BuildErrorKind> {
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).on("open", path)?;
        set_meta(fd.as_fd(), meta, self.store.keeps_owners()).on("set the metadata of", path)?;
        Ok(())
    }
}

fn stub_meta() -> Meta {
    Meta { mode: 0o755, uid: 0, gid: 0, mtime: Mtime::default(), xattrs: None }
}

fn join(place: &Path, names: &[Name]) -> PathBuf {
    let mut path = place.to_owned();
    path.extend(names.iter().map(|n| Path::new(std::ffi::OsStr::from_bytes(n))));
    path
}

//! The files of a result in a directory.
//!
//! Files are reflinked or copied, never links to the store: they belong to
//! the user, who may write to them. A directory that does not exist yet
//! appears when all of it is written; into one that does, each file is
//! renamed when it is complete. Links in the directory are not followed: all
//! is done relative to directories that were opened as such.
//!
//! Owners and devices need root; without, files belong to the caller and
//! devices are left out (and reported).

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use rustix::fs::{
    self as sys, AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::dest::beside;
use super::error::ExportError;
use crate::archive::Times;
use crate::fs::{Blobs, Dir, Entry, FileRef, Forest, Meta, Mtime, Node, Root};

/// How files are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalOptions {
    /// Remove what is there and not in the result.
    pub delete: bool,
    /// What becomes of modification times.
    pub times: Times,
}

/// What could not be written as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalReport {
    /// Devices that only root can make.
    pub left_out: Vec<String>,
}

/// Writes a tree into a directory.
///
/// # Errors
///
/// If a file cannot be read or written.
pub fn write(
    root: &Root,
    forest: &dyn Forest,
    blobs: &dyn Blobs,
    dest: &Path,
    options: LocalOptions,
) -> Result<LocalReport, ExportError> {
    if std::fs::metadata(dest).is_ok() {
        return fill(root, forest, blobs, dest, dest, options);
    }
    if let Some(parent) = dest.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(ExportError::at("create the directory of", dest))?;
    }
    // `dest/` names the same as `dest`, but nothing can be renamed to it.
    let dest: PathBuf = dest.components().collect();
    let tmp = beside(&dest);
    let done = fill(root, forest, blobs, &tmp, &dest, options)
        .and_then(|report| std::fs::rename(&tmp, &dest).map_err(ExportError::at("write", &dest)).map(|()| report));
    if done.is_err() {
        // The first failure is the one to report.
        let _ = std::fs::remove_dir_all(&tmp);
    }
    done
}

fn fill(
    root: &Root,
    forest: &dyn Forest,
    blobs: &dyn Blobs,
    dir: &Path,
    shown: &Path,
    options: LocalOptions,
) -> Result<LocalReport, ExportError> {
    let at = |e: Errno| ExportError::at("create", shown)(e.into());
    match sys::mkdir(dir, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => return Err(at(e)),
    }
    let fd = sys::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(at)?;
    let mut writer = Writer {
        forest,
        blobs,
        options,
        top: fd.as_fd(),
        path: shown.to_owned(),
        inside: Vec::new(),
        is_root: crate::exec::userns::caller_is_root(),
        reflink: true,
        links: FxHashMap::default(),
        report: LocalReport::default(),
    };
    let tree = forest.dir(&root.dir.id)?;
    writer.dir(fd.as_fd(), &tree)?;
    Ok(writer.report)
}

struct Writer<'a> {
    forest: &'a dyn Forest,
    blobs: &'a dyn Blobs,
    options: LocalOptions,
    top: BorrowedFd<'a>,
    /// The current entry, for messages, and relative to the top.
    path: PathBuf,
    inside: Vec<u8>,
    is_root: bool,
    /// Reflinks have not failed yet.
    reflink: bool,
    /// Where the first name of each hard link group is.
    links: FxHashMap<u64, (Vec<u8>, Meta, FileRef)>,
    report: LocalReport,
}

const SCRATCH: &[u8] = b".rbc-export-new";

impl Writer<'_> {
    fn failed(&self, what: &'static str) -> impl FnOnce(Errno) -> ExportError + use<> {
        let path = self.path.clone();
        move |e| ExportError::at(what, &path)(e.into())
    }

    fn dir(&mut self, fd: BorrowedFd<'_>, dir: &Dir) -> Result<(), ExportError> {
        if self.options.delete {
            self.delete_others(fd, dir)?;
        }
        for (name, entry) in dir.entries() {
            let length = self.inside.len();
            if length > 0 {
                self.inside.push(b'/');
            }
            self.inside.extend_from_slice(name);
            self.path.push(OsStr::from_bytes(name));
            let done = self.entry(fd, name, entry);
            self.path.pop();
            self.inside.truncate(length);
            done?;
        }
        Ok(())
    }

    fn delete_others(&mut self, fd: BorrowedFd<'_>, dir: &Dir) -> Result<(), ExportError> {
        let names = self.names(fd)?;
        for name in names.iter().filter(|n| dir.get(n.as_bytes()).is_none()) {
            self.remove(fd, name.as_bytes())?;
        }
        Ok(())
    }

    fn names(&self, fd: BorrowedFd<'_>) -> Result<Vec<CString>, ExportError> {
        let mut names = Vec::new();
        for entry in sys::Dir::read_from(fd).map_err(self.failed("list"))? {
            let entry = entry.map_err(self.failed("list"))?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        Ok(names)
    }

    /// Removes an entry with everything below.
    fn remove(&mut self, fd: BorrowedFd<'_>, name: &[u8]) -> Result<(), ExportError> {
        match sys::unlinkat(fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // POSIX says EPERM for a directory, Linux EISDIR.
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(e) => return Err(self.failed("remove")(e)),
        }
        let below = self.open_dir(fd, name).map_err(self.failed("remove"))?;
        for child in self.names(below.as_fd())? {
            self.remove(below.as_fd(), child.as_bytes())?;
        }
        sys::unlinkat(fd, name, AtFlags::REMOVEDIR).map_err(self.failed("remove"))
    }

    fn open_dir(&self, fd: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        sys::openat(fd, name, flags, Mode::empty())
    }

    fn entry(&mut self, fd: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<(), ExportError> {
        let Entry { meta, node } = entry;
        match node {
            Node::Dir(dir) => {
                let below = match self.open_dir(fd, name) {
                    Ok(below) => {
                        if !self.is_root {
                            // It may be read-only after an earlier export.
                            let _ = sys::fchmod(&below, Mode::from_raw_mode(0o700));
                        }
                        below
                    }
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                        self.remove(fd, name)?;
                        sys::mkdirat(fd, name, Mode::from_raw_mode(0o700)).map_err(self.failed("create"))?;
                        self.open_dir(fd, name).map_err(self.failed("open"))?
                    }
                    Err(e) => return Err(self.failed("open")(e)),
                };
                let tree = self.forest.dir(&dir.id)?;
                self.dir(below.as_fd(), &tree)?;
                self.finish_open(below.as_fd(), meta)
            }
            Node::File(file) => self.file(fd, name, meta, file),
            Node::Symlink(text) => {
                self.fresh(fd)?;
                sys::symlinkat(text.as_ref(), fd, SCRATCH).map_err(self.failed("create"))?;
                self.finish_named(fd, meta, true)?;
                self.publish(fd, name)
            }
            Node::Char(rdev) => self.node(fd, name, meta, FileType::CharacterDevice, *rdev),
            Node::Block(rdev) => self.node(fd, name, meta, FileType::BlockDevice, *rdev),
            Node::Fifo => self.node(fd, name, meta, FileType::Fifo, 0),
            // A result has none; a whiteout says that there is nothing.
            Node::Whiteout => Ok(()),
        }
    }

    fn fresh(&mut self, fd: BorrowedFd<'_>) -> Result<(), ExportError> {
        // Left by a process that was killed.
        self.remove(fd, SCRATCH)
    }

    fn publish(&mut self, fd: BorrowedFd<'_>, name: &[u8]) -> Result<(), ExportError> {
        match sys::renameat(fd, SCRATCH, fd, name) {
            Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => {
                self.remove(fd, name)?;
                sys::renameat(fd, SCRATCH, fd, name).map_err(self.failed("write"))
            }
            other => other.map_err(self.failed("write")),
        }
    }

    fn file(&mut self, fd: BorrowedFd<'_>, name: &[u8], meta: &Meta, file: &FileRef) -> Result<(), ExportError> {
        self.fresh(fd)?;
        if file.link != 0 {
            match self.links.get(&file.link) {
                Some((first, m, f)) if m == meta && f == file => {
                    sys::linkat(self.top, first.as_slice(), fd, SCRATCH, AtFlags::empty())
                        .map_err(self.failed("link"))?;
                    self.publish(fd, name)?;
                    // If both were one file already, rename did nothing
                    // (POSIX) and left the other name.
                    return self.fresh(fd);
                }
                _ => {
                    self.links.insert(file.link, (self.inside.clone(), meta.clone(), *file));
                }
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let new = sys::openat(fd, SCRATCH, flags, Mode::from_raw_mode(0o600)).map_err(self.failed("create"))?;
        let written = self.copy(&mut File::from(new), meta, file);
        if written.is_err() {
            let _ = sys::unlinkat(fd, SCRATCH, AtFlags::empty());
        }
        written?;
        self.publish(fd, name)
    }

    fn copy(&mut self, new: &mut File, meta: &Meta, file: &FileRef) -> Result<(), ExportError> {
        if file.size > 0 {
            let unread =
                |source| ExportError::Blob { path: String::from_utf8_lossy(&self.inside).into_owned(), source };
            let mut blob = self.blobs.open(&file.blob).map_err(unread)?;
            let cloned = self.reflink && sys::ioctl_ficlone(&*new, &blob).is_ok();
            self.reflink = cloned;
            if !cloned {
                // Which uses copy_file_range.
                let n = io::copy(&mut blob, new).map_err(ExportError::at("write", &self.path))?;
                if n != file.size {
                    let error = io::Error::other(format!("it has {n} bytes instead of {}", file.size));
                    return Err(unread(error));
                }
            }
        }
        self.finish_open(new.as_fd(), meta)
    }

    fn node(
        &mut self,
        fd: BorrowedFd<'_>,
        name: &[u8],
        meta: &Meta,
        kind: FileType,
        rdev: u64,
    ) -> Result<(), ExportError> {
        self.fresh(fd)?;
        match sys::mknodat(fd, SCRATCH, kind, Mode::from_raw_mode(0o600), rdev) {
            Ok(()) => {}
            Err(Errno::PERM) if kind != FileType::Fifo => {
                self.report.left_out.push(String::from_utf8_lossy(&self.inside).into_owned());
                return Ok(());
            }
            Err(e) => return Err(self.failed("create")(e)),
        }
        self.finish_named(fd, meta, false)?;
        self.publish(fd, name)
    }

    fn times(&self, mtime: Mtime) -> Timestamps {
        let mtime = self.options.times.of(mtime);
        Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanoseconds.into() },
        }
    }

    /// Owner, mode, attributes, time, in this order: a change of owner takes
    /// setuid bits and capabilities away.
    fn finish_open(&self, fd: BorrowedFd<'_>, meta: &Meta) -> Result<(), ExportError> {
        if self.is_root {
            let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
            sys::fchown(fd, Some(uid), Some(gid)).map_err(self.failed("set the owner of"))?;
        }
        sys::fchmod(fd, Mode::from_raw_mode(meta.mode)).map_err(self.failed("set the mode of"))?;
        for (name, value) in meta.xattrs.as_deref().unwrap_or_default() {
            // Not every file system has them, and some need root.
            let _ = sys::fsetxattr(fd, name.as_ref(), value, XattrFlags::empty());
        }
        sys::futimens(fd, &self.times(meta.mtime)).map_err(self.failed("set the time of"))
    }

    /// The same for what cannot be opened.
    fn finish_named(&self, fd: BorrowedFd<'_>, meta: &Meta, symlink: bool) -> Result<(), ExportError> {
        if self.is_root {
            let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
            sys::chownat(fd, SCRATCH, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(self.failed("set the owner of"))?;
        }
        if !symlink {
            sys::chmodat(fd, SCRATCH, Mode::from_raw_mode(meta.mode), AtFlags::empty())
                .map_err(self.failed("set the mode of"))?;
        }
        sys::utimensat(fd, SCRATCH, &self.times(meta.mtime), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(self.failed("set the time of"))
    }
}

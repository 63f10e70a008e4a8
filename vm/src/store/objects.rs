//! Objects: one inode per (content, mode, owner, time, attributes), since a
//! hard link shares all of these.
//!
//! Name: `obj/<2 hex>/<62 hex of the blob>-<16 hex of the metadata>`, and
//! `.N` for the N-th replica. A replica is a further inode with equal bytes
//! and metadata, for a second path of one root file system (two paths that
//! share an inode are "the same file" to cp and tar) and for EMLINK.
//!
//! Written as `O_TMPFILE`, linked when complete: a name never stands for half
//! a file. `EEXIST` means that somebody else was first, with equal content.
//! Empty files have no object: they are made where they are needed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rbc_ir::{Digest, Hasher};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::Store;
use super::error::{IoContext, StoreError};
use crate::fs::{Blobs, FileRef, Meta};

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// Name of the object with this content and metadata, below `obj`.
pub(crate) fn object_name(blob: &Digest, meta: &Meta, replica: u32) -> String {
    let mut hasher = Hasher::new();
    for n in [meta.mode, meta.uid, meta.gid, meta.mtime.nanoseconds] {
        hasher.update(&n.to_le_bytes());
    }
    hasher.update(&meta.mtime.seconds.to_le_bytes());
    for (name, value) in meta.xattrs.as_deref().unwrap_or_default() {
        hasher.field(name);
        hasher.field(value);
    }
    let (blob, meta) = (blob.hex(), hasher.finish().hex());
    let mut name = format!("{}/{}-{}", &blob[..2], &blob[2..], &meta[..16]);
    if replica > 0 {
        name.push_str(&format!(".{replica}"));
    }
    name
}

/// A 64-bit name of an object's inode, for finding paths that would share it.
pub(crate) fn inode_id(object: &str) -> u64 {
    let digest = Digest::of(object.as_bytes());
    u64::from_le_bytes(digest.0[..8].try_into().unwrap_or_default())
}

/// Gives an open file its owner, mode, attributes and time, in the order in
/// which none undoes another: chown clears setuid and capabilities, and every
/// change but the last touches the time.
///
/// What a user namespace cannot express stays in the tree alone, and so in
/// exports: ids that are not mapped (`chown` says `EINVAL`; no process can
/// have them either) and `trusted.*` attributes (`EPERM`; user_namespaces(7)).
pub(crate) fn set_meta(fd: BorrowedFd<'_>, meta: &Meta, keep_owner: bool) -> io::Result<()> {
    if keep_owner {
        mapped(rustix::fs::fchown(fd, Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid))))?;
    }
    rustix::fs::fchmod(fd, Mode::from_raw_mode(meta.mode))?;
    for (name, value) in meta.xattrs.as_deref().unwrap_or_default() {
        match rustix::fs::fsetxattr(fd, name.as_ref(), value, XattrFlags::empty()) {
            Err(Errno::PERM) if name.starts_with(b"trusted.") => {}
            other => other?,
        }
    }
    rustix::fs::futimens(fd, &timestamps(meta))?;
    Ok(())
}

/// Lets a change of owner pass that failed because an id is not mapped.
pub(super) fn mapped(changed: Result<(), Errno>) -> Result<(), Errno> {
    match changed {
        Err(Errno::INVAL) => Ok(()),
        other => other,
    }
}

/// Both times of an inode: the access time follows the modification time.
pub(crate) fn timestamps(meta: &Meta) -> Timestamps {
    let time = Timespec { tv_sec: meta.mtime.seconds, tv_nsec: meta.mtime.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// Digest of no bytes.
pub(crate) fn empty_blob() -> Digest {
    Digest::of(b"")
}

impl Store {
    /// Makes a file without a name for a new object.
    fn anonymous(&self) -> Result<File, StoreError> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.layout.objects, c".", flags, Mode::from_raw_mode(0o600));
        Ok(File::from(fd.on("create a file in", self.layout.object(""))?))
    }

    /// Gives an open file the name of an object. True if it is new.
    fn publish(&self, fd: BorrowedFd<'_>, name: &str) -> Result<bool, StoreError> {
        // AT_EMPTY_PATH needs a capability before Linux 6.10; /proc does not.
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let link = || rustix::fs::linkat(rustix::fs::CWD, &*path, &self.layout.objects, name, AtFlags::SYMLINK_FOLLOW);
        match link() {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => {
                // Somebody was first, unless what is there was cut short.
                let size = rustix::fs::fstat(fd).on("stat", self.layout.object(name))?.st_size;
                if self.object_is_whole(name, u64::try_from(size).unwrap_or_default())? {
                    return Ok(false);
                }
                match link() {
                    Ok(()) => Ok(true),
                    Err(Errno::EXIST) => Ok(false),
                    Err(e) => Err(StoreError::io("link", self.layout.object(name), e.into())),
                }
            }
            Err(Errno::NOENT) => {
                let shard = self.layout.object(name.split('/').next().unwrap_or_default());
                std::fs::create_dir_all(&shard).on("create", &shard)?;
                link().map(|()| true).on("link", self.layout.object(name))
            }
            Err(e) => Err(StoreError::io("link", self.layout.object(name), e.into())),
        }
    }

    fn finish_object(&self, file: &File, blob: Digest, meta: &Meta) -> Result<(), StoreError> {
        let name = object_name(&blob, meta, 0);
        set_meta(file.as_fd(), meta, self.keeps_owners()).on("set the metadata of", self.layout.object(&name))?;
        self.publish(file.as_fd(), &name)?;
        self.note_object(&blob, &name);
        Ok(())
    }

    pub(super) fn put_bytes(&self, data: &[u8], meta: &Meta) -> Result<FileRef, StoreError> {
        let blob = Digest::of(data);
        let file_ref = FileRef { blob, size: data.len() as u64, link: 0 };
        if data.is_empty() || self.has_object(&file_ref, meta)? {
            return Ok(file_ref);
        }
        let mut file = self.anonymous()?;
        file.write_all(data).on("write", self.layout.object(""))?;
        self.finish_object(&file, blob, meta)?;
        Ok(file_ref)
    }

    pub(super) fn put_reader(&self, reader: &mut dyn Read, meta: &Meta) -> Result<FileRef, StoreError> {
        let mut file = self.anonymous()?;
        let (mut hasher, mut size, mut buffer) = (Hasher::new(), 0u64, vec![0; CHUNK]);
        loop {
            let n = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(StoreError::io("read the source of", self.layout.object(""), e)),
            };
            let data = buffer.get(..n).unwrap_or_default();
            hasher.update(data);
            file.write_all(data).on("write", self.layout.object(""))?;
            size += n as u64;
        }
        let blob = hasher.finish();
        let file_ref = FileRef { blob, size, link: 0 };
        if size > 0 && !self.has_object(&file_ref, meta)? {
            self.finish_object(&file, blob, meta)?;
        }
        Ok(file_ref)
    }

    /// Hashes a file of a process's upper directory and makes it an object
    /// where it stands: a link, no copy. Nobody may be able to write to it
    /// any more. The second value is the inode's id if the file is the
    /// object now, `None` if there was one already.
    pub(crate) fn adopt(&self, file: &File, meta: &Meta) -> Result<(FileRef, Option<u64>), StoreError> {
        let (mut hasher, mut size, mut buffer) = (Hasher::new(), 0u64, vec![0; CHUNK]);
        loop {
            let n = file.read_at(&mut buffer, size).on("read", self.layout.runs())?;
            if n == 0 {
                break;
            }
            hasher.update(buffer.get(..n).unwrap_or_default());
            size += n as u64;
        }
        let blob = hasher.finish();
        let file_ref = FileRef { blob, size, link: 0 };
        if size == 0 {
            return Ok((file_ref, None));
        }
        let name = object_name(&blob, meta, 0);
        let new = match self.publish(file.as_fd(), &name) {
            // The process made as many links to it as the file system lets.
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::TooManyLinks => {
                self.copy_object(file, &file_ref, meta, &name)?;
                false
            }
            published => published?,
        };
        self.note_object(&blob, &name);
        Ok((file_ref, new.then(|| inode_id(&name))))
    }

    /// Tells whether the object with this content and metadata is there.
    pub(crate) fn has_object(&self, file: &FileRef, meta: &Meta) -> Result<bool, StoreError> {
        let name = object_name(&file.blob, meta, 0);
        let there = self.object_is_whole(&name, file.size)?;
        if there {
            self.note_object(&file.blob, &name);
        }
        Ok(there)
    }

    /// Makes an object (or replica) of a blob that is there under other
    /// metadata: a reflink where the file system can, else a copy.
    pub(crate) fn make_variant(&self, file: &FileRef, meta: &Meta, replica: u32) -> Result<(), StoreError> {
        let source = self.open_whole(file)?;
        let name = object_name(&file.blob, meta, replica);
        self.copy_object(&source, file, meta, &name)?;
        self.note_object(&file.blob, &name);
        Ok(())
    }

    fn copy_object(&self, source: &File, file: &FileRef, meta: &Meta, name: &str) -> Result<(), StoreError> {
        let copy = self.anonymous()?;
        if rustix::fs::ioctl_ficlone(&copy, source).is_err() {
            let mut from = source;
            io::copy(&mut from, &mut &copy).on("copy", self.layout.object(""))?;
        }
        let size = copy.metadata().on("stat", self.layout.object(""))?.len();
        self.expect_size(file, size)?;
        set_meta(copy.as_fd(), meta, self.keeps_owners()).on("set the metadata of", self.layout.object(name))?;
        self.publish(copy.as_fd(), name)?;
        Ok(())
    }

    /// Opens any object with this content.
    pub(crate) fn open_blob(&self, blob: &Digest) -> Result<File, StoreError> {
        if *blob == empty_blob() {
            return File::open("/dev/null").on("open", "/dev/null");
        }
        let hex = blob.hex();
        let (shard, rest) = hex.split_at(2);
        for suffix in self.object_suffixes(blob)? {
            let name = format!("{shard}/{rest}-{suffix}");
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            match rustix::fs::openat(&self.layout.objects, &*name, flags, Mode::empty()) {
                Ok(fd) => return Ok(File::from(fd)),
                // A damaged row may name anything.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::INVAL | Errno::NAMETOOLONG | Errno::LOOP) => {}
                Err(e) => return Err(StoreError::io("open", self.layout.object(&name), e.into())),
            }
        }
        if let Some(found) = self.find_unindexed(shard, rest)? {
            return Ok(found);
        }
        self.note_damage();
        Err(StoreError::Missing { what: format!("file content {blob}") })
    }

    /// Looks through the shard itself: for objects that a killed process
    /// published but did not get to index.
    fn find_unindexed(&self, shard: &str, rest: &str) -> Result<Option<File>, StoreError> {
        let path: PathBuf = self.layout.object(shard);
        let list = match std::fs::read_dir(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            list => list.on("list", &path)?,
        };
        for entry in list {
            let entry = entry.on("list", &path)?;
            if entry.file_name().as_encoded_bytes().starts_with(rest.as_bytes()) {
                return File::open(entry.path()).map(Some).on("open", entry.path());
            }
        }
        Ok(None)
    }
}

impl Blobs for Store {
    fn put(&self, data: &[u8], meta: &Meta) -> io::Result<FileRef> {
        self.put_bytes(data, meta).map_err(StoreError::into_io)
    }

    fn put_stream(&self, data: &mut dyn Read, _size: u64, meta: &Meta) -> io::Result<FileRef> {
        self.put_reader(data, meta).map_err(StoreError::into_io)
    }

    fn open(&self, blob: &Digest) -> io::Result<File> {
        self.open_blob(blob).map_err(StoreError::into_io)
    }

    fn read_small(&self, file: &FileRef, limit: u64) -> io::Result<Vec<u8>> {
        if file.size > limit {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let mut data = Vec::new();
        self.open_whole(file).map_err(StoreError::into_io)?.read_to_end(&mut data)?;
        Ok(data)
    }
}

//! A tree becomes a tar stream, always the same for the same tree.
//!
//! Members stand in the order of the tree: each directory, then what it holds
//! by the bytes of the names. Headers are ustar; a PAX header stands before
//! what does not fit there (long names, large numbers, times with fractions,
//! extended attributes). Of a hard link group the first name is the file.
//! Ends with two blocks of zeros and no further padding, as Go's writer does.

use std::io::{self, Read, Write};

use rustc_hash::FxHashMap;
use rustix::fs::{major, minor};

use super::pax;
use super::ustar::{BLOCK, put_binary, put_octal};
use crate::fs::{Blobs, Dir, Entry, FileRef, Forest, Meta, Mtime, Node, Root, TreeError};

/// Which extended attributes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum XattrChoice {
    /// All of the tree's.
    #[default]
    All,
    /// `security.capability` only: what containerd's layer writer, and so
    /// BuildKit, puts into layers.
    Capability,
}

/// What becomes of modification times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Times {
    /// They stay.
    #[default]
    Keep,
    /// Later ones become this one, in seconds: `rewrite-timestamp` in layers.
    Clamp(i64),
    /// All become this one, in seconds: `source-date-epoch` of BuildKit's
    /// local and tar exporters.
    Set(i64),
}

impl Times {
    pub(crate) fn of(self, mtime: Mtime) -> Mtime {
        match self {
            Self::Keep => mtime,
            Self::Clamp(seconds) => mtime.min(Mtime { seconds, nanoseconds: 0 }),
            Self::Set(seconds) => Mtime { seconds, nanoseconds: 0 },
        }
    }
}

/// How a tree is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct WriteOptions {
    /// The tree is a difference: whiteouts and opaque directories become
    /// `.wh.` files. Otherwise they are an error.
    pub whiteouts: bool,
    /// What becomes of modification times.
    pub times: Times,
    /// Which extended attributes are written.
    pub xattrs: XattrChoice,
    /// Begin with a `./` member for the root directory itself.
    pub root_entry: bool,
}

/// Why a tree cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The output fails.
    #[error("cannot write the archive: {0}")]
    Output(#[source] io::Error),
    /// A file's bytes cannot be read from the store.
    #[error("cannot read `/{path}` from the cache: {source}")]
    Blob {
        /// The file.
        path: String,
        /// What the store says.
        source: io::Error,
    },
    /// The store holds other bytes than the tree says.
    #[error("`/{path}` is damaged in the cache: it should have {want} bytes")]
    Damaged {
        /// The file.
        path: String,
        /// Its size in the tree.
        want: u64,
    },
    /// A name that would mean something else in an archive.
    #[error("`/{path}` cannot be written to an archive: {why}")]
    Name {
        /// The file.
        path: String,
        /// Why not.
        why: &'static str,
    },
    /// A directory is missing from the cache.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Largest id that seven octal digits hold.
const MAX_ID: u32 = 0o7_777_777;

/// Largest size and time that eleven octal digits hold.
const MAX_LONG: u64 = 0o77_777_777_777;

const COPY_BUFFER: usize = 128 << 10;

/// Writes a tree as an uncompressed archive.
///
/// # Errors
///
/// See [`WriteError`].
pub fn write(
    out: &mut dyn Write,
    root: &Root,
    forest: &dyn Forest,
    blobs: &dyn Blobs,
    options: &WriteOptions,
) -> Result<(), WriteError> {
    let mut writer = Writer {
        out,
        forest,
        blobs,
        options,
        path: Vec::new(),
        groups: FxHashMap::default(),
        buffer: vec![0; COPY_BUFFER],
    };
    if options.root_entry {
        writer.header(b"./", b'5', &root.meta, 0, b"", 0)?;
    }
    if root.dir.opaque {
        writer.mark(b".wh..wh..opq")?;
    }
    let dir = forest.dir(&root.dir.id)?;
    writer.dir(&dir)?;
    writer.raw(&[0; 2 * BLOCK])
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    forest: &'a dyn Forest,
    blobs: &'a dyn Blobs,
    options: &'a WriteOptions,
    path: Vec<u8>,
    /// First name and file of each hard link group.
    groups: FxHashMap<u64, (Vec<u8>, Meta, FileRef)>,
    buffer: Vec<u8>,
}

impl Writer<'_> {
    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }

    fn refused(&self, why: &'static str) -> WriteError {
        WriteError::Name { path: self.shown(), why }
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.out.write_all(bytes).map_err(WriteError::Output)
    }

    fn dir(&mut self, dir: &Dir) -> Result<(), WriteError> {
        for (name, entry) in dir.entries() {
            let length = self.path.len();
            self.path.extend_from_slice(name);
            self.entry(name, entry)?;
            self.path.truncate(length);
        }
        Ok(())
    }

    fn entry(&mut self, name: &[u8], entry: &Entry) -> Result<(), WriteError> {
        let Entry { meta, node } = entry;
        if self.options.whiteouts && name.starts_with(b".wh.") {
            return Err(self.refused("in a layer, names that begin with `.wh.` mean removed files"));
        }
        let path = self.path.clone();
        match node {
            Node::Dir(dir) => {
                self.path.push(b'/');
                let path = self.path.clone();
                self.header(&path, b'5', meta, 0, b"", 0)?;
                if dir.opaque {
                    self.mark(b".wh..wh..opq")?;
                }
                let below = self.forest.dir(&dir.id)?;
                self.dir(&below)
            }
            Node::File(file) => self.file(&path, meta, file),
            Node::Symlink(text) => self.header(&path, b'2', meta, 0, text, 0),
            Node::Char(rdev) => self.header(&path, b'3', meta, 0, b"", *rdev),
            Node::Block(rdev) => self.header(&path, b'4', meta, 0, b"", *rdev),
            Node::Fifo => self.header(&path, b'6', meta, 0, b"", 0),
            Node::Whiteout => {
                self.path.truncate(path.len() - name.len());
                self.mark(&[b".wh.", name].concat())
            }
        }
    }

    /// Writes an empty file beside the current path that marks something as
    /// gone.
    fn mark(&mut self, name: &[u8]) -> Result<(), WriteError> {
        if !self.options.whiteouts {
            return Err(self.refused("a whiteout is only possible in a layer"));
        }
        let path = [self.path.as_slice(), name].concat();
        self.header(&path, b'0', &Meta::default(), 0, b"", 0)
    }

    fn file(&mut self, path: &[u8], meta: &Meta, file: &FileRef) -> Result<(), WriteError> {
        if file.link != 0 {
            match self.groups.get(&file.link) {
                // Members of a group that differ cannot be one file.
                Some((first, m, f)) if m == meta && f == file => {
                    let first = first.clone();
                    return self.header(path, b'1', meta, 0, &first, 0);
                }
                Some(_) => {}
                None => {
                    self.groups.insert(file.link, (path.to_vec(), meta.clone(), *file));
                }
            }
        }
        self.header(path, b'0', meta, file.size, b"", 0)?;
        if file.size > 0 {
            self.data(file)?;
        }
        Ok(())
    }

    fn data(&mut self, file: &FileRef) -> Result<(), WriteError> {
        let failed =
            |path: &[u8], source| WriteError::Blob { path: String::from_utf8_lossy(path).into_owned(), source };
        let mut source = self.blobs.open(&file.blob).map_err(|e| failed(&self.path, e))?;
        let mut left = file.size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let buffer = self.buffer.get_mut(..most).unwrap_or_default();
            let n = match source.read(buffer) {
                Ok(0) => return Err(WriteError::Damaged { path: self.shown(), want: file.size }),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(failed(&self.path, e)),
            };
            self.out.write_all(buffer.get(..n).unwrap_or_default()).map_err(WriteError::Output)?;
            left -= n as u64;
        }
        self.pad(file.size)
    }

    fn pad(&mut self, size: u64) -> Result<(), WriteError> {
        let padding = usize::try_from(size.wrapping_neg() % BLOCK as u64).unwrap_or_default();
        self.raw([0; BLOCK].get(..padding).unwrap_or_default())
    }

    fn header(
        &mut self,
        path: &[u8],
        kind: u8,
        meta: &Meta,
        size: u64,
        target: &[u8],
        rdev: u64,
    ) -> Result<(), WriteError> {
        let mtime = self.options.times.of(meta.mtime);
        let mut header = tar::Header::new_ustar();
        let mut records: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut record = |key: &[u8], value: &[u8]| records.push((key.to_vec(), value.to_vec()));
        if let Some(h) = header.as_ustar_mut() {
            if !put_path(h, path) {
                record(b"path", path);
            }
            if !put_text(&mut h.linkname, target) {
                record(b"linkpath", target);
            }
            put_octal(&mut h.mode, (meta.mode & 0o7777).into());
            for (field, key, id) in [(&mut h.uid, b"uid", meta.uid), (&mut h.gid, b"gid", meta.gid)] {
                if id > MAX_ID {
                    record(key, id.to_string().as_bytes());
                }
                put_octal(field, if id > MAX_ID { 0 } else { id.into() });
            }
            if size > MAX_LONG {
                record(b"size", size.to_string().as_bytes());
            }
            put_octal(&mut h.size, if size > MAX_LONG { 0 } else { size });
            let seconds = u64::try_from(mtime.seconds).ok().filter(|s| *s <= MAX_LONG);
            if seconds.is_none() || mtime.nanoseconds != 0 {
                record(b"mtime", pax::time_text(mtime).as_bytes());
            }
            put_octal(&mut h.mtime, seconds.unwrap_or(0));
            h.typeflag = [kind];
            for (field, n) in [(&mut h.dev_major, major(rdev)), (&mut h.dev_minor, minor(rdev))] {
                if !put_octal(field, n.into()) {
                    put_binary(field, n.into());
                }
            }
        }
        header.set_cksum();
        for (name, value) in meta.xattrs.as_deref().unwrap_or_default() {
            let wanted = self.options.xattrs == XattrChoice::All || name.as_ref() == b"security.capability";
            if !wanted {
                continue;
            }
            if name.contains(&b'=') {
                return Err(self.refused("the name of an extended attribute of it holds a `=`"));
            }
            records.push(([pax::XATTR, name].concat(), value.to_vec()));
        }
        if !records.is_empty() {
            self.extension(&mut records)?;
        }
        self.raw(header.as_bytes())
    }

    /// Writes a PAX header, its records sorted.
    fn extension(&mut self, records: &mut Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), WriteError> {
        let text = |key: &[u8]| key == b"path" || key == b"linkpath";
        if records.iter().any(|(k, v)| text(k) && std::str::from_utf8(v).is_err()) {
            // Values are UTF-8 unless this says otherwise (POSIX, pax).
            records.push((b"hdrcharset".to_vec(), b"BINARY".to_vec()));
        }
        records.sort();
        let mut data = Vec::new();
        for (key, value) in &*records {
            pax::put(&mut data, key, value);
        }
        let mut header = tar::Header::new_ustar();
        if let Some(h) = header.as_ustar_mut() {
            put_text(&mut h.name, b"PaxHeaders.0/x");
            put_octal(&mut h.mode, 0o644);
            put_octal(&mut h.uid, 0);
            put_octal(&mut h.gid, 0);
            put_octal(&mut h.size, data.len() as u64);
            put_octal(&mut h.mtime, 0);
            h.typeflag = *b"x";
        }
        header.set_cksum();
        self.raw(header.as_bytes())?;
        self.raw(&data)?;
        self.pad(data.len() as u64)
    }
}

/// Writes a text field; what does not fit is cut off, and the answer false.
fn put_text(field: &mut [u8], text: &[u8]) -> bool {
    for (slot, byte) in field.iter_mut().zip(text) {
        *slot = *byte;
    }
    text.len() <= field.len()
}

/// Writes a name, split at a slash into prefix and name if it is long; what
/// does not fit is cut off, and the answer false.
fn put_path(header: &mut tar::UstarHeader, path: &[u8]) -> bool {
    if put_text(&mut header.name, path) {
        return true;
    }
    // The slash between is not stored; a name of a directory keeps its own.
    let split = path
        .iter()
        .enumerate()
        .find(|(i, b)| **b == b'/' && path.len() - i - 1 <= header.name.len() && i + 1 < path.len())
        .map(|(i, _)| i);
    let Some((prefix, name)) = split.filter(|i| (1..=155).contains(i)).and_then(|i| path.split_at_checked(i)) else {
        return false;
    };
    header.name = [0; 100];
    put_text(&mut header.prefix, prefix);
    put_text(&mut header.name, name.get(1..).unwrap_or_default());
    true
}

#[cfg(test)]
mod tests;

//! Members of a tar stream, one after the other.
//!
//! Reads ustar, PAX and GNU headers. Every size is read once and used for
//! both the data and the way to the next header, so that no two parts of the
//! program can disagree on where a member ends (CVE-2025-62518).

use std::io::{self, Read};
use std::sync::Arc;

use tar::{EntryType, GnuExtSparseHeader, Header};

use super::limits::Limits;
use super::pax;
use super::sparse::{self, Filled, Piece, SparseRecords};
use super::ustar::{BLOCK, checksum_is_right, number, text};
use crate::fs::{Meta, Mtime, Xattrs};

/// Why the stream cannot be read as an archive.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The stream fails.
    #[error("cannot read the archive: {0}")]
    Read(#[source] io::Error),
    /// The stream ends within a member.
    #[error("the archive is cut off at byte {at}")]
    Truncated {
        /// Position in the uncompressed stream.
        at: u64,
    },
    /// A header makes no sense.
    #[error("not a valid tar header at byte {at}: {what}")]
    Header {
        /// Position in the uncompressed stream.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A bound of [`Limits`] is passed.
    #[error("the archive has more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Link,
    Symlink,
    Char,
    Block,
    Dir,
    Fifo,
}

/// A member without its data.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) path: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) meta: Meta,
    /// Bytes of the file, holes included.
    pub(crate) size: u64,
    pub(crate) rdev: u64,
    pieces: Option<Vec<Piece>>,
}

/// Extended attributes as they come.
pub(crate) type XattrList = Vec<(Box<[u8]>, Box<[u8]>)>;

/// What extension headers say of the member that follows.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<Mtime>,
    xattrs: XattrList,
    sparse: Option<SparseRecords>,
    bytes: u64,
}

/// A stream of members.
pub(crate) struct Members<R> {
    input: R,
    limits: Limits,
    /// Position of the next byte that is read.
    at: u64,
    /// Bytes of the current member's data that are still unread, and the
    /// padding behind.
    data: u64,
    padding: u64,
    entries: u64,
    /// Bytes of files, holes included.
    filled: u64,
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

impl<R: Read> Members<R> {
    pub(crate) fn new(input: R, limits: Limits) -> Self {
        Self { input, limits, at: 0, data: 0, padding: 0, entries: 0, filled: 0 }
    }

    fn wrong(&self, what: &'static str) -> MemberError {
        MemberError::Header { at: self.at, what }
    }

    fn failed(&self, e: io::Error) -> MemberError {
        match e.kind() {
            io::ErrorKind::UnexpectedEof => MemberError::Truncated { at: self.at },
            _ => MemberError::Read(e),
        }
    }

    fn count(&mut self, n: u64) -> Result<(), MemberError> {
        self.at += n;
        if self.at > self.limits.total_bytes {
            return Err(MemberError::Limit { what: "bytes", limit: self.limits.total_bytes });
        }
        Ok(())
    }

    /// Reads a block; `None` at the end of the stream.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, MemberError> {
        let mut block = [0; BLOCK];
        let mut len = 0;
        while let Some(free) = block.get_mut(len..).filter(|f| !f.is_empty()) {
            match self.input.read(free) {
                Ok(0) if len == 0 => return Ok(None),
                Ok(0) => return Err(MemberError::Truncated { at: self.at + len as u64 }),
                Ok(n) => len += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.failed(e)),
            }
        }
        self.count(BLOCK as u64)?;
        Ok(Some(block))
    }

    fn skip(&mut self, n: u64) -> Result<(), MemberError> {
        let skipped = io::copy(&mut self.input.by_ref().take(n), &mut io::sink()).map_err(|e| self.failed(e))?;
        self.count(skipped)?;
        if skipped < n {
            return Err(MemberError::Truncated { at: self.at });
        }
        Ok(())
    }

    /// Reads the data of an extension header.
    fn extension(&mut self, size: u64, ext: &mut Extensions) -> Result<Vec<u8>, MemberError> {
        let limit = self.limits.header_bytes;
        ext.bytes = ext.bytes.saturating_add(size);
        if ext.bytes > limit {
            return Err(MemberError::Limit { what: "bytes of headers for one file", limit });
        }
        let mut data = Vec::new();
        self.input.by_ref().take(size).read_to_end(&mut data).map_err(|e| self.failed(e))?;
        self.count(data.len() as u64)?;
        if (data.len() as u64) < size {
            return Err(MemberError::Truncated { at: self.at });
        }
        self.skip(padding(size))?;
        Ok(data)
    }

    /// Goes to the next member. Data of the current one that was not read is
    /// skipped. `None` at the end of the archive; what follows in the stream
    /// is not looked at.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, MemberError> {
        self.skip(self.data + self.padding)?;
        (self.data, self.padding) = (0, 0);
        let mut ext = Extensions::default();
        loop {
            let Some(block) = self.block()? else {
                return Ok(None);
            };
            if block == [0; BLOCK] {
                // Two blocks of zeros end an archive; a single one before
                // more data is damage.
                return match self.block()? {
                    Some(next) if next != [0; BLOCK] => Err(self.wrong("data after a block of zeros")),
                    _ => Ok(None),
                };
            }
            let header = Header::from_byte_slice(&block);
            if !checksum_is_right(header) {
                return Err(self.wrong("its checksum is wrong"));
            }
            let size = self.unsigned(&header.as_old().size, "its size is no number")?;
            match header.entry_type() {
                // Global records hold comments (`git archive`); Go's reader,
                // and so docker, ignores all others too.
                EntryType::XGlobalHeader => {
                    self.extension(size, &mut Extensions::default())?;
                }
                EntryType::XHeader => {
                    let data = self.extension(size, &mut ext)?;
                    self.records(&data, &mut ext)?;
                }
                EntryType::GNULongName => {
                    let name = self.extension(size, &mut ext)?;
                    ext.path = Some(text(&name).to_vec());
                }
                EntryType::GNULongLink => {
                    let name = self.extension(size, &mut ext)?;
                    ext.target = Some(text(&name).to_vec());
                }
                _ => return self.member(header, size, ext).map(Some),
            }
        }
    }

    fn unsigned(&self, field: &[u8], what: &'static str) -> Result<u64, MemberError> {
        number(field).and_then(|n| n.try_into().ok()).ok_or_else(|| self.wrong(what))
    }

    fn records(&self, mut data: &[u8], ext: &mut Extensions) -> Result<(), MemberError> {
        while !data.is_empty() {
            let (key, value) = pax::take(&mut data).ok_or_else(|| self.wrong("a PAX record is malformed"))?;
            let wrong = || self.wrong("a PAX record holds no number");
            if let Some(name) = key.strip_prefix(pax::XATTR) {
                if name.is_empty() || name.len() > 255 || name.contains(&0) {
                    return Err(self.wrong("an extended attribute has an impossible name"));
                }
                if keeps_xattr(name) {
                    ext.xattrs.push((name.into(), value.into()));
                }
                continue;
            }
            if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                ext.sparse.get_or_insert_default().take(key, value).ok_or_else(wrong)?;
                continue;
            }
            if value.is_empty() {
                // An empty value takes a record back (POSIX, pax).
                continue;
            }
            match key {
                b"path" => ext.path = Some(value.to_vec()),
                b"linkpath" => ext.target = Some(value.to_vec()),
                b"size" => ext.size = Some(pax::decimal(value).ok_or_else(wrong)?),
                b"uid" => ext.uid = Some(pax::decimal(value).ok_or_else(wrong)?),
                b"gid" => ext.gid = Some(pax::decimal(value).ok_or_else(wrong)?),
                b"mtime" => ext.mtime = Some(pax::time(value).ok_or_else(wrong)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn member(&mut self, header: &Header, size: u64, ext: Extensions) -> Result<Member, MemberError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(MemberError::Limit { what: "entries", limit: self.limits.entries });
        }
        let old = header.as_old();
        let mut path = ext.path.unwrap_or_else(|| header_path(header));
        let kind = match header.entry_type() {
            // Before ustar a directory was a file with a slash at the end.
            EntryType::Regular if old.linkflag == [0] && path.ends_with(b"/") => Kind::Dir,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
            EntryType::Link => Kind::Link,
            EntryType::Symlink => Kind::Symlink,
            EntryType::Char => Kind::Char,
            EntryType::Block => Kind::Block,
            EntryType::Directory => Kind::Dir,
            EntryType::Fifo => Kind::Fifo,
            _ => return Err(self.wrong("its type is unknown")),
        };
        // Only files have data; other members may name a size all the same
        // (a hard link that of its file), which Go's reader ignores, too.
        let stored = if kind == Kind::File { ext.size.unwrap_or(size) } else { 0 };
        self.data = stored;
        self.padding = padding(stored);
        let mut real = stored;
        let mut pieces = None;
        if header.entry_type().is_gnu_sparse() {
            let gnu = header.as_gnu().ok_or_else(|| self.wrong("it is sparse but not GNU's"))?;
            real = self.unsigned(&gnu.realsize, "its real size is no number")?;
            pieces = Some(self.old_map(gnu)?);
        } else if let (Kind::File, Some(records)) = (kind, ext.sparse) {
            if let Some(name) = &records.name {
                path.clone_from(name);
            }
            if let Some(size) = records.real_size {
                real = size;
            }
            if records.map_in_data() {
                pieces = Some(self.map_in_data()?);
            } else {
                pieces = records.pieces;
            }
        }
        if pieces.as_ref().is_some_and(|p| !sparse::is_sound(p, self.data, real)) {
            return Err(self.wrong("its map of a sparse file is wrong"));
        }
        let size = if pieces.is_some() { real } else { self.data };
        self.filled = self.filled.saturating_add(size);
        if self.filled > self.limits.total_bytes {
            return Err(MemberError::Limit { what: "bytes", limit: self.limits.total_bytes });
        }
        let id = |from: Option<u64>, field: &[u8]| match from {
            Some(n) => u32::try_from(n).map_err(|_| self.wrong("its owner is no 32-bit number")),
            None => {
                number(field).and_then(|n| n.try_into().ok()).ok_or_else(|| self.wrong("its owner is no 32-bit number"))
            }
        };
        let mode = self.unsigned(&old.mode, "its mode is no number")? & 0o7777;
        let mtime = match ext.mtime {
            Some(mtime) => mtime,
            None => Mtime {
                seconds: number(&old.mtime).ok_or_else(|| self.wrong("its time is no number"))?,
                nanoseconds: 0,
            },
        };
        let meta = Meta {
            mode: u32::try_from(mode).unwrap_or_default(),
            uid: id(ext.uid, &old.uid)?,
            gid: id(ext.gid, &old.gid)?,
            mtime,
            xattrs: sorted(ext.xattrs),
        };
        let mut rdev = 0;
        if matches!(kind, Kind::Char | Kind::Block) {
            let ustar = header.as_ustar().map(|u| (u.dev_major, u.dev_minor));
            let (major, minor) =
                ustar.or_else(|| header.as_gnu().map(|g| (g.dev_major, g.dev_minor))).unwrap_or_default();
            let half = |field: &[u8]| {
                let n = self.unsigned(field, "its device number is none")?;
                u32::try_from(n).map_err(|_| self.wrong("its device number is too large"))
            };
            rdev = rustix::fs::makedev(half(&major)?, half(&minor)?);
        }
        let target = ext.target.unwrap_or_else(|| text(&old.linkname).to_vec());
        Ok(Member { path, target, kind, meta, size, rdev, pieces })
    }

    fn old_map(&mut self, gnu: &tar::GnuHeader) -> Result<Vec<Piece>, MemberError> {
        let mut pieces = Vec::new();
        let malformed = "its map of a sparse file is malformed";
        sparse::old_pieces(&gnu.sparse, &mut pieces).ok_or_else(|| self.wrong(malformed))?;
        let mut more = gnu.isextended == [1];
        while more {
            if pieces.len() as u64 > self.limits.header_bytes / 24 {
                let limit = self.limits.header_bytes;
                return Err(MemberError::Limit { what: "bytes of headers for one file", limit });
            }
            let block = self.block()?.ok_or(MemberError::Truncated { at: self.at })?;
            let mut extension = GnuExtSparseHeader::new();
            extension.as_mut_bytes().copy_from_slice(&block);
            sparse::old_pieces(&extension.sparse, &mut pieces).ok_or_else(|| self.wrong(malformed))?;
            more = extension.isextended == [1];
        }
        Ok(pieces)
    }

    fn map_in_data(&mut self) -> Result<Vec<Piece>, MemberError> {
        let limit = self.limits.header_bytes;
        let map = sparse::read_map(&mut self.input.by_ref().take(self.data), limit).map_err(|e| self.failed(e))?;
        let (pieces, used) = map.ok_or_else(|| self.wrong("its map of a sparse file is malformed"))?;
        self.data = self.data.checked_sub(used).ok_or_else(|| self.wrong("its map of a sparse file is too long"))?;
        self.count(used)?;
        Ok(pieces)
    }

    /// Returns the data of the member that [`Members::next`] returned last.
    /// May be called once for each.
    pub(crate) fn data(&mut self, member: &mut Member) -> Data<'_, R> {
        let size = member.size;
        let pieces = member.pieces.take();
        let stored = Stored { members: self, error: None };
        match pieces {
            None => Data::Stored(stored),
            Some(pieces) => Data::Sparse(Filled::new(stored, pieces, size)),
        }
    }

    /// Reads the stream to its end.
    pub(crate) fn drain(&mut self) -> Result<(), MemberError> {
        let limit = self.limits.total_bytes;
        let rest = limit.saturating_sub(self.at).saturating_add(1);
        let n = io::copy(&mut self.input.by_ref().take(rest), &mut io::sink()).map_err(|e| self.failed(e))?;
        self.count(n)
    }
}

/// The data of a member.
pub(crate) enum Data<'a, R> {
    Stored(Stored<'a, R>),
    Sparse(Filled<Stored<'a, R>>),
}

impl<R: Read> Data<'_, R> {
    /// Returns why reading failed, if it did: the store reports what its
    /// source says, and this tells the one from the other.
    pub(crate) fn error(self) -> Option<MemberError> {
        match self {
            Self::Stored(s) => s.error,
            Self::Sparse(f) => f.into_stored().error,
        }
    }
}

impl<R: Read> Read for Data<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stored(s) => s.read(buf),
            Self::Sparse(f) => f.read(buf),
        }
    }
}

/// The stored bytes of a member.
pub(crate) struct Stored<'a, R> {
    members: &'a mut Members<R>,
    error: Option<MemberError>,
}

impl<R: Read> Stored<'_, R> {
    fn read_some(&mut self, buf: &mut [u8]) -> Result<usize, MemberError> {
        let members = &mut *self.members;
        let n = usize::try_from(members.data).unwrap_or(usize::MAX).min(buf.len());
        let Some(buf) = buf.get_mut(..n).filter(|b| !b.is_empty()) else {
            return Ok(0);
        };
        let n = loop {
            match members.input.read(buf) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(|e| members.failed(e))?,
            }
        };
        if n == 0 {
            return Err(MemberError::Truncated { at: members.at });
        }
        members.data -= n as u64;
        members.count(n as u64)?;
        Ok(n)
    }
}

impl<R: Read> Read for Stored<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_some(buf).map_err(|e| {
            let told = io::Error::other(e.to_string());
            self.error = Some(e);
            told
        })
    }
}

/// Tells whether an extended attribute is kept. Of `security.*` only file
/// capabilities mean the same on another machine; `overlay.*` would be taken
/// for the store's own marks.
fn keeps_xattr(name: &[u8]) -> bool {
    match name.strip_prefix(b"security.") {
        Some(rest) => rest == b"capability",
        None => !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay."),
    }
}

/// Sorts attributes by name; of several with one name the last counts.
fn sorted(mut list: XattrList) -> Xattrs {
    if list.is_empty() {
        return None;
    }
    list.reverse();
    list.sort_by(|a, b| a.0.cmp(&b.0));
    list.dedup_by(|later, first| later.0 == first.0);
    Some(Arc::from(list))
}

fn header_path(header: &Header) -> Vec<u8> {
    let name = text(&header.as_old().name);
    match header.as_ustar().map(|u| text(&u.prefix)) {
        Some(prefix) if !prefix.is_empty() => [prefix, b"/", name].concat(),
        _ => name.to_vec(),
    }
}

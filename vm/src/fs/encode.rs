//! The canonical encoding of a directory: what its id is the digest of, and
//! how the index stores it.
//!
//! ```text
//! row     = version(1) sums content-id(32) entry*
//! sums    = varint{files dirs others bytes} flags(1)
//! entry   = varint(name length) name kind(1) varint{mode uid gid}
//!           varint(zigzag seconds) varint(nanoseconds)
//!           varint(number of xattrs) (varint(length) bytes){name value}*
//!           payload
//! payload = dir: tree-id(32) content-id(32) opaque(1)
//!           file: blob(32) varint(size) link(8)
//!           symlink: varint(length) text · device: varint(rdev)
//! ```
//!
//! The tree id is the SHA-256 of the entries. The content id is that of the
//! same entries without times and link groups, with content ids for
//! directories and without the extended attributes that do not count.

use std::sync::Arc;

use rbc_ir::Digest;

use super::tree::{ContentId, Dir, DirRef, Entry, FileRef, Meta, Mtime, Name, Node, Totals, TreeId, Xattrs};

const VERSION: u8 = 1;

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n.to_le_bytes()[0] | 0x80);
        n >>= 7;
    }
    out.push(n.to_le_bytes()[0]);
}

fn bytes(out: &mut Vec<u8>, b: &[u8]) {
    varint(out, b.len() as u64);
    out.extend_from_slice(b);
}

fn zigzag(n: i64) -> u64 {
    (n.wrapping_shl(1) ^ (n >> 63)).cast_unsigned()
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -(n & 1).cast_signed()
}

fn kind(node: &Node) -> u8 {
    match node {
        Node::Dir(_) => b'd',
        Node::File(_) => b'f',
        Node::Symlink(_) => b'l',
        Node::Char(_) => b'c',
        Node::Block(_) => b'b',
        Node::Fifo => b'p',
        Node::Whiteout => b'w',
    }
}

/// Writes an entry in full.
pub(crate) fn entry(out: &mut Vec<u8>, name: &[u8], entry: &Entry) {
    let Meta { mode, uid, gid, mtime, xattrs } = &entry.meta;
    bytes(out, name);
    out.push(kind(&entry.node));
    for n in [*mode, *uid, *gid] {
        varint(out, n.into());
    }
    varint(out, zigzag(mtime.seconds));
    varint(out, mtime.nanoseconds.into());
    let xattrs = xattrs.as_deref().unwrap_or_default();
    varint(out, xattrs.len() as u64);
    for (name, value) in xattrs {
        bytes(out, name);
        bytes(out, value);
    }
    match &entry.node {
        Node::Dir(dir) => {
            out.extend_from_slice(&dir.id.0);
            out.extend_from_slice(&dir.content.0);
            out.push(dir.opaque.into());
        }
        Node::File(file) => {
            out.extend_from_slice(&file.blob.0);
            varint(out, file.size);
            out.extend_from_slice(&file.link.to_le_bytes());
        }
        Node::Symlink(text) => bytes(out, text),
        Node::Char(rdev) | Node::Block(rdev) => varint(out, *rdev),
        Node::Fifo | Node::Whiteout => {}
    }
}

/// Tells whether an extended attribute counts for cache keys (BuildKit's
/// `cache/contenthash/tarsum.go`).
fn counts(name: &[u8]) -> bool {
    name == b"security.capability" || !(name.starts_with(b"security.") || name.starts_with(b"system."))
}

/// Writes what of an entry counts for cache keys.
pub(crate) fn content(out: &mut Vec<u8>, name: &[u8], entry: &Entry) {
    let Meta { mode, uid, gid, mtime: _, xattrs } = &entry.meta;
    bytes(out, name);
    out.push(kind(&entry.node));
    for n in [*mode, *uid, *gid] {
        varint(out, n.into());
    }
    for (name, value) in xattrs.as_deref().unwrap_or_default().iter().filter(|(name, _)| counts(name)) {
        bytes(out, name);
        bytes(out, value);
    }
    // No attribute has an empty name, so this ends the list unambiguously.
    bytes(out, b"");
    match &entry.node {
        Node::Dir(dir) => {
            out.extend_from_slice(&dir.content.0);
            out.push(dir.opaque.into());
        }
        Node::File(file) => out.extend_from_slice(&file.blob.0),
        Node::Symlink(text) => bytes(out, text),
        Node::Char(rdev) | Node::Block(rdev) => varint(out, *rdev),
        Node::Fifo | Node::Whiteout => {}
    }
}

/// Computes both ids of sorted entries.
pub(crate) fn ids(entries: &[(Name, Entry)]) -> (TreeId, ContentId) {
    let mut full = Vec::with_capacity(entries.len() * 96);
    let mut cached = Vec::with_capacity(entries.len() * 64);
    for (name, e) in entries {
        entry(&mut full, name, e);
        content(&mut cached, name, e);
    }
    (TreeId(Digest::of(&full).0), ContentId(Digest::of(&cached).0))
}

/// Encodes a directory as an index row.
pub(crate) fn row(dir: &Dir) -> Vec<u8> {
    let mut out = Vec::with_capacity(dir.entries().len() * 96 + 64);
    out.push(VERSION);
    let t = dir.totals();
    for n in [t.files, t.dirs, t.others, t.bytes] {
        varint(&mut out, n);
    }
    out.push(u8::from(t.has_links) | u8::from(t.has_whiteouts) << 1);
    out.extend_from_slice(&dir.content().0);
    for (name, e) in dir.entries() {
        entry(&mut out, name, e);
    }
    out
}

/// Decodes an index row; `None` if it is damaged. The row's own id is not
/// recomputed: `rbc cache verify` does that.
pub(crate) fn decode_row(id: TreeId, row: &[u8]) -> Option<Dir> {
    let mut r = Reader(row);
    if r.byte()? != VERSION {
        return None;
    }
    let totals = sums(&mut r)?;
    let content = ContentId(r.array()?);
    let mut entries = Vec::new();
    while !r.0.is_empty() {
        entries.push(r.entry()?);
    }
    Some(Dir::from_parts(entries, id, content, totals))
}

/// Decodes only the sums of an index row.
pub(crate) fn decode_totals(row: &[u8]) -> Option<Totals> {
    let mut r = Reader(row);
    (r.byte()? == VERSION).then(|| sums(&mut r)).flatten()
}

/// Decodes one entry that was written by [`entry`], with its name.
pub(crate) fn decode_entry(encoded: &[u8]) -> Option<(Name, Entry)> {
    let mut r = Reader(encoded);
    let found = r.entry()?;
    r.0.is_empty().then_some(found)
}

fn sums(r: &mut Reader<'_>) -> Option<Totals> {
    let (files, dirs, others, bytes) = (r.varint()?, r.varint()?, r.varint()?, r.varint()?);
    let flags = r.byte()?;
    Some(Totals { files, dirs, others, bytes, has_links: flags & 1 != 0, has_whiteouts: flags & 2 != 0 })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn varint(&mut self) -> Option<u64> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let b = self.byte()?;
            n |= u64::from(b & 0x7f).checked_shl(shift)?;
            if b & 0x80 == 0 {
                return Some(n);
            }
        }
        None
    }

    fn varint32(&mut self) -> Option<u32> {
        self.varint()?.try_into().ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let n = self.varint()?.try_into().ok()?;
        self.take(n)
    }

    fn xattrs(&mut self) -> Option<Xattrs> {
        let n = self.varint()?;
        if n == 0 {
            return Some(None);
        }
        let mut list = Vec::new();
        for _ in 0..n {
            list.push((self.bytes()?.into(), self.bytes()?.into()));
        }
        Some(Some(Arc::from(list)))
    }

    fn entry(&mut self) -> Option<(Name, Entry)> {
        let name = self.bytes()?.into();
        let kind = self.byte()?;
        let (mode, uid, gid) = (self.varint32()?, self.varint32()?, self.varint32()?);
        let mtime = Mtime { seconds: unzigzag(self.varint()?), nanoseconds: self.varint32()? };
        let meta = Meta { mode, uid, gid, mtime, xattrs: self.xattrs()? };
        let node = match kind {
            b'd' => Node::Dir(DirRef {
                id: TreeId(self.array()?),
                content: ContentId(self.array()?),
                opaque: self.byte()? != 0,
            }),
            b'f' => Node::File(FileRef {
                blob: Digest(self.array()?),
                size: self.varint()?,
                link: u64::from_le_bytes(self.array()?),
            }),
            b'l' => Node::Symlink(self.bytes()?.into()),
            b'c' => Node::Char(self.varint()?),
            b'b' => Node::Block(self.varint()?),
            b'p' => Node::Fifo,
            b'w' => Node::Whiteout,
            _ => return None,
        };
        Some((name, Entry { meta, node }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fs::random::{plant, root};
    use crate::fs::{Forest, MemoryForest};

    proptest! {
        #[test]
        fn rows_come_back(tree in root(), seconds: i64, xattr: Vec<u8>, cut: prop::sample::Index) {
            let forest = MemoryForest::default();
            let mut dir = forest.dir(&plant(&forest, &tree).dir.id).unwrap();
            let mut entries = dir.entries().to_vec();
            if let Some((_, entry)) = entries.first_mut() {
                entry.meta.mtime = Mtime { seconds, nanoseconds: 999_999_999 };
                entry.meta.xattrs = Some(Arc::from([(Box::from(b"user.x".as_slice()), xattr.into())]));
                dir = forest.make(entries).unwrap();
            }
            let encoded = row(&dir);
            prop_assert_eq!(decode_row(dir.id(), &encoded), Some(Dir::clone(&dir)));
            prop_assert_eq!(decode_totals(&encoded), Some(*dir.totals()));
            prop_assert_eq!(ids(dir.entries()), (dir.id(), dir.content()));
            for (name, e) in dir.entries() {
                let mut one = Vec::new();
                entry(&mut one, name, e);
                prop_assert_eq!(decode_entry(&one), Some((name.clone(), e.clone())));
            }
            // A row that was cut off is damaged, or ends where an entry does.
            if let Some(short) = decode_row(dir.id(), &encoded[..cut.index(encoded.len())]) {
                prop_assert!(short.entries().len() < dir.entries().len());
            }
        }
    }
}

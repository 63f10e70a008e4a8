//! The stat index: digests of files by inode, as git's index has them.
//!
//! One row per directory: the names in it that were hashed, with inode
//! number, size and both times. An entry counts if all of these are as they
//! were, and if the file had rested for a moment when it was hashed: a write
//! in the same tick of the clock would not show ("racily clean", git's
//! `Documentation/technical/racy-git.adoc`).

use std::time::{SystemTime, UNIX_EPOCH};

use rbc_ir::{Digest, Hasher};
use rustc_hash::FxHashMap;
use rustix::fs::Stat;

use crate::fs::Name;

/// Coarsest step of a file system's clock that has to be reckoned with: the
/// kernel's tick is at most 10 ms; twice that leaves room for the way from
/// stat to hash.
const TICK_NS: i128 = 20_000_000;

/// What of an inode tells that it is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: u64,
    mtime: i128,
    ctime: i128,
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Self {
        let nanos = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Self {
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            mtime: nanos(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or_default()),
            ctime: nanos(stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or_default()),
        }
    }
}

/// A known digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    stamp: Stamp,
    hashed_at: i128,
    blob: Digest,
}

/// The row of one directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Row(FxHashMap<Name, Known>);

/// Key of the row of a directory: where it is and which inode.
pub(super) fn key(context: &[u8], path: &[u8], directory: &Stat) -> [u8; 32] {
    let mut hasher = Hasher::new();
    hasher.field(context);
    hasher.field(path);
    hasher.update(&directory.st_dev.to_le_bytes());
    hasher.update(&directory.st_ino.to_le_bytes());
    hasher.finish().0
}

/// The current time in nanoseconds since 1970.
pub(super) fn now() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}

impl Row {
    /// Returns the digest of a file that is as it was.
    pub(super) fn get(&self, name: &[u8], stamp: &Stamp) -> Option<Digest> {
        let known = self.0.get(name)?;
        let rested = known.stamp.ctime.max(known.stamp.mtime) + TICK_NS < known.hashed_at;
        (known.stamp == *stamp && rested).then_some(known.blob)
    }

    pub(super) fn put(&mut self, name: &[u8], stamp: Stamp, hashed_at: i128, blob: Digest) {
        self.0.insert(name.into(), Known { stamp, hashed_at, blob });
    }

    /// Forgets names that are gone.
    pub(super) fn keep_only(&mut self, there: impl Fn(&[u8]) -> bool) {
        self.0.retain(|name, _| there(name));
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() * 128);
        for (name, known) in &self.0 {
            // A name has at most 255 bytes (NAME_MAX).
            let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(name.get(..length.into()).unwrap_or(name));
            out.extend_from_slice(&known.stamp.inode.to_le_bytes());
            out.extend_from_slice(&known.stamp.size.to_le_bytes());
            for time in [known.stamp.mtime, known.stamp.ctime, known.hashed_at] {
                out.extend_from_slice(&time.to_le_bytes());
            }
            out.extend_from_slice(&known.blob.0);
        }
        out
    }

    /// Reads a row; a damaged one is empty, which costs a hash and no more.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let mut row = Self::default();
        let mut rest = bytes;
        while let Some((name, known)) = take_known(&mut rest) {
            row.0.insert(name, known);
        }
        row
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

fn take_known(rest: &mut &[u8]) -> Option<(Name, Known)> {
    let length = usize::from(u16::from_le_bytes(take(rest)?));
    let (name, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    let stamp = Stamp {
        inode: u64::from_le_bytes(take(rest)?),
        size: u64::from_le_bytes(take(rest)?),
        mtime: i128::from_le_bytes(take(rest)?),
        ctime: i128::from_le_bytes(take(rest)?),
    };
    let hashed_at = i128::from_le_bytes(take(rest)?);
    Some((name.into(), Known { stamp, hashed_at, blob: Digest(take(rest)?) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;

    fn stamp(ctime: i128) -> Stamp {
        Stamp { inode: 7, size: 3, mtime: 5 * SECOND, ctime }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut row = Row::default();
        row.put(b"a", stamp(6 * SECOND), 9 * SECOND, Digest::of(b"a"));
        row.put(b"\xff name", stamp(-SECOND), 9 * SECOND, Digest::of(b"b"));
        assert_eq!(Row::decode(&row.encode()), row);
        let encoded = row.encode();
        assert!(Row::decode(&encoded[..encoded.len() - 1]).0.len() < 2, "a cut row loses its last entry");
    }

    #[test]
    fn a_file_that_did_not_rest_is_hashed_again() {
        let mut row = Row::default();
        row.put(b"a", stamp(6 * SECOND), 6 * SECOND + TICK_NS, Digest::of(b"a"));
        assert_eq!(row.get(b"a", &stamp(6 * SECOND)), None);
        row.put(b"a", stamp(6 * SECOND), 6 * SECOND + TICK_NS + 1, Digest::of(b"a"));
        assert_eq!(row.get(b"a", &stamp(6 * SECOND)), Some(Digest::of(b"a")));
    }

    #[test]
    fn every_field_counts() {
        let mut row = Row::default();
        let known = stamp(6 * SECOND);
        row.put(b"a", known, 9 * SECOND, Digest::of(b"a"));
        assert!(row.get(b"a", &known).is_some());
        for changed in [
            Stamp { inode: 8, ..known },
            Stamp { size: 4, ..known },
            Stamp { mtime: 1, ..known },
            Stamp { ctime: 1, ..known },
        ] {
            assert_eq!(row.get(b"a", &changed), None);
        }
        assert_eq!(row.get(b"b", &known), None);
    }
}

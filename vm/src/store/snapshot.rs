//! A root file system and the layers that made it.

use rbc_ir::Digest;
use serde::{Deserialize, Serialize};

use crate::fs::{Meta, Root};

/// A root tree with its chain of layers, lowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What a process sees.
    pub root: Root,
    /// How it came to be.
    pub layers: Vec<Layer>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Of a base image: known by its archive.
    Base(BaseLayer),
    /// Made by a build: a difference of trees.
    Made(MadeLayer),
}

/// A layer of a base image. It goes out again as the bytes that came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseLayer {
    /// Digest of the archive as stored.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
    /// Canonical reference of the image that it came with: from there it can
    /// be had again.
    pub image: String,
}

/// A layer made by a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeLayer {
    /// Whiteouts and all.
    pub diff: Root,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

impl MadeLayer {
    /// Returns true if the step changed nothing: the layer has no place in a
    /// stack of lower directories.
    pub fn is_empty(&self, lower: &Meta) -> bool {
        self.diff.dir.id == empty_dir_id() && self.diff.meta == *lower
    }
}

/// Identity of a directory without entries.
pub(crate) fn empty_dir_id() -> crate::fs::TreeId {
    crate::fs::TreeId(Digest::of(b"").0)
}

//! Why an export fails.

use std::io;
use std::path::{Path, PathBuf};

use rbc_ir::Digest;

use crate::archive::WriteError;
use crate::fs::TreeError;

/// Why an export fails. Nothing half-written is left at the destination.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The disk or the quota is full.
    #[error("no space left to write `{path}`")]
    Full {
        /// Where.
        path: PathBuf,
    },
    /// The destination fails.
    #[error("cannot {what} `{path}`: {source}")]
    Dest {
        /// The operation.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A tree cannot be written as an archive.
    #[error(transparent)]
    Archive(WriteError),
    /// A directory is missing from the cache.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A layer of the base image cannot be read.
    #[error("cannot read layer {digest} of the base image: {source}")]
    Base {
        /// Its digest.
        digest: Digest,
        /// What the store says.
        source: io::Error,
    },
    /// A layer of the base image is not what its descriptor says.
    #[error("layer {digest} of the base image is damaged in the cache")]
    BaseDamaged {
        /// The digest it should have.
        digest: Digest,
    },
    /// A file's bytes cannot be read from the store.
    #[error("cannot read `/{path}` from the cache: {source}")]
    Blob {
        /// The file.
        path: String,
        /// What the store says.
        source: io::Error,
    },
    /// The result is damaged in the cache, which has forgotten it now.
    #[error("{source}: the result is damaged in the cache, which has forgotten it now; build again")]
    Forgotten {
        /// What was met.
        source: Box<ExportError>,
    },
    /// An image with several platforms in a format that has no room for it.
    #[error("type=docker holds one platform, not {count}: use type=oci, or build one platform")]
    ManyPlatforms {
        /// How many there are.
        count: usize,
    },
    /// Media types that cannot say how a layer is compressed.
    #[error("zstd layers need OCI media types: use oci-mediatypes=true, or another compression")]
    DockerZstd,
    /// Two platforms bring different files of one name.
    #[error("`/{path}` differs between platforms: use platform-split=true")]
    Conflict {
        /// The name.
        path: String,
    },
    /// The caller was told to stop between two outputs.
    #[error("interrupted")]
    Interrupted,
    /// A document cannot be written as JSON.
    #[error("cannot encode the image's {what}: {source}")]
    Json {
        /// Which.
        what: &'static str,
        /// What the encoder says.
        source: serde_json::Error,
    },
}

impl ExportError {
    /// Tells whether damage of the cache may be the cause.
    pub(crate) fn may_be_damage(&self) -> bool {
        matches!(
            self,
            Self::Archive(WriteError::Blob { .. } | WriteError::Damaged { .. } | WriteError::Tree(_))
                | Self::Tree(_)
                | Self::Blob { .. }
        )
    }

    /// Names the place of a failure; a full disk is told apart.
    pub(crate) fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path: path.to_owned() },
            _ => Self::Dest { what, path: path.to_owned(), source },
        }
    }

    /// As [`ExportError::at`] for a tree that is written to `path`.
    pub(crate) fn archive(path: &Path) -> impl FnOnce(WriteError) -> Self {
        move |e| match e {
            WriteError::Output(source) => Self::at("write", path)(source),
            other => Self::Archive(other),
        }
    }
}

//! What can go wrong while an image is resolved or read, from a registry or
//! from an OCI layout.
//!
//! Texts hold docker's phrases where docker has one (`…: not found`,
//! `pull access denied`, `no match for platform in manifest`).

use std::io;
use std::path::PathBuf;

use super::digest::BlobDigest;
use super::reference::ReferenceError;
use rbc_ir::Platform;

/// An error about an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The text given is not an image reference.
    #[error("failed to parse image name {text:?}: {source}")]
    InvalidReference {
        /// The text as given.
        text: String,
        /// What is wrong with it.
        source: ReferenceError,
    },
    /// The registry does not have the image.
    #[error("{reference}: not found")]
    NotFound {
        /// The canonical reference.
        reference: String,
    },
    /// The registry wants other credentials, or hides that the image is missing.
    #[error("{reference}: pull access denied by {host}, repository does not exist or may require authorization: {why}")]
    Unauthorized {
        /// The canonical reference.
        reference: String,
        /// The host that refused.
        host: String,
        /// What it said, and where credentials were looked for.
        why: String,
    },
    /// The registry does not answer.
    #[error("{reference}: failed to reach {host}: {why}")]
    Unreachable {
        /// The canonical reference.
        reference: String,
        /// The host that was tried last.
        host: String,
        /// The reason, and what its mirrors answered.
        why: String,
    },
    /// No secure connection could be made.
    #[error("{reference}: failed to make a secure connection to {host}: {why}")]
    Tls {
        /// The canonical reference.
        reference: String,
        /// The host.
        host: String,
        /// What the TLS library or the certificate file said.
        why: String,
    },
    /// The registry answers with an error.
    #[error("{reference}: unexpected status from {host}: {status}{why}")]
    Status {
        /// The canonical reference.
        reference: String,
        /// The host.
        host: String,
        /// The HTTP status code.
        status: u16,
        /// The registry's own message, with its separator, or nothing.
        why: String,
    },
    /// Bytes are not those that were asked for.
    #[error("{what}: content is corrupted: expected {expected}, got {actual}")]
    BadDigest {
        /// The image and the blob.
        what: String,
        /// The digest asked for.
        expected: BlobDigest,
        /// The digest of what came.
        actual: BlobDigest,
    },
    /// A blob is longer or shorter than its descriptor says.
    #[error("{what}: content has the wrong size: expected {expected} bytes, got {actual}")]
    BadSize {
        /// The image and the blob.
        what: String,
        /// The descriptor's size.
        expected: u64,
        /// The size that came, or that was announced.
        actual: u64,
    },
    /// A document is larger than rbc accepts.
    #[error("{what}: is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The image and the document.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// The image has no variant for the platform.
    #[error(
        "{reference}: no match for platform in manifest: wanted {wanted}, there is {}",
        list(.available)
    )]
    NoMatchingPlatform {
        /// The canonical reference.
        reference: String,
        /// The platform asked for.
        wanted: Platform,
        /// The platforms that the image has.
        available: Vec<Platform>,
    },
    /// A manifest, an index or a configuration cannot be understood.
    #[error("{what}: {why}")]
    BadDocument {
        /// The image and the document.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// The image is in docker's format of before 2016.
    #[error(
        "{what}: is in the obsolete Docker schema 1 format, which is not supported: push it again with a current docker"
    )]
    Schema1 {
        /// The image.
        what: String,
    },
    /// A file of an OCI layout cannot be read.
    #[error("cannot {operation} {path:?}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The build was interrupted.
    #[error("interrupted")]
    Cancelled,
}

impl ImageError {
    /// Says whether the environment is at fault (exit code 3), not the build.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Tls { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }

    /// Gets the error back from an [`io::Error`] that a blob reader returned.
    pub fn from_io(error: io::Error) -> Result<Self, io::Error> {
        error.downcast::<Self>()
    }
}

impl From<ImageError> for io::Error {
    fn from(error: ImageError) -> Self {
        io::Error::other(error)
    }
}

fn list(platforms: &[Platform]) -> String {
    if platforms.is_empty() {
        return "none".to_owned();
    }
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

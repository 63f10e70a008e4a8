//! Results leave the store: images as layouts and archives, files as
//! directories and archives.
//!
//! ```text
//!  difference ─ tar ─ compressor ─┐
//!  base blob ─ as it is ──────────┼─ manifest, index ─ oci.rs, docker.rs
//!  configuration ─────────────────┘
//!  tree ─ tar.rs, local.rs
//! ```
//!
//! Base layers keep their bytes and digests unless `force-compression` says
//! otherwise. Pushing to a registry is not done here; it takes the blobs that
//! [`assemble()`] lists.

pub mod assemble;
mod container;
mod dest;
pub mod docker;
mod error;
mod gzip;
pub mod layer_blob;
pub mod local;
mod media_type;
pub mod name;
pub mod oci;
pub mod platforms;
mod run;
pub mod spec;
pub mod tar;

pub use assemble::{Assembled, BaseLayer, Blob, BlobSource, Context, Descriptor, ExportImage, ExportLayer, assemble};
pub use dest::Dest;
pub use error::ExportError;
pub use layer_blob::{CachedLayer, LayerCache, LayerCompression, LayerKey, LayerSource, NoLayerCache};
pub use name::ImageName;
pub use run::{export_files, export_image};
pub use spec::{FileOptions, ImageOptions, Output, OutputKind, SpecError};

#[cfg(test)]
mod tests;

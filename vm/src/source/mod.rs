//! Where a build's inputs come from: images of registries and OCI layouts,
//! files of web servers, git repositories.
//!
//! Everything here only reads and verifies. It knows neither the store nor the
//! plan: bytes go out as readers or into directories that the caller gives.

pub mod digest;
pub mod error;
pub mod git;
pub mod http;
pub mod image;
pub mod manifest;
pub mod oci_layout;
pub mod platform;
pub mod reference;
pub mod registry;
pub(crate) mod transport;
pub mod verified;

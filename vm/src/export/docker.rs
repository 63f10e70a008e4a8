//! An image as `docker load` reads it: `manifest.json` beside an OCI layout
//! (moby, `image/tarexport`; BuildKit's docker exporter writes both).

use serde::Serialize;

use super::assemble::Assembled;
use super::dest::Dest;
use super::error::ExportError;
use super::oci::{blob_name, write_with};
use super::spec::ImageOptions;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Writes the archive.
///
/// # Errors
///
/// If there is more than one platform, a blob cannot be read or the
/// destination cannot be written.
pub fn write(image: &Assembled<'_>, options: &ImageOptions, dest: &Dest) -> Result<(), ExportError> {
    let [only] = image.images.as_slice() else {
        return Err(ExportError::ManyPlatforms { count: image.images.len() });
    };
    let entry = Entry {
        config: blob_name(only.config),
        repo_tags: options.names.iter().map(super::ImageName::familiar).collect(),
        layers: only.layers.iter().map(|d| blob_name(*d)).collect(),
    };
    let manifest =
        serde_json::to_vec(&[entry]).map_err(|source| ExportError::Json { what: "manifest.json", source })?;
    write_with(image, options, dest, &[("manifest.json", manifest)])
}

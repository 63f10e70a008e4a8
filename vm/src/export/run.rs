//! An output from its options: which writer, and what it is given.

use rbc_ir::Platform;

use super::assemble::{Assembled, Context, ExportImage, assemble};
use super::dest::Dest;
use super::error::ExportError;
use super::local::{LocalOptions, LocalReport};
use super::spec::{Output, OutputKind};
use super::{docker, local, oci, platforms, tar};
use crate::archive::Times;
use crate::fs::{Blobs, Forest, Root};

/// Makes an image and writes it to where the output says. An output without
/// a destination (`type=image`) is made only; its blobs are in the answer.
///
/// The caller sets [`ImageOptions::epoch`](super::ImageOptions) from
/// `SOURCE_DATE_EPOCH` where the output itself does not say.
///
/// # Errors
///
/// See [`ExportError`].
pub fn export_image<'a>(
    output: &Output,
    images: Vec<ExportImage<'a>>,
    context: &Context<'_>,
) -> Result<Assembled<'a>, ExportError> {
    let docker = output.kind == OutputKind::Docker;
    if docker && images.len() != 1 {
        return Err(ExportError::ManyPlatforms { count: images.len() });
    }
    let assembled = assemble(images, &output.image, !docker, context)?;
    match (output.kind, &output.dest) {
        (OutputKind::Docker, Some(dest)) => docker::write(&assembled, &output.image, dest)?,
        (OutputKind::Oci, Some(dest)) => oci::write(&assembled, &output.image, dest)?,
        _ => {}
    }
    Ok(assembled)
}

/// Writes files to where the output says. With
/// [`FileOptions::epoch`](super::FileOptions), which the caller also sets from
/// `SOURCE_DATE_EPOCH`, all times become that one, as in BuildKit.
///
/// # Errors
///
/// See [`ExportError`].
pub fn export_files(
    output: &Output,
    roots: &[(Platform, Root)],
    forest: &dyn Forest,
    blobs: &dyn Blobs,
) -> Result<LocalReport, ExportError> {
    let files = &output.files;
    let times = files.epoch.map_or(Times::Keep, Times::Set);
    let root = platforms::join(roots, files.platform_split, forest)?;
    match (output.kind, &output.dest) {
        (OutputKind::Local, Some(Dest::Path(dest))) => {
            let options = LocalOptions { delete: files.delete, times };
            return local::write(&root, forest, blobs, dest, options);
        }
        (OutputKind::Tar, Some(dest)) => tar::write(&root, forest, blobs, times, dest)?,
        _ => {}
    }
    Ok(LocalReport::default())
}

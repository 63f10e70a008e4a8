//! ADD of archives.

use rbc_ir::Unpack;

use crate::archive::{self, Options};
use crate::fs::{Blobs, FileRef, Root};
use crate::store::Store;

/// Takes a file for an archive. `None` if it is none and need not be one.
///
/// # Errors
///
/// If the archive is broken, or is none and must be one; with the reason.
pub(super) fn archive(store: &Store, file: &FileRef, name: &[u8], unpack: Unpack) -> Result<Option<Root>, String> {
    let open = || Blobs::open(store, &file.blob).map_err(|e| e.to_string());
    let shown = String::from_utf8_lossy(name);
    if unpack == Unpack::Never {
        return Ok(None);
    }
    if !archive::is_archive(open()?) {
        return match unpack {
            Unpack::Always => Err(format!("{shown} is not an archive that can be unpacked")),
            _ => Ok(None),
        };
    }
    let ingested = archive::ingest(open()?, store, store, &Options::default()).map_err(|e| format!("{shown}: {e}"))?;
    Ok(Some(ingested.root))
}

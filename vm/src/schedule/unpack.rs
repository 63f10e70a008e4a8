//! ADD of archives.

use std::error::Error;
use std::sync::Arc;

use crate::archive::{self, Options};
use crate::fs::{FileRef, Meta, Root};
use crate::store::Store;

/// Takes a file for an archive; `None` if it is none. What the archive leaves
/// unsaid of its top directory is taken from `into`.
///
/// # Errors
///
/// If the archive is broken, with the reason.
pub(super) fn archive(
    store: &Store,
    file: &FileRef,
    into: &Root,
) -> Result<Option<Root>, Arc<dyn Error + Send + Sync>> {
    let open = || store.open_whole(file).map_err(|e| Arc::new(e) as Arc<dyn Error + Send + Sync>);
    if !archive::is_archive(open()?) {
        return Ok(None);
    }
    let ingested = archive::ingest(open()?, store, store, &Options::default())
        .map_err(|e| Arc::new(e) as Arc<dyn Error + Send + Sync>)?;
    let meta: Meta = if ingested.has_root { ingested.root.meta } else { into.meta.clone() };
    Ok(Some(Root { meta, dir: ingested.root.dir }))
}

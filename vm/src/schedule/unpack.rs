//! ADD of archives.

use std::error::Error;
use std::sync::Arc;

use crate::archive::{self, Options};
use crate::fs::{FileRef, Root};
use crate::store::Store;

/// Reads what an archive changes in `into`, its members belonging to `owner`
/// if there is one; `None` if the file is no archive. What it says of its top
/// directory does not count.
///
/// # Errors
///
/// If the archive is broken, with the reason.
pub(super) fn archive(
    store: &Store,
    file: &FileRef,
    into: &Root,
    owner: Option<(u32, u32)>,
) -> Result<Option<Root>, Arc<dyn Error + Send + Sync>> {
    let open = || store.open_whole(file).map_err(|e| Arc::new(e) as Arc<dyn Error + Send + Sync>);
    if !archive::is_archive(open()?) {
        return Ok(None);
    }
    let options = Options { lower: Some(into), owner, ..Options::default() };
    let ingested =
        archive::ingest(open()?, store, store, &options).map_err(|e| Arc::new(e) as Arc<dyn Error + Send + Sync>)?;
    Ok(Some(Root { meta: into.meta.clone(), dir: ingested.root.dir }))
}

//! OCI blobs as they came or as they go out: archives of layers, manifests,
//! configurations. Named by digest, published by rename.

use std::path::{Path, PathBuf};

use rbc_ir::Digest;

use super::Store;
use super::error::{IoContext, StoreError};
use super::records::{RecordKey, root_from_text, root_to_text};
use crate::fs::Root;

impl Store {
    /// Returns where a blob stands, or would stand.
    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.layout.blob(digest)
    }

    /// Tells whether a blob is there. One of another size is removed: it was
    /// cut short, and can be had again.
    pub(crate) fn has_blob(&self, digest: &Digest, size: u64) -> Result<bool, StoreError> {
        match std::fs::metadata(self.layout.blob(digest)) {
            Ok(meta) if meta.len() == size => Ok(true),
            Ok(_) => self.drop_blob(digest).map(|()| false),
            Err(_) => Ok(false),
        }
    }

    /// Removes a damaged blob.
    pub(crate) fn drop_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.layout.blob(digest);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.on("remove", path),
        }
    }

    /// Moves a complete, verified file to its place.
    pub(crate) fn publish_blob(&self, file: &Path, digest: &Digest) -> Result<(), StoreError> {
        let to = self.layout.blob(digest);
        std::fs::rename(file, &to).on("publish", to)
    }

    /// Returns the tree of a chain of base layers, if it was made before.
    pub(crate) fn base_tree(&self, chain: &[Digest]) -> Result<Option<Root>, StoreError> {
        let root = self.record::<String>(&chain_key(chain))?.and_then(|text| root_from_text(&text));
        Ok(root.filter(|r| self.has_dir(&r.dir.id)))
    }

    /// Remembers the tree of a chain of base layers.
    pub(crate) fn put_base_tree(&self, chain: &[Digest], root: &Root) -> Result<(), StoreError> {
        self.put_record(&[chain_key(chain)], &root_to_text(root))
    }
}

fn chain_key(chain: &[Digest]) -> RecordKey {
    let fields: Vec<&[u8]> = chain.iter().map(|d| d.0.as_slice()).collect();
    RecordKey::of("base", &fields)
}

//! Images made by hand: layers written entry by entry, a configuration, a
//! manifest.

use std::io::Write as _;

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::Digest as _;

/// Date of everything that is made here: 2020-09-13T12:26:40Z.
pub const DATE: u64 = 1_600_000_000;

/// Returns the digest of bytes, as OCI writes it.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(bytes)))
}

/// A layer under construction.
pub struct Layer {
    tar: tar::Builder<Vec<u8>>,
}

impl Default for Layer {
    fn default() -> Self {
        Self { tar: tar::Builder::new(Vec::new()) }
    }
}

impl Layer {
    fn add(&mut self, path: &str, kind: tar::EntryType, mode: u32, link: Option<&str>, data: &[u8]) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(DATE);
        header.set_size(data.len() as u64);
        match link {
            Some(target) => self.tar.append_link(&mut header, path, target)?,
            None => self.tar.append_data(&mut header, path, data)?,
        }
        Ok(())
    }

    /// Adds a directory.
    ///
    /// # Errors
    ///
    /// If the path fits into no tar header.
    pub fn dir(&mut self, path: &str, mode: u32) -> Result<&mut Self> {
        self.add(path, tar::EntryType::Directory, mode, None, &[])?;
        Ok(self)
    }

    /// Adds a file.
    ///
    /// # Errors
    ///
    /// If the path fits into no tar header.
    pub fn file(&mut self, path: &str, mode: u32, data: &[u8]) -> Result<&mut Self> {
        self.add(path, tar::EntryType::Regular, mode, None, data)?;
        Ok(self)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    ///
    /// If the path fits into no tar header.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<&mut Self> {
        self.add(path, tar::EntryType::Symlink, 0o777, Some(target), &[])?;
        Ok(self)
    }

    /// Ends the layer.
    ///
    /// # Errors
    ///
    /// Never in practice: it is written to memory.
    pub fn finish(self) -> Result<Vec<u8>> {
        Ok(self.tar.into_inner()?)
    }
}

/// An image, ready to be pushed.
pub struct Image {
    /// Its blobs by digest: layers and configuration.
    pub blobs: Vec<(String, Vec<u8>)>,
    /// Its manifest.
    pub manifest: Vec<u8>,
}

/// Media type of [`Image::manifest`].
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

impl Image {
    /// Makes an image of uncompressed layers and a `config` object.
    ///
    /// # Errors
    ///
    /// If a layer cannot be compressed.
    pub fn new(layers: Vec<Vec<u8>>, config: &Value) -> Result<Self> {
        let mut blobs = Vec::new();
        let mut descriptors = Vec::new();
        let mut diff_ids = Vec::new();
        let mut history = Vec::new();
        for (i, layer) in layers.into_iter().enumerate() {
            diff_ids.push(digest(&layer));
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(&layer)?;
            let blob = gzip.finish()?;
            let name = digest(&blob);
            descriptors.push(json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": name, "size": blob.len()
            }));
            history.push(json!({ "created": "2020-09-13T12:26:40Z", "created_by": format!("layer {i}") }));
            blobs.push((name, blob));
        }
        let document = serde_json::to_vec(&json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "created": "2020-09-13T12:26:40Z",
            "config": config,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": history,
        }))?;
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest(&document),
                "size": document.len()
            },
            "layers": descriptors,
        }))?;
        blobs.push((digest(&document), document));
        Ok(Self { blobs, manifest })
    }
}

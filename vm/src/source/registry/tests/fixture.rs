//! Tiny images, and clients that wait for nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::server::{Request, Response};
use crate::config::RegistryConfig;
use crate::source::digest::BlobDigest;
use crate::source::image::{BlobCache, LayerDescriptor};
use crate::source::manifest::{OCI_INDEX, OCI_MANIFEST};
use crate::source::reference::ImageReference;
use crate::source::registry::{Credentials, Registry, RegistryOptions, RetryPolicy};
use rbc_ir::Platform;

pub(super) const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The documents and blobs of one repository.
#[derive(Clone, Default)]
pub(super) struct Image {
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
    /// Media type and bytes of manifests, by tag and by digest.
    pub(super) manifests: BTreeMap<String, (String, Vec<u8>)>,
}

impl Image {
    pub(super) fn blob(&mut self, bytes: &[u8]) -> BlobDigest {
        let digest = BlobDigest::sha256_of(bytes);
        self.blobs.insert(digest.to_string(), bytes.to_vec());
        digest
    }

    pub(super) fn manifest(&mut self, media_type: &str, text: &str) -> BlobDigest {
        let digest = BlobDigest::sha256_of(text.as_bytes());
        let value = (media_type.to_owned(), text.as_bytes().to_vec());
        self.manifests.insert(digest.to_string(), value);
        digest
    }

    pub(super) fn tag(&mut self, tag: &str, digest: &BlobDigest) {
        let value = self.manifests[digest.as_str()].clone();
        self.manifests.insert(tag.to_owned(), value);
    }

    /// Adds an image of one layer.
    pub(super) fn single(&mut self, platform: &str, layer: &[u8]) -> BlobDigest {
        let p = Platform::parse(platform).unwrap();
        let diff = BlobDigest::sha256_of(layer);
        let config = format!(
            r#"{{"os":"{}","architecture":"{}","variant":"{}","rootfs":{{"type":"layers","diff_ids":["{diff}"]}}}}"#,
            p.os, p.architecture, p.variant
        );
        let config_digest = self.blob(config.as_bytes());
        let layer_digest = self.blob(layer);
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config_digest}","size":{}}},"layers":[{{"mediaType":"{LAYER_TYPE}","digest":"{layer_digest}","size":{}}}]}}"#,
            config.len(),
            layer.len()
        );
        self.manifest(OCI_MANIFEST, &text)
    }

    /// Adds an index of images of one layer each; an entry without a platform
    /// is written as such.
    pub(super) fn index(&mut self, entries: &[(Option<&str>, BlobDigest)]) -> BlobDigest {
        let entries: Vec<_> = entries
            .iter()
            .map(|(platform, digest)| {
                let platform = platform.map_or(String::new(), |text| {
                    let mut parts = text.split('/');
                    let mut next = || parts.next().unwrap_or("");
                    format!(r#","platform":{{"os":"{}","architecture":"{}","variant":"{}"}}"#, next(), next(), next())
                });
                let size = self.manifests[digest.as_str()].1.len();
                format!(r#"{{"mediaType":"{OCI_MANIFEST}","digest":"{digest}","size":{size}{platform}}}"#)
            })
            .collect();
        let entries = entries.join(",");
        self.manifest(OCI_INDEX, &format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{entries}]}}"#))
    }

    /// Answers as a registry with this one image does.
    pub(super) fn answer(&self, request: &Request) -> Response {
        let path = request.path.split('?').next().unwrap();
        let name = path.rsplit('/').next().unwrap();
        if path.contains("/manifests/") {
            let Some((media_type, bytes)) = self.manifests.get(name) else {
                return Response::status(404);
            };
            return Response::ok(bytes.clone())
                .with("Content-Type", media_type)
                .with("Docker-Content-Digest", BlobDigest::sha256_of(bytes).to_string());
        }
        match self.blobs.get(name) {
            Some(bytes) => Response::ok(bytes.clone()),
            None => Response::status(404),
        }
    }
}

pub(super) fn layer(bytes: &[u8]) -> LayerDescriptor {
    LayerDescriptor {
        digest: BlobDigest::sha256_of(bytes),
        size: bytes.len() as u64,
        media_type: LAYER_TYPE.to_owned(),
        urls: Vec::new(),
    }
}

pub(super) fn options(config: &str) -> RegistryOptions {
    RegistryOptions {
        config: RegistryConfig::parse(config, Path::new("/config.toml")).unwrap().registry,
        credentials: Credentials::none(),
        retry: RetryPolicy { attempts: 3, first_wait: Duration::ZERO, longest_wait: Duration::ZERO },
        ..RegistryOptions::default()
    }
}

pub(super) fn registry() -> Registry {
    Registry::new(options(""))
}

pub(super) fn reference(host: &str, rest: &str) -> ImageReference {
    ImageReference::parse(&format!("{host}/{rest}")).unwrap()
}

pub(super) fn amd64() -> Platform {
    Platform::parse("linux/amd64").unwrap()
}

/// A [`BlobCache`] in memory.
#[derive(Default)]
pub(super) struct Memory(pub(super) Mutex<BTreeMap<String, Vec<u8>>>);

impl BlobCache for Memory {
    fn get(&self, digest: &BlobDigest) -> Option<Vec<u8>> {
        self.0.lock().get(digest.as_str()).cloned()
    }

    fn put(&self, digest: &BlobDigest, bytes: &[u8]) {
        self.0.lock().insert(digest.to_string(), bytes.to_vec());
    }
}

pub(super) fn cached() -> (Registry, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let mut options = options("");
    options.cache = Some(Arc::clone(&memory) as Arc<dyn BlobCache>);
    (Registry::new(options), memory)
}

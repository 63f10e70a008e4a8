//! Pulling images from registries (OCI distribution spec 1.1, Docker Registry
//! HTTP API v2).
//!
//! Own code on `ureq` instead of the `oci-client` crate: a blocking client fits
//! rayon's threads and keeps an async runtime out of a static binary that is to
//! start in milliseconds; resuming by range, verified streaming, mirrors and one
//! request for an unchanged tag are needed here in any case.
//!
//! * A name leads to its configured mirrors, in order, then to the registry.
//! * A tag costs one `HEAD` when the [`BlobCache`] has what it names; a digest
//!   that is cached costs nothing.
//! * Every byte is verified against the digest that led to it. Manifests are
//!   limited to 4 MiB.
//! * Connections are kept alive and shared by all threads; a [`Registry`] is
//!   cheap to clone.
//!
//! It does not push, knows nothing of the store, and does not decompress.

mod auth;
mod blob;
mod challenge;
mod client;
mod connections;
mod credentials;

#[cfg(test)]
pub(super) mod tests;

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use ureq::http::Method;

pub use self::blob::BlobReader;
pub use self::credentials::Credentials;
pub use super::transport::retry::RetryPolicy;

use self::client::{Client, Query};
use self::connections::Endpoint;
use super::digest::BlobDigest;
use super::error::ImageError;
use super::image::{BlobCache, DocumentKind, DocumentSource, LayerDescriptor, Resolved, Walk, describe, verify};
use super::manifest::{ACCEPT, MANIFEST_LIMIT};
use super::reference::ImageReference;
use super::transport::cancel::Cancel;
use crate::config::RegistryConfig;
use rbc_ir::Platform;

/// What a [`Registry`] is made with.
#[derive(Clone, Default)]
pub struct RegistryOptions {
    /// Mirrors, certificates, time limits.
    pub config: RegistryConfig,
    /// Where user names and passwords are.
    pub credentials: Credentials,
    /// How failed requests are repeated.
    pub retry: RetryPolicy,
    /// Keeps manifests and configurations between builds.
    pub cache: Option<Arc<dyn BlobCache>>,
    /// Set to stop all transfers.
    pub cancel: Arc<AtomicBool>,
}

/// A client of all registries.
#[derive(Clone)]
pub struct Registry {
    client: Arc<Client>,
    cache: Option<Arc<dyn BlobCache>>,
    /// Mirrors that did not answer: each is waited for once, not once per blob.
    dead: Arc<Mutex<HashSet<String>>>,
}

impl Registry {
    /// Makes a client. No connection is made before the first request.
    pub fn new(options: RegistryOptions) -> Self {
        Self {
            client: Client::new(options.config, options.credentials, options.retry, Cancel::new(options.cancel)),
            cache: options.cache,
            dead: Arc::default(),
        }
    }

    /// Finds an image of the platform, down to its layers' descriptors.
    ///
    /// A reference to an image of one other platform is no error: the result's
    /// `platform` says so, and the caller warns.
    pub fn resolve(&self, reference: &ImageReference, platform: &Platform) -> Result<Resolved, ImageError> {
        let repository = Repository { registry: self, reference };
        let walk = Walk {
            reference: reference.to_string(),
            name: reference.name(),
            wanted: platform,
            source: &repository,
            cache: self.cache.as_deref(),
        };
        let (digest, bytes) = match reference.digest() {
            Some(digest) => {
                let bytes = walk.fetch(DocumentKind::Manifest, digest, None)?;
                (digest.clone(), bytes)
            }
            None => repository.tagged()?,
        };
        walk.start(digest, bytes)
    }

    /// Opens a layer of an image for reading, verified.
    pub fn open_blob(&self, reference: &ImageReference, layer: &LayerDescriptor) -> Result<BlobReader, ImageError> {
        self.resume_blob(reference, layer, &mut std::io::empty())
    }

    /// Opens a layer behind `prefix`, what an earlier transfer got of it. The
    /// prefix is read and hashed, so that the whole is verified.
    pub fn resume_blob(
        &self,
        reference: &ImageReference,
        layer: &LayerDescriptor,
        prefix: &mut dyn Read,
    ) -> Result<BlobReader, ImageError> {
        let endpoints = self.endpoints(reference);
        BlobReader::open(Arc::clone(&self.client), endpoints, reference, layer, prefix)
    }

    fn endpoints(&self, reference: &ImageReference) -> Vec<Endpoint> {
        let dead = self.dead.lock();
        let mut all = self.client.connections.endpoints(reference.domain());
        all.retain(|e| !(e.is_mirror() && dead.contains(&e.authority)));
        all
    }

    fn first<T>(
        &self,
        reference: &ImageReference,
        mut ask: impl FnMut(&Endpoint) -> Result<T, ImageError>,
    ) -> Result<T, ImageError> {
        let endpoints = self.endpoints(reference);
        first_answer(&endpoints, reference, |endpoint| {
            let result = ask(endpoint);
            if endpoint.is_mirror() && matches!(result, Err(ImageError::Unreachable { .. })) {
                self.dead.lock().insert(endpoint.authority.clone());
            }
            result
        })
    }
}

/// Asks the places in order. The last one's answer counts, with a word on what
/// the others said when it gave none.
fn first_answer<T>(
    endpoints: &[Endpoint],
    reference: &ImageReference,
    mut ask: impl FnMut(&Endpoint) -> Result<T, ImageError>,
) -> Result<T, ImageError> {
    let mut mirrors = String::new();
    let mut last = ImageError::NotFound { reference: reference.to_string() };
    for endpoint in endpoints {
        match ask(endpoint) {
            Ok(found) => return Ok(found),
            Err(ImageError::Cancelled) => return Err(ImageError::Cancelled),
            Err(error) => {
                if endpoint.is_mirror() {
                    let said = match &error {
                        ImageError::NotFound { .. } => "not found".to_owned(),
                        ImageError::Unreachable { why, .. } => why.clone(),
                        other => other.to_string(),
                    };
                    mirrors.push_str(&format!(" (mirror {}: {said})", endpoint.authority));
                }
                last = error;
            }
        }
    }
    if let ImageError::Unreachable { why, .. } = &mut last {
        why.push_str(&mirrors);
    }
    Err(last)
}

/// One repository's documents.
struct Repository<'a> {
    registry: &'a Registry,
    reference: &'a ImageReference,
}

impl Repository<'_> {
    /// Returns what the tag names now.
    fn tagged(&self) -> Result<(BlobDigest, Vec<u8>), ImageError> {
        let tag = self.reference.tag().unwrap_or("latest");
        let cache = self.registry.cache.as_deref();
        self.registry.first(self.reference, |endpoint| {
            if let Some(cache) = cache
                && let Some(digest) = self.head(endpoint, tag)?
                && let Some(bytes) = cache.get(&digest)
                && digest.matches(&bytes)
            {
                return Ok((digest, bytes));
            }
            let (said, bytes) = self.get(endpoint, DocumentKind::Manifest, tag, MANIFEST_LIMIT)?;
            let digest = match said.and_then(|d| d.parse::<BlobDigest>().ok()) {
                Some(digest) => {
                    verify(&bytes, &digest, None, || self.reference.to_string())?;
                    digest
                }
                None => BlobDigest::sha256_of(&bytes),
            };
            if let Some(cache) = cache {
                cache.put(&digest, &bytes);
            }
            Ok((digest, bytes))
        })
    }

    /// Asks for a tag's digest; `None` if this registry does not tell.
    fn head(&self, endpoint: &Endpoint, tag: &str) -> Result<Option<BlobDigest>, ImageError> {
        let query = Query { method: Method::HEAD, ..query(DocumentKind::Manifest, tag) };
        match self.registry.client.get(endpoint, self.reference, &query) {
            Ok(answer) => Ok(answer.header("docker-content-digest").and_then(|d| d.parse().ok())),
            // Some registries serve GET only.
            Err(ImageError::Status { status: 400 | 405, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn get(
        &self,
        endpoint: &Endpoint,
        kind: DocumentKind,
        name: &str,
        limit: u64,
    ) -> Result<(Option<String>, Vec<u8>), ImageError> {
        let query = query(kind, name);
        self.registry.client.get_bytes(endpoint, self.reference, &query, limit)
    }
}

impl DocumentSource for Repository<'_> {
    fn document(&self, kind: DocumentKind, digest: &BlobDigest, limit: u64) -> Result<Vec<u8>, ImageError> {
        self.registry.first(self.reference, |endpoint| {
            let (_, bytes) = self.get(endpoint, kind, digest.as_str(), limit)?;
            // Here as well, so that a broken mirror does not hide the registry.
            verify(&bytes, digest, None, || describe(&self.reference.name(), digest))?;
            Ok(bytes)
        })
    }
}

fn query(kind: DocumentKind, name: &str) -> Query<'static> {
    match kind {
        DocumentKind::Manifest => Query {
            method: Method::GET,
            path: format!("manifests/{name}"),
            headers: vec![("accept", ACCEPT.to_owned())],
        },
        DocumentKind::Config => Query { method: Method::GET, path: format!("blobs/{name}"), headers: Vec::new() },
    }
}

//! An image's way from a digest to its layers: index → manifest → configuration,
//! the same for registries and OCI layouts.
//!
//! A source only hands out documents by digest; choosing the platform,
//! verifying and caching are done here, once. Layers are not touched.

use super::digest::BlobDigest;
use super::error::ImageError;
use super::manifest::{CONFIG_LIMIT, ConfigSummary, Descriptor, Document, MANIFEST_LIMIT, Manifest};
use rbc_ir::Platform;

/// An index may hold indexes (OCI image spec, "Image Index"), but not endlessly.
const MAX_DEPTH: usize = 4;

/// An image of one platform, down to the descriptors of its layers.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The digest of the image's manifest.
    pub manifest_digest: BlobDigest,
    /// The manifest, verified.
    pub manifest_bytes: Vec<u8>,
    /// The manifest's media type, Docker's or OCI's.
    pub media_type: &'static str,
    /// The digest of the index that the reference names, if it names one.
    pub index_digest: Option<BlobDigest>,
    /// The digest of the image configuration.
    pub config_digest: BlobDigest,
    /// The image configuration, verified.
    pub config_bytes: Vec<u8>,
    /// The configuration's platform; another one than asked for when the
    /// reference names an image of a single platform.
    pub platform: Platform,
    /// The layers, lowest first.
    pub layers: Vec<LayerDescriptor>,
    /// The digests of the uncompressed layers; as many as layers, or none for
    /// an image that counts as `scratch`.
    pub diff_ids: Vec<BlobDigest>,
}

impl Resolved {
    /// Returns the digest that the reference named: of the index or the manifest.
    pub fn digest(&self) -> &BlobDigest {
        self.index_digest.as_ref().unwrap_or(&self.manifest_digest)
    }
}

/// A layer as stored, usually compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerDescriptor {
    /// The blob's digest.
    pub digest: BlobDigest,
    /// The blob's size in bytes.
    pub size: u64,
    /// The blob's media type, which tells its compression.
    pub media_type: String,
    /// Where a foreign layer is to be had (OCI image spec, "Non-Distributable
    /// Layers"; withdrawn from the spec, still found in Windows images).
    pub urls: Vec<String>,
}

/// Keeps small documents (indexes, manifests, configurations) between builds.
///
/// Bytes that come from a cache are verified again. Failures to keep or to find
/// are no errors: the registry is asked then.
pub trait BlobCache: Send + Sync {
    /// Returns the bytes with this digest.
    fn get(&self, digest: &BlobDigest) -> Option<Vec<u8>>;
    /// Keeps bytes with this digest.
    fn put(&self, digest: &BlobDigest, bytes: &[u8]);
}

/// What a document is, since registries serve the two at different paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DocumentKind {
    Manifest,
    Config,
}

/// Hands out documents by digest. The bytes need not be verified.
pub(crate) trait DocumentSource {
    fn document(&self, kind: DocumentKind, digest: &BlobDigest, limit: u64) -> Result<Vec<u8>, ImageError>;
}

/// Walks from the reference's root to one platform's image.
pub(crate) struct Walk<'a, S> {
    /// The reference as it stands in messages.
    pub(crate) reference: String,
    /// The repository's name, to name single blobs by.
    pub(crate) name: String,
    pub(crate) wanted: &'a Platform,
    pub(crate) source: &'a S,
    pub(crate) cache: Option<&'a dyn BlobCache>,
}

impl<S: DocumentSource> Walk<'_, S> {
    pub(crate) fn start(&self, digest: BlobDigest, bytes: Vec<u8>) -> Result<Resolved, ImageError> {
        self.at(digest, bytes, None, 0)
    }

    fn at(
        &self,
        digest: BlobDigest,
        bytes: Vec<u8>,
        index: Option<&BlobDigest>,
        depth: usize,
    ) -> Result<Resolved, ImageError> {
        match Document::parse(&bytes, &self.what(&digest))? {
            Document::Manifest(manifest) => self.image(digest, bytes, manifest, index),
            Document::Index(entries) => {
                if depth == MAX_DEPTH {
                    return Err(ImageError::BadDocument {
                        what: self.what(&digest),
                        why: format!("indexes are nested more than {MAX_DEPTH} deep"),
                    });
                }
                self.choose(&entries, index.unwrap_or(&digest), depth)
            }
        }
    }

    fn choose(&self, entries: &[Descriptor], index: &BlobDigest, depth: usize) -> Result<Resolved, ImageError> {
        let images: Vec<_> = entries.iter().filter(|e| !e.is_attestation()).collect();
        let compatible = super::platform::compatible(self.wanted);
        let best = compatible.iter().find_map(|p| images.iter().find(|e| e.platform().as_ref() == Some(p)));
        if let Some(entry) = best {
            return self.descend(entry, index, depth);
        }
        // containerd looks into entries without a platform only when no other
        // fits (`images.Manifest` sorts them last).
        let mut available: Vec<Platform> = images.iter().filter_map(|e| e.platform()).collect();
        for entry in images.iter().filter(|e| e.platform().is_none()) {
            match self.descend(entry, index, depth) {
                Ok(found) if images.len() == 1 || compatible.contains(&found.platform) => {
                    return Ok(found);
                }
                Ok(other) => available.push(other.platform),
                Err(ImageError::NoMatchingPlatform { available: more, .. }) => {
                    available.extend(more);
                }
                Err(error) => return Err(error),
            }
        }
        Err(ImageError::NoMatchingPlatform {
            reference: self.reference.clone(),
            wanted: self.wanted.clone(),
            available,
        })
    }

    fn descend(&self, entry: &Descriptor, index: &BlobDigest, depth: usize) -> Result<Resolved, ImageError> {
        let bytes = self.fetch(DocumentKind::Manifest, &entry.digest, Some(entry.size))?;
        self.at(entry.digest.clone(), bytes, Some(index), depth + 1)
    }

    fn image(
        &self,
        digest: BlobDigest,
        bytes: Vec<u8>,
        manifest: Manifest,
        index: Option<&BlobDigest>,
    ) -> Result<Resolved, ImageError> {
        let config_digest = manifest.config.digest;
        let config_bytes = self.fetch(DocumentKind::Config, &config_digest, Some(manifest.config.size))?;
        let summary = ConfigSummary::parse(&config_bytes, &self.what(&config_digest))?;
        let platform = summary.platform(self.wanted);
        let diff_ids = summary.into_diff_ids();
        if !diff_ids.is_empty() && diff_ids.len() != manifest.layers.len() {
            return Err(ImageError::BadDocument {
                what: self.what(&digest),
                why: format!(
                    "invalid image: the manifest has {} layers, the configuration {}",
                    manifest.layers.len(),
                    diff_ids.len()
                ),
            });
        }
        let layers = manifest
            .layers
            .into_iter()
            .map(|l| LayerDescriptor {
                digest: l.digest,
                size: l.size,
                media_type: l.media_type,
                urls: l.urls.unwrap_or_default(),
            })
            .collect();
        Ok(Resolved {
            manifest_digest: digest,
            manifest_bytes: bytes,
            media_type: manifest.media_type,
            index_digest: index.cloned(),
            config_digest,
            config_bytes,
            platform,
            layers,
            diff_ids,
        })
    }

    /// Returns a verified document, from the cache if it is there.
    pub(crate) fn fetch(
        &self,
        kind: DocumentKind,
        digest: &BlobDigest,
        size: Option<u64>,
    ) -> Result<Vec<u8>, ImageError> {
        let limit = match kind {
            DocumentKind::Manifest => MANIFEST_LIMIT,
            DocumentKind::Config => CONFIG_LIMIT,
        };
        if size.is_some_and(|s| s > limit) {
            return Err(ImageError::TooLarge { what: self.what(digest), limit });
        }
        if let Some(bytes) = self.cache.and_then(|c| c.get(digest))
            && digest.matches(&bytes)
        {
            return Ok(bytes);
        }
        let bytes = self.source.document(kind, digest, limit)?;
        verify(&bytes, digest, size, || self.what(digest))?;
        if let Some(cache) = self.cache {
            cache.put(digest, &bytes);
        }
        Ok(bytes)
    }

    fn what(&self, digest: &BlobDigest) -> String {
        describe(&self.name, digest)
    }
}

/// Names a blob of an image in messages: `docker.io/library/alpine@sha256:…`.
pub(crate) fn describe(name: &str, digest: &BlobDigest) -> String {
    format!("{name}@{digest}")
}

/// Checks bytes against the descriptor that named them.
pub(crate) fn verify(
    bytes: &[u8],
    digest: &BlobDigest,
    size: Option<u64>,
    what: impl Fn() -> String,
) -> Result<(), ImageError> {
    let length = bytes.len() as u64;
    if let Some(expected) = size
        && expected != length
    {
        return Err(ImageError::BadSize { what: what(), expected, actual: length });
    }
    if !digest.matches(bytes) {
        let mut hasher = super::digest::BlobHasher::for_digest(digest);
        hasher.update(bytes);
        return Err(ImageError::BadDigest { what: what(), expected: digest.clone(), actual: hasher.finish() });
    }
    Ok(())
}

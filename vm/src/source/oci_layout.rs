//! Images of an OCI layout directory (OCI image spec, "Image Layout"), as named
//! contexts give them: `oci-layout://path[:tag|@digest]`.
//!
//! ```text
//! index.json            descriptors, named by annotations
//! blobs/sha256/<hex>    manifests, configurations, layers
//! ```
//!
//! As in buildx, no tag means `latest`, and a layout of a single image needs no
//! tag. Unlike there, a tag that is asked for and is not there is an error even
//! if there is only one, otherwise named image. Archives are not read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::digest::BlobDigest;
use super::error::ImageError;
use super::image::{BlobCache, DocumentKind, DocumentSource, LayerDescriptor, Resolved, Walk, describe};
use super::manifest::{Descriptor, Document, MANIFEST_LIMIT};
use super::verified::VerifiedReader;
use rbc_ir::Platform;

const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// containerd's and BuildKit's: the whole name, where `REF_NAME` is the tag.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
const DEFAULT_TAG: &str = "latest";

/// A layout directory and the image meant in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciLayout {
    folder: PathBuf,
    tag: Option<String>,
    digest: Option<BlobDigest>,
}

impl OciLayout {
    /// Parses what follows `oci-layout://`; the path may be relative to the
    /// current directory.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let (rest, digest) = match text.rsplit_once('@') {
            Some((rest, digest)) if digest.contains(':') && !digest.contains('/') => {
                let parsed = digest.parse().map_err(|e| ImageError::BadDocument {
                    what: format!("oci-layout://{text}"),
                    why: format!("{digest:?}: {e}"),
                })?;
                (rest, Some(parsed))
            }
            _ => (text, None),
        };
        let (folder, tag) = match rest.rsplit_once(':') {
            Some((folder, tag)) if !tag.contains('/') && !tag.is_empty() => (folder, Some(tag)),
            _ => (rest, None),
        };
        if folder.is_empty() {
            return Err(ImageError::BadDocument {
                what: format!("oci-layout://{text}"),
                why: "names no directory".to_owned(),
            });
        }
        Ok(Self { folder: folder.into(), tag: tag.map(str::to_owned), digest })
    }

    /// Returns the same with a relative path taken from `base`.
    pub fn in_folder(mut self, base: &Path) -> Self {
        self.folder = base.join(&self.folder);
        self
    }

    /// Returns the layout's directory.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Finds the image of the platform, down to its layers' descriptors.
    pub fn resolve(&self, platform: &Platform) -> Result<Resolved, ImageError> {
        let digest = match &self.digest {
            Some(digest) => digest.clone(),
            None => self.named()?,
        };
        let walk = Walk {
            reference: self.describe(),
            name: self.name(),
            wanted: platform,
            source: self,
            cache: None::<&dyn BlobCache>,
        };
        let bytes = walk.fetch(DocumentKind::Manifest, &digest, None)?;
        walk.start(digest, bytes)
    }

    /// Opens a layer for reading, verified.
    pub fn open_blob(&self, layer: &LayerDescriptor) -> Result<VerifiedReader<File>, ImageError> {
        let path = self.blob(&layer.digest);
        let file = File::open(&path).map_err(|e| self.unreadable(path, e))?;
        let what = describe(&self.name(), &layer.digest);
        Ok(VerifiedReader::new(file, what, layer.digest.clone(), layer.size))
    }

    fn named(&self) -> Result<BlobDigest, ImageError> {
        let path = self.folder.join("index.json");
        let bytes = self.read(path, MANIFEST_LIMIT)?;
        let what = format!("{}: index.json", self.name());
        let Document::Index(entries) = Document::parse(&bytes, &what)? else {
            return Err(ImageError::BadDocument { what, why: "is no index".to_owned() });
        };
        let tag = self.tag.as_deref().unwrap_or(DEFAULT_TAG);
        let found = entries.iter().find(|e| is_named(e, tag));
        let only = match entries.as_slice() {
            [one] if self.tag.is_none() || one.annotation(REF_NAME).is_none() => Some(one),
            _ => None,
        };
        match found.or(only) {
            Some(entry) => Ok(entry.digest.clone()),
            None => {
                let names: Vec<_> = entries.iter().filter_map(|e| e.annotation(REF_NAME)).collect();
                Err(ImageError::NotFound {
                    reference: format!(
                        "{}:{tag} (the layout holds {})",
                        self.name(),
                        if names.is_empty() { "no named image".to_owned() } else { names.join(", ") }
                    ),
                })
            }
        }
    }

    fn name(&self) -> String {
        format!("oci-layout://{}", self.folder.display())
    }

    fn describe(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => format!("{}@{digest}", self.name()),
            (None, Some(tag)) => format!("{}:{tag}", self.name()),
            (None, None) => self.name(),
        }
    }

    fn blob(&self, digest: &BlobDigest) -> PathBuf {
        self.folder.join("blobs").join(digest.algorithm()).join(digest.hex())
    }

    fn read(&self, path: PathBuf, limit: u64) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        let result = File::open(&path).and_then(|f| f.take(limit + 1).read_to_end(&mut bytes));
        match result {
            Ok(count) if count as u64 > limit => Err(ImageError::TooLarge { what: path.display().to_string(), limit }),
            Ok(_) => Ok(bytes),
            Err(e) => Err(self.unreadable(path, e)),
        }
    }

    fn unreadable(&self, path: PathBuf, source: io::Error) -> ImageError {
        ImageError::Io { operation: "read the OCI layout's", path, source }
    }
}

impl DocumentSource for OciLayout {
    fn document(&self, _kind: DocumentKind, digest: &BlobDigest, limit: u64) -> Result<Vec<u8>, ImageError> {
        self.read(self.blob(digest), limit)
    }
}

fn is_named(entry: &Descriptor, tag: &str) -> bool {
    entry.annotation(REF_NAME) == Some(tag)
        || entry
            .annotation(CONTAINERD_NAME)
            .is_some_and(|name| name == tag || name.rsplit_once(':').is_some_and(|(_, t)| t == tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a blob and returns its descriptor, without the closing brace.
    fn blob(folder: &Path, bytes: &[u8]) -> String {
        let digest = BlobDigest::sha256_of(bytes);
        let blobs = folder.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        format!(r#"{{"digest":"{digest}","size":{}"#, bytes.len())
    }

    fn image(folder: &Path, layer: &[u8]) -> String {
        let config = blob(folder, br#"{"os":"linux","architecture":"amd64"}"#);
        let layer = blob(folder, layer);
        let manifest = format!(r#"{{"config":{config}}},"layers":[{layer},"mediaType":"t"}}]}}"#);
        blob(folder, manifest.as_bytes())
    }

    fn index(folder: &Path, entries: &[(String, Option<&str>)]) {
        let entries: Vec<_> = entries
            .iter()
            .map(|(descriptor, tag)| match tag {
                Some(tag) => format!(r#"{descriptor},"annotations":{{"{REF_NAME}":"{tag}"}}}}"#),
                None => format!("{descriptor}}}"),
            })
            .collect();
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
        std::fs::write(folder.join("index.json"), text).unwrap();
    }

    fn layer_of(folder: &Path, suffix: &str) -> Result<Vec<u8>, ImageError> {
        let layout = OciLayout::parse(&format!("{}{suffix}", folder.display()))?;
        let found = layout.resolve(&Platform::parse("linux/amd64").unwrap())?;
        let mut out = Vec::new();
        let mut reader = layout.open_blob(found.layers.first().unwrap())?;
        match reader.read_to_end(&mut out) {
            Ok(_) => Ok(out),
            Err(e) => Err(ImageError::from_io(e).unwrap()),
        }
    }

    #[test]
    fn images_are_found_by_tag_by_digest_and_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (one, two) = (image(folder, b"one"), image(folder, b"two"));
        let digest = two.split('"').nth(3).unwrap().to_owned();
        index(folder, &[(one.clone(), Some("v1")), (two.clone(), Some("v2"))]);
        assert_eq!(layer_of(folder, ":v1").unwrap(), b"one");
        assert_eq!(layer_of(folder, ":v2").unwrap(), b"two");
        assert_eq!(layer_of(folder, &format!("@{digest}")).unwrap(), b"two");
        let error = layer_of(folder, "").unwrap_err().to_string();
        assert!(error.contains(":latest (the layout holds v1, v2): not found"), "{error}");

        index(folder, &[(one.clone(), Some("v1"))]);
        assert_eq!(layer_of(folder, "").unwrap(), b"one");
        assert!(matches!(layer_of(folder, ":v9"), Err(ImageError::NotFound { .. })));
        index(folder, &[(one, None)]);
        assert_eq!(layer_of(folder, ":v9").unwrap(), b"one");
    }

    #[test]
    fn a_damaged_layout_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let error = layer_of(folder, "").unwrap_err().to_string();
        assert!(error.contains("index.json"), "{error}");
        let one = image(folder, b"one");
        index(folder, &[(one, None)]);
        let layer = folder.join("blobs/sha256").join(BlobDigest::sha256_of(b"one").hex());
        std::fs::write(&layer, b"onE").unwrap();
        assert!(matches!(layer_of(folder, ""), Err(ImageError::BadDigest { .. })));
        std::fs::remove_file(&layer).unwrap();
        assert!(matches!(layer_of(folder, ""), Err(ImageError::Io { .. })));
    }

    #[test]
    fn paths_tags_and_digests_are_told_apart() {
        let d = BlobDigest::sha256_of(b"");
        for (text, folder, tag, digest) in [
            ("lay", "lay", None, None),
            ("lay:v1", "lay", Some("v1"), None),
            ("/a:b/lay", "/a:b/lay", None, None),
            ("/a@b/lay:t", "/a@b/lay", Some("t"), None),
            (&format!("./l@{d}"), "./l", None, Some(d.clone())),
            (&format!("l:t@{d}"), "l", Some("t"), Some(d.clone())),
        ] {
            let parsed = OciLayout::parse(text).unwrap();
            assert_eq!(parsed.folder, Path::new(folder));
            assert_eq!((parsed.tag.as_deref(), parsed.digest), (tag, digest));
        }
        assert!(OciLayout::parse("l@sha256:12").is_err());
        assert!(OciLayout::parse(":v1").is_err());
    }
}

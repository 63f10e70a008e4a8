//! The documents that make up an image: descriptors, manifests, indexes, and
//! the part of the image configuration that pulling needs.
//!
//! OCI image spec 1.1 and Docker's "image manifest version 2, schema 2" and
//! "manifest list"; both are the same JSON under other media types. What kind
//! of document it is follows from the body alone: a registry's Content-Type is
//! not covered by the digest, and a body that could be read in two ways is
//! refused (CVE-2021-41190).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::digest::BlobDigest;
use super::error::ImageError;
use rbc_ir::Platform;

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What a request for a manifest accepts. Schema 1 is left out: a registry
/// that has nothing else then says so instead of converting.
pub(crate) const ACCEPT: &str = concat!(
    "application/vnd.oci.image.index.v1+json, ",
    "application/vnd.docker.distribution.manifest.list.v2+json, ",
    "application/vnd.oci.image.manifest.v1+json, ",
    "application/vnd.docker.distribution.manifest.v2+json, ",
    "*/*"
);

/// The limit of a manifest's or an index's size: what registries must accept
/// at least (OCI distribution spec 1.1, "Pushing Manifests").
pub(crate) const MANIFEST_LIMIT: u64 = 4 << 20;
/// The limit of an image configuration's size.
pub(crate) const CONFIG_LIMIT: u64 = 16 << 20;

/// Names content by digest, size and type (OCI image spec, "Descriptors").
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The content's type.
    #[serde(default)]
    pub media_type: String,
    /// The content's digest.
    pub digest: BlobDigest,
    /// The content's size in bytes.
    pub size: u64,
    /// Where else the content may be had (foreign layers).
    #[serde(default)]
    pub urls: Option<Vec<String>>,
    /// For an index entry: the platform of the image.
    #[serde(default)]
    platform: Option<RawPlatform>,
    /// Free annotations.
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct RawPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
}

impl Descriptor {
    /// Returns the platform in its normal form, `None` if none is given.
    pub fn platform(&self) -> Option<Platform> {
        let p = self.platform.as_ref()?;
        if p.architecture.is_empty() {
            return None;
        }
        Some(Platform::new(&p.os, &p.architecture, &p.variant))
    }

    /// Returns an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// BuildKit keeps provenance and SBOMs beside the images of an index.
    pub(crate) fn is_attestation(&self) -> bool {
        self.annotation("vnd.docker.reference.type") == Some("attestation-manifest")
            || self.platform().is_some_and(|p| super::platform::is_unknown(&p))
    }
}

/// A parsed manifest or index.
#[derive(Clone, Debug)]
pub(crate) enum Document {
    Index(Vec<Descriptor>),
    Manifest(Manifest),
}

/// An image of one platform.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) media_type: &'static str,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    schema_version: Option<u32>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    fs_layers: Option<IgnoredAny>,
}

impl Document {
    /// Parses a manifest or an index; `what` names it in errors.
    pub(crate) fn parse(bytes: &[u8], what: &str) -> Result<Self, ImageError> {
        let bad = |why: String| ImageError::BadDocument { what: what.to_owned(), why };
        let raw: RawDocument = serde_json::from_slice(bytes).map_err(|e| bad(format!("invalid manifest: {e}")))?;
        let media_type = raw.media_type.as_deref().unwrap_or("");
        if raw.fs_layers.is_some()
            || raw.schema_version == Some(1)
            || media_type.starts_with("application/vnd.docker.distribution.manifest.v1+")
        {
            return Err(ImageError::Schema1 { what: what.to_owned() });
        }
        let says_index = matches!(media_type, OCI_INDEX | DOCKER_LIST);
        let says_manifest = matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST);
        if !media_type.is_empty() && !says_index && !says_manifest {
            return Err(bad(format!("unsupported manifest type {media_type:?}")));
        }
        match (raw.manifests, raw.config) {
            (Some(_), Some(_)) => Err(bad("invalid manifest: it has both \"manifests\" and \"config\"".to_owned())),
            (Some(_), None) if says_manifest || raw.layers.is_some() => {
                Err(bad("invalid manifest: it has \"manifests\" but is no index".to_owned()))
            }
            (Some(manifests), None) => Ok(Self::Index(manifests)),
            (None, Some(_)) if says_index => {
                Err(bad("invalid index: it has \"config\" but no \"manifests\"".to_owned()))
            }
            (None, Some(config)) => {
                let docker = media_type == DOCKER_MANIFEST
                    || (media_type.is_empty() && config.media_type == "application/vnd.docker.container.image.v1+json");
                Ok(Self::Manifest(Manifest {
                    media_type: if docker { DOCKER_MANIFEST } else { OCI_MANIFEST },
                    config,
                    layers: raw.layers.unwrap_or_default(),
                }))
            }
            (None, None) if says_index => Ok(Self::Index(Vec::new())),
            (None, None) => Err(bad("invalid manifest: it has neither \"manifests\" nor \"config\"".to_owned())),
        }
    }
}

/// The part of an image configuration that pulling looks at.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ConfigSummary {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
    #[serde(default)]
    rootfs: Option<RootFs>,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Option<Vec<BlobDigest>>,
}

impl ConfigSummary {
    pub(crate) fn parse(bytes: &[u8], what: &str) -> Result<Self, ImageError> {
        serde_json::from_slice(bytes).map_err(|e| ImageError::BadDocument {
            what: what.to_owned(),
            why: format!("invalid image configuration: {e}"),
        })
    }

    /// A configuration without an architecture is taken for the wanted one,
    /// as such images were made by hand for where they are used.
    pub(crate) fn platform(&self, wanted: &Platform) -> Platform {
        if self.architecture.is_empty() {
            return wanted.clone();
        }
        Platform::new(&self.os, &self.architecture, &self.variant)
    }

    pub(crate) fn into_diff_ids(self) -> Vec<BlobDigest> {
        self.rootfs.and_then(|r| r.diff_ids).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(text: &str) -> Result<Document, ImageError> {
        Document::parse(text.replace("DIGEST", DIGEST).as_bytes(), "x")
    }

    #[test]
    fn kinds_are_told_by_the_body() {
        let config =
            r#""config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"DIGEST","size":1}"#;
        let manifest = parse(&format!("{{\"schemaVersion\":2,{config},\"layers\":null}}")).unwrap();
        assert!(
            matches!(manifest, Document::Manifest(Manifest { media_type: DOCKER_MANIFEST, layers, .. }) if layers.is_empty())
        );
        let index = parse(r#"{"manifests":[{"digest":"DIGEST","size":3,"annotations":null}]}"#);
        assert!(matches!(index, Ok(Document::Index(entries)) if entries.len() == 1));
    }

    #[test]
    fn documents_of_two_readings_are_refused() {
        for text in [
            r#"{"manifests":[],"config":{"digest":"DIGEST","size":1}}"#,
            r#"{"manifests":[],"layers":[]}"#,
            r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#,
            r#"{"mediaType":"application/vnd.oci.image.index.v1+json","config":{"digest":"DIGEST","size":1}}"#,
            r#"{"mediaType":"text/html","manifests":[]}"#,
            r#"{"config":{"digest":"DIGEST","size":-1}}"#,
            r#"{"config":{"digest":"sha256:zz","size":1}}"#,
            "{}",
            "<html>",
        ] {
            assert!(matches!(parse(text), Err(ImageError::BadDocument { .. })), "{text}");
        }
    }

    #[test]
    fn schema_1_is_named() {
        let error = parse(r#"{"schemaVersion":1,"fsLayers":[]}"#).unwrap_err();
        assert!(error.to_string().contains("schema 1"), "{error}");
    }
}

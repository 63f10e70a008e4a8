//! Manifests, configurations and indexes: an image as a list of blobs.
//!
//! What every image output shares. Reads no base layer unless it must be
//! compressed anew.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use rbc_ir::{Digest, ImageDocument, Platform};
use serde::{Deserialize, Serialize};

use super::error::ExportError;
use super::layer_blob::{LayerCache, Maker};
use super::media_type::Family;
use super::spec::{Annotation, AnnotationPlace, ImageOptions};
use crate::archive::{Compression, Times};
use crate::fs::{Blobs, Forest, Root};

/// Opens a blob for reading.
pub type Open<'a> = &'a (dyn Fn() -> io::Result<Box<dyn Read + Send>> + Sync);

/// A layer of the base image, as its manifest describes it.
#[derive(Clone)]
pub struct BaseLayer<'a> {
    /// Digest of the blob.
    pub digest: Digest,
    /// Its number of bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
    /// Opens the blob.
    pub open: Open<'a>,
}

impl std::fmt::Debug for BaseLayer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BaseLayer").field("digest", &self.digest).field("size", &self.size).finish_non_exhaustive()
    }
}

/// A layer of an image.
#[derive(Clone, Debug)]
pub enum ExportLayer<'a> {
    /// It goes out as it came in.
    Base(BaseLayer<'a>),
    /// A difference that the build made.
    Made(Root),
}

/// An image to be written.
#[derive(Clone, Debug)]
pub struct ExportImage<'a> {
    /// What it runs on.
    pub platform: Platform,
    /// Its configuration, history included; `rootfs` is filled in here.
    pub document: ImageDocument,
    /// Its layers, lowest first.
    pub layers: Vec<ExportLayer<'a>>,
}

/// What an export reads from and writes to.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Directories.
    pub forest: &'a dyn Forest,
    /// Bytes.
    pub blobs: &'a dyn Blobs,
    /// Layers made before.
    pub cache: &'a dyn LayerCache,
    /// An existing directory for layers in the making; what is left in it
    /// afterwards may be removed.
    pub scratch: &'a Path,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("scratch", &self.scratch).finish_non_exhaustive()
    }
}

/// A content descriptor (OCI image specification, "Content Descriptors").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Format.
    pub media_type: String,
    /// Digest.
    pub digest: Digest,
    /// Number of bytes.
    pub size: u64,
    /// Annotations.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub annotations: IndexMap<String, String>,
    /// Platform, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformField>,
}

/// A platform as an index has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformField {
    /// Architecture.
    pub architecture: String,
    /// Operating system.
    pub os: String,
    /// Variant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

impl From<&Platform> for PlatformField {
    fn from(platform: &Platform) -> Self {
        Self { architecture: platform.architecture.clone(), os: platform.os.clone(), variant: platform.variant.clone() }
    }
}

/// Where a blob's bytes are.
#[derive(Clone, Debug)]
pub enum BlobSource<'a> {
    /// Here.
    Bytes(Vec<u8>),
    /// In a file.
    File(PathBuf),
    /// With the base image.
    Base(BaseLayer<'a>),
}

/// A blob of an image.
#[derive(Clone, Debug)]
pub struct Blob<'a> {
    /// Its descriptor, without annotations.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub source: BlobSource<'a>,
}

impl Blob<'_> {
    /// Opens the bytes.
    ///
    /// # Errors
    ///
    /// If they cannot be opened.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(match &self.source {
            BlobSource::Bytes(bytes) => Box::new(bytes.as_slice()),
            BlobSource::File(path) => Box::new(std::fs::File::open(path)?),
            BlobSource::Base(base) => (base.open)()?,
        })
    }
}

/// One image of a result.
#[derive(Clone, Debug)]
pub struct AssembledImage {
    /// Its manifest, with the platform.
    pub manifest: Descriptor,
    /// Its configuration's digest.
    pub config: Digest,
    /// Its layers' digests, lowest first.
    pub layers: Vec<Digest>,
}

/// A result as blobs.
#[derive(Clone, Debug)]
pub struct Assembled<'a> {
    /// The manifest, or the index of all.
    pub top: Descriptor,
    /// The images.
    pub images: Vec<AssembledImage>,
    /// When the first image was made, if its configuration says so.
    pub created: Option<String>,
    /// Every blob once; what a blob names stands before it, so that they can
    /// be pushed in this order.
    pub blobs: Vec<Blob<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    media_type: &'a str,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    annotations: IndexMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u32,
    media_type: &'a str,
    manifests: &'a [Descriptor],
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    annotations: IndexMap<String, String>,
}

fn json(what: &'static str, value: &impl Serialize) -> Result<Vec<u8>, ExportError> {
    serde_json::to_vec(value).map_err(|source| ExportError::Json { what, source })
}

fn annotations(list: &[Annotation], place: AnnotationPlace, platform: Option<&Platform>) -> IndexMap<String, String> {
    let wanted = |a: &&Annotation| a.place == place && (a.platform.is_none() || a.platform.as_ref() == platform);
    list.iter().filter(wanted).map(|a| (a.key.clone(), a.value.clone())).collect()
}

struct Blobbing<'a> {
    blobs: Vec<Blob<'a>>,
}

impl<'a> Blobbing<'a> {
    fn add(&mut self, media_type: &str, digest: Digest, size: u64, source: BlobSource<'a>) -> Descriptor {
        let media_type = media_type.to_owned();
        let descriptor = Descriptor { media_type, digest, size, annotations: IndexMap::new(), platform: None };
        if !self.blobs.iter().any(|b| b.descriptor.digest == digest) {
            self.blobs.push(Blob { descriptor: descriptor.clone(), source });
        }
        descriptor
    }

    fn document(&mut self, media_type: &str, bytes: Vec<u8>) -> Descriptor {
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        self.add(media_type, digest, size, BlobSource::Bytes(bytes))
    }
}

/// Makes everything that an image consists of. `oci` tells whether OCI's
/// media types are written where the options leave it open.
///
/// # Errors
///
/// If a layer cannot be made or a base layer cannot be read.
pub fn assemble<'a>(
    images: Vec<ExportImage<'a>>,
    options: &ImageOptions,
    oci: bool,
    context: &Context<'_>,
) -> Result<Assembled<'a>, ExportError> {
    let family = if options.oci_mediatypes.unwrap_or(oci) { Family::Oci } else { Family::Docker };
    let compression = options.compression.unwrap_or_default();
    let times = match options.epoch {
        Some(epoch) if options.rewrite_timestamp => Times::Clamp(epoch),
        _ => Times::Keep,
    };
    let Context { forest, blobs, cache, scratch } = *context;
    let maker = Maker { forest, blobs, cache, scratch, compression };
    let mut out = Blobbing { blobs: Vec::new() };
    let mut done = Vec::new();
    let created = images.first().and_then(|i| i.document.created.clone());
    for image in images {
        done.push(one(image, family, &maker, times, options, &mut out)?);
    }
    let top = match done.as_slice() {
        [only] => only.manifest.clone(),
        all => {
            let manifests: Vec<Descriptor> = all.iter().map(|i| i.manifest.clone()).collect();
            let index = Index {
                schema_version: 2,
                media_type: family.index(),
                manifests: &manifests,
                annotations: annotations(&options.annotations, AnnotationPlace::Index, None),
            };
            out.document(family.index(), json("index", &index)?)
        }
    };
    Ok(Assembled { top, images: done, created, blobs: out.blobs })
}

fn one<'a>(
    image: ExportImage<'a>,
    family: Family,
    maker: &Maker<'_>,
    times: Times,
    options: &ImageOptions,
    out: &mut Blobbing<'a>,
) -> Result<AssembledImage, ExportError> {
    let ExportImage { platform, mut document, layers } = image;
    let mut diff_ids = Vec::with_capacity(layers.len());
    let mut descriptors = Vec::with_capacity(layers.len());
    for layer in layers {
        let made = match layer {
            ExportLayer::Made(diff) => maker.made(&diff, times)?,
            ExportLayer::Base(base) => {
                let now = Compression::of_media_type(&base.media_type);
                let other = now.is_some_and(|c| c != maker.compression.format());
                if !(options.force_compression && other) {
                    let media_type = family.rename(&base.media_type).ok_or(ExportError::DockerZstd)?;
                    diff_ids.push(base.diff_id);
                    let (digest, size) = (base.digest, base.size);
                    descriptors.push(out.add(&media_type, digest, size, BlobSource::Base(base)));
                    continue;
                }
                maker.recompressed(&base)?
            }
        };
        let media_type = family.layer(maker.compression.format()).ok_or(ExportError::DockerZstd)?;
        diff_ids.push(made.diff_id);
        descriptors.push(out.add(media_type, made.digest, made.size, BlobSource::File(made.path)));
    }
    document.rootfs.diff_ids = diff_ids;
    let config = out.document(family.config(), json("configuration", &document)?);
    let layers = descriptors.iter().map(|d| d.digest).collect();
    let config_digest = config.digest;
    let manifest = Manifest {
        schema_version: 2,
        media_type: family.manifest(),
        config,
        layers: descriptors,
        annotations: annotations(&options.annotations, AnnotationPlace::Manifest, Some(&platform)),
    };
    let mut manifest = out.document(family.manifest(), json("manifest", &manifest)?);
    manifest.platform = Some((&platform).into());
    manifest.annotations = annotations(&options.annotations, AnnotationPlace::ManifestDescriptor, Some(&platform));
    Ok(AssembledImage { manifest, config: config_digest, layers })
}

//! An image as an OCI layout, in an archive or a directory (OCI image
//! specification, "Image Layout").

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::assemble::{Assembled, Blob, BlobSource, Descriptor};
use super::container::Container;
use super::dest::{Dest, Temporary, beside, write_to};
use super::error::ExportError;
use super::layer_blob::Counted;
use super::media_type::OCI_INDEX;
use super::spec::{AnnotationPlace, ImageOptions};

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// The tag, for tools that choose by it.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The name in full, for containerd and docker.
const IMAGE_NAME: &str = "io.containerd.image.name";

const CREATED: &str = "org.opencontainers.image.created";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutIndex {
    schema_version: u32,
    #[serde(default = "index_type")]
    media_type: String,
    #[serde(default)]
    manifests: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    annotations: IndexMap<String, String>,
}

fn index_type() -> String {
    OCI_INDEX.to_owned()
}

/// Returns what `index.json` says: the result once for each name.
fn entries(image: &Assembled<'_>, options: &ImageOptions) -> Vec<Descriptor> {
    let mut base = image.top.clone();
    let place = match image.images.len() {
        1 => AnnotationPlace::ManifestDescriptor,
        _ => AnnotationPlace::IndexDescriptor,
    };
    for a in options.annotations.iter().filter(|a| a.place == place && a.platform.is_none()) {
        base.annotations.insert(a.key.clone(), a.value.clone());
    }
    if let Some(created) = &image.created {
        base.annotations.insert(CREATED.to_owned(), created.clone());
    }
    if options.names.is_empty() {
        return vec![base];
    }
    let named = options.names.iter().map(|name| {
        let mut entry = base.clone();
        entry.annotations.insert(IMAGE_NAME.to_owned(), name.to_string());
        entry.annotations.insert(REF_NAME.to_owned(), name.tag.clone());
        entry
    });
    named.collect()
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, ExportError> {
    serde_json::to_vec(value).map_err(|source| ExportError::Json { what: "index.json", source })
}

fn index(manifests: Vec<Descriptor>) -> LayoutIndex {
    LayoutIndex { schema_version: 2, media_type: index_type(), manifests, annotations: IndexMap::new() }
}

/// A blob as it is read: hashed, and its failures told from those of the
/// output.
struct Checked<'a> {
    data: Box<dyn Read + Send + 'a>,
    seen: Counted<io::Sink>,
    failed: Option<io::Error>,
}

impl Read for Checked<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.data.read(buf) {
            Ok(n) => {
                self.seen.write_all(buf.get(..n).unwrap_or_default())?;
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
            Err(e) => {
                let told = io::Error::from(e.kind());
                self.failed = Some(e);
                Err(told)
            }
        }
    }
}

/// Passes a blob on, and makes sure that it is what its descriptor says: a
/// damaged layer must not leave the store.
fn pass(blob: &Blob<'_>, path: &Path, to: impl FnOnce(&mut dyn Read) -> io::Result<()>) -> Result<(), ExportError> {
    let digest = blob.descriptor.digest;
    let unread = |source| match &blob.source {
        BlobSource::File(path) => ExportError::Dest { what: "read", path: path.clone(), source },
        _ => ExportError::Base { digest, source },
    };
    let mut data = Checked { data: blob.open().map_err(unread)?, seen: Counted::new(io::sink()), failed: None };
    let passed = to(&mut data);
    if let Some(source) = data.failed {
        return Err(unread(source));
    }
    match passed {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(ExportError::BaseDamaged { digest }),
        other => other.map_err(ExportError::at("write", path))?,
    }
    if data.seen.finish() != (digest, blob.descriptor.size) {
        return Err(ExportError::BaseDamaged { digest });
    }
    Ok(())
}

/// Returns the name of a blob in a layout.
pub(crate) fn blob_name(digest: rbc_ir::Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Writes a layout: an archive, or with `tar=false` a directory. A directory
/// that is a layout already keeps what it has; an entry of the same name is
/// replaced.
///
/// # Errors
///
/// If a blob cannot be read or the destination cannot be written.
pub fn write(image: &Assembled<'_>, options: &ImageOptions, dest: &Dest) -> Result<(), ExportError> {
    write_with(image, options, dest, &[])
}

/// Writes a layout with further files at its root.
pub(crate) fn write_with(
    image: &Assembled<'_>,
    options: &ImageOptions,
    dest: &Dest,
    more: &[(&str, Vec<u8>)],
) -> Result<(), ExportError> {
    match dest {
        Dest::Path(dir) if !options.tar => write_dir(image, options, dir, more),
        _ => write_archive(image, options, dest, more),
    }
}

fn write_archive(
    image: &Assembled<'_>,
    options: &ImageOptions,
    dest: &Dest,
    more: &[(&str, Vec<u8>)],
) -> Result<(), ExportError> {
    let index = json(&index(entries(image, options)))?;
    write_to(dest, |out, path| {
        let failed = || ExportError::at("write", path);
        let mut container = Container::new(out);
        for blob in &image.blobs {
            let Descriptor { digest, size, .. } = blob.descriptor;
            pass(blob, path, |data| container.add(&blob_name(digest), size, data))?;
        }
        let files = [("index.json", index.as_slice()), ("oci-layout", LAYOUT)];
        for (name, bytes) in files.into_iter().chain(more.iter().map(|(n, b)| (*n, b.as_slice()))) {
            container.add(name, bytes.len() as u64, &mut &*bytes).map_err(failed())?;
        }
        container.finish().map_err(failed())
    })
}

fn write_file(path: &Path, fill: impl FnOnce(&mut fs::File) -> Result<(), ExportError>) -> Result<(), ExportError> {
    let tmp = Temporary(beside(path));
    let mut file =
        fs::File::options().write(true).create_new(true).open(&tmp.0).map_err(ExportError::at("create", path))?;
    fill(&mut file)?;
    fs::rename(&tmp.0, path).map_err(ExportError::at("write", path))
}

fn write_dir(
    image: &Assembled<'_>,
    options: &ImageOptions,
    dir: &Path,
    more: &[(&str, Vec<u8>)],
) -> Result<(), ExportError> {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(ExportError::at("create", &blobs))?;
    for blob in &image.blobs {
        let Descriptor { digest, size, .. } = blob.descriptor;
        let path = blobs.join(digest.hex());
        if fs::symlink_metadata(&path).is_ok_and(|m| m.is_file() && m.len() == size) {
            continue;
        }
        write_file(&path, |file| pass(blob, &path, |data| io::copy(data, file).map(drop)))?;
    }
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        write_file(&path, |file| file.write_all(bytes).map_err(ExportError::at("write", &path)))
    };
    let new = entries(image, options);
    let mut all = match fs::read(dir.join("index.json")) {
        // An index that makes no sense is not worth keeping.
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|_| index(Vec::new())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => index(Vec::new()),
        Err(e) => return Err(ExportError::at("read", &dir.join("index.json"))(e)),
    };
    let name = |d: &Descriptor| d.annotations.get(IMAGE_NAME).or_else(|| d.annotations.get(REF_NAME)).cloned();
    all.manifests.retain(|old| {
        let old_name = name(old);
        new.iter().all(|n| match &old_name {
            None => old.digest != n.digest && name(n).is_some(),
            same => *same != name(n),
        })
    });
    all.manifests.extend(new);
    write("oci-layout", LAYOUT)?;
    for (name, bytes) in more {
        write(name, bytes)?;
    }
    // Last: it names the rest.
    write("index.json", &json(&all)?)
}

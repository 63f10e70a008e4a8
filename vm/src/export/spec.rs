//! The value of `--output`, as docker's command line has it: fields in CSV,
//! `type=oci,dest=out.tar`, or a path alone.
//!
//! Keys and defaults are those of BuildKit's exporters. Keys that change
//! nothing here are kept in [`Output::ignored`], so that the caller can say
//! so.

use std::path::PathBuf;

use rbc_ir::Platform;

use super::dest::Dest;
use super::layer_blob::LayerCompression;
use super::name::{ImageName, NameError};

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// An image in the registry (`type=registry`, or `type=image,push=true`)
    /// or nowhere.
    Image,
    /// An OCI layout.
    Oci,
    /// What `docker load` reads.
    Docker,
    /// Files in a directory.
    Local,
    /// Files in an archive.
    Tar,
    /// Nothing: the build fills the cache.
    CacheOnly,
}

/// What an annotation is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnnotationPlace {
    /// An image's manifest.
    Manifest,
    /// Its descriptor in the index.
    ManifestDescriptor,
    /// The index.
    Index,
    /// The index's descriptor in a layout.
    IndexDescriptor,
}

/// An annotation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Annotation {
    /// What it is attached to.
    pub place: AnnotationPlace,
    /// For this platform only.
    pub platform: Option<Platform>,
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
}

/// Options of outputs that are images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageOptions {
    /// Names.
    pub names: Vec<ImageName>,
    /// Push under these names.
    pub push: bool,
    /// Push without a tag.
    pub push_by_digest: bool,
    /// The registry has no valid certificate, or none.
    pub insecure: bool,
    /// Write OCI's media types, or Docker's; left open by default.
    pub oci_mediatypes: Option<bool>,
    /// How new layers are compressed.
    pub compression: Option<LayerCompression>,
    /// Compress base layers like the new ones.
    pub force_compression: bool,
    /// Bring times in new layers down to the epoch.
    pub rewrite_timestamp: bool,
    /// `SOURCE_DATE_EPOCH` for this output.
    pub epoch: Option<i64>,
    /// Annotations.
    pub annotations: Vec<Annotation>,
    /// Write an archive, not a directory.
    pub tar: bool,
}

impl Default for ImageOptions {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            push: false,
            push_by_digest: false,
            insecure: false,
            oci_mediatypes: None,
            compression: None,
            force_compression: false,
            rewrite_timestamp: false,
            epoch: None,
            annotations: Vec::new(),
            tar: true,
        }
    }
}

/// Options of outputs that are files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileOptions {
    /// A directory for each platform; by default if there are several.
    pub platform_split: Option<bool>,
    /// Remove what is at the destination and not in the result.
    pub delete: bool,
    /// `SOURCE_DATE_EPOCH` for this output.
    pub epoch: Option<i64>,
}

/// An output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// What is written.
    pub kind: OutputKind,
    /// Where; `None` for what is written nowhere.
    pub dest: Option<Dest>,
    /// For images.
    pub image: ImageOptions,
    /// For files.
    pub files: FileOptions,
    /// Known keys that have no effect.
    pub ignored: Vec<String>,
}

/// Why a value is no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// It is not CSV.
    #[error("`{0}` has an unclosed or misplaced quote")]
    Quotes(String),
    /// A field without `=`.
    #[error("`{0}` is no KEY=VALUE")]
    NoValue(String),
    /// No type.
    #[error("an output needs type=: one of oci, docker, local, tar, image, registry, cacheonly")]
    NoType,
    /// An unknown type.
    #[error("unknown type `{0}`: want oci, docker, local, tar, image, registry or cacheonly")]
    Type(String),
    /// An unknown key.
    #[error("unknown key `{key}` for type={kind}{}", .near.as_ref().map(|n| format!(": did you mean `{n}`?")).unwrap_or_default())]
    Key {
        /// The key.
        key: String,
        /// The type.
        kind: String,
        /// A key that looks like it.
        near: Option<String>,
    },
    /// A bad value.
    #[error("`{key}={value}`: want {want}")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What would be right.
        want: &'static str,
    },
    /// A bad image name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No destination.
    #[error("type={kind} needs dest={hint}")]
    NoDest {
        /// The type.
        kind: &'static str,
        /// What to write.
        hint: &'static str,
    },
    /// A compression level without its compression, or outside its range.
    #[error("compression-level={level} is outside {range} of {compression}")]
    Level {
        /// The level.
        level: i64,
        /// The compression.
        compression: &'static str,
        /// What it allows.
        range: &'static str,
    },
}

/// Splits a line of CSV as Go's `encoding/csv` does; quotes may also stand
/// around the value after `=`, as people write them.
fn fields(text: &str) -> Result<Vec<String>, SpecError> {
    let wrong = || SpecError::Quotes(text.to_owned());
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => {
                quoted = false;
                if !matches!(chars.peek(), None | Some(',')) {
                    return Err(wrong());
                }
            }
            '"' if field.is_empty() || field.ends_with('=') => quoted = true,
            '"' => return Err(wrong()),
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    if quoted {
        return Err(wrong());
    }
    fields.push(field);
    Ok(fields)
}

fn boolean(key: &str, value: &str) -> Result<bool, SpecError> {
    // What Go's strconv.ParseBool takes.
    match value {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
        _ => Err(SpecError::Value { key: key.to_owned(), value: value.to_owned(), want: "true or false" }),
    }
}

fn integer(key: &str, value: &str) -> Result<i64, SpecError> {
    let wrong = |_| SpecError::Value { key: key.to_owned(), value: value.to_owned(), want: "a whole number" };
    value.parse().map_err(wrong)
}

/// Keys of images that have no effect here.
const IDLE: [&str; 10] = [
    "unpack",
    "store",
    "dangling-name-prefix",
    "danging-name-empty-only",
    "name-canonical",
    "oci-artifact",
    "attestation-inline",
    "prefer-nondist-layers",
    "compatibility-version",
    "attestation-prefix",
];

const IMAGE_KEYS: [&str; 9] = [
    "name",
    "push",
    "push-by-digest",
    "registry.insecure",
    "oci-mediatypes",
    "compression",
    "compression-level",
    "force-compression",
    "rewrite-timestamp",
];

fn annotation(key: &str, value: &str) -> Option<Result<Annotation, SpecError>> {
    let rest = key.strip_prefix("annotation")?;
    let places = [
        ("-manifest-descriptor", AnnotationPlace::ManifestDescriptor),
        ("-index-descriptor", AnnotationPlace::IndexDescriptor),
        ("-manifest", AnnotationPlace::Manifest),
        ("-index", AnnotationPlace::Index),
        ("", AnnotationPlace::Manifest),
    ];
    let (place, rest) = places.into_iter().find_map(|(p, place)| Some((place, rest.strip_prefix(p)?)))?;
    let wrong = |want| Some(Err(SpecError::Value { key: key.to_owned(), value: value.to_owned(), want }));
    let (platform, rest) = match rest.strip_prefix('[') {
        Some(inner) => {
            let (platform, rest) = inner.split_once(']')?;
            match Platform::parse(platform) {
                Some(platform) => (Some(platform), rest),
                None => return wrong("a platform such as linux/amd64 between the brackets"),
            }
        }
        None => (None, rest),
    };
    let name = rest.strip_prefix('.')?;
    if name.is_empty() {
        return wrong("a name after the dot");
    }
    Some(Ok(Annotation { place, platform, key: name.to_owned(), value: value.to_owned() }))
}

#[derive(Default)]
struct Draft {
    compression: Option<String>,
    level: Option<i64>,
}

impl Draft {
    fn compression(self) -> Result<Option<LayerCompression>, SpecError> {
        let wrong = |compression, level, range| Err(SpecError::Level { level, compression, range });
        Ok(Some(match (self.compression.as_deref(), self.level) {
            (None, None) => return Ok(None),
            (Some("uncompressed"), _) => LayerCompression::None,
            (Some("gzip"), None) => LayerCompression::default(),
            (None | Some("gzip"), Some(level)) => match u32::try_from(level) {
                Ok(l @ 0..=9) => LayerCompression::Gzip(l),
                _ => return wrong("gzip", level, "0 to 9"),
            },
            (Some("zstd"), None) => LayerCompression::Zstd(3),
            (Some("zstd"), Some(level)) => match i32::try_from(level) {
                Ok(l @ 1..=22) => LayerCompression::Zstd(l),
                _ => return wrong("zstd", level, "1 to 22"),
            },
            (Some(other), _) => {
                return Err(SpecError::Value {
                    key: "compression".to_owned(),
                    value: other.to_owned(),
                    want: "gzip, zstd or uncompressed",
                });
            }
        }))
    }
}

fn image_key(
    image: &mut ImageOptions,
    draft: &mut Draft,
    key: &str,
    raw: &str,
    value: &str,
) -> Result<bool, SpecError> {
    match key {
        "name" => {
            for name in value.split(',').map(str::trim).filter(|n| !n.is_empty()) {
                image.names.push(name.parse()?);
            }
        }
        "push" => image.push = boolean(key, value)?,
        "push-by-digest" => image.push_by_digest = boolean(key, value)?,
        "registry.insecure" => image.insecure = boolean(key, value)?,
        "oci-mediatypes" => image.oci_mediatypes = Some(boolean(key, value)?),
        "compression" => draft.compression = Some(value.to_owned()),
        "compression-level" => draft.level = Some(integer(key, value)?),
        "force-compression" => image.force_compression = boolean(key, value)?,
        "rewrite-timestamp" => image.rewrite_timestamp = boolean(key, value)?,
        "source-date-epoch" => image.epoch = Some(integer(key, value)?),
        // The rest of an annotation's key keeps its case.
        _ => match annotation(raw, value) {
            Some(annotation) => image.annotations.push(annotation?),
            None => return Ok(false),
        },
    }
    Ok(true)
}

fn near(key: &str, known: &[&str]) -> Option<String> {
    let plain = |k: &str| k.replace(['-', '_', '.'], "");
    let close = |k: &&&str| plain(k) == plain(key) || (key.len() > 2 && (k.starts_with(key) || key.starts_with(**k)));
    known.iter().find(close).map(|k| (*k).to_owned())
}

impl Output {
    fn new(kind: OutputKind, dest: Option<Dest>) -> Self {
        Self { kind, dest, image: ImageOptions::default(), files: FileOptions::default(), ignored: Vec::new() }
    }

    /// Reads a value of `--output`.
    ///
    /// # Errors
    ///
    /// See [`SpecError`].
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let fields = fields(text)?;
        // A single field is a path, unless it was quoted.
        match fields.as_slice() {
            [only] if only != text || text.starts_with("type=") => {}
            [only] if only.is_empty() => return Err(SpecError::NoType),
            [only] if only == "-" => return Ok(Self::new(OutputKind::Tar, Some(Dest::Stdout))),
            [path] => return Ok(Self::new(OutputKind::Local, Some(Dest::Path(PathBuf::from(path))))),
            _ => {}
        }
        let mut pairs = Vec::new();
        let mut kind_name = None;
        for field in &fields {
            let (raw, value) = field.split_once('=').ok_or_else(|| SpecError::NoValue(field.clone()))?;
            let raw = raw.trim();
            match raw.to_ascii_lowercase() {
                key if key == "type" => kind_name = Some(value.to_owned()),
                key => pairs.push((key, raw, value)),
            }
        }
        let kind_name = kind_name.ok_or(SpecError::NoType)?;
        let kind = match kind_name.as_str() {
            "oci" => OutputKind::Oci,
            "docker" => OutputKind::Docker,
            "image" | "registry" => OutputKind::Image,
            "local" => OutputKind::Local,
            "tar" => OutputKind::Tar,
            "cacheonly" => OutputKind::CacheOnly,
            _ => return Err(SpecError::Type(kind_name)),
        };
        let mut output = Self::new(kind, None);
        output.image.push = kind_name == "registry";
        let mut draft = Draft::default();
        for (key, raw, value) in pairs {
            if !output.take(&key, raw, value, &mut draft)? {
                return Err(SpecError::Key { near: near(&key, output.keys()), key, kind: kind_name });
            }
        }
        output.image.compression = draft.compression()?;
        if output.dest.is_none() {
            output.dest = output.default_dest()?;
        }
        Ok(output)
    }

    /// Takes a key; false if the type does not have it.
    fn take(&mut self, key: &str, raw: &str, value: &str, draft: &mut Draft) -> Result<bool, SpecError> {
        use OutputKind::{CacheOnly, Docker, Image, Local, Oci, Tar};
        match (self.kind, key) {
            (Oci | Docker | Local | Tar, "dest") => self.dest = Some(Dest::new(value)),
            (Oci | Docker, "tar") => self.image.tar = boolean(key, value)?,
            (Local | Tar, "platform-split") => self.files.platform_split = Some(boolean(key, value)?),
            (Local | Tar, "source-date-epoch") => self.files.epoch = Some(integer(key, value)?),
            (Local, "mode") => {
                self.files.delete = match value {
                    "copy" => false,
                    "delete" => true,
                    _ => {
                        let (key, value) = (key.to_owned(), value.to_owned());
                        return Err(SpecError::Value { key, value, want: "copy or delete" });
                    }
                }
            }
            (Local | Tar, "attestation-prefix") => self.ignored.push(key.to_owned()),
            (Oci | Docker | Image, _) if IDLE.contains(&key) => self.ignored.push(key.to_owned()),
            (Oci | Docker | Image, _) => return image_key(&mut self.image, draft, key, raw, value),
            (Local | Tar | CacheOnly, _) => return Ok(false),
        }
        Ok(true)
    }

    fn keys(&self) -> &'static [&'static str] {
        match self.kind {
            OutputKind::Local | OutputKind::Tar => &["dest", "platform-split", "source-date-epoch", "mode"],
            OutputKind::CacheOnly => &[],
            _ => &IMAGE_KEYS,
        }
    }

    fn default_dest(&self) -> Result<Option<Dest>, SpecError> {
        match self.kind {
            OutputKind::Local => Err(SpecError::NoDest { kind: "local", hint: "DIRECTORY" }),
            OutputKind::Docker => {
                let hint = "FILE, or dest=- to be piped into `docker load`";
                Err(SpecError::NoDest { kind: "docker", hint })
            }
            OutputKind::Oci if !self.image.tar => Err(SpecError::NoDest { kind: "oci,tar=false", hint: "DIRECTORY" }),
            OutputKind::Oci | OutputKind::Tar => Ok(Some(Dest::Stdout)),
            OutputKind::Image | OutputKind::CacheOnly => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;

//! What the compiler asks for: images' configurations, from registries and
//! layouts, and a few small files.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rbc_compiler::{ImageMeta, InputError, InputErrorKind, Inputs};
use rbc_ir::{Digest, ImageDocument, Platform};
use rbc_vm::Vm;
use rbc_vm::source::error::ImageError;
use rbc_vm::source::image::Resolved;
use rbc_vm::source::oci_layout::OciLayout;
use rbc_vm::source::reference::ImageReference;

type Found = Result<ImageMeta, InputError>;

/// The surroundings of a compilation.
pub(crate) struct Surroundings<'a> {
    vm: &'a Vm,
    /// Directories by the compiler's names of contexts.
    directories: HashMap<String, PathBuf>,
    images: Mutex<HashMap<(String, Platform), Found>>,
}

impl<'a> Surroundings<'a> {
    /// Creates the surroundings; `directories` are those of `dockerfile`,
    /// `context`, and of named local contexts.
    pub(crate) fn new(vm: &'a Vm, directories: HashMap<String, PathBuf>) -> Self {
        Self { vm, directories, images: Mutex::default() }
    }

    fn resolve(&self, reference: &str, platform: &Platform) -> Found {
        let parsed = ImageReference::parse(reference).map_err(|e| InputError {
            kind: InputErrorKind::Invalid,
            message: format!("failed to parse image name \"{reference}\": {e}"),
        })?;
        let resolved = self.vm.registry().resolve(&parsed, platform).map_err(|e| input_error(&e))?;
        meta(reference, &resolved)
    }
}

impl Inputs for Surroundings<'_> {
    fn image(&self, reference: &str, platform: &Platform) -> Found {
        let key = (reference.to_owned(), platform.clone());
        let known = self.images.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| self.resolve(reference, platform))
    }

    fn layout_image(&self, layout: &str, reference: &str, platform: &Platform) -> Found {
        // A digest has a colon, a tag has none.
        let name = match reference {
            "" => layout.to_owned(),
            digest if digest.contains(':') => format!("{layout}@{digest}"),
            tag => format!("{layout}:{tag}"),
        };
        let resolved = OciLayout::parse(&name).and_then(|l| l.resolve(platform)).map_err(|e| input_error(&e))?;
        meta(&name, &resolved)
    }

    fn read_context_file(&self, context: &str, path: &str) -> Result<Option<Vec<u8>>, InputError> {
        let Some(directory) = self.directories.get(context) else { return Ok(None) };
        let file = directory.join(path);
        // Reading a named pipe would wait for a writer for ever.
        if std::fs::metadata(&file).is_ok_and(|m| !m.is_file()) {
            let message = format!("cannot read {}: it is not a regular file", file.display());
            return Err(InputError { kind: InputErrorKind::Invalid, message });
        }
        match std::fs::read(&file) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(InputError {
                kind: match e.kind() {
                    io::ErrorKind::PermissionDenied => InputErrorKind::Denied,
                    _ => InputErrorKind::Unreachable,
                },
                message: format!("cannot read {}: {e}", file.display()),
            }),
        }
    }

    /// Asks for several images at the same time: each costs a round trip.
    fn prefetch(&self, images: &[(String, Platform)]) {
        if images.len() < 2 {
            return;
        }
        std::thread::scope(|scope| {
            for (reference, platform) in images {
                scope.spawn(move || {
                    let found = self.resolve(reference, platform);
                    let mut known = self.images.lock().unwrap_or_else(PoisonError::into_inner);
                    known.insert((reference.clone(), platform.clone()), found);
                });
            }
        });
    }
}

fn meta(reference: &str, resolved: &Resolved) -> Found {
    let invalid = |message: String| InputError { kind: InputErrorKind::Invalid, message };
    let Some(pin) = resolved.manifest_digest.sha256_bytes() else {
        let digest = &resolved.manifest_digest;
        return Err(invalid(format!("{reference}: the digest {} is not of SHA-256", digest.as_str())));
    };
    let document: ImageDocument = serde_json::from_slice(&resolved.config_bytes)
        .map_err(|e| invalid(format!("{reference}: the image's configuration cannot be read: {e}")))?;
    let platform = &resolved.platform;
    Ok(ImageMeta {
        reference: reference.to_owned(),
        pin: Digest(pin),
        platform: Platform::new(&platform.os, &platform.architecture, &platform.variant),
        document,
    })
}

fn input_error(error: &ImageError) -> InputError {
    let kind = match error {
        ImageError::NotFound { .. } => InputErrorKind::NotFound,
        ImageError::NoMatchingPlatform { .. } => InputErrorKind::Platform,
        ImageError::Unauthorized { .. } => InputErrorKind::Denied,
        _ if error.is_environment() => InputErrorKind::Unreachable,
        ImageError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => InputErrorKind::NotFound,
        ImageError::Io { .. } | ImageError::Cancelled => InputErrorKind::Unreachable,
        _ => InputErrorKind::Invalid,
    };
    InputError { kind, message: error.to_string() }
}

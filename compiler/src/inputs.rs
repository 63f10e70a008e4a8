//! The compiler's only way out: images' configurations and a few small files.
//!
//! Queries are pure. What they need from outside they ask for by a
//! [`Request`]; the driver (`compile.rs`) answers all of a round together and
//! runs the query again.

use std::collections::BTreeMap;

use rbc_ir::{Digest, ImageDocument, Platform};

/// What is known of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageMeta {
    /// Canonical reference (`docker.io/library/alpine:latest`).
    pub reference: String,
    /// Digest of the manifest of the platform.
    pub pin: Digest,
    /// The platform that was found.
    pub platform: Platform,
    /// The configuration.
    pub document: ImageDocument,
}

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputErrorKind {
    /// It is not there.
    NotFound,
    /// It is there, but not for this platform.
    Platform,
    /// It is there, but of no use.
    Invalid,
    /// It may not be read.
    Denied,
    /// It cannot be reached or read.
    Unreachable,
}

/// A failure outside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InputError {
    /// What kind.
    pub kind: InputErrorKind,
    /// Lower case, no full stop, with the values involved.
    pub message: String,
}

/// The surroundings of a compilation.
pub trait Inputs: Sync {
    /// Returns an image of a registry. `reference` is canonical.
    ///
    /// # Errors
    ///
    /// If there is none, or it cannot be had.
    fn image(&self, reference: &str, platform: &Platform) -> Result<ImageMeta, InputError>;

    /// Returns an image of an OCI layout (`--build-context x=oci-layout://…`).
    /// `reference` is a tag, a digest, or empty for the only image.
    ///
    /// # Errors
    ///
    /// As [`Inputs::image`].
    fn layout_image(&self, layout: &str, reference: &str, platform: &Platform) -> Result<ImageMeta, InputError>;

    /// Reads a small file. `context` is `dockerfile` for the directory of the
    /// Dockerfile, `context` for the main context, or the name of a local
    /// named context; `path` is relative to it. `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// If it is there and cannot be read.
    fn read_context_file(&self, context: &str, path: &str) -> Result<Option<Vec<u8>>, InputError>;

    /// Says which images will be asked for, so that they can be fetched
    /// together.
    fn prefetch(&self, images: &[(String, Platform)]) {
        let _ = images;
    }
}

/// Something that a query needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Request {
    Image { reference: String, platform: Platform },
    Layout { layout: String, reference: String, platform: Platform },
    File { context: String, path: String },
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Image(Box<ImageMeta>),
    File(Option<Vec<u8>>),
    Failed(InputError),
}

/// All answers so far.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Answers(pub(crate) BTreeMap<Request, Answer>);

/// Asks for all that is new; images one after the other here, because the
/// prefetch has them under way.
pub(crate) fn answer(inputs: &dyn Inputs, requests: &[Request], answers: &mut Answers) {
    let images: Vec<_> = requests
        .iter()
        .filter_map(|r| match r {
            Request::Image { reference, platform } => Some((reference.clone(), platform.clone())),
            _ => None,
        })
        .collect();
    if !images.is_empty() {
        inputs.prefetch(&images);
    }
    for request in requests {
        let image = |found: Result<ImageMeta, InputError>| match found {
            Ok(meta) => Answer::Image(Box::new(meta)),
            Err(e) => Answer::Failed(e),
        };
        let answer = match request {
            Request::Image { reference, platform } => image(inputs.image(reference, platform)),
            Request::Layout { layout, reference, platform } => image(inputs.layout_image(layout, reference, platform)),
            Request::File { context, path } => match inputs.read_context_file(context, path) {
                Ok(found) => Answer::File(found),
                Err(e) => Answer::Failed(e),
            },
        };
        answers.0.insert(request.clone(), answer);
    }
}

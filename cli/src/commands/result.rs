//! What is known of a finished image, and the files that tell it.

use std::path::Path;

use rbc_ir::Digest;
use rbc_vm::export::Descriptor;
use serde_json::{Map, Value, json};

use crate::args::BuildArgs;
use crate::failure::Failure;

/// A finished image.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// The manifest or index; `None` if no image was asked for.
    pub(crate) descriptor: Option<Descriptor>,
    /// Digest of the configuration, of an image of one platform.
    pub(crate) config: Option<Digest>,
    /// Names in full.
    pub(crate) names: Vec<String>,
}

/// Writes `--iidfile` and `--metadata-file`.
pub(crate) fn write_files(args: &BuildArgs, made: &Made) -> Result<(), Failure> {
    if let Some(path) = &args.iidfile {
        // An index has no configuration; docker then takes its own digest.
        let id = made.config.or(made.descriptor.as_ref().map(|d| d.digest));
        write(path, &id.map(|id| id.to_string()).unwrap_or_default())?;
    }
    if let Some(path) = &args.metadata_file {
        write(path, &format!("{:#}\n", metadata(made)))?;
    }
    Ok(())
}

/// The keys of BuildKit's exporter response.
fn metadata(made: &Made) -> Value {
    let mut fields = Map::new();
    if let Some(config) = made.config {
        fields.insert("containerimage.config.digest".to_owned(), json!(config));
    }
    if let Some(descriptor) = &made.descriptor {
        fields.insert("containerimage.descriptor".to_owned(), json!(descriptor));
        fields.insert("containerimage.digest".to_owned(), json!(descriptor.digest));
    }
    if !made.names.is_empty() {
        fields.insert("image.name".to_owned(), json!(made.names.join(",")));
    }
    Value::Object(fields)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|e| Failure::environment(format!("cannot write `{}`: {e}", path.display())))
}

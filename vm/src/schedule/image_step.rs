//! Base images: layers are pulled once, taken in, and kept as they came.

use std::fs::File;
use std::io::{self, Read, Write};

use rayon::prelude::*;
use rbc_ir::{Digest, NodeId, Platform};

use super::{Build, BuildErrorKind};
use crate::archive::{self, Options};
use crate::event::Event;
use crate::fs::{Forest, Root, apply};
use crate::source::image::{LayerDescriptor, Resolved};
use crate::store::{BaseLayer, IoContext, Layer, RecordKey, Snapshot, StoreError, root_from_text, root_to_text};

/// Bytes between two reports of a transfer.
const REPORT: u64 = 1 << 20;

/// Makes a base image's tree available.
pub(super) fn run(
    build: &Build<'_>,
    node: NodeId,
    reference: &str,
    pin: &Digest,
    platform: &Platform,
    layout: Option<&str>,
) -> Result<Snapshot, BuildErrorKind> {
    let resolved = build.vm.resolve_pinned(reference, pin, platform, layout)?;
    let mut layers = Vec::with_capacity(resolved.layers.len());
    for (layer, diff_id) in resolved.layers.iter().zip(&resolved.diff_ids) {
        layers.push(BaseLayer {
            digest: digest(&layer.digest)?,
            size: layer.size,
            media_type: layer.media_type.clone(),
            diff_id: digest(diff_id)?,
            image: reference.to_owned(),
        });
    }
    let chain: Vec<Digest> = layers.iter().map(|l| l.diff_id).collect();
    let root = match build.vm.store.base_tree(&chain)? {
        Some(root) => root,
        None => take_in(build, node, reference, layout, &resolved, &layers)?,
    };
    Ok(Snapshot { root, layers: layers.into_iter().map(Layer::Base).collect() })
}

fn digest(of: &crate::source::digest::BlobDigest) -> Result<Digest, BuildErrorKind> {
    let bytes = of.sha256_bytes();
    bytes.map(Digest).ok_or_else(|| BuildErrorKind::Unsupported(format!("digest {of}: only sha256 is supported")))
}

/// Pulls what is missing, then lays the layers over each other.
fn take_in(
    build: &Build<'_>,
    node: NodeId,
    reference: &str,
    layout: Option<&str>,
    resolved: &Resolved,
    layers: &[BaseLayer],
) -> Result<Root, BuildErrorKind> {
    let store = build.vm.store();
    let pulling = resolved.layers.par_iter().zip(layers);
    let pulled: Result<Vec<bool>, BuildErrorKind> =
        pulling.map(|(descriptor, layer)| pull(build, node, reference, layout, descriptor, layer)).collect();
    let mut root = store.empty();
    let mut chain = Vec::new();
    for ((layer, descriptor), now) in layers.iter().zip(&resolved.layers).zip(pulled?) {
        let key = RecordKey::of("layer", &[&layer.diff_id.0, &root.id().0]);
        // The tree below decides where hard links and parents lead.
        let known = store.record::<String>(&key)?.and_then(|text| root_from_text(&text));
        let changes = match known.filter(|diff| store.has_dir(&diff.dir.id)) {
            Some(changes) => changes,
            None => {
                let changes = match ingest(build, reference, layer, &root) {
                    // What was kept of an earlier build may be damaged.
                    Err(BuildErrorKind::Layer { .. }) if !now => {
                        store.drop_blob(&layer.digest)?;
                        pull(build, node, reference, layout, descriptor, layer)?;
                        ingest(build, reference, layer, &root)?
                    }
                    ingested => ingested?,
                };
                store.put_record(&[key], &root_to_text(&changes))?;
                changes
            }
        };
        root = apply(store, &root, &changes)?;
        chain.push(layer.diff_id);
    }
    store.put_base_tree(&chain, &root)?;
    Ok(root)
}

/// Fetches a layer's archive into the blob directory, verified. False if it
/// was there.
fn pull(
    build: &Build<'_>,
    node: NodeId,
    reference: &str,
    layout: Option<&str>,
    descriptor: &LayerDescriptor,
    layer: &BaseLayer,
) -> Result<bool, BuildErrorKind> {
    let store = build.vm.store();
    if store.has_blob(&layer.digest, layer.size)? {
        return Ok(false);
    }
    let mut reader = build.vm.open_layer(reference, layout, descriptor)?;
    let temporary = store.scratch();
    let mut file = File::create_new(&temporary).on("create", &temporary)?;
    let what = layer.digest.to_string();
    let mut copy = || -> Result<(), BuildErrorKind> {
        let (mut buffer, mut done, mut reported) = (vec![0; 256 * 1024], 0u64, 0u64);
        loop {
            if build.request.cancel.is_cancelled() {
                return Err(BuildErrorKind::Cancelled);
            }
            let n = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    return Err(match e.downcast::<crate::source::error::ImageError>() {
                        Ok(image) => BuildErrorKind::Image(image),
                        Err(e) => StoreError::io("read", &what, e).into(),
                    });
                }
            };
            file.write_all(buffer.get(..n).unwrap_or_default()).on("write", &temporary)?;
            done += n as u64;
            if done - reported >= REPORT || done == layer.size {
                reported = done;
                let total = Some(layer.size);
                build.request.observer.event(Event::Transfer { node, what: what.clone(), done, total });
            }
        }
        Ok(())
    };
    if let Err(e) = copy() {
        // The transfer's own error matters more than this one.
        let _ = std::fs::remove_file(&temporary);
        return Err(e);
    }
    store.publish_blob(&temporary, &layer.digest)?;
    Ok(true)
}

/// Reads a layer's archive into a difference.
fn ingest(build: &Build<'_>, reference: &str, layer: &BaseLayer, lower: &Root) -> Result<Root, BuildErrorKind> {
    let store = build.vm.store();
    let broken =
        |why: String| BuildErrorKind::Layer { image: reference.to_owned(), layer: layer.digest.to_string(), why };
    let path = store.blob_path(&layer.digest);
    let file = File::open(&path).on("open", &path)?;
    let options = Options { whiteouts: true, lower: Some(lower), ..Options::default() };
    let ingested = archive::ingest(file, store, store, &options).map_err(|e| match &e {
        archive::IngestError::Store { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
            StoreError::NoSpace { path: path.clone() }.into()
        }
        e => broken(e.to_string()),
    })?;
    if ingested.diff_id != layer.diff_id {
        return Err(broken(format!("its content has digest {}, the image says {}", ingested.diff_id, layer.diff_id)));
    }
    Ok(ingested.root)
}

//! File operations: on trees, in memory. Nothing is opened but archives to
//! extract and files that name users.

use std::sync::Arc;

use rbc_ir::FileAction;

use super::walk::{StepInput, now};
use super::{Build, BuildErrorKind};
use crate::fs::{FileRef, Mtime, Root, SourceKind, apply, diff as difference, layer_diff, run_actions};
use crate::store::{Action, Layer, MadeLayer, Snapshot};

/// Runs file actions as one layer.
pub(super) fn run(
    build: &Build<'_>,
    actions: &[FileAction],
    inputs: &[Arc<Action>],
    views: &[StepInput<'_>],
) -> Result<Snapshot, BuildErrorKind> {
    let store = build.vm.store();
    let base = base(inputs)?;
    let sources: Vec<(Root, SourceKind)> = views.iter().map(|v| (v.root.clone(), v.kind)).collect();
    let unpack = |file: &FileRef, into: &Root, owner| super::unpack::archive(store, file, into, owner);
    let time = build.request.source_date_epoch.unwrap_or_else(now);
    let time = Mtime { seconds: time, nanoseconds: 0 };
    let root = run_actions(store, store, &base.root, &sources, actions, time, &unpack)?;
    layered(build, base, root)
}

/// Lays inputs over each other, the last on top.
pub(super) fn merge(build: &Build<'_>, inputs: &[Arc<Action>]) -> Result<Snapshot, BuildErrorKind> {
    let store = build.vm.store();
    let mut snapshot = base(inputs)?.clone();
    for upper in inputs.iter().skip(1) {
        for layer in &upper.snapshot.layers {
            if let Layer::Made(made) = layer {
                snapshot.root = apply(store, &snapshot.root, &made.diff)?;
            }
            snapshot.layers.push(layer.clone());
        }
    }
    Ok(snapshot)
}

/// What leads from the first input to the second, as a tree of one layer.
pub(super) fn diff(build: &Build<'_>, inputs: &[Arc<Action>]) -> Result<Snapshot, BuildErrorKind> {
    let store = build.vm.store();
    let (lower, upper) = match inputs {
        [lower, upper, ..] => (&lower.snapshot.root, &upper.snapshot.root),
        _ => return Err(BuildErrorKind::Unsupported("a difference needs two inputs".to_owned())),
    };
    let changes = difference(store, lower, upper)?;
    let empty = crate::fs::Forest::empty(store);
    let root = apply(store, &empty, &changes)?;
    let layer = Layer::Made(MadeLayer { diff: changes, created: now() });
    Ok(Snapshot { root, layers: vec![layer] })
}

/// The snapshot that a step changes.
pub(super) fn base(inputs: &[Arc<Action>]) -> Result<&Snapshot, BuildErrorKind> {
    let first = inputs.first().ok_or_else(|| BuildErrorKind::Unsupported("an operation without a base".to_owned()))?;
    Ok(&first.snapshot)
}

/// Puts a result that was found by content on the base at hand. Equal content
/// says nothing of layers: the result may come from a base that was made in
/// more steps, or of an image with other digests, and history and layers have
/// to agree. Only the step's own layer is taken over.
pub(super) fn on_base(build: &Build<'_>, found: Action, inputs: &[Arc<Action>]) -> Result<Action, BuildErrorKind> {
    let base = base(inputs)?;
    let Some(Layer::Made(own)) = found.snapshot.layers.last().cloned() else { return Ok(found) };
    let root = apply(build.vm.store(), &base.root, &own.diff)?;
    let mut layers = base.layers.clone();
    layers.push(Layer::Made(own));
    Ok(Action { snapshot: Snapshot { root, layers }, ..found })
}

/// Adds a layer that leads from a base to a root.
pub(super) fn layered(build: &Build<'_>, base: &Snapshot, root: Root) -> Result<Snapshot, BuildErrorKind> {
    let changes = layer_diff(build.vm.store(), &base.root, &root)?;
    let mut layers = base.layers.clone();
    layers.push(Layer::Made(MadeLayer { diff: changes, created: now() }));
    Ok(Snapshot { root, layers })
}

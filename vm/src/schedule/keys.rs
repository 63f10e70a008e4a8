//! Keys of nodes.
//!
//! ```text
//! definition key = H(node digest, what is read of sources, definition keys of inputs)
//! content key    = H(operation, content of exactly the inputs that are read)
//! ```
//!
//! The definition key is known before anything runs. The content key needs
//! the inputs' results, and leaves out times: a stage that is rebuilt to equal
//! files changes nothing downstream.

use rbc_ir::{Digest, ExecMountKind, FileAction, NodeDigest, NodeId, Op};

use super::sources::Sources;
use super::{Build, BuildError, BuildErrorKind, at};
use crate::fs::{ActionError, Follow, Root, SourceKind, locate, selection};
use crate::store::{RecordKey, Snapshot, Store, Why};

/// Definition keys.
pub(super) struct Keys {
    /// Where results are stored; none for sources.
    store: Vec<Option<RecordKey>>,
    /// False below a node that must run anew.
    trusted: Vec<bool>,
}

impl Keys {
    pub(super) fn compute(build: &Build<'_>, reachable: &[bool], sources: &Sources) -> Result<Self, BuildError> {
        let plan = build.request.plan;
        let mut keys = Self { store: vec![None; plan.nodes.len()], trusted: vec![true; plan.nodes.len()] };
        for node in plan.nodes.iter().filter(|n| reachable.get(n.id).copied().unwrap_or_default()) {
            if super::demand::is_source(&node.op) {
                continue;
            }
            let mut fields: Vec<Vec<u8>> = vec![node.digest.0.to_vec()];
            fields.extend(time_of(&node.op, build.request.source_date_epoch));
            let mut trusted = !matches!(&node.op, Op::Exec(exec) if exec.ignore_cache);
            for (i, &input) in node.inputs.iter().enumerate() {
                match sources.get(input) {
                    Some((root, kind)) => {
                        let read = reads(build.vm.store(), &node.op, i, root, *kind).map_err(at(node.id))?;
                        fields.push(read.0.to_vec());
                    }
                    None => {
                        trusted &= keys.trusted.get(input).copied().unwrap_or_default();
                        let key = keys.store.get(input).copied().flatten();
                        fields.push(key.map_or_else(Vec::new, |k| k.0.to_vec()));
                    }
                }
            }
            let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
            if let Some(slot) = keys.store.get_mut(node.id) {
                *slot = Some(RecordKey::of("definition", &fields));
            }
            if let Some(slot) = keys.trusted.get_mut(node.id) {
                *slot = trusted;
            }
        }
        Ok(keys)
    }

    /// The key under which a result may be found before anything runs.
    pub(super) fn lookup(&self, node: NodeId) -> Option<&RecordKey> {
        self.trusted.get(node).copied().unwrap_or_default().then(|| self.definition(node)).flatten()
    }

    /// The key under which a result is kept.
    pub(super) fn definition(&self, node: NodeId) -> Option<&RecordKey> {
        self.store.get(node)?.as_ref()
    }
}

/// An input of a node with its result.
pub(super) struct Input<'a> {
    pub(super) root: &'a Root,
    pub(super) kind: SourceKind,
}

/// Makes the content key of a node, and says what it was made of.
pub(super) fn content_key(
    store: &Store,
    op: &Op,
    digest: NodeDigest,
    name: &str,
    inputs: &[Input<'_>],
    epoch: Option<i64>,
) -> Result<(RecordKey, Why), BuildErrorKind> {
    let identity = op.identity();
    let mut why = Why { node: Some(digest), name: name.to_owned(), inputs: Vec::new() };
    let mut fields: Vec<Vec<u8>> = vec![identity.0.to_vec()];
    fields.extend(time_of(op, epoch));
    for (i, input) in inputs.iter().enumerate() {
        let read = reads(store, op, i, input.root, input.kind)?;
        why.input(&format!("input {i}"), &read.0);
        fields.push(read.0.to_vec());
    }
    let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
    Ok((RecordKey::of("content", &fields), why))
}

/// The time that WORKDIR gives to directories is part of what it asks for
/// (BuildKit: `WithCreatedTime` in `dispatchWorkdir`).
fn time_of(op: &Op, epoch: Option<i64>) -> Option<Vec<u8>> {
    let Op::File { actions } = op else { return None };
    let makes = actions.iter().any(|action| matches!(action, FileAction::Mkdir { .. }));
    epoch.filter(|_| makes).map(|seconds| format!("time {seconds}").into_bytes())
}

/// Digest of exactly what an operation reads of one of its inputs.
fn reads(store: &Store, op: &Op, input: usize, root: &Root, kind: SourceKind) -> Result<Digest, BuildErrorKind> {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    if input == 0 && matches!(op, Op::Exec(_) | Op::File { .. }) || matches!(op, Op::Merge | Op::Diff) {
        fields.push(root.content_id().0.to_vec());
    }
    match op {
        Op::File { actions } => {
            for (index, action) in actions.iter().enumerate() {
                match action {
                    FileAction::Copy(copy) if copy.from == input => {
                        let read = selection(store, root, copy, kind).map_err(|error| ActionError { index, error })?;
                        fields.push(read.digest.0.to_vec());
                    }
                    _ => {}
                }
            }
        }
        Op::Exec(exec) => {
            for mount in &exec.mounts {
                let source = match &mount.kind {
                    ExecMountKind::Bind { input: of, source, .. } if *of == input => source,
                    ExecMountKind::Cache { input: Some(of), source, .. } if *of == input => source,
                    _ => continue,
                };
                fields.push(content_at(store, root, source)?);
            }
        }
        _ => {}
    }
    let mut hasher = rbc_ir::Hasher::new();
    for field in &fields {
        hasher.field(field);
    }
    Ok(hasher.finish())
}

/// Identity of what stands at a path, times left out.
fn content_at(store: &Store, root: &Root, path: &str) -> Result<Vec<u8>, BuildErrorKind> {
    let found = locate(store, root, path.as_bytes(), Follow::Last)?;
    if found.names.is_empty() {
        return Ok(root.content_id().0.to_vec());
    }
    let mut encoded = Vec::new();
    if let Some(entry) = &found.entry {
        crate::fs::encode::content(&mut encoded, b"", entry);
    }
    Ok(encoded)
}

/// The root of a snapshot as an input.
pub(super) fn of_snapshot(snapshot: &Snapshot) -> Input<'_> {
    Input { root: &snapshot.root, kind: SourceKind::Tree }
}

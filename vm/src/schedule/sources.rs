//! Local contexts, git checkouts and files from the web: looked at before
//! anything runs, since what is read of them goes into the keys.

use std::collections::BTreeMap;

use rayon::prelude::*;
use rbc_ir::{ExecMountKind, FileAction, NodeId, Op, Plan};

use super::http_step::Wanted;
use super::{Build, BuildError, BuildErrorKind, at};
use crate::context;
use crate::event::Event;
use crate::fs::ignore::Patterns;
use crate::fs::{Root, SourceKind};

/// Trees of sources, by node.
pub(super) struct Sources(BTreeMap<NodeId, (Root, SourceKind)>);

impl Sources {
    pub(super) fn get(&self, node: NodeId) -> Option<&(Root, SourceKind)> {
        self.0.get(&node)
    }

    /// Looks at all sources that a build may read, in parallel.
    pub(super) fn load(build: &Build<'_>, reachable: &[bool]) -> Result<Self, BuildError> {
        let nodes = build.request.plan.nodes.iter();
        let nodes: Vec<_> = nodes
            .filter(|n| reachable.get(n.id).copied().unwrap_or_default() && super::demand::is_source(&n.op))
            .collect();
        let loaded: Result<Vec<_>, BuildError> = nodes
            .par_iter()
            .map(|node| {
                let started = std::time::Instant::now();
                build.request.observer.event(Event::Started { node: node.id });
                let result = load_one(build, node.id, &node.op);
                let took = started.elapsed();
                build.request.observer.event(match &result {
                    Ok(_) => Event::Finished { node: node.id, took },
                    Err(_) => Event::Failed { node: node.id, took },
                });
                result.map(|source| (node.id, source)).map_err(at(node.id))
            })
            .collect();
        Ok(Self(loaded?.into_iter().collect()))
    }
}

fn load_one(build: &Build<'_>, node: NodeId, op: &Op) -> Result<(Root, SourceKind), BuildErrorKind> {
    let request = build.request;
    match op {
        Op::Local { context, exclude } => {
            let directory = request
                .contexts
                .get(context)
                .ok_or_else(|| BuildErrorKind::Unsupported(format!("build context `{context}` was not given")))?;
            let ignore =
                Patterns::new(exclude).map_err(|e| BuildErrorKind::Unsupported(format!("ignore file: {e}")))?;
            let wanted = wanted(request.plan, node);
            let progress = |done| {
                let what = context.clone();
                request.observer.event(Event::Transfer { node, what, done, total: None });
            };
            let root = context::load(build.vm.store(), directory, &ignore, &wanted, &progress)?;
            Ok((root, SourceKind::Context))
        }
        Op::Http { url, filename, checksum, mode } => {
            let wanted = Wanted { url, filename, checksum: checksum.as_ref(), mode: *mode };
            Ok((super::http_step::load(build, node, &wanted)?, SourceKind::Tree))
        }
        Op::Git { .. } => Ok((super::git_step::load(build, op)?, SourceKind::Tree)),
        _ => Err(BuildErrorKind::Unsupported("not a source".to_owned())),
    }
}

/// What the nodes of a plan read of a context.
fn wanted(plan: &Plan, context: NodeId) -> Vec<context::Wanted> {
    let mut list = Vec::new();
    for node in &plan.nodes {
        for (i, _) in node.inputs.iter().enumerate().filter(|(_, input)| **input == context) {
            match &node.op {
                // As a base it is read whole.
                Op::Exec(_) | Op::File { .. } if i == 0 => list.push(context::Wanted::all()),
                Op::File { actions } => {
                    for action in actions {
                        if let FileAction::Copy(copy) = action
                            && copy.from == i
                        {
                            list.push(context::Wanted::new(&copy.source));
                        }
                    }
                }
                Op::Exec(exec) => {
                    for mount in &exec.mounts {
                        match &mount.kind {
                            ExecMountKind::Bind { input, source, .. } if *input == i => {
                                list.push(context::Wanted::new(source));
                            }
                            ExecMountKind::Cache { input: Some(input), source, .. } if *input == i => {
                                list.push(context::Wanted::new(source));
                            }
                            _ => {}
                        }
                    }
                }
                _ => list.push(context::Wanted::all()),
            }
        }
    }
    for target in &plan.targets {
        if target.instances.iter().any(|i| i.root == context) {
            list.push(context::Wanted::all());
        }
    }
    list.sort();
    list.dedup();
    list
}

//! Runs what is not cached, in parallel: one thread coordinates, each node
//! that is ready gets a thread of its own. Processes are waited for there,
//! never on rayon's workers.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rbc_ir::{Node, NodeId, Op};

use super::demand::{Demand, is_source};
use super::keys::{self, Input, Keys, content_key, of_snapshot};
use super::sources::Sources;
use super::{Build, BuildError, BuildErrorKind, at, exec_step, file_step, image_step};
use crate::event::Event;
use crate::exec::ExecError;
use crate::fs::{Forest, Root};
use crate::machine::STACK;
use crate::store::{Action, Layer, MadeLayer, Snapshot, StoreError};

/// Results by node; only of nodes that were looked at.
pub(super) struct Results(Vec<Option<Arc<Action>>>);

impl Results {
    pub(super) fn get(&self, node: NodeId) -> Option<&Arc<Action>> {
        self.0.get(node)?.as_ref()
    }

    fn set(&mut self, node: NodeId, action: Arc<Action>) {
        if let Some(slot) = self.0.get_mut(node) {
            *slot = Some(action);
        }
    }
}

type Outcome = (NodeId, Result<Arc<Action>, BuildErrorKind>);

/// How many threads work at the same time besides processes' own.
const THREADS: usize = 32;

pub(super) fn run(
    build: &Build<'_>,
    roots: &[NodeId],
    sources: &Sources,
    keys: &Keys,
    demand: Demand,
) -> Result<Results, BuildError> {
    let plan = build.request.plan;
    let mut results = Results(vec![None; plan.nodes.len()]);
    for (id, action) in demand.cached.into_iter().enumerate() {
        if let Some(action) = action {
            build.request.observer.event(Event::Cached { node: id });
            results.set(id, Arc::new(action));
        }
    }
    for node in plan.nodes.iter().filter(|n| is_source(&n.op)) {
        if let Some((root, _)) = sources.get(node.id) {
            results.set(node.id, Arc::new(source_action(root)));
        }
    }
    let mut open: Vec<&Node> = plan
        .nodes
        .iter()
        .filter(|n| demand.needed.get(n.id).copied().unwrap_or_default() && results.get(n.id).is_none())
        .collect();
    let jobs = if build.request.jobs > 0 { build.request.jobs } else { default_jobs() };
    let mut failure: Option<BuildError> = None;
    let (done, finished): (Sender<Outcome>, Receiver<Outcome>) = unbounded();
    std::thread::scope(|scope| {
        let (mut running, mut processes) = (0usize, 0usize);
        loop {
            if failure.is_none() && !build.request.cancel.is_cancelled() {
                open.retain(|&node| {
                    let is_process = matches!(node.op, Op::Exec(_));
                    let ready = node.inputs.iter().all(|&i| results.get(i).is_some());
                    if !ready || running >= THREADS || (is_process && processes >= jobs) {
                        return true;
                    }
                    let inputs: Vec<Arc<Action>> =
                        node.inputs.iter().filter_map(|&i| results.get(i).cloned()).collect();
                    let done = done.clone();
                    let failed = done.clone();
                    let work = move || {
                        let outcome = step(build, node, &inputs, sources, keys);
                        // The receiver lives as long as the scope.
                        let _ = done.send((node.id, outcome));
                    };
                    if let Err(source) = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work) {
                        let error = StoreError::io("start a thread in", build.vm.store().home(), source);
                        let _ = failed.send((node.id, Err(error.into())));
                    }
                    running += 1;
                    processes += usize::from(is_process);
                    false
                });
            }
            if running == 0 {
                break;
            }
            let Ok((id, outcome)) = finished.recv() else { break };
            running -= 1;
            if plan.nodes.get(id).is_some_and(|n| matches!(n.op, Op::Exec(_))) {
                processes -= 1;
            }
            match outcome {
                Ok(action) => results.set(id, action),
                Err(kind) => {
                    // Of several, the first is the cause: later ones are
                    // those that were stopped for it.
                    failure.get_or_insert_with(|| at(id)(kind));
                    // After damage the build goes on anew; see `Vm::build`.
                    if !build.vm.store.met_damage() {
                        build.request.cancel.cancel();
                    }
                }
            }
        }
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    if build.request.cancel.is_cancelled() || roots.iter().any(|&r| results.get(r).is_none()) {
        return Err(BuildError { node: None, kind: Box::new(BuildErrorKind::Cancelled) });
    }
    Ok(results)
}

/// As many processes as processors, but two at least: most RUNs wait for a
/// network or a disk for a while.
fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2)
}

/// A source used as a root file system is one layer. It has no time of its
/// own: an unchanged context must yield the same image again.
fn source_action(root: &Root) -> Action {
    let created = 0;
    let layer = Layer::Made(MadeLayer { diff: root.clone(), created });
    Action { snapshot: Snapshot { root: root.clone(), layers: vec![layer] }, created, why: Default::default() }
}

/// Looks a node up by content, or runs it.
fn step(
    build: &Build<'_>,
    node: &Node,
    inputs: &[Arc<Action>],
    sources: &Sources,
    keys: &Keys,
) -> Result<Arc<Action>, BuildErrorKind> {
    let store = build.vm.store();
    let observer = build.request.observer;
    if let Op::Scratch = node.op {
        let snapshot = Snapshot { root: store.empty(), layers: Vec::new() };
        return Ok(Arc::new(Action { snapshot, created: 0, why: Default::default() }));
    }
    let views: Vec<Input<'_>> = node
        .inputs
        .iter()
        .zip(inputs)
        .map(|(&id, action)| match sources.get(id) {
            Some((root, kind)) => Input { root, kind: *kind },
            None => of_snapshot(&action.snapshot),
        })
        .collect();
    let (content, why) =
        content_key(store, &node.op, node.digest, &node.name, &views, build.request.source_date_epoch)?;
    let definition = keys.definition(node.id).copied();
    let anew = matches!(&node.op, Op::Exec(exec) if exec.ignore_cache);
    // An image is known by its manifest alone (`image_step` looks for it), and
    // laying trees over each other costs no more than a look-up.
    let by_content = !anew && matches!(node.op, Op::Exec(_) | Op::File { .. });
    if by_content && let Some(found) = store.action(&content)? {
        let found = file_step::on_base(build, found, inputs)?;
        // Found again by definition next time, without its inputs.
        store.put_action(definition.as_slice(), &found)?;
        observer.event(Event::Cached { node: node.id });
        return Ok(Arc::new(found));
    }
    observer.event(Event::Started { node: node.id });
    let started = Instant::now();
    let result = match &node.op {
        Op::Image { reference, pin, platform, layout } => {
            image_step::run(build, node.id, reference, pin, platform, layout.as_deref())
        }
        Op::File { actions } => file_step::run(build, actions, inputs, &views),
        Op::Exec(exec) => exec_step::run(build, node.id, exec, inputs, &views),
        Op::Merge => file_step::merge(build, inputs),
        Op::Diff => file_step::diff(build, inputs),
        Op::Scratch | Op::Local { .. } | Op::Git { .. } | Op::Http { .. } => {
            Err(BuildErrorKind::Unsupported("a source cannot run".to_owned()))
        }
    };
    let took = started.elapsed();
    let snapshot = match result {
        Ok(snapshot) => snapshot,
        Err(kind) => {
            let kind = match kind {
                BuildErrorKind::Sandbox(ExecError::Cancelled) => BuildErrorKind::Cancelled,
                kind => kind,
            };
            observer.event(Event::Failed { node: node.id, took });
            return Err(kind);
        }
    };
    let action = Action { snapshot, created: now(), why };
    let record_keys: Vec<_> = definition.into_iter().chain([content]).collect();
    store.put_action(&record_keys, &action)?;
    observer.event(Event::Finished { node: node.id, took });
    Ok(Arc::new(action))
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Kinds of inputs are those of keys.
pub(super) use keys::Input as StepInput;

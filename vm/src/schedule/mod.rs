//! Runs a plan: what is cached is taken from the cache, the rest runs in
//! parallel.
//!
//! 1. `sources`: contexts are looked at (stat only, when unchanged), so that
//!    what operations read of them is known by digest.
//! 2. `keys`: each node's definition key follows from its operation, what it
//!    reads of sources, and its inputs' keys.
//! 3. `demand`: from the target down, a node with a record under its
//!    definition key is done, and what it was made of is never looked at.
//! 4. `walk`: what remains runs in order of dependency. With its inputs at
//!    hand a node has a content key; a record under it ends the rebuild there
//!    (early cut-off).

mod agent_forward;
mod cache_mount;
mod demand;
mod exec_step;
mod file_step;
mod git_step;
mod http_step;
mod image_step;
mod instance;
mod keys;
mod request;
mod root_mounts;
mod shared_dir;
mod sources;
mod unpack;
mod walk;

use crate::Vm;

pub(crate) use shared_dir::SharedDir;

pub use request::{BuildError, BuildErrorKind, BuildRequest, Built, BuiltInstance};

use demand::Demand;
use keys::Keys;
use sources::Sources;

/// What a step gets to work with.
pub(crate) struct Build<'a> {
    pub(crate) vm: &'a Vm,
    pub(crate) request: &'a BuildRequest<'a>,
}

impl Vm {
    /// Builds a target of a plan. Whatever finishes stays in the cache, also
    /// when the build fails or is cancelled.
    ///
    /// # Errors
    ///
    /// The first failure; it names the node.
    pub fn build(&self, request: &BuildRequest<'_>) -> Result<Built, BuildError> {
        match self.build_once(request) {
            // Results that cannot be used any more are withdrawn and made
            // anew, once.
            Err(_) if self.store.met_damage() && !request.cancel.is_cancelled() => {
                self.store.heal().map_err(|e| BuildError { node: None, kind: Box::new(e.into()) })?;
                self.build_once(request)
            }
            result => result,
        }
    }

    fn build_once(&self, request: &BuildRequest<'_>) -> Result<Built, BuildError> {
        let build = Build { vm: self, request };
        let target = request.plan.targets.get(request.target).ok_or_else(|| {
            let kind = BuildErrorKind::Unsupported(format!("the plan has no target {}", request.target));
            BuildError { node: None, kind: Box::new(kind) }
        })?;
        let roots: Vec<_> = target.instances.iter().map(|i| i.root).collect();
        let reachable = demand::reachable(request.plan, &roots);
        let sources = Sources::load(&build, &reachable)?;
        let keys = Keys::compute(&build, &reachable, &sources)?;
        let demand = Demand::compute(&build, &roots, &keys)?;
        let results = walk::run(&build, &roots, &sources, &keys, demand);
        // Only tells what to keep; a build does not fail for it.
        let _ = self.store.note_uses();
        let results = results?;
        instance::describe(&build, target, &results)
    }
}

/// Makes an error of a node.
pub(crate) fn at(node: rbc_ir::NodeId) -> impl Fn(BuildErrorKind) -> BuildError {
    move |kind| BuildError { node: Some(node), kind: Box::new(kind) }
}

//! What must be looked at, from the target down.

use rbc_ir::{NodeId, Op, Plan};

use super::keys::Keys;
use super::{Build, BuildError, at};
use crate::store::Action;

/// What is known of each node before anything runs.
pub(super) struct Demand {
    /// Results taken from the cache.
    pub(super) cached: Vec<Option<Action>>,
    /// Nodes that must run, or at least be looked up by content.
    pub(super) needed: Vec<bool>,
}

/// Nodes that the roots depend on, directly or not.
pub(super) fn reachable(plan: &Plan, roots: &[NodeId]) -> Vec<bool> {
    let mut marked = vec![false; plan.nodes.len()];
    for &root in roots {
        if let Some(mark) = marked.get_mut(root) {
            *mark = true;
        }
    }
    // Inputs point backward, so one pass from the end sees every consumer
    // before what it consumes.
    for node in plan.nodes.iter().rev() {
        if marked.get(node.id).copied().unwrap_or_default() {
            for &input in &node.inputs {
                if let Some(mark) = marked.get_mut(input) {
                    *mark = true;
                }
            }
        }
    }
    marked
}

impl Demand {
    pub(super) fn compute(build: &Build<'_>, roots: &[NodeId], keys: &Keys) -> Result<Self, BuildError> {
        let plan = build.request.plan;
        let mut wanted = vec![false; plan.nodes.len()];
        for &root in roots {
            if let Some(mark) = wanted.get_mut(root) {
                *mark = true;
            }
        }
        let mut demand = Self { cached: vec![None; plan.nodes.len()], needed: vec![false; plan.nodes.len()] };
        for node in plan.nodes.iter().rev() {
            if !wanted.get(node.id).copied().unwrap_or_default() {
                continue;
            }
            if let Some(key) = keys.lookup(node.id) {
                let found = build.vm.store.action(key).map_err(|e| at(node.id)(e.into()))?;
                if found.is_some() {
                    demand.set_cached(node.id, found);
                    continue;
                }
            }
            if let Some(needed) = demand.needed.get_mut(node.id) {
                *needed = true;
            }
            for &input in &node.inputs {
                if let Some(mark) = wanted.get_mut(input) {
                    *mark = true;
                }
            }
        }
        Ok(demand)
    }

    fn set_cached(&mut self, node: NodeId, action: Option<Action>) {
        if let Some(slot) = self.cached.get_mut(node) {
            *slot = action;
        }
    }
}

/// Sources have no record of their own: they are looked at first.
pub(super) fn is_source(op: &Op) -> bool {
    matches!(op, Op::Local { .. } | Op::Git { .. } | Op::Http { .. })
}

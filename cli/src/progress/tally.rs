//! Counts what a build did, for the summary.

use std::sync::atomic::{AtomicUsize, Ordering};

use rbc_ir::{NodeId, Op, Plan};
use rbc_vm::event::Event;

/// Counts while a build runs.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Nodes that are no steps of the user's: looking at a context happens
    /// in every build.
    silent: Vec<bool>,
    ran: AtomicUsize,
    cached: AtomicUsize,
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Steps that ran.
    pub(crate) ran: usize,
    /// Steps whose result was in the cache.
    pub(crate) cached: usize,
}

impl Tally {
    /// Starts to count the steps of a plan.
    pub(crate) fn new(plan: &Plan) -> Self {
        let silent = plan.nodes.iter().map(|n| matches!(n.op, Op::Local { .. } | Op::Scratch)).collect();
        Self { silent, ran: AtomicUsize::new(0), cached: AtomicUsize::new(0) }
    }

    /// Takes note of an event.
    pub(crate) fn note(&self, event: &Event) {
        let (node, counter) = match event {
            Event::Finished { node, .. } => (node, &self.ran),
            Event::Cached { node } => (node, &self.cached),
            _ => return,
        };
        if self.counts_node(*node) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counts_node(&self, node: NodeId) -> bool {
        !self.silent.get(node).copied().unwrap_or_default()
    }

    /// Returns the counts so far.
    pub(crate) fn counts(&self) -> Counts {
        Counts { ran: self.ran.load(Ordering::Relaxed), cached: self.cached.load(Ordering::Relaxed) }
    }
}

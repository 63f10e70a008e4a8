//! What happens while a plan runs, as typed events. Progress displays, plain
//! logs and JSON are consumers; nothing in this crate prints.

use std::time::Duration;

use rbc_ir::NodeId;

/// Where a line of output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Something that happened. Nodes that were pruned have no events at all.
#[derive(Clone, Debug)]
pub enum Event {
    /// A node begins to run.
    Started {
        /// Which.
        node: NodeId,
    },
    /// A node's result was taken from the cache. Comes without `Started`.
    Cached {
        /// Which.
        node: NodeId,
    },
    /// A process wrote something (any bytes, not necessarily whole lines).
    Output {
        /// Which.
        node: NodeId,
        /// Where to.
        stream: Stream,
        /// What.
        data: Vec<u8>,
    },
    /// Bytes were moved (a layer pulled, a context read).
    Transfer {
        /// Which.
        node: NodeId,
        /// What is moved (`sha256:1234…`, `context`).
        what: String,
        /// So far.
        done: u64,
        /// In all, if that is known.
        total: Option<u64>,
    },
    /// A node ended well.
    Finished {
        /// Which.
        node: NodeId,
        /// How long it ran.
        took: Duration,
    },
    /// A node failed; the build's error says why.
    Failed {
        /// Which.
        node: NodeId,
        /// How long it ran.
        took: Duration,
    },
    /// Something that the user should know.
    Warning {
        /// At which node.
        node: Option<NodeId>,
        /// What.
        message: String,
    },
    /// An export step began or ended.
    Export {
        /// What (`exporting layers`, `writing image.tar`).
        what: String,
        /// How long it took; `None` at its beginning.
        took: Option<Duration>,
    },
}

/// Gets events, from any thread. Must be quick: it is called in the way of
/// the work.
pub trait Observer: Sync {
    /// Takes note of an event.
    fn event(&self, event: Event);
}

/// An observer that does nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event) {}
}

//! History entries, worded as BuildKit words them.

use rbc_ir::{History, InstanceHistory, NodeId};

use super::stage::StageRun;

const COMMENT: &str = "buildkit.dockerfile.v0";

impl StageRun<'_, '_> {
    /// An instruction that only changes the configuration.
    pub(super) fn commit_empty(&mut self, created_by: String) {
        self.push(created_by, None);
    }

    /// A WORKDIR: a layer, without the mark of a step.
    pub(super) fn commit_layer(&mut self, created_by: String, node: NodeId) {
        self.push(created_by, Some(node));
    }

    /// A RUN, COPY or ADD (BuildKit: `commitToHistory` with a state).
    pub(super) fn commit_step(&mut self, created_by: &str, node: NodeId) {
        self.push(format!("{created_by} # buildkit"), Some(node));
    }

    fn push(&mut self, created_by: String, node: Option<NodeId>) {
        let entry = History {
            created: None,
            created_by,
            author: String::new(),
            comment: COMMENT.to_owned(),
            empty_layer: node.is_none(),
        };
        self.state.history.push(InstanceHistory { entry, node });
    }
}

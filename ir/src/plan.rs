//! The plan document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Digest, History, ImageConfig, NodeDigest, Op, Platform, canonical};

/// Index of a node in [`Plan::nodes`].
pub type NodeId = usize;
/// Index of an origin in [`Plan::origins`].
pub type OriginId = usize;

/// A build plan. `format_version` is MAJOR.MINOR: a reader ignores unknown
/// fields of a newer minor version and refuses another major version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Always [`Plan::FORMAT`].
    pub format: String,
    /// Always [`Plan::FORMAT_VERSION`] when written.
    pub format_version: String,
    /// Who made the plan.
    pub compiler: Compiler,
    /// Path of the main source.
    pub entry: String,
    /// Files that were compiled.
    #[serde(default)]
    pub sources: Vec<PlanSource>,
    /// Build arguments that were given.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// What must be at hand when the plan runs.
    #[serde(default)]
    pub inputs: PlanInputs,
    /// Operations in topological order.
    pub nodes: Vec<Node>,
    /// What can be built.
    pub targets: Vec<Target>,
    /// Places in the sources.
    #[serde(default)]
    pub origins: Vec<Origin>,
}

/// Who made a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiler {
    /// Program.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A compiled file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSource {
    /// Its index.
    pub id: usize,
    /// Path as given.
    pub path: String,
    /// Digest of its text.
    pub sha256: Digest,
}

/// What a plan needs from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanInputs {
    /// Local contexts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<ContextInput>,
    /// Secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretInput>,
    /// SSH agents, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<SecretInput>,
}

/// A local context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextInput {
    /// Name, as `Op::Local` has it.
    pub id: String,
    /// Directory as given when the plan was made.
    pub path: String,
}

/// A secret or SSH agent that is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretInput {
    /// Name.
    pub id: String,
    /// Some step cannot do without.
    pub required: bool,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its index.
    pub id: NodeId,
    /// Identity.
    pub digest: NodeDigest,
    /// What it does.
    #[serde(flatten)]
    pub op: Op,
    /// Nodes that it reads, all with smaller ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<NodeId>,
    /// How progress shows it (`[builder 2/3] RUN make`).
    pub name: String,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginId>,
}

/// A place in a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Index of the source.
    pub source: usize,
    /// First line and column, both from 1; columns count bytes.
    pub start: (u32, u32),
    /// Line and column one past the end.
    pub end: (u32, u32),
}

/// Something that can be built by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Name of the stage, or `default`.
    pub id: String,
    /// One per platform.
    pub instances: Vec<Instance>,
}

/// A target for one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Platform of the image.
    pub platform: Platform,
    /// Node that yields the root file system.
    pub root: NodeId,
    /// How the image is run.
    pub config: ImageConfig,
    /// Author of the image.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// Steps that made the image, the base's first.
    #[serde(default)]
    pub history: Vec<InstanceHistory>,
    /// Creation time of the base image, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_created: Option<String>,
}

/// A step of the history. Steps of the base image are complete; others take
/// their time from the result of `node`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceHistory {
    /// The entry; `created` is set for steps of the base.
    #[serde(flatten)]
    pub entry: History,
    /// The node whose layer this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
}

impl Plan {
    /// Value of `format`.
    pub const FORMAT: &'static str = "rbc.plan";
    /// Value of `format_version`.
    pub const FORMAT_VERSION: &'static str = "1.0";

    /// Returns a plan without nodes.
    pub fn new(compiler: Compiler, entry: String) -> Self {
        Self {
            format: Self::FORMAT.to_owned(),
            format_version: Self::FORMAT_VERSION.to_owned(),
            compiler,
            entry,
            sources: Vec::new(),
            params: BTreeMap::new(),
            inputs: PlanInputs::default(),
            nodes: Vec::new(),
            targets: Vec::new(),
            origins: Vec::new(),
        }
    }

    /// Adds a node, or returns the one with the same digest: equal operations
    /// on equal inputs are one node (the first one's name and origin stay).
    /// `inputs` must be ids of this plan.
    pub fn add(&mut self, op: Op, inputs: Vec<NodeId>, name: String, origin: Option<OriginId>) -> NodeId {
        let digest = self.digest_of(&op, &inputs);
        if let Some(known) = self.nodes.iter().find(|n| n.digest == digest) {
            return known.id;
        }
        let id = self.nodes.len();
        self.nodes.push(Node { id, digest, op, inputs, name, origin });
        id
    }

    /// Computes the digest that a node of this plan has.
    pub(crate) fn digest_of(&self, op: &Op, inputs: &[NodeId]) -> NodeDigest {
        let inputs: Vec<NodeDigest> = inputs.iter().filter_map(|&i| self.nodes.get(i)).map(|n| n.digest).collect();
        canonical::node_digest(op, &inputs)
    }

    /// Returns the canonical text: sorted keys, two blanks of indentation,
    /// a final newline. Equal plans have equal texts, so its SHA-256 is a
    /// build id.
    pub fn to_canonical_json(&self) -> String {
        // Plain data with string keys always serialises.
        let value = serde_json::to_value(self).unwrap_or(Value::Null);
        let mut compact = String::new();
        canonical::write_sorted(&value, &mut compact);
        // Going through a sorted compact text keeps one writer in charge of
        // the order; the pretty printer keeps insertion order.
        let sorted: Value = serde_json::from_str(&compact).unwrap_or(Value::Null);
        let mut text = serde_json::to_string_pretty(&sorted).unwrap_or_default();
        text.push('\n');
        text
    }
}

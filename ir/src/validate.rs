//! Reading a plan from outside: everything that later code relies on.

use crate::{ExecMountKind, FileAction, NodeId, Op, Plan};

/// Why a plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Not JSON, or not of the shape.
    #[error("not a plan: {0}")]
    Json(#[from] serde_json::Error),
    /// Some other document.
    #[error("not a plan: `format` is `{0}`, want `{expected}`", expected = Plan::FORMAT)]
    Format(String),
    /// A newer, incompatible plan.
    #[error("the plan's format version is {0}; this program reads 1.x")]
    Version(String),
    /// Ids are not dense or inputs do not point backward.
    #[error("node {0} is out of order or has an input that does not come before it")]
    Order(NodeId),
    /// The stored digest is not that of the operation.
    #[error("the digest of node {0} does not match its operation: the plan was changed by hand or damaged")]
    Digest(NodeId),
    /// An operation names an input that it does not have.
    #[error("node {0} refers to input {1}, but has {2} inputs")]
    Input(NodeId, usize, usize),
    /// A target names a missing node.
    #[error("target `{0}` refers to node {1}, which does not exist")]
    Target(String, NodeId),
    /// No target.
    #[error("the plan has no target")]
    NoTarget,
}

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    ///
    /// If the text is no plan of a known version, or breaks an invariant that
    /// running it relies on.
    pub fn from_json(text: &[u8]) -> Result<Self, PlanError> {
        let plan: Self = serde_json::from_slice(text)?;
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), PlanError> {
        if self.format != Self::FORMAT {
            return Err(PlanError::Format(self.format.clone()));
        }
        if self.format_version.split('.').next() != Some("1") {
            return Err(PlanError::Version(self.format_version.clone()));
        }
        for (i, node) in self.nodes.iter().enumerate() {
            if node.id != i || node.inputs.iter().any(|&input| input >= i) {
                return Err(PlanError::Order(i));
            }
            for used in used_inputs(&node.op) {
                if used >= node.inputs.len() {
                    return Err(PlanError::Input(i, used, node.inputs.len()));
                }
            }
            if self.digest_of(&node.op, &node.inputs) != node.digest {
                return Err(PlanError::Digest(i));
            }
        }
        if self.targets.iter().all(|t| t.instances.is_empty()) {
            return Err(PlanError::NoTarget);
        }
        for target in &self.targets {
            for instance in &target.instances {
                let history = instance.history.iter().filter_map(|h| h.node);
                for id in history.chain([instance.root]) {
                    if id >= self.nodes.len() {
                        return Err(PlanError::Target(target.id.clone(), id));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Indexes of inputs that an operation cannot do without.
fn used_inputs(op: &Op) -> Vec<usize> {
    match op {
        Op::Exec(exec) => {
            let mounts = exec.mounts.iter().filter_map(|m| match &m.kind {
                ExecMountKind::Bind { input, .. } => Some(*input),
                ExecMountKind::Cache { input, .. } => *input,
                _ => None,
            });
            std::iter::once(0).chain(mounts).collect()
        }
        Op::File { actions } => {
            let sources = actions.iter().filter_map(|a| match a {
                FileAction::Copy(copy) => Some(copy.from),
                _ => None,
            });
            std::iter::once(0).chain(sources).collect()
        }
        Op::Diff => vec![0, 1],
        Op::Merge => vec![0],
        Op::Image { .. } | Op::Local { .. } | Op::Git { .. } | Op::Http { .. } | Op::Scratch => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compiler, ImageConfig, Instance, Platform, Target};

    fn plan() -> Plan {
        let compiler = Compiler { name: "rbc".into(), version: "0".into() };
        let mut plan = Plan::new(compiler, "Dockerfile".into());
        let scratch = plan.add(Op::Scratch, vec![], "scratch".into(), None);
        let mkdir = FileAction::Mkdir { path: "/a".into(), mode: 0o755, owner: None, parents: true };
        let root = plan.add(Op::File { actions: vec![mkdir] }, vec![scratch], "WORKDIR /a".into(), None);
        plan.targets.push(Target {
            id: "default".into(),
            instances: vec![Instance {
                platform: Platform::host(),
                root,
                config: ImageConfig::default(),
                author: String::new(),
                history: vec![],
                base_created: None,
            }],
        });
        plan
    }

    #[test]
    fn what_is_written_is_read_back() {
        let plan = plan();
        let text = plan.to_canonical_json();
        let back = Plan::from_json(text.as_bytes()).unwrap();
        assert_eq!(back, plan);
        assert_eq!(back.to_canonical_json(), text);
    }

    #[test]
    fn equal_operations_are_one_node() {
        let mut plan = plan();
        assert_eq!(plan.add(Op::Scratch, vec![], "again".into(), None), 0);
        assert_eq!(plan.nodes.len(), 2);
    }

    #[test]
    fn a_changed_plan_is_refused() {
        let text = plan().to_canonical_json();
        let refused = |from: &str, to: &str| {
            let changed = text.replace(from, to);
            assert_ne!(changed, text, "{from}");
            Plan::from_json(changed.as_bytes()).unwrap_err().to_string()
        };
        assert!(refused("\"/a\"", "\"/b\"").contains("digest of node 1"));
        assert!(refused("\"1.0\"", "\"2.0\"").contains("2.0"));
        assert!(refused("rbc.plan", "other").contains("`other`"));
        assert!(refused("\"root\": 1", "\"root\": 7").contains("node 7"));
    }

    #[test]
    fn how_it_is_run_is_no_part_of_the_digest() {
        let exec = |proxy: &str, ignore_cache| {
            let mut plan = plan();
            let op = crate::ExecOp {
                args: vec!["true".into()],
                env: vec![],
                cwd: "/".into(),
                user: String::new(),
                hostname: String::new(),
                extra_hosts: vec![],
                mounts: vec![],
                network: crate::ExecNetwork::Default,
                security: crate::ExecSecurity::Sandbox,
                ulimits: vec![],
                shm_size: 0,
                proxy_env: vec![proxy.to_owned()],
                ignore_cache,
            };
            let id = plan.add(Op::Exec(Box::new(op)), vec![0], "RUN true".into(), None);
            plan.nodes[id].digest
        };
        assert_eq!(exec("http_proxy=a", false), exec("http_proxy=b", true));
    }
}

//! ENV and ARG.

use super::stage::StageRun;
use crate::hir::{Insn, Pair};

/// ARGs that never become variables (BuildKit: `nonEnvArgs`).
const NOT_ENV: &[&str] = &["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

impl StageRun<'_, '_> {
    /// All pairs are expanded with the environment before the instruction.
    pub(super) fn pairs(&mut self, insn: &Insn, pairs: &[Pair]) -> Vec<(String, String)> {
        let mut expanded = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let Some(key) = self.expand(insn, &pair.key) else { continue };
            let value = match &pair.value {
                Some(value) => self.expand(insn, value),
                None => Some(String::new()),
            };
            if let Some(value) = value {
                expanded.push((key, value));
            }
        }
        expanded
    }

    pub(super) fn env(&mut self, insn: &Insn, pairs: &[Pair]) {
        let mut text = String::from("ENV");
        for (key, value) in self.pairs(insn, pairs) {
            text.push_str(&format!(" {key}={value}"));
            self.state.set_env(&key, &value);
            self.state.set_config_env(&key, &value);
        }
        self.commit_empty(text);
    }

    /// Each ARG of a line sees those before it, unlike ENV.
    pub(super) fn arg(&mut self, insn: &Insn, pairs: &[Pair]) {
        let mut text = String::from("ARG");
        for pair in pairs {
            let Some(key) = self.expand(insn, &pair.key) else { continue };
            let default = match &pair.value {
                Some(value) => self.expand(insn, value),
                None => None,
            };
            let given = self.run.build_args.get(&key).cloned();
            let global = || self.run.outline.globals.get(&key).cloned();
            // A global value counts only without a default of one's own.
            let value = match (given, pair.value.is_some()) {
                (Some(given), _) => Some(given),
                (None, true) => default,
                (None, false) => global(),
            };
            text.push_str(&format!(" {key}"));
            if let Some(value) = &value {
                text.push_str(&format!("={value}"));
                if !NOT_ENV.contains(&key.as_str()) {
                    self.state.set_env(&key, value);
                }
            }
            self.state.args.push((key, value));
        }
        self.commit_empty(text);
    }
}

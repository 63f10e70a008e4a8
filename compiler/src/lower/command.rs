//! CMD, ENTRYPOINT, SHELL.

use super::stage::StageRun;
use crate::go;
use crate::hir::Command;

const DEFAULT_SHELL: &[&str] = &["/bin/sh", "-c"];

impl StageRun<'_, '_> {
    /// A text for the shell, as arguments.
    pub(super) fn with_shell(&self, text: &str) -> Vec<String> {
        let mut args = match &self.state.config.shell {
            Some(shell) if !shell.is_empty() => shell.clone(),
            _ => DEFAULT_SHELL.iter().map(|&s| s.to_owned()).collect(),
        };
        args.push(text.to_owned());
        args
    }

    fn args(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Json(words) => words.clone(),
            Command::Shell(text) => self.with_shell(&text.text),
        }
    }

    pub(super) fn cmd(&mut self, command: &Command) {
        let args = self.args(command);
        self.commit_empty(format!("CMD {}", go::quote_list(&args)));
        self.state.config.cmd = Some(args);
        self.state.config.args_escaped = true;
        self.state.cmd_set = true;
    }

    /// Clears a CMD that comes from the base: it was meant for the base's
    /// ENTRYPOINT.
    pub(super) fn entrypoint(&mut self, command: &Command) {
        let args = self.args(command);
        self.commit_empty(format!("ENTRYPOINT {}", go::quote_list(&args)));
        self.state.config.entrypoint = Some(args);
        if !self.state.cmd_set {
            self.state.config.cmd = None;
        }
    }

    pub(super) fn shell(&mut self, words: &[String]) {
        self.commit_empty(format!("SHELL [{}]", words.join(" ")));
        self.state.config.shell = Some(words.to_vec());
    }
}

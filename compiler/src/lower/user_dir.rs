//! USER and WORKDIR.

use rbc_ir::{FileAction, Owner};

use super::stage::StageRun;
use crate::go;
use crate::hir::{Insn, Word};

impl StageRun<'_, '_> {
    pub(super) fn user(&mut self, insn: &Insn, word: &Word) {
        let Some(user) = self.expand(insn, word) else { return };
        self.commit_empty(format!("USER {user}"));
        self.state.config.user = user;
    }

    /// Makes the directory, owned by the current user, unless it is there. A
    /// layer, even if it is empty; only `/` makes none.
    pub(super) fn workdir(&mut self, insn: &Insn, word: &Word) {
        let Some(path) = self.expand(insn, word) else { return };
        let dir = self.below_cwd(&path);
        let name = self.step_name(&insn.display);
        self.state.config.working_dir.clone_from(&dir);
        self.state.cwd.clone_from(&dir);
        let created_by = format!("WORKDIR {dir}");
        if dir == "/" {
            return self.commit_empty(created_by);
        }
        let user = &self.state.config.user;
        let owner = (!user.is_empty()).then(|| Owner(user.clone()));
        let root = self.root(insn);
        let mkdir = FileAction::Mkdir { path: dir, mode: 0o755, owner, parents: true };
        let node = self.run.file(vec![mkdir], vec![root], name, insn.id);
        self.state.root = Some(node);
        self.commit_layer(created_by, node);
    }

    /// A clean absolute path; a relative one starts at the working directory.
    pub(super) fn below_cwd(&self, path: &str) -> String {
        match path.starts_with('/') {
            true => go::clean(path),
            false => go::join(&self.state.cwd, path),
        }
    }
}

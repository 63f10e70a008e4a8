//! `RUN --mount`: from what is written to what is mounted.

use rbc_ir::{CacheSharing, ExecMount, ExecMountKind, NodeId};

use super::run::input_of;
use super::stage::StageRun;
use crate::codes;
use crate::diagnostic::Problem;
use crate::expand;
use crate::flags::Flags;
use crate::go;
use crate::hir::{Insn, Word};
use crate::mount::{self, Mount, MountError, MountType};
use crate::stages::mount_problem;

impl StageRun<'_, '_> {
    /// Adds the mounts of a RUN; returns where the first ssh socket is.
    pub(super) fn mounts(
        &mut self,
        insn: &Insn,
        flags: &Flags,
        inputs: &mut Vec<NodeId>,
        mounts: &mut Vec<ExecMount>,
    ) -> Option<String> {
        let mut sockets = Vec::new();
        for word in flags.all("mount") {
            let Some(mount) = self.read_mount(insn, word) else { continue };
            let made = match mount.kind {
                MountType::Bind => self.bind(insn, word, &mount, inputs),
                MountType::Cache => self.cache(insn, word, &mount, inputs),
                MountType::Tmpfs => self
                    .target(insn, word, &mount.target)
                    .map(|target| ExecMount { target, kind: ExecMountKind::Tmpfs { size: mount.size } }),
                MountType::Secret => Some(self.secret(&mount)),
                MountType::Ssh => {
                    let made = self.ssh(&mount, sockets.len());
                    sockets.push(made.target.clone());
                    Some(made)
                }
            };
            mounts.extend(made);
        }
        sockets.into_iter().next()
    }

    fn read_mount(&mut self, insn: &Insn, word: &Word) -> Option<Mount> {
        let escape = self.escape();
        let env = &self.state.env;
        let read = mount::parse(&word.text, &mut |value| match expand::word(value, escape, env) {
            Ok(expanded) => Ok(expanded.text),
            Err(e) => Err(MountError {
                message: format!("failed to process `{value}`: {e}"),
                help: None,
                variable: false,
                range: None,
            }),
        });
        match read {
            Ok(mount) => Some(mount),
            Err(e) => {
                // Told by `stages::check` unless a variable is in play.
                if word.text.contains('$') || insn.trigger {
                    self.run.tell(mount_problem(insn, word, e));
                }
                None
            }
        }
    }

    fn target(&mut self, insn: &Insn, word: &Word, target: &str) -> Option<String> {
        let target = self.below_cwd(target);
        if target == "/" {
            let problem = Problem::new(codes::MOUNT, "--mount: invalid mount target \"/\"")
                .at(insn.place(word.slot))
                .help("mount below the root: `target=/src`");
            self.run.tell(problem);
            return None;
        }
        Some(target)
    }

    /// The node that `from=` names; without it, the build context.
    fn mount_source(&mut self, insn: &Insn, word: &Word, from: Option<&str>) -> Option<NodeId> {
        match from.filter(|f| !f.is_empty()) {
            Some(from) => self.node_named(insn, from, insn.place(word.slot), false),
            None => self.run.main_node(insn.id, insn.place(word.slot)),
        }
    }

    fn bind(&mut self, insn: &Insn, word: &Word, mount: &Mount, inputs: &mut Vec<NodeId>) -> Option<ExecMount> {
        let target = self.target(insn, word, &mount.target)?;
        let node = self.mount_source(insn, word, mount.from.as_deref())?;
        let input = input_of(inputs, node);
        let source = go::join("/", &mount.source);
        Some(ExecMount { target, kind: ExecMountKind::Bind { input, source, rw: !mount.read_only } })
    }

    fn cache(&mut self, insn: &Insn, word: &Word, mount: &Mount, inputs: &mut Vec<NodeId>) -> Option<ExecMount> {
        let target = self.target(insn, word, &mount.target)?;
        let source = match mount.source.as_str() {
            "" => String::new(),
            source => go::join("/", source),
        };
        let whole = matches!(source.as_str(), "" | "/");
        let attributes = mount.mode.is_some() || mount.uid.is_some() || mount.gid.is_some();
        let input = match &mount.from {
            Some(from) => {
                let node = self.mount_source(insn, word, Some(from))?;
                // BuildKit mounts a new directory in `from` then, which has
                // mode and owner (`setCacheUIDGID`).
                if whole && attributes { None } else { Some(input_of(inputs, node)) }
            }
            None => None,
        };
        // What a path in the cache belongs to is not changed.
        let attributes = |value: Option<u32>, usual| value.filter(|_| whole).unwrap_or(usual);
        // A target as written is the id, so relative ones are shared between
        // working directories, as in BuildKit.
        let id = if mount.id.is_empty() { go::clean(&mount.target) } else { mount.id.clone() };
        let id = match self.run.build_args.get("BUILDKIT_CACHE_MOUNT_NS").filter(|ns| !ns.is_empty()) {
            Some(namespace) => go::join(namespace, &id),
            None => id,
        };
        let kind = ExecMountKind::Cache {
            id,
            sharing: mount.sharing.unwrap_or(CacheSharing::Shared),
            input,
            source,
            mode: attributes(mount.mode, 0o755),
            uid: attributes(mount.uid, 0),
            gid: attributes(mount.gid, 0),
            ro: mount.read_only,
        };
        Some(ExecMount { target, kind })
    }

    fn secret(&mut self, mount: &Mount) -> ExecMount {
        let named = [&mount.id, &mount.source].into_iter().find(|id| !id.is_empty());
        let id = match named {
            Some(id) => id.clone(),
            None => go::base(&mount.target).to_owned(),
        };
        // A variable alone needs no file.
        let file = mount.env.is_none() || !mount.target.is_empty();
        let target = match mount.target.as_str() {
            "" => format!("/run/secrets/{}", go::base(&id)),
            // Below the root, not the working directory.
            target => go::join("/", target),
        };
        *self.run.secrets.entry(id.clone()).or_default() |= mount.required;
        let kind = ExecMountKind::Secret {
            id,
            file,
            env: mount.env.clone(),
            required: mount.required,
            mode: mount.mode.unwrap_or(0o400),
            uid: mount.uid.unwrap_or(0),
            gid: mount.gid.unwrap_or(0),
        };
        ExecMount { target, kind }
    }

    fn ssh(&mut self, mount: &Mount, number: usize) -> ExecMount {
        let id = if mount.id.is_empty() { "default".to_owned() } else { mount.id.clone() };
        let target = match mount.target.as_str() {
            "" => format!("/run/buildkit/ssh_agent.{number}"),
            target => go::join("/", target),
        };
        *self.run.ssh.entry(id.clone()).or_default() |= mount.required;
        let kind = ExecMountKind::Ssh {
            id,
            required: mount.required,
            mode: mount.mode.unwrap_or(0o600),
            uid: mount.uid.unwrap_or(0),
            gid: mount.gid.unwrap_or(0),
        };
        ExecMount { target, kind }
    }
}

//! RUN.

use rbc_ir::{Chmod, ExecMount, ExecMountKind, ExecNetwork, ExecOp, ExecSecurity, FileAction, NodeId, Op};

use super::stage::StageRun;
use crate::codes;
use crate::diagnostic::Problem;
use crate::expand;
use crate::flags::Flags;
use crate::hir::{Command, Insn};

/// Variables that reach RUN without ARG and leave no trace (BuildKit:
/// `proxyEnvFromBuildArgs`).
const PROXY: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// Where a script with an interpreter of its own is mounted.
const PIPES: &str = "/dev/pipes";

impl StageRun<'_, '_> {
    pub(super) fn run_command(&mut self, insn: &Insn, flags: &Flags, command: &Command) {
        let root = self.root(insn);
        let mut inputs = vec![root];
        let mut mounts = Vec::new();
        let args = match command {
            Command::Json(words) => words.clone(),
            Command::Shell(text) => self.shell_args(insn, &text.text, &mut inputs, &mut mounts),
        };
        if args.is_empty() {
            let problem = Problem::new(codes::EMPTY_ARGUMENT, "RUN has an empty list of arguments").at(insn.whole());
            return self.run.tell(problem);
        }
        let ssh = self.mounts(insn, flags, &mut inputs, &mut mounts);
        let mut env: Vec<String> = self.state.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
        if let Some(socket) = ssh.filter(|_| !self.state.env.contains_key("SSH_AUTH_SOCK")) {
            env.push(format!("SSH_AUTH_SOCK={socket}"));
        }
        let network = match flags.word("network").map(|w| w.text.as_str()) {
            Some("none") => ExecNetwork::None,
            Some("host") => ExecNetwork::Host,
            _ => self.run.options.network,
        };
        let security = match flags.word("security").map(|w| w.text.as_str()) {
            Some("insecure") => ExecSecurity::Insecure,
            _ => ExecSecurity::Sandbox,
        };
        let options = self.run.options;
        let hostname = self.run.build_args.get("BUILDKIT_SANDBOX_HOSTNAME").unwrap_or(&options.hostname).clone();
        let created_by = format!("RUN {}", self.run_text(&args));
        let op = ExecOp {
            args,
            env,
            cwd: self.state.cwd.clone(),
            user: self.state.config.user.clone(),
            hostname,
            extra_hosts: options.add_hosts.clone(),
            mounts,
            network,
            security,
            ulimits: options.ulimits.clone(),
            shm_size: options.shm_size,
            proxy_env: self.proxy_env(),
            ignore_cache: self.ignore_cache(),
        };
        let name = self.step_name(&insn.display);
        let node = self.run.node(Op::Exec(Box::new(op)), inputs, name, insn.id);
        self.state.root = Some(node);
        self.commit_step(&created_by, node);
    }

    /// Shell form and heredocs (BuildKit: `dispatchRun`).
    fn shell_args(
        &mut self,
        insn: &Insn,
        text: &str,
        inputs: &mut Vec<NodeId>,
        mounts: &mut Vec<ExecMount>,
    ) -> Vec<String> {
        let [doc] = insn.heredocs.as_slice() else {
            return self.with_shell(&with_heredocs(insn, text));
        };
        if !is_one_heredoc(text) {
            return self.with_shell(&with_heredocs(insn, text));
        }
        if !doc.body.text.starts_with("#!") {
            return self.with_shell(&doc.body.text);
        }
        let path = format!("/{}", doc.name);
        let scratch = self.run.scratch(insn.id);
        let write = FileAction::Write {
            path: path.clone(),
            name: doc.name.clone(),
            data: doc.body.text.clone(),
            mode: Chmod::Octal(0o755),
            owner: None,
        };
        let script =
            self.run.file(vec![write], vec![scratch], format!("preparing inline script {}", doc.name), insn.id);
        let input = input_of(inputs, script);
        let kind = ExecMountKind::Bind { input, source: "/".to_owned(), rw: false };
        mounts.push(ExecMount { target: PIPES.to_owned(), kind });
        self.with_shell(&format!("{PIPES}{path}"))
    }

    /// What history shows: ARGs in front.
    fn run_text(&self, args: &[String]) -> String {
        let mut shown: Vec<(&str, String)> = Vec::new();
        for (name, value) in &self.state.args {
            let value = self.state.env.get(name).or(value.as_ref()).cloned().unwrap_or_default();
            match shown.iter_mut().find(|(n, _)| n == name) {
                Some((_, known)) => *known = value,
                None => shown.push((name, value)),
            }
        }
        let mut words: Vec<String> = Vec::with_capacity(shown.len() + args.len() + 1);
        if !shown.is_empty() {
            words.push(format!("|{}", shown.len()));
            words.extend(shown.into_iter().map(|(k, v)| format!("{k}={v}")));
        }
        words.extend(args.iter().cloned());
        words.join(" ")
    }

    fn proxy_env(&self) -> Vec<String> {
        let is_proxy = |name: &str| PROXY.iter().any(|p| *p == name || p.to_lowercase() == name);
        let given = self.run.build_args.iter().filter(|(name, _)| is_proxy(name));
        given.map(|(name, value)| format!("{name}={value}")).collect()
    }
}

/// Returns the index of a node among the inputs, adding it if need be.
pub(super) fn input_of(inputs: &mut Vec<NodeId>, node: NodeId) -> usize {
    match inputs.iter().skip(1).position(|&i| i == node) {
        Some(i) => i + 1,
        None => {
            inputs.push(node);
            inputs.len() - 1
        }
    }
}

/// The command and its heredocs put together again for the shell.
fn with_heredocs(insn: &Insn, text: &str) -> String {
    let mut full = text.to_owned();
    for doc in &insn.heredocs {
        full.push('\n');
        full.push_str(&doc.body.text);
        full.push_str(&doc.name);
    }
    full
}

/// True if the whole text is one heredoc word (BuildKit: `ParseHeredoc`).
fn is_one_heredoc(text: &str) -> bool {
    let rest = text.trim().trim_start_matches(|c: char| c.is_ascii_digit());
    let Some(rest) = rest.strip_prefix("<<") else { return false };
    let rest = rest.strip_prefix('-').unwrap_or(rest);
    let nothing = |_: &str| None;
    !rest.contains('<') && expand::words(rest, '\\', &nothing).is_ok_and(|words| words.len() == 1)
}

#[cfg(test)]
mod tests {
    use super::is_one_heredoc;

    #[test]
    fn heredoc_words() {
        for yes in ["<<EOF", " <<-EOF", "3<<'E F'", "<<\"x\""] {
            assert!(is_one_heredoc(yes), "{yes}");
        }
        for no in ["<<EOF > /x", "cat <<EOF", "<<A <<B", "echo", "<<"] {
            assert!(!is_one_heredoc(no), "{no}");
        }
    }
}

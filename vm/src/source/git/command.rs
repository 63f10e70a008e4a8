//! Running the `git` program, with nothing of its surroundings that could change
//! what a build gets or that could ask someone something.
//!
//! The environment is cleared but for what reaches the network; no
//! configuration of user and system, no hooks, templates, filters or prompts;
//! only the protocols http, https, ssh and git. The umask is 022, since modes
//! come from it. The process has a group of its own, killed as one.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{GitError, GitOptions};
use crate::exec::userns::caller_is_root;
use crate::source::transport::cancel::Cancel;

/// What of the environment git gets: to be found, to reach the network, and to
/// trust a company's certificates.
const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
];

const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.autocrlf", "false"),
    ("core.symlinks", "true"),
    ("core.fileMode", "true"),
    ("core.fsmonitor", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("advice.detachedHead", "false"),
    ("init.defaultBranch", "main"),
    ("init.templateDir", ""),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("protocol.http.allow", "always"),
    ("protocol.https.allow", "always"),
    ("protocol.ssh.allow", "always"),
    ("protocol.git.allow", "always"),
    // A repository found by a build is not this user's own.
    ("safe.directory", "*"),
];

/// A git program with its surroundings.
pub(crate) struct Git<'a> {
    pub(crate) options: &'a GitOptions,
    pub(crate) cancel: &'a Cancel,
    /// The server that the authorization is for: scheme, host and port.
    pub(crate) origin: Option<String>,
    /// The address in messages.
    pub(crate) shown: String,
}

impl Git<'_> {
    /// Runs git in `folder` and returns what it prints.
    pub(crate) fn run<I>(&self, folder: &Path, arguments: I) -> Result<Vec<u8>, GitError>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.cancel.check().map_err(|_| GitError::Cancelled)?;
        let arguments: Vec<OsString> = arguments.into_iter().map(|a| a.as_ref().to_owned()).collect();
        // Setting the umask between fork and exec needs unsafe code; git needs a
        // shell anyhow.
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "umask 022; exec git \"$@\"", "git"])
            .args(&arguments)
            .current_dir(folder)
            .env_clear()
            .envs(PASSED.iter().filter_map(|n| Some((n, std::env::var_os(n)?))))
            .envs(self.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let start = |source| GitError::Start { url: self.shown.clone(), source };
        let mut child = command.spawn().map_err(start)?;
        let out = collect(child.stdout.take());
        let err = collect(child.stderr.take());
        let status = self.wait(&mut child)?;
        let out = out.join().unwrap_or_default();
        let err = err.join().unwrap_or_default();
        if status.success() {
            return Ok(out);
        }
        if status.code() == Some(127) {
            return Err(start(io::Error::new(io::ErrorKind::NotFound, "there is no program \"git\": install it")));
        }
        Err(GitError::Failed {
            url: self.shown.clone(),
            action: arguments.first().map(|a| a.to_string_lossy().into_owned()).unwrap_or_default(),
            output: Self::redact(String::from_utf8_lossy(&err).trim()),
        })
    }

    /// Configuration goes through the environment, where other users of the
    /// machine cannot read the authorization as they can in arguments.
    fn environment(&self) -> Vec<(OsString, OsString)> {
        let mut settings: Vec<(String, String)> =
            SETTINGS.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        if let (Some(origin), Some(header)) = (&self.origin, &self.options.authorization) {
            let value = format!("Authorization: {header}");
            settings.push((format!("http.{origin}/.extraheader"), value));
        }
        let mut out: Vec<(OsString, OsString)> = [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", "true"),
            ("SSH_ASKPASS_REQUIRE", "never"),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
            ("LC_ALL", "C"),
        ]
        .iter()
        .map(|(k, v)| (k.into(), v.into()))
        .collect();
        let mut ssh = "ssh -o BatchMode=yes".to_owned();
        ssh.push_str(&ssh_files_of_home());
        if let Some(hosts) = &self.options.known_hosts {
            let quoted = hosts.display().to_string().replace('\'', "'\\''");
            ssh.push_str(&format!(" -o UserKnownHostsFile='{quoted}' -o StrictHostKeyChecking=yes"));
        }
        out.push(("GIT_SSH_COMMAND".into(), ssh.into()));
        if let Some(socket) = &self.options.ssh_auth_sock {
            out.push(("SSH_AUTH_SOCK".into(), socket.into()));
        }
        out.push(("GIT_CONFIG_COUNT".into(), settings.len().to_string().into()));
        for (number, (key, value)) in settings.into_iter().enumerate() {
            out.push((format!("GIT_CONFIG_KEY_{number}").into(), key.into()));
            out.push((format!("GIT_CONFIG_VALUE_{number}").into(), value.into()));
        }
        out
    }

    fn wait(&self, child: &mut Child) -> Result<std::process::ExitStatus, GitError> {
        let mut pause = Duration::from_micros(500);
        loop {
            let failed = |source| GitError::Start { url: self.shown.clone(), source };
            if let Some(status) = child.try_wait().map_err(failed)? {
                return Ok(status);
            }
            if self.cancel.sleep(pause).is_err() {
                let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
                if let Some(group) = group {
                    // It may be gone already, which is as well.
                    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
                }
                let _ = child.wait();
                return Err(GitError::Cancelled);
            }
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// git repeats the address in its messages, with the password.
    fn redact(text: &str) -> String {
        let mut out = String::new();
        for word in text.split_inclusive(char::is_whitespace) {
            match (word.find("://"), word.rfind('@')) {
                (Some(start), Some(end)) if start < end => {
                    out.push_str(word.get(..start + 3).unwrap_or_default());
                    out.push_str(word.get(end + 1..).unwrap_or_default());
                }
                _ => out.push_str(word),
            }
        }
        out
    }
}

/// ssh looks for its files in the home that passwd gives the effective user,
/// whatever HOME says. For an ordinary user that is root here, in a namespace
/// of its own, whose files it may not read.
fn ssh_files_of_home() -> String {
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from).filter(|h| h.is_absolute());
    let Some(home) = home.filter(|_| rustix::process::geteuid().is_root() && !caller_is_root()) else {
        return String::new();
    };
    let ssh = home.join(".ssh");
    // For the shell that git hands the command to; and within, for ssh, which
    // splits at blanks and knows `%` and double quotes.
    let file = |name: &str| ssh.join(name).display().to_string().replace('%', "%%").replace('\'', "'\\''");
    let mut options = format!(" -o UserKnownHostsFile='\"{}\"'", file("known_hosts"));
    if ssh.join("config").exists() {
        options.push_str(&format!(" -F '{}'", ssh.join("config").display().to_string().replace('\'', "'\\''")));
    }
    for name in ["id_ed25519", "id_ecdsa", "id_rsa"].iter().filter(|name| ssh.join(name).exists()) {
        options.push_str(&format!(" -o IdentityFile='\"{}\"'", file(name)));
    }
    options
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut out = Vec::new();
        if let Some(mut pipe) = pipe {
            // A broken pipe ends the output; the exit status tells the rest.
            let _ = pipe.read_to_end(&mut out);
        }
        out
    })
}

//! Git repositories, for `ADD <repository>` and remote contexts: a reference is
//! first resolved to a commit, which is the key, and a commit is checked out.
//!
//! The system's `git` does the work, as in BuildKit: it knows every protocol,
//! partial clones and both object formats. Only what is needed is fetched: the
//! one commit where the server allows that, else the reference, else everything.
//!
//! Large-file storage is not followed, and nothing of a repository is executed.

mod command;
mod url;

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use self::url::{GitTime, GitUrl, GitUrlError};

use self::command::Git;
use self::url::is_commit;
use super::transport::cancel::Cancel;
use super::transport::redirect::HttpUrl;

/// What reaching a repository needs.
#[derive(Clone, Debug, Default)]
pub struct GitOptions {
    /// The `Authorization` header for http and https.
    pub authorization: Option<String>,
    /// The socket of an SSH agent.
    pub ssh_auth_sock: Option<PathBuf>,
    /// The host keys to accept; the user's own if `None`.
    pub known_hosts: Option<PathBuf>,
}

impl GitOptions {
    /// Uses a token (the secret `GIT_AUTH_TOKEN`) as forges want it, as the
    /// password of `x-access-token`.
    pub fn with_token(mut self, token: &str) -> Self {
        let pair = STANDARD.encode(format!("x-access-token:{token}"));
        self.authorization = Some(format!("basic {pair}"));
        self
    }
}

/// A checkout that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitCheckout {
    /// The directory that was asked for, within the repository.
    pub root: PathBuf,
    /// The commit's time, in seconds since 1970.
    pub commit_time: u64,
}

/// Says why a repository could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// git cannot be run.
    #[error("{url}: cannot run git: {source}")]
    Start {
        /// The repository, without user and password.
        url: String,
        /// The reason.
        source: io::Error,
    },
    /// git failed.
    #[error("{url}: git {action} failed: {output}")]
    Failed {
        /// The repository, without user and password.
        url: String,
        /// git's sub-command.
        action: String,
        /// What git said.
        output: String,
    },
    /// The repository has no such branch or tag.
    #[error("{url}: repository does not contain ref {reference}")]
    NoReference {
        /// The repository, without user and password.
        url: String,
        /// The reference.
        reference: String,
    },
    /// The reference leads to another commit than the one asked for.
    #[error("{url}: expected checksum to match {expected}, got {actual}")]
    WrongCommit {
        /// The repository, without user and password.
        url: String,
        /// The commit or its beginning.
        expected: String,
        /// The commit found.
        actual: String,
    },
    /// The commit does not have the directory.
    #[error("{url}: {subdir:?} is not a directory of the repository")]
    NoSubdir {
        /// The repository, without user and password.
        url: String,
        /// The directory.
        subdir: String,
    },
    /// A file of the checkout cannot be handled.
    #[error("cannot {operation} {path:?}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The build was interrupted.
    #[error("interrupted")]
    Cancelled,
}

impl GitError {
    /// Says whether the environment is at fault (exit code 3), not the build.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Start { .. } | Self::Io { .. } => true,
            // git has one exit status for all; these are the texts of libcurl and
            // ssh for an unreachable host.
            Self::Failed { output, .. } => [
                "Could not resolve host",
                "Failed to connect",
                "Couldn't connect",
                "Connection refused",
                "Connection timed out",
            ]
            .iter()
            .any(|text| output.contains(text)),
            _ => false,
        }
    }
}

/// Fetches repositories.
#[derive(Clone, Debug, Default)]
pub struct GitClient {
    options: GitOptions,
    cancel: Cancel,
}

impl GitClient {
    /// Makes a client; `cancel` set stops it.
    pub fn new(options: GitOptions, cancel: Arc<AtomicBool>) -> Self {
        Self { options, cancel: Cancel::new(cancel) }
    }

    /// Finds the commit that an address means now. Asks the server unless the
    /// address names a whole commit.
    pub fn resolve(&self, url: &GitUrl) -> Result<String, GitError> {
        let reference = match (&url.reference, &url.commit) {
            (None, Some(commit)) if is_commit(commit) => return Ok(commit.clone()),
            (Some(reference), _) => Some(reference.as_str()),
            (None, _) => None,
        };
        let commit = match reference {
            Some(commit) if is_commit(commit) => commit.to_owned(),
            reference => self.remote_commit(url, reference)?,
        };
        match &url.commit {
            Some(expected) if !commit.starts_with(expected) => {
                Err(GitError::WrongCommit { url: url.to_string(), expected: expected.clone(), actual: commit })
            }
            _ => Ok(commit),
        }
    }

    fn remote_commit(&self, url: &GitUrl, reference: Option<&str>) -> Result<String, GitError> {
        let git = self.git(url);
        let here = Path::new("/");
        let wanted = reference.unwrap_or("HEAD");
        let peeled = format!("{wanted}^{{}}");
        let out = git.run(here, ["ls-remote", "--", &url.remote, wanted, &peeled])?;
        let text = String::from_utf8_lossy(&out);
        let lines = || text.lines().filter_map(|l| l.split_once('\t'));
        let find = |name: &str| lines().find(|(_, n)| *n == name).map(|(sha, _)| sha);
        let strip = |prefix| wanted.strip_prefix(prefix).unwrap_or(wanted);
        // As git checkout chooses: the full name, then branches, then tags, an
        // annotated one for its commit (BuildKit `source/git/source.go`).
        let full = format!("refs/{}", strip("refs/"));
        let branch = format!("refs/heads/{}", strip("refs/heads/"));
        let tag = format!("refs/tags/{}", strip("refs/tags/"));
        let found = if reference.is_none() {
            find("HEAD")
        } else {
            find(&format!("{full}^{{}}"))
                .or_else(|| find(&full))
                .or_else(|| find(&branch))
                .or_else(|| find(&format!("{tag}^{{}}")))
                .or_else(|| find(&tag))
        };
        match found {
            Some(commit) if is_commit(commit) => Ok(commit.to_owned()),
            _ => Err(GitError::NoReference { url: url.redacted(), reference: wanted.to_owned() }),
        }
    }

    /// Checks a commit out into the empty directory `into`. Without
    /// `keep_git_dir` only the files remain.
    pub fn checkout(
        &self,
        url: &GitUrl,
        commit: &str,
        into: &Path,
        keep_git_dir: bool,
    ) -> Result<GitCheckout, GitError> {
        let git = self.git(url);
        let format = if commit.len() == 64 { "sha256" } else { "sha1" };
        git.run(into, ["init", "--quiet", &format!("--object-format={format}")])?;
        git.run(into, ["remote", "add", "origin", &url.remote])?;
        fetch(&git, url, commit, into)?;
        git.run(into, ["checkout", "--quiet", "--force", commit, "--"])?;
        if url.submodules != Some(false) && into.join(".gitmodules").is_file() {
            let update = ["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"];
            git.run(into, update)?;
        }
        let time = git.run(into, ["show", "--no-patch", "--format=%ct", commit, "--"])?;
        let commit_time = String::from_utf8_lossy(&time).trim().parse().unwrap_or(0);
        if keep_git_dir {
            tidy(&git, url, into)?;
        } else {
            remove_git(into)?;
        }
        if url.mtime == Some(GitTime::Commit) {
            set_times(into, commit_time)?;
        }
        let root = match &url.subdir {
            Some(subdir) => directory(url, into, subdir)?,
            None => into.to_owned(),
        };
        Ok(GitCheckout { root, commit_time })
    }

    fn git(&self, url: &GitUrl) -> Git<'_> {
        let origin = HttpUrl::parse(&url.remote).map(|u| format!("{}://{}", u.scheme, u.authority));
        Git { options: &self.options, cancel: &self.cancel, origin, shown: url.redacted() }
    }
}

/// Gets the commit: alone, through its reference, or among everything.
fn fetch(git: &Git<'_>, url: &GitUrl, commit: &str, into: &Path) -> Result<(), GitError> {
    let base = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
    let get = |more: &[&str]| git.run(into, base.iter().chain(more));
    let has = || {
        let object = format!("{commit}^{{commit}}");
        git.run(into, ["cat-file", "-e", &object]).is_ok()
    };
    let first = get(&["--depth=1", "origin", commit]);
    if first.is_ok() && has() {
        return Ok(());
    }
    if matches!(first, Err(GitError::Cancelled | GitError::Start { .. })) {
        return first.map(drop);
    }
    // Servers may refuse commits that no reference points to, or any by id
    // (`uploadpack.allowReachableSHA1InWant`, `allowAnySHA1InWant`).
    if let Some(reference) = url.reference.as_deref().filter(|r| !is_commit(r))
        && get(&["--depth=1", "origin", reference]).is_ok()
        && has()
    {
        return Ok(());
    }
    get(&["origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"])?;
    if has() {
        return Ok(());
    }
    first?;
    Err(GitError::NoReference { url: url.redacted(), reference: commit.to_owned() })
}

/// Leaves no password and nothing of this moment in a `.git` that is kept.
fn tidy(git: &Git<'_>, url: &GitUrl, into: &Path) -> Result<(), GitError> {
    git.run(into, ["remote", "set-url", "origin", &url.redacted()])?;
    git.run(into, ["reflog", "expire", "--all", "--expire=now"])?;
    for name in ["FETCH_HEAD", "ORIG_HEAD"] {
        let path = into.join(".git").join(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove", path, e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes `.git`, and the files of that name which submodules have.
fn remove_git(into: &Path) -> Result<(), GitError> {
    let path = into.join(".git");
    let modules = path.join("modules").exists();
    fs::remove_dir_all(&path).map_err(|e| io_error("remove", path, e))?;
    if !modules {
        return Ok(());
    }
    visit(into, &mut |path, kind| {
        if kind.is_file() && path.file_name() == Some(OsStr::new(".git")) {
            fs::remove_file(path).map_err(|e| io_error("remove", path.to_owned(), e))?;
        }
        Ok(())
    })
}

fn set_times(into: &Path, seconds: u64) -> Result<(), GitError> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let time = Timespec { tv_sec: i64::try_from(seconds).unwrap_or(0), tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    visit(into, &mut |path, _| {
        utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| io_error("set the time of", path.to_owned(), e.into()))
    })
}

/// Calls `with` for all below a directory and itself, contents before their
/// directory; links are not followed.
fn visit(folder: &Path, with: &mut dyn FnMut(&Path, fs::FileType) -> Result<(), GitError>) -> Result<(), GitError> {
    let unreadable = |e| io_error("read", folder.to_owned(), e);
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            visit(&entry.path(), with)?;
        } else {
            with(&entry.path(), kind)?;
        }
    }
    let kind = fs::symlink_metadata(folder).map_err(unreadable)?.file_type();
    with(folder, kind)
}

/// Finds a directory of the checkout; a link of the repository must not lead out
/// of it, so none is followed.
fn directory(url: &GitUrl, into: &Path, subdir: &str) -> Result<PathBuf, GitError> {
    let mut path = into.to_owned();
    for part in subdir.split('/') {
        path.push(part);
        if !fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir()) || part == ".git" {
            return Err(GitError::NoSubdir { url: url.redacted(), subdir: subdir.to_owned() });
        }
    }
    Ok(path)
}

fn io_error(operation: &'static str, path: PathBuf, source: io::Error) -> GitError {
    GitError::Io { operation, path, source }
}

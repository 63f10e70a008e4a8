//! Addresses of git repositories as BuildKit takes them
//! (`frontend/dockerfile/dfgitutil`, `util/gitutil`):
//!
//! ```text
//! https://host/path.git#ref:subdir        git@host:path.git#ref
//! https://host/path.git?branch=b&subdir=d ssh://…  git://…
//! ```
//!
//! Over http and https only a path that ends in `.git` is a repository; anything
//! else there is a file. `github.com/owner/repo` counts for contexts alone.

use std::fmt;

/// A repository, and what of it is wanted.
#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub struct GitUrl {
    /// What git is given, without query and fragment.
    pub remote: String,
    /// A branch, a tag, a full `refs/…` or a commit; the default branch if `None`.
    pub reference: Option<String>,
    /// The directory within the repository.
    pub subdir: Option<String>,
    /// The commit, or its beginning, that the reference must lead to.
    pub commit: Option<String>,
    /// `keep-git-dir` of the query.
    pub keep_git_dir: Option<bool>,
    /// `submodules` of the query; submodules are fetched unless it is false.
    pub submodules: Option<bool>,
    /// `mtime` of the query.
    pub mtime: Option<GitTime>,
}

/// Which time files get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GitTime {
    /// The time of the checkout.
    Checkout,
    /// The time of the commit.
    Commit,
}

/// Says why an address of a repository is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GitUrlError {
    /// The query has a key that means nothing.
    #[error(
        "{url}: unexpected query {key:?}: there are ref, branch, tag, commit, subdir, keep-git-dir, submodules and mtime"
    )]
    UnknownKey {
        /// The address, without user and password.
        url: String,
        /// The key.
        key: String,
    },
    /// A key of the query has a value that it cannot have.
    #[error("{url}: invalid value {value:?} of query {key:?}")]
    BadValue {
        /// The address, without user and password.
        url: String,
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// Two places of the address say different things.
    #[error("{url}: {what} conflicts: {first:?} and {second:?}")]
    Conflict {
        /// The address, without user and password.
        url: String,
        /// `ref`, `subdir` or `commit`.
        what: &'static str,
        /// What comes first.
        first: String,
        /// What contradicts it.
        second: String,
    },
    /// git would take it for an option, or no reference can be named so.
    #[error("{url}: invalid {what} {value:?}")]
    Invalid {
        /// The address, without user and password.
        url: String,
        /// What it is: `ref`, `host`, `subdir`.
        what: &'static str,
        /// The text.
        value: String,
    },
}

impl GitUrl {
    /// Parses an address; `None` if it is not one of a repository.
    pub fn parse(text: &str) -> Result<Option<Self>, GitUrlError> {
        let Some(parts) = Parts::split(text) else {
            return Ok(None);
        };
        parts.build().map(Some)
    }

    /// Parses an address of a build context, where `github.com/owner/repo` is one.
    pub fn parse_context(text: &str) -> Result<Option<Self>, GitUrlError> {
        if text.starts_with("github.com/") {
            let (rest, fragment) = match text.split_once('#') {
                Some((rest, fragment)) => (rest, Some(fragment)),
                None => (text, None),
            };
            let (rest, query) = match rest.split_once('?') {
                Some((rest, query)) => (rest, Some(query)),
                None => (rest, None),
            };
            let suffix = if rest.ends_with(".git") { "" } else { ".git" };
            let parts = Parts { remote: format!("https://{rest}{suffix}"), host: "github.com", query, fragment };
            return parts.build().map(Some);
        }
        Self::parse(text)
    }

    /// Returns the remote without user and password.
    pub fn redacted(&self) -> String {
        redact(&self.remote)
    }

    /// Returns the name of the repository: the last part of its path, without
    /// `.git`.
    pub fn short_name(&self) -> &str {
        let last = self.remote.rsplit(['/', ':']).next().unwrap_or("");
        last.strip_suffix(".git").unwrap_or(last)
    }
}

impl fmt::Display for GitUrl {
    /// Writes the address without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())?;
        match (&self.reference, &self.subdir) {
            (None, None) => Ok(()),
            (reference, subdir) => {
                write!(f, "#{}", reference.as_deref().unwrap_or(""))?;
                subdir.as_ref().map_or(Ok(()), |s| write!(f, ":{s}"))
            }
        }
    }
}

/// Says whether a text is a whole commit id, of SHA-1 or SHA-256.
pub(crate) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

struct Parts<'a> {
    remote: String,
    host: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Option<Self> {
        let (rest, fragment) = match text.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (text, None),
        };
        let (remote, query) = match rest.split_once('?') {
            Some((remote, query)) => (remote, Some(query)),
            None => (rest, None),
        };
        let host = if let Some((scheme, after)) = remote.split_once("://") {
            let end = after.find('/').unwrap_or(after.len());
            let (authority, path) = after.split_at(end);
            match scheme.to_ascii_lowercase().as_str() {
                "http" | "https" if path.ends_with(".git") => {}
                "ssh" | "git" => {}
                _ => return None,
            }
            authority.rsplit_once('@').map_or(authority, |(_, host)| host)
        } else {
            // scp's form needs a user here, else `C:\x` and `name:tag` were one.
            let (user, after) = remote.split_once('@')?;
            let (host, path) = after.split_once(':')?;
            let word = |t: &str| {
                !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
            };
            if !word(user) || !word(host) || path.is_empty() || user.starts_with('-') {
                return None;
            }
            host
        };
        if host.is_empty() {
            return None;
        }
        Some(Self { remote: remote.to_owned(), host, query, fragment })
    }

    fn build(self) -> Result<GitUrl, GitUrlError> {
        let shown = redact(&self.remote);
        let invalid = |what, value: &str| GitUrlError::Invalid { url: shown.clone(), what, value: value.to_owned() };
        // `ssh://-oProxyCommand=…` (CVE-2017-1000117); git guards itself, too.
        if self.host.starts_with('-') {
            return Err(invalid("host", self.host));
        }
        let mut out = GitUrl {
            remote: self.remote,
            reference: None,
            subdir: None,
            commit: None,
            keep_git_dir: None,
            submodules: None,
            mtime: None,
        };
        let set = |slot: &mut Option<String>, what, value: &str| {
            match slot {
                _ if value.is_empty() => {}
                Some(first) if first != value => {
                    return Err(GitUrlError::Conflict {
                        url: shown.clone(),
                        what,
                        first: first.clone(),
                        second: value.to_owned(),
                    });
                }
                _ => *slot = Some(value.to_owned()),
            }
            Ok(())
        };
        if let Some(fragment) = self.fragment {
            let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
            set(&mut out.reference, "ref", reference)?;
            set(&mut out.subdir, "subdir", subdir)?;
        }
        for pair in self.query.unwrap_or("").split('&').filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = super::super::http::decode(value);
            let value = value.as_str();
            let bad = || GitUrlError::BadValue { url: shown.clone(), key: key.to_owned(), value: value.to_owned() };
            let flag = || match value {
                "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
                _ => Err(bad()),
            };
            match key {
                "ref" | "branch" | "tag" | "subdir" | "commit" | "checksum" | "mtime" if value.is_empty() => {
                    return Err(bad());
                }
                "ref" => set(&mut out.reference, "ref", value)?,
                "branch" => set(&mut out.reference, "ref", &prefixed("refs/heads/", value))?,
                "tag" => set(&mut out.reference, "ref", &prefixed("refs/tags/", value))?,
                "subdir" => set(&mut out.subdir, "subdir", value)?,
                "commit" | "checksum" if !is_hex(value) || value.len() > 64 => return Err(bad()),
                "commit" | "checksum" => set(&mut out.commit, "commit", value)?,
                "keep-git-dir" => out.keep_git_dir = flag()?,
                "submodules" => out.submodules = flag()?,
                // How a commit is fetched is found out, not prescribed.
                "fetch-by-commit" => drop(flag()?),
                "mtime" => {
                    out.mtime = Some(match value {
                        "checkout" => GitTime::Checkout,
                        "commit" => GitTime::Commit,
                        _ => return Err(bad()),
                    });
                }
                _ => {
                    return Err(GitUrlError::UnknownKey { url: shown, key: key.to_owned() });
                }
            }
        }
        if let Some(reference) = out.reference.as_deref().filter(|r| !is_reference(r)) {
            return Err(invalid("ref", reference));
        }
        if let Some(subdir) = out.subdir.take() {
            let parts = subdir.split('/').filter(|p| !p.is_empty() && *p != ".");
            let parts: Vec<_> = parts.collect();
            if parts.contains(&"..") || subdir.contains('\0') {
                return Err(invalid("subdir", &subdir));
            }
            out.subdir = Some(parts.join("/")).filter(|s| !s.is_empty());
        }
        Ok(out)
    }
}

fn prefixed(prefix: &str, name: &str) -> String {
    if name.starts_with(prefix) { name.to_owned() } else { format!("{prefix}{name}") }
}

/// What `git check-ref-format` allows, nearly; above all no option and no
/// revision expression.
fn is_reference(text: &str) -> bool {
    !text.starts_with(['-', '/'])
        && !text.ends_with(['/', '.'])
        && !text.contains("..")
        && !text.contains("@{")
        && !text.bytes().any(|b| b <= b' ' || b == 127 || b"~^:?*[\\".contains(&b))
}

fn redact(remote: &str) -> String {
    match remote.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            match authority.rsplit_once('@') {
                // ssh has keys; its user is part of the address.
                Some((user, host)) if scheme.eq_ignore_ascii_case("ssh") => {
                    let user = user.split(':').next().unwrap_or(user);
                    format!("{scheme}://{user}@{host}{path}")
                }
                Some((_, host)) => format!("{scheme}://{host}{path}"),
                None => remote.to_owned(),
            }
        }
        None => remote.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> GitUrl {
        GitUrl::parse(text).unwrap().expect(text)
    }

    #[test]
    fn repositories_are_told_from_files() {
        for text in [
            "https://h/r.git",
            "http://h:1/a/r.git#x",
            "ssh://git@h:22/r",
            "git://h/r",
            "git@github.com:o/r.git",
            "git@h:r",
        ] {
            assert!(GitUrl::parse(text).unwrap().is_some(), "{text}");
        }
        for text in [
            "https://h/r.tar.gz",
            "https://h/r.git/x",
            "https://h/r#x.git",
            "./x.git",
            "x:y",
            "github.com/o/r",
            "a b@c:d",
            "https:///r.git",
            "file:///r.git",
            "ext::sh -c id",
        ] {
            assert_eq!(GitUrl::parse(text), Ok(None), "{text}");
        }
        let short = GitUrl::parse_context("github.com/o/r#v1").unwrap().unwrap();
        assert_eq!(short.remote, "https://github.com/o/r.git");
        assert_eq!(short.reference.as_deref(), Some("v1"));
    }

    #[test]
    fn fragments_and_queries_say_what_is_wanted() {
        let url = parse("https://h/r.git#v1:a/./b/");
        assert_eq!((url.reference.as_deref(), url.subdir.as_deref()), (Some("v1"), Some("a/b")));
        assert_eq!(url.short_name(), "r");
        let url = parse("https://h/r.git#:sub");
        assert_eq!((url.reference, url.subdir.as_deref()), (None, Some("sub")));
        let url = parse("git@h:o/r.git?branch=b%2Fc&subdir=d&commit=abc&keep-git-dir=1&submodules=false&mtime=commit");
        assert_eq!(url.remote, "git@h:o/r.git");
        assert_eq!(url.reference.as_deref(), Some("refs/heads/b/c"));
        assert_eq!(url.commit.as_deref(), Some("abc"));
        assert_eq!((url.keep_git_dir, url.submodules), (Some(true), Some(false)));
        assert_eq!(url.mtime, Some(GitTime::Commit));
        assert_eq!(parse("https://h/r.git?tag=t").reference.as_deref(), Some("refs/tags/t"));
        assert_eq!(parse("https://h/r.git?ref=x#x").reference.as_deref(), Some("x"));
    }

    #[test]
    fn contradictions_and_nonsense_are_errors() {
        for text in [
            "https://h/r.git?ref=a#b",
            "https://h/r.git?branch=a&tag=a",
            "https://h/r.git?subdir=a#:b",
            "https://h/r.git?reff=a",
            "https://h/r.git?ref=",
            "https://h/r.git?commit=xyz",
            "https://h/r.git?mtime=now",
            "https://h/r.git?keep-git-dir=maybe",
            "https://h/r.git#--upload-pack=x",
            "https://h/r.git#a..b",
            "https://h/r.git#a^{}",
            "https://h/r.git#:../x",
            "ssh://-oProxyCommand=x/r.git",
        ] {
            assert!(GitUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let url = parse("https://me:secret@h/r.git#v1:d");
        assert_eq!(url.to_string(), "https://h/r.git#v1:d");
        assert_eq!(parse("ssh://git:x@h/r").to_string(), "ssh://git@h/r");
        let error = GitUrl::parse("https://me:secret@h/r.git?x").unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(https?://|git@)?[-a-z:/@#?&=%.\\PC]{0,40}") {
            let _ = GitUrl::parse(&text);
        }
    }
}

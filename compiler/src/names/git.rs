//! Git sources: `https://host/x.git#ref:subdir`, `git@host:x`, `ssh://`, `git://`.

/// A git reference.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct GitSource {
    pub(crate) url: String,
    pub(crate) reference: String,
    pub(crate) subdir: String,
    pub(crate) checksum: Option<String>,
    pub(crate) keep_git_dir: Option<bool>,
}

impl GitSource {
    /// Takes apart what is a git reference; `None` for anything else, `Err`
    /// with the reason for one that contradicts itself.
    pub(crate) fn parse(text: &str) -> Option<Result<Self, String>> {
        let (before, fragment) = match text.split_once('#') {
            Some((before, fragment)) => (before, Some(fragment)),
            None => (text, None),
        };
        let (url, query) = match before.split_once('?') {
            Some((url, query)) => (url, Some(query)),
            None => (before, None),
        };
        let http = url.starts_with("http://") || url.starts_with("https://");
        let scp = url.split_once('@').is_some_and(|(user, rest)| {
            !user.is_empty() && !user.contains(['/', ':']) && !url.contains("://") && rest.contains(':')
        });
        let git = match http {
            true => url.ends_with(".git"),
            false => scp || url.starts_with("ssh://") || url.starts_with("git://"),
        };
        git.then(|| Self::with(url, fragment, query))
    }

    /// As [`GitSource::parse`], and `github.com/owner/repository` (contexts only).
    pub(crate) fn parse_context(text: &str) -> Option<Result<Self, String>> {
        if text.starts_with("github.com/") {
            let (url, fragment) = match text.split_once('#') {
                Some((url, fragment)) => (url, Some(fragment)),
                None => (text, None),
            };
            return Some(Self::with(&format!("https://{url}"), fragment, None));
        }
        Self::parse(text)
    }

    fn with(url: &str, fragment: Option<&str>, query: Option<&str>) -> Result<Self, String> {
        let mut source = Self { url: url.to_owned(), ..Self::default() };
        if let Some(fragment) = fragment {
            let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
            reference.clone_into(&mut source.reference);
            subdir.clone_into(&mut source.subdir);
        }
        for part in query.unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let set = |field: &mut String, value: String| {
                if !field.is_empty() && *field != value {
                    return Err(format!("`{key}` conflicts: `{field}` and `{value}`"));
                }
                *field = value;
                Ok(())
            };
            match key {
                "ref" => set(&mut source.reference, value.to_owned())?,
                "branch" => set(&mut source.reference, format!("refs/heads/{value}"))?,
                "tag" => set(&mut source.reference, format!("refs/tags/{value}"))?,
                "subdir" => set(&mut source.subdir, value.to_owned())?,
                "commit" | "checksum" => source.checksum = Some(value.to_owned()),
                "keep-git-dir" => {
                    source.keep_git_dir = Some(match value {
                        "" | "1" | "true" => true,
                        "0" | "false" => false,
                        _ => return Err(format!("`keep-git-dir={value}` is neither true nor false")),
                    });
                }
                _ => return Err(format!("unexpected query `{key}` in a git reference")),
            }
        }
        Ok(source)
    }

    /// The commit, if the reference is a full one.
    pub(crate) fn commit(&self) -> Option<String> {
        let full = |t: &&String| matches!(t.len(), 40 | 64) && t.bytes().all(|b| b.is_ascii_hexdigit());
        [Some(&self.reference), self.checksum.as_ref()].into_iter().flatten().find(full).map(|t| t.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let parse = |t: &str| GitSource::parse(t).map(|r| r.map(|g| (g.url, g.reference, g.subdir)));
        let is = |u: &str, r: &str, s: &str| Some(Ok((u.to_owned(), r.to_owned(), s.to_owned())));
        assert_eq!(parse("https://h/r.git"), is("https://h/r.git", "", ""));
        assert_eq!(parse("http://h:1/r.git#v1:sub/d"), is("http://h:1/r.git", "v1", "sub/d"));
        assert_eq!(parse("git@h:o/r#main"), is("git@h:o/r", "main", ""));
        assert_eq!(parse("https://h/r.git?tag=v1&subdir=s"), is("https://h/r.git", "refs/tags/v1", "s"));
        assert_eq!(parse("https://h/r"), None);
        assert_eq!(parse("dir/file@x"), None);
        assert!(parse("https://h/r.git?ref=a#b").is_some_and(|r| r.is_err()));
        assert!(parse("https://h/r.git?what=a").is_some_and(|r| r.is_err()));
        assert_eq!(
            GitSource::parse_context("github.com/o/r#x").map(|r| r.map(|g| g.url)),
            Some(Ok("https://github.com/o/r".to_owned()))
        );
    }
}

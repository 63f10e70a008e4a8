//! Build contexts: the main one, and those of `--build-context name=value`.

use indexmap::IndexMap;
use rbc_ir::Platform;

use super::{GitSource, ImageName, is_http};

/// What a context is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ContextSource {
    /// An image of a registry.
    Image(String),
    /// `docker-image://scratch`.
    Scratch,
    /// An image of an OCI layout: directory, tag or digest.
    Layout { directory: String, reference: String },
    /// A directory.
    Local(String),
    /// A git repository.
    Git(GitSource),
    /// An archive.
    Http(String),
}

impl ContextSource {
    /// Reads the value of `--build-context name=value`, or the main context.
    pub(crate) fn parse(value: &str) -> Result<Self, String> {
        if let Some(name) = value.strip_prefix("docker-image://") {
            if name == "scratch" {
                return Ok(Self::Scratch);
            }
            let name = ImageName::parse(name).map_err(|e| format!("`{name}`: {e}"))?;
            return Ok(Self::Image(name.to_string()));
        }
        if let Some(rest) = value.strip_prefix("oci-layout://") {
            return Ok(layout(rest));
        }
        if let Some(git) = GitSource::parse_context(value) {
            return git.map(Self::Git);
        }
        if is_http(value) {
            return Ok(Self::Http(value.to_owned()));
        }
        if let Some((scheme, _)) = value.split_once("://")
            && scheme != "local"
            && scheme != "file"
        {
            return Err(format!("`{scheme}://` is not a kind of context"));
        }
        let path = value.strip_prefix("local://").or(value.strip_prefix("file://")).unwrap_or(value);
        Ok(Self::Local(path.to_owned()))
    }
}

/// `directory[:tag][@digest]`
fn layout(text: &str) -> ContextSource {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let (directory, tag) = match rest.rsplit_once(':') {
        Some((directory, tag)) if !tag.contains('/') => (directory, Some(tag)),
        _ => (rest, None),
    };
    let reference = digest.or(tag).unwrap_or_default();
    ContextSource::Layout { directory: directory.to_owned(), reference: reference.to_owned() }
}

/// Named contexts, by what they replace.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct NamedContexts(Vec<Named>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    /// What it replaces, in the normal form.
    key: String,
    /// The only platform it is for.
    platform: Option<String>,
    /// As given.
    name: String,
    source: Result<ContextSource, String>,
}

impl NamedContexts {
    pub(crate) fn new(contexts: &IndexMap<String, String>) -> Self {
        let list = contexts.iter().map(|(name, value)| {
            let (base, platform) = match name.split_once("::") {
                Some((base, platform)) => (base, Some(platform.to_owned())),
                None => (name.as_str(), None),
            };
            Named { key: key(base), platform, name: name.clone(), source: ContextSource::parse(value) }
        });
        Self(list.collect())
    }

    /// Finds what replaces the stage or image `name`: the context's own name
    /// and what it is. One for the platform goes before one for all.
    /// `scratch` and `context` cannot be replaced (BuildKit: `namedContext`).
    pub(crate) fn find(&self, name: &str, platform: &Platform) -> Option<(&str, &Result<ContextSource, String>)> {
        if name == "scratch" || name == "context" {
            return None;
        }
        let key = key(name);
        let text = platform.to_string();
        let of = |want: Option<&str>| self.0.iter().find(|c| c.key == key && c.platform.as_deref() == want);
        of(Some(&text)).or_else(|| of(None)).map(|c| (c.name.as_str(), &c.source))
    }
}

/// Names are compared in their normal form, so that `alpine` is
/// `docker.io/library/alpine:latest`.
fn key(name: &str) -> String {
    match ImageName::parse(name) {
        Ok(image) => image.to_string(),
        Err(_) => name.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let parse = |v: &str| ContextSource::parse(v).unwrap();
        assert_eq!(parse("docker-image://busybox"), ContextSource::Image("docker.io/library/busybox:latest".into()));
        assert_eq!(parse("docker-image://scratch"), ContextSource::Scratch);
        assert_eq!(parse("ctx"), ContextSource::Local("ctx".into()));
        assert_eq!(
            parse("oci-layout://a/lay:v1"),
            ContextSource::Layout { directory: "a/lay".into(), reference: "v1".into() }
        );
        assert!(matches!(parse("https://h/x.git#v1"), ContextSource::Git(_)));
        assert!(matches!(parse("https://h/x.tar"), ContextSource::Http(_)));
        assert!(ContextSource::parse("ftp://x").is_err());
    }

    #[test]
    fn normalised_names() {
        let contexts = NamedContexts::new(&IndexMap::from([
            ("docker.io/library/alpine:latest".to_owned(), "a".to_owned()),
            ("x::linux/arm64".to_owned(), "arm".to_owned()),
            ("x".to_owned(), "any".to_owned()),
        ]));
        let find = |name: &str, p: &str| {
            let platform = Platform::parse(p).unwrap();
            contexts.find(name, &platform).map(|(_, s)| s.clone().unwrap())
        };
        assert_eq!(find("alpine", "linux/amd64"), Some(ContextSource::Local("a".into())));
        assert_eq!(find("x", "linux/arm64"), Some(ContextSource::Local("arm".into())));
        assert_eq!(find("x", "linux/amd64"), Some(ContextSource::Local("any".into())));
        assert_eq!(find("alpine:3", "linux/amd64"), None);
    }
}

//! Image references as docker reads them: `golang:1.21-alpine`,
//! `ghcr.io/o/r@sha256:…`, `localhost:5000/x`.
//!
//! The grammar is that of distribution/reference (`regexp.go`), the short
//! forms are those of its `normalize.go`: no domain means `docker.io`, one
//! path component there means `library/`, no tag and no digest means
//! `latest`. Error texts are docker's, since people search the web for them.

use std::fmt;
use std::str::FromStr;

use super::digest::{BlobDigest, DigestError};

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
const OFFICIAL_PREFIX: &str = "library/";
const DEFAULT_TAG: &str = "latest";
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// A complete image reference: domain, repository, and a tag, a digest or both.
///
/// `Display` writes the canonical form (`docker.io/library/alpine:latest`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageReference {
    domain: String,
    repository: String,
    tag: Option<String>,
    digest: Option<BlobDigest>,
}

/// Says why a text is not an image reference, in docker's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The text does not follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// The text is empty.
    #[error("invalid reference format: repository name must have at least one component")]
    Empty,
    /// The repository holds upper-case letters.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// Domain and repository together are too long.
    #[error("invalid reference format: repository name must not be more than 255 characters")]
    TooLong,
    /// The text looks like an image id, which names nothing in a registry.
    #[error("invalid reference format: invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Identifier(String),
    /// The part after `@` is no digest.
    #[error("invalid reference format: {0}")]
    Digest(DigestError),
}

impl ImageReference {
    /// Parses a familiar or a canonical reference.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ReferenceError::Identifier(text.to_owned()));
        }
        let (domain, rest) = split_domain(text);
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(ReferenceError::Digest)?)),
            None => (rest, None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ReferenceError::Uppercase(path.to_owned()));
        }
        if !is_domain(domain) || !path.split('/').all(is_path_component) {
            return Err(ReferenceError::Format);
        }
        if tag.is_some_and(|t| !is_tag(t)) {
            return Err(ReferenceError::Format);
        }
        let domain = if domain == LEGACY_DEFAULT_DOMAIN { DEFAULT_DOMAIN } else { domain };
        let repository = if domain == DEFAULT_DOMAIN && !path.contains('/') {
            format!("{OFFICIAL_PREFIX}{path}")
        } else {
            path.to_owned()
        };
        if domain.len() + 1 + repository.len() > MAX_NAME {
            return Err(ReferenceError::TooLong);
        }
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (None, Some(_)) => None,
        };
        Ok(Self { domain: domain.to_owned(), repository, tag, digest })
    }

    /// Returns the registry's name, `docker.io` for Docker Hub.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns the path within the registry, `library/alpine`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag, if there is one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest, if the reference is pinned.
    pub fn digest(&self) -> Option<&BlobDigest> {
        self.digest.as_ref()
    }

    /// Returns the reference pinned to `digest`, its tag kept.
    pub fn with_digest(&self, digest: BlobDigest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// Returns domain and repository without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.repository)
    }

    /// Returns the short name that people write, without tag and digest:
    /// `alpine`, `bitnami/redis`, `ghcr.io/o/r`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        match self.repository.strip_prefix(OFFICIAL_PREFIX) {
            Some(short) if !short.contains('/') => short.to_owned(),
            _ => self.repository.clone(),
        }
    }

    /// Returns the short form with tag and digest: `alpine:latest`.
    pub fn familiar(&self) -> String {
        format!("{}{}", self.familiar_name(), self.suffix())
    }

    fn suffix(&self) -> String {
        let mut out = String::new();
        if let Some(tag) = &self.tag {
            out.push(':');
            out.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            out.push('@');
            out.push_str(digest.as_str());
        }
        out
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.domain, self.repository, self.suffix())
    }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

/// The first component is a domain when it cannot be a path component: it has
/// a dot, a port or an upper-case letter, or is `localhost`
/// (`normalize.go`, `splitDockerDomain`).
fn split_domain(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((first, rest))
            if first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_DOMAIN, text),
    }
}

fn is_domain(text: &str) -> bool {
    let (host, port) = if text.starts_with('[') {
        match text.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, rest)) => match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None => return false,
            },
            None => return false,
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if port.is_some_and(|p| p.is_empty() || !p.bytes().all(|b| b.is_ascii_digit())) {
        return false;
    }
    match host.strip_prefix('[') {
        Some(address) => !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        }),
    }
}

/// `[a-z0-9]+` joined by one of `.`, `_`, `__` or any number of `-`.
fn is_path_component(text: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    let mut rest = text.as_bytes();
    loop {
        let run = rest.iter().take_while(|b| alphanumeric(b)).count();
        if run == 0 {
            return false;
        }
        rest = rest.split_at(run).1;
        if rest.is_empty() {
            return true;
        }
        let separator = rest.iter().take_while(|b| !alphanumeric(b)).count();
        let (found, after) = rest.split_at(separator);
        let joins = matches!(found, b"." | b"_" | b"__") || found.iter().all(|b| *b == b'-');
        if !joins {
            return false;
        }
        rest = after;
    }
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn short_names_become_canonical() {
        for (text, canonical, familiar) in [
            ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            ("golang:1.21-alpine", "docker.io/library/golang:1.21-alpine", "golang:1.21-alpine"),
            ("bitnami/redis", "docker.io/bitnami/redis:latest", "bitnami/redis:latest"),
            ("docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            ("index.docker.io/library/a:1", "docker.io/library/a:1", "a:1"),
            ("library/a", "docker.io/library/a:latest", "a:latest"),
            ("localhost/a", "localhost/a:latest", "localhost/a:latest"),
            ("localhost:5000/a:x", "localhost:5000/a:x", "localhost:5000/a:x"),
            ("ghcr.io/o/r/s", "ghcr.io/o/r/s:latest", "ghcr.io/o/r/s:latest"),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            ("UPPER/a", "UPPER/a:latest", "UPPER/a:latest"),
            ("a__b/c-----d/e.f", "docker.io/a__b/c-----d/e.f:latest", "a__b/c-----d/e.f:latest"),
            ("docker.io/library/x/y", "docker.io/library/x/y:latest", "library/x/y:latest"),
        ] {
            let parsed = ImageReference::parse(text).unwrap();
            assert_eq!(parsed.to_string(), canonical, "{text}");
            assert_eq!(parsed.familiar(), familiar, "{text}");
        }
    }

    #[test]
    fn a_digest_keeps_its_tag_and_adds_none() {
        let both = ImageReference::parse(&format!("alpine:3@{DIGEST}")).unwrap();
        assert_eq!(both.to_string(), format!("docker.io/library/alpine:3@{DIGEST}"));
        let pinned = ImageReference::parse(&format!("alpine@{DIGEST}")).unwrap();
        assert_eq!(pinned.tag(), None);
        assert_eq!(pinned.familiar(), format!("alpine@{DIGEST}"));
    }

    #[test]
    fn invalid_references_get_dockers_texts() {
        let long = "a/".repeat(130) + "b";
        let upper = "invalid reference format: repository name (AValid) must be lowercase";
        for (text, message) in [
            ("Not/AValid:Image:Name", upper),
            ("a:b:c", "invalid reference format"),
            ("a//b", "invalid reference format"),
            ("/a", "invalid reference format"),
            ("a/", "invalid reference format"),
            ("a:", "invalid reference format"),
            ("a b", "invalid reference format"),
            ("-a", "invalid reference format"),
            ("a___b", "invalid reference format"),
            ("a._b", "invalid reference format"),
            ("x.y:port/a", "invalid reference format"),
            ("https://x/y", "invalid reference format"),
            ("a@sha256:12", "invalid reference format: invalid checksum digest length"),
            ("", "invalid reference format: repository name must have at least one component"),
            (&long, "invalid reference format: repository name must not be more than 255 characters"),
        ] {
            assert_eq!(ImageReference::parse(text).unwrap_err().to_string(), message, "{text}");
        }
        assert!(matches!(ImageReference::parse(&"a".repeat(64)), Err(ReferenceError::Identifier(_))));
    }

    proptest! {
        #[test]
        fn canonical_and_familiar_forms_parse_to_the_same(
            domain in prop::option::of("[a-z]{1,5}\\.[a-z]{2,3}(:[0-9]{2,4})?"),
            path in "[a-z0-9]{1,6}([._-][a-z0-9]{1,4})?(/[a-z0-9]{1,6}){0,2}",
            tag in prop::option::of("[A-Za-z0-9_][A-Za-z0-9._-]{0,12}"),
            pinned in any::<bool>(),
        ) {
            let mut text = domain.map(|d| d + "/").unwrap_or_default() + &path;
            if let Some(tag) = tag { text = text + ":" + &tag; }
            if pinned { text = text + "@" + DIGEST; }
            let parsed = ImageReference::parse(&text).unwrap();
            prop_assert_eq!(&ImageReference::parse(&parsed.to_string()).unwrap(), &parsed);
            prop_assert_eq!(&ImageReference::parse(&parsed.familiar()).unwrap(), &parsed);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = ImageReference::parse(&text);
        }
    }
}

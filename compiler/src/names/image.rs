//! Image references in Docker's normal form (distribution's `reference`
//! package): `alpine` is `docker.io/library/alpine:latest`.

use std::fmt;

/// A reference in its normal form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ImageName {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Why a text is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ImageNameError {
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Hex(String),
    #[error("invalid reference format")]
    Format,
}

impl ImageName {
    pub(crate) fn parse(text: &str) -> Result<Self, ImageNameError> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(ImageNameError::Hex(text.to_owned()));
        }
        let (domain, rest) = match text.split_once('/') {
            Some((first, rest)) if is_domain(first) => (first, rest),
            _ => ("docker.io", text),
        };
        let domain = if domain == "index.docker.io" { "docker.io" } else { domain };
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if path.chars().any(char::is_uppercase) {
            return Err(ImageNameError::Uppercase(path.to_owned()));
        }
        let library = domain == "docker.io" && !path.contains('/');
        let valid = is_valid_domain(domain)
            && path.split('/').all(is_component)
            && domain.len() + path.len() < 256
            && tag.is_none_or(is_tag)
            && digest.is_none_or(is_digest);
        if !valid {
            return Err(ImageNameError::Format);
        }
        Ok(Self {
            domain: domain.to_owned(),
            path: if library { format!("library/{path}") } else { path.to_owned() },
            tag: tag.or((digest.is_none()).then_some("latest")).map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// The digest that the reference asks for.
    pub(crate) fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Docker's rule for the first component: it has a dot or colon, is
/// `localhost`, or has capitals.
fn is_domain(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.chars().any(char::is_uppercase)
}

fn is_valid_domain(domain: &str) -> bool {
    if let Some((address, port)) = domain.strip_prefix('[').and_then(|d| d.split_once(']')) {
        let port = port.strip_prefix(':').unwrap_or(if port.is_empty() { "0" } else { "" });
        return address.parse::<std::net::Ipv6Addr>().is_ok() && is_number(port);
    }
    let (host, port) = domain.split_once(':').unwrap_or((domain, "0"));
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(label) && is_number(port)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.starts_with(alnum) || !text.ends_with(alnum) {
        return false;
    }
    text.split(alnum)
        .filter(|s| !s.is_empty())
        .all(|sep| matches!(sep, "." | "_" | "__") || sep.bytes().all(|b| b == b'-'))
}

fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128 && text.starts_with(word) && text.chars().all(|c| word(c) || c == '.' || c == '-')
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        let want = match algorithm {
            "sha256" => 64,
            "sha384" => 96,
            "sha512" => 128,
            _ => return false,
        };
        hex.len() == want && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, want) in [
            ("alpine", "docker.io/library/alpine:latest"),
            ("library/alpine:3", "docker.io/library/alpine:3"),
            ("index.docker.io/a/b", "docker.io/a/b:latest"),
            ("localhost/x", "localhost/x:latest"),
            ("127.0.0.1:5000/library/x:1", "127.0.0.1:5000/library/x:1"),
            ("a/b__c.d--e", "docker.io/a/b__c.d--e:latest"),
            (&format!("alpine@{digest}"), &format!("docker.io/library/alpine@{digest}")),
            (&format!("alpine:1@{digest}"), &format!("docker.io/library/alpine:1@{digest}")),
        ] {
            assert_eq!(ImageName::parse(text).map(|n| n.to_string()).as_deref(), Ok(want), "{text}");
        }
        for bad in ["", "Base", "Not/AValid:Image:Name", "a//b", "a:b:c", "-a", "a_-b", "x@sha256:12", "a b", "a:"] {
            assert!(ImageName::parse(bad).is_err(), "{bad}");
        }
    }
}

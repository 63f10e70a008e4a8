//! Image names, as `name=` and `--tag` give them (the distribution project's
//! reference grammar, with Docker's defaults).

use std::fmt;
use std::str::FromStr;

/// A name in full: `docker.io/library/alpine:latest`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageName {
    /// Registry, with its port.
    pub domain: String,
    /// Repository.
    pub path: String,
    /// Tag.
    pub tag: String,
}

/// Why a text is no image name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not an image name: {why}")]
pub struct NameError {
    name: String,
    why: &'static str,
}

const HUB: &str = "docker.io";

impl ImageName {
    /// Returns the name as people write it: Docker Hub's domain and
    /// `library/` left out.
    pub fn familiar(&self) -> String {
        let Self { domain, path, tag } = self;
        if domain != HUB {
            return self.to_string();
        }
        format!("{}:{tag}", path.strip_prefix("library/").filter(|p| !p.contains('/')).unwrap_or(path))
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.domain, self.path, self.tag)
    }
}

fn is_component(part: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let ends = bytes.first().zip(bytes.last()).is_some_and(|(a, b)| plain(*a) && plain(*b));
    ends && bytes.iter().all(|b| plain(*b) || b"._-".contains(b)) && !part.contains("..") && !part.contains("___")
}

fn is_tag(tag: &str) -> bool {
    let mut bytes = tag.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && tag.len() <= 128
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = domain.rsplit_once(':').filter(|_| !domain.ends_with(']')).unwrap_or((domain, "0"));
    let inside = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host_ok = match inside {
        Some(v6) => v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b)),
    };
    !host.is_empty() && host_ok && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

impl FromStr for ImageName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = |why| NameError { name: text.to_owned(), why };
        if text.contains('@') {
            return Err(wrong("a name to write to has no digest"));
        }
        // The first part is a domain if it cannot be a repository on the
        // Hub (the distribution project's `splitDockerDomain`).
        let is_first =
            |f: &str| f.contains(['.', ':']) || f == "localhost" || f.bytes().any(|b| b.is_ascii_uppercase());
        let (domain, rest) = match text.split_once('/') {
            Some((first, rest)) if is_first(first) => (if first == "index.docker.io" { HUB } else { first }, rest),
            _ => (HUB, text),
        };
        let (path, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
        if !is_domain(domain) {
            return Err(wrong("the part before the first `/` is no host name"));
        }
        if path.is_empty() {
            return Err(wrong("it is empty"));
        }
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(wrong("a repository is written in lower case"));
        }
        if path.len() > 255 || !path.split('/').all(is_component) {
            return Err(wrong("want lower-case letters, digits, `.`, `_`, `-`, and `/` between parts"));
        }
        if !is_tag(tag) {
            return Err(wrong("the tag after `:` holds other than letters, digits, `_`, `.`, `-`"));
        }
        let path = if domain == HUB && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        Ok(Self { domain: domain.to_owned(), path, tag: tag.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed() {
        for (text, full, familiar) in [
            ("app", "docker.io/library/app:latest", "app:latest"),
            ("me/app:1", "docker.io/me/app:1", "me/app:1"),
            ("suite.example/app:v1", "suite.example/app:v1", "suite.example/app:v1"),
            ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
            ("127.0.0.1:5000/a/b_c", "127.0.0.1:5000/a/b_c:latest", "127.0.0.1:5000/a/b_c:latest"),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
        ] {
            let name: ImageName = text.parse().unwrap();
            assert_eq!((name.to_string().as_str(), name.familiar().as_str()), (full, familiar));
        }
    }

    #[test]
    fn bad_names_say_why() {
        for (text, why) in [
            ("", "it is empty"),
            ("me/App", "lower case"),
            ("a:b c", "tag"),
            ("a//b", "between parts"),
            ("host.x:p/a", "host name"),
            ("a@sha256:00", "no digest"),
        ] {
            let e = text.parse::<ImageName>().unwrap_err().to_string();
            assert!(e.contains(why), "{text}: {e}");
        }
    }
}

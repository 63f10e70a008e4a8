//! Where a redirect leads, and what may be sent there.

/// The limit of redirects of one request (Go's `http.Client` has it too).
pub(crate) const MAX_REDIRECTS: usize = 10;

/// An absolute HTTP URL, split as requests and redirects need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpUrl {
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    /// `host[:port]`, in lower case.
    pub(crate) authority: String,
    /// `user:password` of the URL, percent-encoded.
    pub(crate) userinfo: Option<String>,
    /// Path and query, beginning with `/`.
    pub(crate) path_and_query: String,
}

impl HttpUrl {
    /// Parses an absolute `http://` or `https://` URL; its fragment is dropped.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = if scheme.eq_ignore_ascii_case("https") {
            "https"
        } else if scheme.eq_ignore_ascii_case("http") {
            "http"
        } else {
            return None;
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (userinfo, authority) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority),
        };
        if authority.is_empty() || authority.starts_with(':') {
            return None;
        }
        let path_and_query = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Self { scheme, authority: authority.to_ascii_lowercase(), userinfo, path_and_query })
    }

    /// Resolves a `Location` header against this URL (RFC 3986, 5.2).
    pub(crate) fn join(&self, location: &str) -> Option<Self> {
        if location.contains("://") && !location.starts_with('/') {
            return Self::parse(location);
        }
        let location = location.split('#').next().unwrap_or(location);
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme));
        }
        let path = self.path();
        let target = if location.is_empty() {
            self.path_and_query.clone()
        } else if location.starts_with('/') {
            remove_dots(location)
        } else if location.starts_with('?') {
            format!("{path}{location}")
        } else {
            let folder = path.rfind('/').map_or("/", |end| path.split_at(end + 1).0);
            remove_dots(&format!("{folder}{location}"))
        };
        Some(Self { path_and_query: target, ..self.clone() })
    }

    /// Returns the path without the query.
    pub(crate) fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or("/")
    }

    /// Says whether credentials for this URL may be sent to `other`: only to
    /// the same server over the same scheme.
    pub(crate) fn same_server(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.with_port() == other.with_port()
    }

    fn with_port(&self) -> String {
        let default = if self.scheme == "https" { ":443" } else { ":80" };
        let bare = self.authority.strip_suffix(default).unwrap_or(&self.authority);
        format!("{bare}{default}")
    }
}

impl std::fmt::Display for HttpUrl {
    /// Writes the URL without user and password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path_and_query)
    }
}

fn remove_dots(target: &str) -> String {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut parts: Vec<&str> = Vec::new();
    let mut trailing = false;
    for part in path.split('/').skip(1) {
        trailing = matches!(part, "." | "..");
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    let mut out = format!("/{}", parts.join("/"));
    if trailing && !out.ends_with('/') {
        out.push('/');
    }
    if let Some(query) = query {
        out.push('?');
        out.push_str(query);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved() {
        let base = HttpUrl::parse("https://u:p@A.example/x/y?q=1#f").unwrap();
        assert_eq!(base.to_string(), "https://a.example/x/y?q=1");
        for (location, target) in [
            ("http://b:1/z", "http://b:1/z"),
            ("HTTPS://b", "https://b/"),
            ("//b/z", "https://b/z"),
            ("/z?r=http://q", "https://a.example/z?r=http://q"),
            ("z", "https://a.example/x/z"),
            ("../z/./w", "https://a.example/z/w"),
            ("?r", "https://a.example/x/y?r"),
            ("..", "https://a.example/"),
            ("../../../z", "https://a.example/z"),
        ] {
            assert_eq!(base.join(location).unwrap().to_string(), target, "{location}");
        }
        assert_eq!(base.join("ftp://x/y"), None);
        assert_eq!(HttpUrl::parse("https://"), None);
        assert_eq!(HttpUrl::parse("/x"), None);
    }

    #[test]
    fn credentials_stay_with_their_server() {
        let url = |t: &str| HttpUrl::parse(t).unwrap();
        let base = url("https://a.example/x");
        assert!(base.same_server(&url("https://a.example:443/y")));
        for other in ["http://a.example/", "https://b.a.example/", "https://a.example:444/"] {
            assert!(!base.same_server(&url(other)), "{other}");
        }
    }
}

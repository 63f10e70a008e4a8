//! The `WWW-Authenticate` header (RFC 9110, 11.6.1; bearer parameters as in the
//! distribution project's token specification).

/// What a registry wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A token from a token server.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
    /// User and password.
    Basic,
}

/// Returns the strongest challenge of the headers that rbc can answer.
pub(crate) fn parse<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = false;
    for header in headers {
        for (scheme, parameters) in split(header) {
            if scheme.eq_ignore_ascii_case("basic") {
                basic = true;
            } else if scheme.eq_ignore_ascii_case("bearer") {
                let get = |name: &str| {
                    let found = parameters.iter().find(|(k, _)| k.eq_ignore_ascii_case(name));
                    found.map(|(_, v)| v.clone()).filter(|v| !v.is_empty())
                };
                if let Some(realm) = get("realm") {
                    return Some(Challenge::Bearer { realm, service: get("service"), scope: get("scope") });
                }
            }
        }
    }
    basic.then_some(Challenge::Basic)
}

type Parameters = Vec<(String, String)>;

/// Splits a header into challenges. A word that is followed by a blank instead
/// of `=` begins the next challenge.
fn split(header: &str) -> Vec<(String, Parameters)> {
    let mut out: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', '=', ',']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if let Some(value) = after.trim_start().strip_prefix('=') {
            let (value, after) = value_of(value.trim_start());
            if let Some((_, parameters)) = out.last_mut() {
                parameters.push((word.to_owned(), value));
            }
            rest = after;
        } else {
            out.push((word.to_owned(), Vec::new()));
            rest = after;
        }
        rest = rest.trim_start_matches([' ', '\t', ',']);
        // A stray `=` would not advance.
        if word.is_empty() {
            rest = rest.trim_start_matches('=');
        }
    }
    out
}

fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, quoted.split_at(at + 1).1),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(header: &str) -> Option<Challenge> {
        parse(std::iter::once(header))
    }

    #[test]
    fn registries_headers_are_understood() {
        let hub = one(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull,push""#,
        );
        assert_eq!(
            hub,
            Some(Challenge::Bearer {
                realm: "https://auth.docker.io/token".to_owned(),
                service: Some("registry.docker.io".to_owned()),
                scope: Some("repository:library/alpine:pull,push".to_owned()),
            })
        );
        assert_eq!(one(r#"Basic realm="x, y""#), Some(Challenge::Basic));
        assert_eq!(one("basic"), Some(Challenge::Basic));
        assert_eq!(one("Negotiate"), None);
        assert_eq!(one("Bearer service=x"), None);
        let both = one(r#"Basic realm="a \"b", BEARER Realm = r , Service=s"#);
        assert!(matches!(both, Some(Challenge::Bearer { realm, .. }) if realm == "r"));
    }

    proptest! {
        #[test]
        fn no_header_hangs_or_panics(header in "[ =,\"\\\\a-zBbearer]{0,60}") {
            let _ = one(&header);
        }
    }
}

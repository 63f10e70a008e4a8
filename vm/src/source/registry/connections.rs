//! The servers that registries are made of: where a registry's name leads, which
//! schemes are tried, and the pool of connections to each.

use std::collections::HashMap;

use parking_lot::Mutex;
use ureq::Agent;

use crate::config::RegistryConfig;
use crate::source::transport::exchange::Agents;
use crate::source::transport::redirect::HttpUrl;
use crate::source::transport::roots::{self, CertificateError};
use crate::source::transport::{AgentOptions, agent, is_loopback};

/// Docker Hub's API is at another name than its images'.
const HUB: &str = "docker.io";
const HUB_SERVER: &str = "registry-1.docker.io";

/// One place where a repository may be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The server, `host[:port]`.
    pub(crate) authority: String,
    /// The name in the configuration and in docker's config.json.
    pub(crate) name: String,
    /// What precedes the repository, `/v2` or `/v2/path`.
    pub(crate) prefix: String,
    /// The registry that a mirror is asked for (containerd's `ns` parameter,
    /// by which one mirror can serve several registries).
    pub(crate) namespace: Option<String>,
    /// The schemes to try, in order.
    pub(crate) schemes: &'static [&'static str],
}

impl Endpoint {
    pub(crate) fn is_mirror(&self) -> bool {
        self.namespace.is_some()
    }

    pub(crate) fn url(&self, scheme: &'static str, path: &str) -> HttpUrl {
        let query = self.namespace.as_ref().map(|n| format!("?ns={n}")).unwrap_or_default();
        HttpUrl {
            scheme,
            authority: self.authority.clone(),
            userinfo: None,
            path_and_query: format!("{}/{path}{query}", self.prefix),
        }
    }
}

/// All connections of one [`super::Registry`].
pub(crate) struct Connections {
    config: RegistryConfig,
    agents: Mutex<HashMap<(&'static str, String), Agent>>,
    schemes: Mutex<HashMap<String, &'static str>>,
}

impl Connections {
    pub(crate) fn new(config: RegistryConfig) -> Self {
        Self { config, agents: Mutex::default(), schemes: Mutex::default() }
    }

    /// Returns a registry's mirrors, then the registry itself.
    pub(crate) fn endpoints(&self, domain: &str) -> Vec<Endpoint> {
        let mirrors = self.config.host(domain).mirrors;
        let mut out: Vec<_> = mirrors.iter().map(|m| self.mirror(m, domain)).collect();
        out.push(Endpoint {
            authority: if domain == HUB { HUB_SERVER } else { domain }.to_owned(),
            name: domain.to_owned(),
            prefix: "/v2".to_owned(),
            namespace: None,
            schemes: self.schemes(domain),
        });
        out
    }

    /// BuildKit's mirrors are `host[:port][/path]`; dockerd's have a scheme, which
    /// is understood, too.
    fn mirror(&self, text: &str, domain: &str) -> Endpoint {
        let (scheme, rest): (Option<&'static [&'static str]>, _) = if let Some(rest) = text.strip_prefix("http://") {
            (Some(&["http"]), rest)
        } else if let Some(rest) = text.strip_prefix("https://") {
            (Some(&["https"]), rest)
        } else {
            (None, text)
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_matches('/');
        let separator = if path.is_empty() { "" } else { "/" };
        Endpoint {
            authority: if host == HUB { HUB_SERVER } else { host }.to_owned(),
            name: host.to_owned(),
            prefix: format!("/v2{separator}{path}"),
            namespace: Some(domain.to_owned()),
            schemes: scheme.unwrap_or_else(|| self.schemes(host)),
        }
    }

    /// A registry on this machine is usually plain HTTP, and asking so first
    /// costs no TLS set-up; one that does want TLS answers with an error.
    fn schemes(&self, name: &str) -> &'static [&'static str] {
        let host = self.config.host(name);
        match (host.http, host.insecure) {
            (Some(true), Some(true)) => &["http", "https"],
            (Some(true), _) => &["http"],
            (None, None) if is_loopback(name) && host.ca.is_empty() => &["http", "https"],
            _ => &["https"],
        }
    }

    /// Returns the scheme that worked for a server before.
    pub(crate) fn known_scheme(&self, authority: &str) -> Option<&'static str> {
        self.schemes.lock().get(authority).copied()
    }

    pub(crate) fn remember_scheme(&self, authority: &str, scheme: &'static str) {
        self.schemes.lock().insert(authority.to_owned(), scheme);
    }

    /// Says whether certificates of a server need not be right: it is marked so,
    /// or it is this machine and nothing is said (as docker treats 127.0.0.0/8).
    fn is_insecure(&self, name: &str) -> bool {
        let host = self.config.host(name);
        host.insecure.unwrap_or_else(|| host.http.is_none() && host.ca.is_empty() && is_loopback(name))
    }
}

impl Agents for Connections {
    fn agent(&self, url: &HttpUrl) -> Result<Agent, CertificateError> {
        let key = (url.scheme, url.authority.clone());
        let mut agents = self.agents.lock();
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let name = if url.authority == HUB_SERVER { HUB } else { &url.authority };
        let host = self.config.host(name);
        let secure = url.scheme == "https";
        let verify = !self.is_insecure(name);
        let made = agent(
            url.scheme,
            &url.authority,
            AgentOptions {
                connect_timeout: self.config.connect_timeout,
                idle_timeout: self.config.idle_timeout,
                verify,
                // Reading the system's certificates takes milliseconds, so not
                // for connections that do not look at them.
                roots: if secure && verify { roots::with_files(&host.ca)? } else { ureq::tls::RootCerts::WebPki },
                client_cert: match host.keypairs.first() {
                    Some(pair) if secure => Some(roots::client_cert(pair)?),
                    _ => None,
                },
            },
        );
        agents.insert(key, made.clone());
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn connections(text: &str) -> Connections {
        let loaded = RegistryConfig::parse(text, Path::new("/c")).unwrap();
        Connections::new(loaded.registry)
    }

    #[test]
    fn mirrors_come_first_and_are_told_the_registry() {
        let c = connections(
            "[registry.\"docker.io\"]\nmirrors = [\"m:5000/hub/\", \"http://n\", \"127.0.0.1:9\"]\n\
             [registry.\"m:5000\"]\nhttp = true",
        );
        let urls: Vec<_> =
            c.endpoints("docker.io").iter().map(|e| e.url(e.schemes[0], "a/manifests/b").to_string()).collect();
        assert_eq!(
            urls,
            [
                "http://m:5000/v2/hub/a/manifests/b?ns=docker.io",
                "http://n/v2/a/manifests/b?ns=docker.io",
                "http://127.0.0.1:9/v2/a/manifests/b?ns=docker.io",
                "https://registry-1.docker.io/v2/a/manifests/b",
            ]
        );
    }

    #[test]
    fn only_this_machine_may_be_plain_unasked() {
        let c = connections("[registry.\"localhost:1\"]\nhttp = false");
        assert_eq!(c.schemes("localhost:5000"), ["http", "https"]);
        assert_eq!(c.schemes("[::1]:5000"), ["http", "https"]);
        assert_eq!(c.schemes("localhost:1"), ["https"]);
        assert_eq!(c.schemes("ghcr.io"), ["https"]);
        assert!(c.is_insecure("127.1.2.3"));
        assert!(!c.is_insecure("localhost:1"));
        assert!(!c.is_insecure("ghcr.io"));
    }
}

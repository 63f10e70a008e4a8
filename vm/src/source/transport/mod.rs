//! Connections to web servers: one keep-alive pool per server, with its own
//! proxy, certificates and time limits.
//!
//! Blocking, on `ureq` and rustls: the VM's threads are rayon's, and a static
//! binary that starts in milliseconds has no use for an async runtime (which
//! `oci-client` and `reqwest` bring). Redirects are followed by the callers,
//! through [`redirect`], because what may be sent along depends on the target.

pub(crate) mod cancel;
pub(crate) mod exchange;
pub(crate) mod proxy;
pub(crate) mod redirect;
pub(crate) mod retry;
pub(crate) mod roots;

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{ClientCert, RootCerts, TlsConfig};

/// What distinguishes the connections to one server.
#[derive(Clone, Debug)]
pub(crate) struct AgentOptions {
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) verify: bool,
    pub(crate) roots: RootCerts,
    pub(crate) client_cert: Option<ClientCert>,
}

/// Makes the pool of connections to one server. It returns any status as a
/// response, does not follow redirects and does not decompress: digests are of
/// the bytes as stored.
pub(crate) fn agent(scheme: &str, host: &str, options: AgentOptions) -> Agent {
    let tls = TlsConfig::builder()
        .disable_verification(!options.verify)
        .root_certs(options.roots)
        .client_cert(options.client_cert)
        .build();
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(proxy::for_server(scheme, host))
        .user_agent(concat!("rbc/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .timeout_connect(Some(options.connect_timeout))
        .timeout_recv_response(Some(options.idle_timeout))
        .timeout_per_read(Some(options.idle_timeout))
        .timeout_per_write(Some(options.idle_timeout))
        .max_idle_connections(16)
        .max_idle_connections_per_host(8)
        .max_idle_age(Duration::from_secs(60))
        .build()
        .new_agent()
}

/// Says whether `host[:port]` is this machine: `localhost`, 127.0.0.0/8 or `::1`.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = host_of(authority);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}

/// Returns the host of `host[:port]`, without the brackets of an IPv6 address.
pub(crate) fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(host, _)| host);
    }
    authority.split_once(':').map_or(authority, |(host, _)| host)
}

/// How a failed request is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server could not be reached at all; trying again at once is futile.
    Unreachable,
    /// The connection broke; trying again may help.
    Dropped,
    /// No secure connection could be made.
    Tls,
    /// The other side does not speak HTTP, or not this kind.
    Protocol,
}

/// Classifies an error of a request, with a text for the user.
pub(crate) fn classify(error: &ureq::Error) -> (Failure, String) {
    use std::io::ErrorKind;
    match error {
        ureq::Error::HostNotFound => (Failure::Unreachable, "no such host".to_owned()),
        ureq::Error::ConnectionFailed | ureq::Error::ConnectProxyFailed(_) => (Failure::Unreachable, error.to_string()),
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            (Failure::Unreachable, "the connection timed out".to_owned())
        }
        ureq::Error::Timeout(_) => (Failure::Dropped, "it stopped answering".to_owned()),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) => (Failure::Tls, error.to_string()),
        // std gives failures of getaddrinfo no kind of their own, only this text.
        ureq::Error::Io(e) if e.to_string().starts_with("failed to lookup address") => {
            (Failure::Unreachable, e.to_string())
        }
        ureq::Error::Io(e) => match e.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::AddrNotAvailable => (Failure::Unreachable, e.to_string()),
            ErrorKind::TimedOut => (Failure::Unreachable, "the connection timed out".to_owned()),
            // rustls reports a failed handshake through the reader's error.
            ErrorKind::InvalidData => (Failure::Tls, e.to_string()),
            _ => (Failure::Dropped, e.to_string()),
        },
        _ => (Failure::Protocol, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_resolve_is_not_tried_again() {
        use std::net::ToSocketAddrs;
        // Longer than a label may be, so that no name server is asked.
        let name = "a".repeat(70);
        let error = (name.as_str(), 80).to_socket_addrs().unwrap_err();
        let (failure, why) = classify(&ureq::Error::Io(error));
        assert_eq!(failure, Failure::Unreachable, "{why}");
    }

    #[test]
    fn hosts_of_this_machine_are_known() {
        for host in ["localhost", "localhost:1", "127.9.9.9:5000", "[::1]:1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "128.0.0.1", "127.0.0.1.example", "[::2]:1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}

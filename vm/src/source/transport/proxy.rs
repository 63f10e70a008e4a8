//! Which proxy a request goes through: Go's rules (`golang.org/x/net/http/httpproxy`),
//! since the same variables are set for docker.
//!
//! `HTTPS_PROXY` or `HTTP_PROXY` by the target's scheme, then `ALL_PROXY`; the
//! lower-case names too. This machine is never asked through a proxy, nor are
//! the hosts of `NO_PROXY`: `*`, host names with all their subdomains, `.domain`
//! for subdomains alone, addresses and CIDR ranges, each perhaps with a port.

use std::net::IpAddr;

use super::{host_of, is_loopback};

/// Returns the proxy for a server, `None` to connect directly. A proxy whose
/// address makes no sense is left out, as Go does.
pub(crate) fn for_server(scheme: &str, authority: &str) -> Option<ureq::Proxy> {
    let address = choose(scheme, authority, |name| std::env::var(name).ok())?;
    ureq::Proxy::new(&address).ok()
}

fn choose(scheme: &str, authority: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let set = |upper: &str| {
        variable(upper)
            .filter(|v| !v.is_empty())
            .or_else(|| variable(&upper.to_ascii_lowercase()).filter(|v| !v.is_empty()))
    };
    let name = if scheme == "https" { "HTTPS_PROXY" } else { "HTTP_PROXY" };
    let address = set(name).or_else(|| set("ALL_PROXY"))?;
    let bypassed = is_loopback(authority) || set("NO_PROXY").is_some_and(|list| is_listed(&list, scheme, authority));
    (!bypassed).then_some(address)
}

fn is_listed(list: &str, scheme: &str, authority: &str) -> bool {
    let host = host_of(authority).to_ascii_lowercase();
    let port = match authority.rsplit_once(':') {
        Some((_, port)) if port.bytes().all(|b| b.is_ascii_digit()) => port,
        _ if scheme == "https" => "443",
        _ => "80",
    };
    let address = host.parse::<IpAddr>().ok();
    list.split(',').map(str::trim).filter(|e| !e.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        let entry = entry.to_ascii_lowercase();
        if let (Some((network, bits)), Some(address)) = (entry.split_once('/'), address) {
            return in_network(address, network, bits);
        }
        let name = match entry.rsplit_once(':') {
            Some((name, p)) if !name.contains(':') || name.ends_with(']') => {
                if p != port {
                    return false;
                }
                name
            }
            _ => entry.as_str(),
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        if let Some(address) = address {
            return name.parse() == Ok(address);
        }
        let name = name.strip_prefix('*').unwrap_or(name);
        match name.strip_prefix('.') {
            Some(_) => host.ends_with(name),
            None => host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
        }
    })
}

fn in_network(address: IpAddr, network: &str, bits: &str) -> bool {
    let Ok(bits) = bits.parse::<u32>() else {
        return false;
    };
    match (address, network.parse()) {
        (IpAddr::V4(a), Ok(IpAddr::V4(n))) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            a.to_bits() & mask == n.to_bits() & mask
        }
        (IpAddr::V6(a), Ok(IpAddr::V6(n))) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            a.to_bits() & mask == n.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(scheme: &str, host: &str, no_proxy: &str) -> Option<String> {
        choose(scheme, host, |name| match name {
            "HTTPS_PROXY" => Some("http://s".to_owned()),
            "http_proxy" => Some("http://p".to_owned()),
            "NO_PROXY" => Some(no_proxy.to_owned()),
            _ => None,
        })
    }

    #[test]
    fn the_scheme_decides() {
        assert_eq!(chosen("https", "x.example", "").as_deref(), Some("http://s"));
        assert_eq!(chosen("http", "x.example:81", "").as_deref(), Some("http://p"));
    }

    #[test]
    fn listed_and_local_hosts_are_asked_directly() {
        for (host, list) in [
            ("localhost:5000", ""),
            ("127.3.2.1", ""),
            ("[::1]:80", ""),
            ("x.example", "*"),
            ("x.example", "a.b, example"),
            ("x.example", ".example"),
            ("x.example:8443", "x.example:8443"),
            ("10.1.2.3:5000", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3"),
        ] {
            assert_eq!(chosen("https", host, list), None, "{host} {list}");
        }
        for (host, list) in [
            ("x.example", "y.example"),
            ("xexample", "example"),
            ("example", ".example"),
            ("x.example", "x.example:8443"),
            ("11.1.2.3", "10.0.0.0/8"),
        ] {
            assert!(chosen("https", host, list).is_some(), "{host} {list}");
        }
    }
}

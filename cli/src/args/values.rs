//! Values of flags that have a syntax of their own.

use std::str::FromStr;

use rbc_ir::{Platform, Ulimit};

use super::csv;

/// `NAME=VALUE`, or `NAME` for the value of that environment variable
/// (`--build-arg`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BuildArg {
    /// The variable.
    pub(crate) name: String,
    /// Its value, if given.
    pub(crate) value: Option<String>,
}

impl FromStr for BuildArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() {
            return Err("want NAME=VALUE, or NAME to take the value from the environment".to_owned());
        }
        Ok(Self { name: name.to_owned(), value })
    }
}

impl BuildArg {
    /// Returns name and value; `None` if the value was to come from the
    /// environment and is not there (docker then passes nothing).
    pub(crate) fn resolve(&self) -> Option<(String, String)> {
        let value = self.value.clone().or_else(|| std::env::var(&self.name).ok())?;
        Some((self.name.clone(), value))
    }
}

/// `KEY=VALUE`, or `KEY` for an empty value (`--label`).
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() { Err("want KEY=VALUE".to_owned()) } else { Ok((key.to_owned(), value.to_owned())) }
}

/// `NAME=VALUE` with both present (`--build-context`).
pub(crate) fn named_context(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("want NAME=DIRECTORY, NAME=docker-image://REF or NAME=oci-layout://DIRECTORY[:TAG]".to_owned()),
    }
}

/// Where a secret's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretSource {
    /// A file.
    File(String),
    /// An environment variable.
    Env(String),
    /// The variable of the secret's name, or else the file of that name.
    Name,
}

/// `id=ID[,src=FILE|,env=NAME]` (`--secret`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    /// Its id.
    pub(crate) id: String,
    /// Where its value comes from.
    pub(crate) source: SecretSource,
}

impl FromStr for Secret {
    type Err = String;

    /// As docker buildx reads it: `type=env` makes `src` the name of a
    /// variable, and an id alone is a variable or a file of that name.
    fn from_str(text: &str) -> Result<Self, String> {
        let (mut id, mut file, mut env, mut kind) = (None, None, None, None);
        for (key, value) in csv::pairs(text)? {
            match key.as_str() {
                "id" => id = Some(value),
                "src" | "source" => file = Some(value),
                "env" => env = Some(value),
                "type" if value == "file" || value == "env" => kind = Some(value),
                "type" => return Err(format!("type is file or env, not `{value}`")),
                _ => return Err(format!("unknown key `{key}`: want id, src, env or type")),
            }
        }
        if kind.as_deref() == Some("env") && env.is_none() {
            env = file.take();
        }
        let id = id.filter(|id| !id.is_empty()).ok_or("`id` is missing")?;
        let source = match (file, env) {
            (Some(_), Some(_)) => return Err("src and env exclude each other".to_owned()),
            (Some(file), None) => SecretSource::File(file),
            (None, Some(env)) => SecretSource::Env(env),
            (None, None) => SecretSource::Name,
        };
        Ok(Self { id, source })
    }
}

/// `default` or `ID[=SOCKET]` (`--ssh`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SshAgent {
    /// Its id.
    pub(crate) id: String,
    /// The agent's socket; `$SSH_AUTH_SOCK` if not given.
    pub(crate) socket: Option<String>,
}

impl FromStr for SshAgent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, socket) = match text.split_once('=') {
            Some((id, socket)) => (id, Some(socket)),
            None => (text, None),
        };
        if id.is_empty() {
            return Err("want default or ID[=SOCKET]".to_owned());
        }
        if socket.is_some_and(|s| s.is_empty() || s.contains(',')) {
            return Err("want one agent socket; keys belong into an agent (ssh-add)".to_owned());
        }
        Ok(Self { id: id.to_owned(), socket: socket.map(str::to_owned) })
    }
}

/// `HOST:ADDRESS` or `HOST=ADDRESS` (`--add-host`).
pub(crate) fn host_entry(text: &str) -> Result<(String, String), String> {
    let wrong = || "want HOST:ADDRESS".to_owned();
    let (host, address) = text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(wrong)?;
    let address = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
    if host.is_empty() {
        return Err(wrong());
    }
    if address == "host-gateway" {
        return Ok((host.to_owned(), "127.0.0.1".to_owned()));
    }
    match address.parse::<std::net::IpAddr>() {
        Ok(_) => Ok((host.to_owned(), address.to_owned())),
        Err(_) => Err(format!("`{address}` is not an IP address")),
    }
}

/// docker's names of resource limits (go-units `ulimit.go`).
const ULIMITS: &[&str] = &[
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// `NAME=SOFT[:HARD]`, -1 for unlimited (`--ulimit`).
pub(crate) fn ulimit(text: &str) -> Result<Ulimit, String> {
    let (name, limits) = text.split_once('=').ok_or("want NAME=SOFT[:HARD]")?;
    if !ULIMITS.contains(&name) {
        return Err(format!("`{name}` is no resource limit: want one of {}", ULIMITS.join(", ")));
    }
    let number = |text: &str| match text {
        "-1" => Ok(u64::MAX),
        _ => text.parse::<u64>().map_err(|_| format!("`{text}` is not a number")),
    };
    let (soft, hard) = match limits.split_once(':') {
        Some((soft, hard)) => (number(soft)?, number(hard)?),
        None => (number(limits)?, number(limits)?),
    };
    if soft > hard {
        return Err(format!("the soft limit {soft} is above the hard limit {hard}"));
    }
    Ok(Ulimit { name: name.to_owned(), soft, hard })
}

/// A size in bytes: a number and `b`, `k`, `m`, `g` or `t` (powers of 1024,
/// go-units `RAMInBytes`).
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: want a number and b, k, m, g or t, like 64m");
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let unit = lower.get(digits.len()..).map(str::trim).unwrap_or_default();
    let shift = match unit {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(wrong()),
    };
    let unit = 1_u64 << shift;
    if let Ok(whole) = digits.parse::<u64>() {
        return whole.checked_mul(unit).ok_or_else(wrong);
    }
    match digits.parse::<f64>() {
        // Sizes with a fraction are small; the rounding is meant.
        Ok(n) if n.is_finite() && n >= 0.0 && n < 1e6 => Ok((n * unit as f64) as u64),
        _ => Err(wrong()),
    }
}

/// A platform, in its normal form.
pub(crate) fn platform(text: &str) -> Result<Platform, String> {
    Platform::parse(text)
        .ok_or_else(|| format!("`{text}` is not a platform: want OS/ARCHITECTURE[/VARIANT], like linux/arm64"))
}

/// A duration: numbers with `s`, `m`, `h`, `d` or `w`, like `90m` or `1h30m`.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("`{text}` is not a duration: want numbers with s, m, h, d or w, like 36h");
    let mut seconds = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(end);
        let unit = match after.chars().next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        seconds = number.checked_mul(unit).and_then(|n| seconds.checked_add(n)).ok_or_else(wrong)?;
        rest = after.get(1..).unwrap_or_default();
    }
    if text.is_empty() { Err(wrong()) } else { Ok(std::time::Duration::from_secs(seconds)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets() {
        let source = |text: &str| text.parse::<Secret>().map(|s| s.source);
        assert_eq!(source("id=a,src=f"), Ok(SecretSource::File("f".into())));
        assert_eq!(source("id=a,source=f,type=file"), Ok(SecretSource::File("f".into())));
        assert_eq!(source("id=a,env=E"), Ok(SecretSource::Env("E".into())));
        assert_eq!(source("type=env,id=a,src=E"), Ok(SecretSource::Env("E".into())));
        assert_eq!(source("id=a"), Ok(SecretSource::Name));
        assert!(source("src=f").unwrap_err().contains("`id`"));
        assert!(source("id=a,path=f").unwrap_err().contains("`path`"));
    }

    #[test]
    fn sizes() {
        for (text, want) in [("20m", 20 << 20), ("64MiB", 64 << 20), ("1g", 1 << 30), ("512", 512), ("1.5k", 1536)] {
            assert_eq!(size(text), Ok(want), "{text}");
        }
        for text in ["", "m", "1x", "-1", "99999999999999t"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits() {
        let limit = ulimit("nofile=512:1024").unwrap();
        assert_eq!((limit.soft, limit.hard), (512, 1024));
        assert_eq!(ulimit("core=-1").unwrap().hard, u64::MAX);
        assert!(ulimit("nofiles=1").unwrap_err().contains("nofile"));
        assert!(ulimit("nofile=2:1").is_err());
    }

    #[test]
    fn hosts() {
        assert_eq!(host_entry("a.b:10.9.8.7"), Ok(("a.b".into(), "10.9.8.7".into())));
        assert_eq!(host_entry("a=[::1]"), Ok(("a".into(), "::1".into())));
        assert_eq!(host_entry("a:::1"), Ok(("a".into(), "::1".into())));
        assert!(host_entry("a:b").is_err());
    }

    #[test]
    fn durations() {
        assert_eq!(duration("1h30m").unwrap().as_secs(), 5400);
        assert_eq!(duration("2d").unwrap().as_secs(), 172_800);
        for text in ["", "5", "h", "5y", "-5s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}

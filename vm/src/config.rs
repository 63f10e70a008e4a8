//! The configuration file, in the syntax of BuildKit's `buildkitd.toml`.
//!
//! ```toml
//! [registry."docker.io"]
//!   mirrors = ["mirror.example:5000", "proxy.example/hub"]
//! [registry."mirror.example:5000"]
//!   http = true                   # plain HTTP
//!   insecure = true               # certificates are not verified
//!   ca = ["/etc/ca.pem"]          # trusted beside the system's certificates
//!   [[registry."mirror.example:5000".keypair]]
//!     key = "client-key.pem"
//!     cert = "client-cert.pem"
//! [network]                       # rbc's own
//!   connect_timeout = 10          # seconds
//!   idle_timeout = 60
//! ```
//!
//! Looked for at `$RBC_CONFIG`, `$XDG_CONFIG_HOME/rbc/config.toml` and
//! `~/.config/rbc/config.toml`; the first that is set decides. Relative paths
//! are relative to the file's directory. Keys that rbc does not know are
//! reported as warnings, so that a file for buildkitd can be used as it is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Table, Value};

/// How registries are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryConfig {
    /// The settings of each host that has some, by `host[:port]`.
    pub hosts: BTreeMap<String, HostConfig>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a server may say nothing.
    pub idle_timeout: Duration,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { hosts: BTreeMap::new(), connect_timeout: Duration::from_secs(10), idle_timeout: Duration::from_secs(60) }
    }
}

/// The settings of one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// Hosts, perhaps with a path, that are asked before this one.
    pub mirrors: Vec<String>,
    /// Whether to speak plain HTTP.
    pub http: Option<bool>,
    /// Whether to accept any certificate.
    pub insecure: Option<bool>,
    /// PEM files with certificates to trust.
    pub ca: Vec<PathBuf>,
    /// Client certificates.
    pub keypairs: Vec<KeyPair>,
}

/// A client certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The private key.
    pub key: PathBuf,
    /// The certificate, with its chain.
    pub cert: PathBuf,
}

/// A configuration, and what was odd about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadedConfig {
    /// The settings.
    pub registry: RegistryConfig,
    /// What the user should know, in the file's order of keys.
    pub warnings: Vec<ConfigWarning>,
}

/// A key that rbc does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    /// The file.
    pub path: PathBuf,
    /// The key, with its tables: `registry."x".nonsense`.
    pub key: String,
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: unknown key {} is ignored", self.path.display(), self.key)
    }
}

/// Says why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{path:?}: invalid TOML: {why}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        why: String,
    },
    /// A key has a value of the wrong type.
    #[error("{path:?}: {key} must be {expected}, not {found}")]
    Type {
        /// The file.
        path: PathBuf,
        /// The key, with its tables.
        key: String,
        /// What is expected.
        expected: &'static str,
        /// The type found.
        found: &'static str,
    },
}

impl RegistryConfig {
    /// Loads the configuration from where the environment says.
    pub fn load() -> Result<LoadedConfig, ConfigError> {
        let (path, required) = match location(|name| std::env::var_os(name)) {
            Some(found) => found,
            None => return Ok(LoadedConfig::default()),
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !required => Ok(LoadedConfig::default()),
            Err(source) => Err(ConfigError::Read { path, source }),
        }
    }

    /// Parses the text of the file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<LoadedConfig, ConfigError> {
        let table: Table = toml::from_str(text)
            .map_err(|e| ConfigError::Syntax { path: path.to_owned(), why: e.to_string().trim_end().to_owned() })?;
        let mut reader = Reader { path, warnings: Vec::new() };
        let mut registry = Self::default();
        for (key, value) in &table {
            match key.as_str() {
                "registry" => {
                    for (host, value) in reader.table("registry", value)? {
                        let prefix = format!("registry.{host:?}");
                        let table = reader.table(&prefix, value)?;
                        registry.hosts.insert(host.clone(), reader.host(&prefix, table)?);
                    }
                }
                "network" => {
                    for (key, value) in reader.table("network", value)? {
                        let full = format!("network.{key}");
                        match key.as_str() {
                            "connect_timeout" => {
                                registry.connect_timeout = reader.seconds(&full, value)?;
                            }
                            "idle_timeout" => {
                                registry.idle_timeout = reader.seconds(&full, value)?;
                            }
                            _ => reader.unknown(full),
                        }
                    }
                }
                other => reader.unknown(other.to_owned()),
            }
        }
        Ok(LoadedConfig { registry, warnings: reader.warnings })
    }

    /// Returns the settings of a host, the defaults if there are none.
    pub fn host(&self, host: &str) -> HostConfig {
        self.hosts.get(host).cloned().unwrap_or_default()
    }
}

/// Returns the file, and whether the user named it. Empty variables count as
/// unset (XDG base directory specification).
fn location(variable: impl Fn(&str) -> Option<OsString>) -> Option<(PathBuf, bool)> {
    let set = |name| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(path) = set("RBC_CONFIG") {
        return Some((path, true));
    }
    let directory = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some((directory.join("rbc/config.toml"), false))
}

struct Reader<'a> {
    path: &'a Path,
    warnings: Vec<ConfigWarning>,
}

impl Reader<'_> {
    fn host(&mut self, prefix: &str, table: &Table) -> Result<HostConfig, ConfigError> {
        let mut host = HostConfig::default();
        for (key, value) in table {
            let full = format!("{prefix}.{key}");
            match key.as_str() {
                "mirrors" => host.mirrors = self.strings(&full, value)?,
                "http" => host.http = Some(self.boolean(&full, value)?),
                "insecure" => host.insecure = Some(self.boolean(&full, value)?),
                "ca" => {
                    let files = self.strings(&full, value)?;
                    host.ca = files.iter().map(|f| self.resolve(f)).collect();
                }
                "keypair" => host.keypairs = self.keypairs(&full, value)?,
                _ => self.unknown(full),
            }
        }
        Ok(host)
    }

    fn keypairs(&mut self, key: &str, value: &Value) -> Result<Vec<KeyPair>, ConfigError> {
        let Value::Array(items) = value else {
            return Err(self.wrong(key, "an array of tables", value));
        };
        let mut pairs = Vec::new();
        for item in items {
            let table = self.table(key, item)?;
            let file = |name: &str| -> Result<PathBuf, ConfigError> {
                match table.get(name) {
                    Some(Value::String(text)) => Ok(self.resolve(text)),
                    _ => Err(self.wrong(key, "tables with the paths \"key\" and \"cert\"", item)),
                }
            };
            let pair = KeyPair { key: file("key")?, cert: file("cert")? };
            for other in table.keys().filter(|k| *k != "key" && *k != "cert") {
                self.unknown(format!("{key}.{other}"));
            }
            pairs.push(pair);
        }
        Ok(pairs)
    }

    fn table<'v>(&self, key: &str, value: &'v Value) -> Result<&'v Table, ConfigError> {
        value.as_table().ok_or_else(|| self.wrong(key, "a table", value))
    }

    fn boolean(&self, key: &str, value: &Value) -> Result<bool, ConfigError> {
        value.as_bool().ok_or_else(|| self.wrong(key, "a boolean", value))
    }

    fn strings(&self, key: &str, value: &Value) -> Result<Vec<String>, ConfigError> {
        value
            .as_array()
            .and_then(|items| items.iter().map(|i| i.as_str().map(str::to_owned)).collect())
            .ok_or_else(|| self.wrong(key, "an array of strings", value))
    }

    fn seconds(&self, key: &str, value: &Value) -> Result<Duration, ConfigError> {
        value
            .as_integer()
            .and_then(|n| u32::try_from(n).ok())
            .filter(|n| *n > 0)
            .map(|n| Duration::from_secs(n.into()))
            .ok_or_else(|| self.wrong(key, "a number of seconds above 0", value))
    }

    fn resolve(&self, file: &str) -> PathBuf {
        self.path.parent().map_or_else(|| file.into(), |d| d.join(file))
    }

    fn unknown(&mut self, key: String) {
        self.warnings.push(ConfigWarning { path: self.path.to_owned(), key });
    }

    fn wrong(&self, key: &str, expected: &'static str, value: &Value) -> ConfigError {
        ConfigError::Type { path: self.path.to_owned(), key: key.to_owned(), expected, found: value.type_str() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LoadedConfig, ConfigError> {
        RegistryConfig::parse(text, Path::new("/etc/rbc/config.toml"))
    }

    #[test]
    fn buildkitds_syntax_is_read() {
        let loaded = parse(
            r#"
            debug = true
            [worker.oci]
              enabled = true
            [registry."docker.io"]
              mirrors = ["127.0.0.1:5000", "m.example/hub"]
            [registry."m.example"]
              http = true
              insecure = false
              ca = ["ca.pem", "/abs.pem"]
              rootless = 1
              [[registry."m.example".keypair]]
                key = "k.pem"
                cert = "/c.pem"
            [network]
              connect_timeout = 3
            "#,
        )
        .unwrap();
        let keys: Vec<_> = loaded.warnings.iter().map(|w| w.key.as_str()).collect();
        assert_eq!(keys.len(), 3, "{keys:?}");
        for key in ["debug", "worker", "registry.\"m.example\".rootless"] {
            assert!(keys.contains(&key), "{keys:?}");
        }
        let registry = loaded.registry;
        assert_eq!(registry.host("docker.io").mirrors, ["127.0.0.1:5000", "m.example/hub"]);
        assert_eq!(registry.connect_timeout, Duration::from_secs(3));
        assert_eq!(
            registry.host("m.example"),
            HostConfig {
                mirrors: vec![],
                http: Some(true),
                insecure: Some(false),
                ca: vec!["/etc/rbc/ca.pem".into(), "/abs.pem".into()],
                keypairs: vec![KeyPair { key: "/etc/rbc/k.pem".into(), cert: "/c.pem".into() }],
            }
        );
        assert_eq!(registry.host("other"), HostConfig::default());
    }

    #[test]
    fn wrong_types_name_the_key() {
        for (text, message) in [
            ("registry = 1", "registry must be a table, not integer"),
            ("[registry.\"x.y\"]\nhttp = \"yes\"", "registry.\"x.y\".http must be a boolean, not string"),
            ("[registry.x]\nmirrors = [1]", "registry.\"x\".mirrors must be an array of strings, not array"),
            ("[network]\nidle_timeout = 0", "network.idle_timeout must be a number of seconds above 0, not integer"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert_eq!(error, format!("\"/etc/rbc/config.toml\": {message}"));
        }
        let error = parse("[registry").unwrap_err().to_string();
        assert!(error.contains("invalid TOML") && error.contains("line 1"), "{error}");
    }

    #[test]
    fn the_environment_says_where() {
        let at = |pairs: &[(&str, &str)]| {
            location(|name| {
                let found = pairs.iter().find(|(k, _)| *k == name)?;
                Some(found.1.into())
            })
        };
        let all = [("RBC_CONFIG", "/a"), ("XDG_CONFIG_HOME", "/b"), ("HOME", "/c")];
        assert_eq!(at(&all), Some(("/a".into(), true)));
        assert_eq!(at(&all[1..]), Some(("/b/rbc/config.toml".into(), false)));
        assert_eq!(at(&all[2..]), Some(("/c/.config/rbc/config.toml".into(), false)));
        assert_eq!(at(&[("RBC_CONFIG", "")]), None);
    }
}

//! Credentials as docker keeps them: `config.json` with `auths`, `credHelpers`
//! and `credsStore`, in `$DOCKER_CONFIG` or `~/.docker`.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use docker_credential::{CredentialRetrievalError, DockerCredential};

/// Docker Hub's key in config.json, from the days of its first API.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Where credentials are looked for.
#[derive(Clone, Debug)]
pub struct Credentials {
    file: Option<PathBuf>,
}

/// Credentials for one registry.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    Password {
        user: String,
        password: String,
    },
    /// An OAuth2 refresh token.
    IdentityToken(String),
}

impl Credentials {
    /// Uses docker's configuration of the environment.
    pub fn from_env() -> Self {
        let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let folder = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")));
        Self { file: folder.map(|f| f.join("config.json")) }
    }

    /// Uses the given config.json.
    pub fn from_file(file: PathBuf) -> Self {
        Self { file: Some(file) }
    }

    /// Uses none.
    pub fn none() -> Self {
        Self { file: None }
    }

    /// Returns the credentials for a registry (`docker.io`, `host[:port]`),
    /// `None` if there are none, or why they cannot be had.
    pub(crate) fn find(&self, registry: &str) -> Result<Option<Credential>, String> {
        let Some(path) = &self.file else {
            return Ok(None);
        };
        let keys: &[&str] = match registry {
            "docker.io" => &[HUB_KEY, "docker.io"],
            other => &[other],
        };
        for key in keys {
            let file = match File::open(path) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(format!("cannot read {}: {e}", path.display())),
            };
            match docker_credential::get_credential_from_reader(io::BufReader::new(file), key) {
                // A store without the entry; docker's helpers have no better sign
                // than this text (docker-credential-helpers, `credentials/error.go`).
                Err(CredentialRetrievalError::HelperFailure { stdout, .. })
                    if stdout.contains("credentials not found") => {}
                Err(CredentialRetrievalError::NoCredentialConfigured) => {}
                Err(CredentialRetrievalError::ConfigReadError) => {
                    return Err(format!("{} is not valid JSON of docker's form", path.display()));
                }
                Err(CredentialRetrievalError::HelperFailure { helper, stdout, stderr }) => {
                    let said = format!("{} {}", stdout.trim(), stderr.trim());
                    return Err(format!("{helper} failed: {}", said.trim()));
                }
                Err(e) => return Err(format!("{}: {e}", path.display())),
                Ok(DockerCredential::IdentityToken(token)) => {
                    return Ok(Some(Credential::IdentityToken(token)));
                }
                Ok(DockerCredential::UsernamePassword(user, password)) => {
                    // `docker login` with a helper leaves empty entries behind.
                    if user.is_empty() && password.is_empty() {
                        continue;
                    }
                    return Ok(Some(Credential::Password { user, password }));
                }
            }
        }
        Ok(None)
    }

    /// Names the place for messages.
    pub(crate) fn place(&self) -> String {
        self.file.as_ref().map_or_else(|| "no file".to_owned(), |f| f.display().to_string())
    }
}

impl Default for Credentials {
    fn default() -> Self {
        Self::from_env()
    }
}

//! What the user hands to a build beside files: secrets and SSH agents.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::args::values::{Secret, SecretSource, SshAgent};
use crate::failure::Failure;

/// BuildKit's limit of a secret (`session/secrets/secretsprovider`).
const LARGEST_SECRET: usize = 500 << 10;

/// Reads the values of secrets. A variable that is not set gives no secret,
/// which is an error only where the secret is required.
pub(crate) fn secrets(given: &[Secret]) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let mut values = BTreeMap::new();
    for secret in given {
        let variable = |name: &str| std::env::var_os(name).map(OsStringExt::into_vec);
        let value = match &secret.source {
            SecretSource::File(path) => Some(read(&secret.id, path)?),
            SecretSource::Env(name) => variable(name),
            SecretSource::Name => match variable(&secret.id) {
                Some(value) => Some(value),
                None => Some(read(&secret.id, &secret.id)?),
            },
        };
        let Some(value) = value else { continue };
        if value.len() > LARGEST_SECRET {
            let message = format!("secret `{}` has {} bytes, the limit is {LARGEST_SECRET}", secret.id, value.len());
            return Err(Failure::usage(message).help("files that large are better mounted from a build context"));
        }
        values.insert(secret.id.clone(), value);
    }
    Ok(values)
}

fn read(id: &str, path: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|e| {
        let message = format!("cannot read `{path}` for secret `{id}`: {e}");
        match e.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::IsADirectory => Failure::usage(message),
            _ => Failure::environment(message),
        }
    })
}

/// Finds the sockets of SSH agents.
pub(crate) fn agents(given: &[SshAgent]) -> Result<BTreeMap<String, PathBuf>, Failure> {
    use std::os::unix::fs::FileTypeExt as _;
    let mut sockets = BTreeMap::new();
    for agent in given {
        let socket = match &agent.socket {
            Some(socket) => PathBuf::from(socket),
            None => match std::env::var_os("SSH_AUTH_SOCK").filter(|v| !v.is_empty()) {
                Some(socket) => socket.into(),
                None => {
                    return Err(Failure::usage(format!("--ssh {}: SSH_AUTH_SOCK is not set", agent.id))
                        .help("start an agent (`eval $(ssh-agent)`), or give its socket: --ssh ID=SOCKET"));
                }
            },
        };
        let shown = socket.display();
        match std::fs::metadata(&socket) {
            Ok(meta) if meta.file_type().is_socket() => {}
            Ok(_) => {
                return Err(Failure::usage(format!("--ssh {}: `{shown}` is no socket", agent.id))
                    .help("keys are not read; add them to an agent with ssh-add"));
            }
            Err(e) => return Err(Failure::usage(format!("--ssh {}: cannot use `{shown}`: {e}", agent.id))),
        }
        sockets.insert(agent.id.clone(), socket);
    }
    Ok(sockets)
}

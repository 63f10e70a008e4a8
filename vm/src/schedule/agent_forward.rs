//! A socket of our own before the user's SSH agent: it can have the mode and
//! owner that a mount asks for, and it is gone when the process is.

use std::io;
use std::net::Shutdown;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Forwards connections until it is dropped.
pub(super) struct AgentForward {
    path: PathBuf,
    over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl AgentForward {
    /// Listens at `path` for the agent at `agent`. `owner` is user and group,
    /// where the store can keep them.
    pub(super) fn start(path: &Path, agent: PathBuf, mode: u32, owner: Option<(u32, u32)>) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        if let Some((uid, gid)) = owner {
            match chown(path, Some(uid), Some(gid)) {
                // Not mapped in this user namespace: no process can be that
                // user either, and the socket stays with root.
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => {}
                other => other?,
            }
        }
        let over = Arc::new(AtomicBool::new(false));
        let done = over.clone();
        let accepting = std::thread::Builder::new().name("ssh-agent".to_owned()).spawn(move || {
            for connection in listener.incoming() {
                if done.load(Ordering::SeqCst) {
                    break;
                }
                // A client that is gone, or an agent that is: the process in
                // the sandbox sees its connection end.
                if let Ok(client) = connection
                    && let Ok(agent) = UnixStream::connect(&agent)
                {
                    join(client, agent);
                }
            }
        })?;
        Ok(Self { path: path.to_owned(), over, accepting: Some(accepting) })
    }

    /// Returns the socket's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Copies both ways until one side ends.
fn join(client: UnixStream, agent: UnixStream) {
    let (Ok(client_too), Ok(agent_too)) = (client.try_clone(), agent.try_clone()) else { return };
    let one_way = |mut from: UnixStream, mut to: UnixStream| {
        move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        }
    };
    std::thread::spawn(one_way(client, agent_too));
    std::thread::spawn(one_way(agent, client_too));
}

impl Drop for AgentForward {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread, which then sees that it is over.
        let _ = UnixStream::connect(&self.path);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn an_agent_answers_through_a_socket_of_another_mode() {
        let dir = tempfile::tempdir().unwrap();
        let agent = dir.path().join("agent");
        let listener = UnixListener::bind(&agent).unwrap();
        let echo = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut asked = String::new();
            peer.read_to_string(&mut asked).unwrap();
            peer.write_all(format!("re: {asked}").as_bytes()).unwrap();
        });
        let path = dir.path().join("forward");
        let forward = AgentForward::start(&path, agent, 0o640, None).unwrap();
        assert_eq!(std::fs::metadata(forward.path()).unwrap().permissions().mode() & 0o777, 0o640);
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "re: hello");
        echo.join().unwrap();
        drop(forward);
        assert!(UnixStream::connect(&path).is_err(), "nobody listens any more");
    }
}

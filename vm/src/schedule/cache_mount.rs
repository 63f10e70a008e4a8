//! Cache mounts: directories that live on between builds.
//!
//! One directory per id (and initial content, or mode and owner: BuildKit
//! adds the reference of what the cache begins with to its key) below
//! `cache/`, with a lock beside it: shared mounts take it shared, a locked one exclusively, and a
//! private one takes the first of `NAME`, `NAME.1`, … that it can have.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rbc_ir::{CacheSharing, Digest, ExecMountKind};

use super::{Build, BuildErrorKind};
use crate::exec::CancelToken;
use crate::fs::{Follow, Node, locate};
use crate::store::{Action, IoContext};

/// How often a lock that somebody holds is asked for again; flock has no
/// time-out and a blocked one could not be cancelled.
const RETRY: Duration = Duration::from_millis(50);

/// An opened cache mount; its lock is given back when dropped.
pub(super) struct CacheMount {
    path: PathBuf,
    _lock: File,
}

impl CacheMount {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn open(
        build: &Build<'_>,
        kind: &ExecMountKind,
        inputs: &[Arc<Action>],
        cancel: &CancelToken,
    ) -> Result<Self, BuildErrorKind> {
        let ExecMountKind::Cache { id, sharing, input, source, mode, uid, gid, ro: _ } = kind else {
            return Err(BuildErrorKind::Unsupported("not a cache mount".to_owned()));
        };
        let store = build.vm.store();
        let initial = input.and_then(|i| inputs.get(i)).map(|action| &action.snapshot);
        let mut named = id.clone().into_bytes();
        if let Some(snapshot) = initial {
            named.push(0);
            named.extend_from_slice(&snapshot.root.content_id().0);
            named.extend_from_slice(source.as_bytes());
        } else if (*mode, *uid, *gid) != (0o755, 0, 0) {
            named.extend_from_slice(format!("\0{mode:o} {uid}:{gid}").as_bytes());
        }
        let name = Digest::of(&named).hex();
        let caches = store.caches();
        let mut number = 0u32;
        let (directory, lock) = loop {
            let name = if number == 0 { name.clone() } else { format!("{name}.{number}") };
            let path = caches.join(format!("{name}.lock"));
            let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path).on("open", &path)?;
            let got = match sharing {
                CacheSharing::Shared => lock.try_lock_shared(),
                CacheSharing::Locked | CacheSharing::Private => lock.try_lock(),
            };
            match got {
                Ok(()) => break (caches.join(name), lock),
                Err(TryLockError::WouldBlock) if *sharing == CacheSharing::Private => number += 1,
                Err(TryLockError::WouldBlock) => {
                    if cancel.is_cancelled() {
                        return Err(BuildErrorKind::Cancelled);
                    }
                    std::thread::sleep(RETRY);
                }
                Err(TryLockError::Error(e)) => return Err(crate::store::StoreError::io("lock", path, e).into()),
            }
        };
        if !directory.is_dir() {
            let fresh = store.scratch();
            match initial {
                Some(snapshot) => fill(build, snapshot, source, &fresh)?,
                None => {
                    fs::create_dir(&fresh).on("create", &fresh)?;
                    fs::set_permissions(&fresh, fs::Permissions::from_mode(*mode)).on("chmod", &fresh)?;
                    if store.keeps_owners() {
                        match chown(&fresh, Some(*uid), Some(*gid)) {
                            // Not mapped in this user namespace: no process
                            // can be that user either.
                            Err(e) if e.kind() == std::io::ErrorKind::InvalidInput => {}
                            other => other.on("chown", &fresh)?,
                        }
                    }
                }
            }
            if fs::rename(&fresh, &directory).is_err() {
                // Somebody with the same shared lock was first.
                crate::store::remove_tree(&fresh)?;
            }
        }
        let mut path = directory;
        if initial.is_none() {
            let names = crate::fs::path::clean(source.as_bytes());
            for name in names {
                path.push(std::ffi::OsStr::from_bytes(name));
                // One component at a time, and no symbolic links: the cache's
                // content is the builds'.
                match fs::symlink_metadata(&path) {
                    Ok(meta) if meta.is_dir() => {}
                    Ok(_) => {
                        return Err(BuildErrorKind::Mount {
                            target: source.clone(),
                            why: "not a directory in the cache".to_owned(),
                        });
                    }
                    Err(_) => {
                        let why = "not found in the cache".to_owned();
                        return Err(BuildErrorKind::Mount { target: source.clone(), why });
                    }
                }
            }
        }
        Ok(Self { path, _lock: lock })
    }
}

/// Copies a directory of a snapshot: a cache is written to, so links will not
/// do.
fn fill(build: &Build<'_>, snapshot: &crate::store::Snapshot, source: &str, to: &Path) -> Result<(), BuildErrorKind> {
    let store = build.vm.store();
    let found = locate(store, &snapshot.root, source.as_bytes(), Follow::Last)?;
    let wrong = |why: &str| BuildErrorKind::Mount { target: source.to_owned(), why: why.to_owned() };
    let root = match &found.entry {
        _ if found.names.is_empty() => snapshot.root.clone(),
        Some(entry) => match &entry.node {
            Node::Dir(dir) => crate::fs::Root { meta: entry.meta.clone(), dir: *dir },
            _ => return Err(wrong("not a directory")),
        },
        None => return Err(wrong("not found")),
    };
    store.write_out(&root, to)?;
    Ok(())
}

//! Where everything stands.
//!
//! ```text
//! $RBC_HOME/                 mode 0700: a setuid object is out of reach
//!   VERSION                  format of the store
//!   lock                     flock: shared while a process uses the store, exclusive to prune
//!   obj/00 … obj/ff          objects: one inode per (content, metadata)
//!   checkout/00 … /ff        trees and layers as real directories, read-only use
//!   blob/                    OCI blobs by digest: pulled or made layers, configs, manifests
//!   cache/                   cache mounts
//!   run/ID/                  one process in progress; `run/OWNER.lock` tells whether its owner lives
//!   damaged/                 what was found damaged, until the next prune
//!   boot                     id of the boot in which checkouts were made
//!   tmp/                     half-made things; renamed into place
//!   index/                   LMDB
//! ```
//!
//! All on one file system and reached through one mount: links cross neither.
//!
//! The owners of objects are part of what they are, but which number on disk
//! stands for an owner depends on the user namespace: root's, an ordinary
//! user's with its ranges, or one with a single id, where all inodes are the
//! user's. A store is used only under the ids that it was made under. VERSION
//! tells by its own owner, as this process sees it: 1:1 in a namespace with
//! ranges, else the effective user.

use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Once, OnceLock};

use rustix::fs::{Mode, OFlags};

use super::IdMap;
use super::error::{IoContext, StoreError};
use super::liveness::{self, Alive};

/// What VERSION says.
const VERSION: &str = "rbc store 1\n";

/// Directories of a store.
const DIRECTORIES: [&str; 7] = ["obj", "checkout", "blob", "cache", "run", "tmp", "index"];

/// Paths and directory handles of a store.
pub(crate) struct Layout {
    home: PathBuf,
    /// Handle of `obj`.
    pub(crate) objects: OwnedFd,
    /// Keeps the shared lock.
    lock: File,
    /// Makes names in `tmp` and `run` unique within the process.
    counter: AtomicU64,
    started: u64,
    /// Taken for the first name in `run` or `tmp`; none if it cannot be made.
    alive: OnceLock<Option<Alive>>,
    swept: Once,
}

impl Layout {
    pub(crate) fn open(home: &Path, ids: &IdMap) -> Result<Self, StoreError> {
        let home = std::path::absolute(home).on("resolve", home)?;
        let version = home.join("VERSION");
        match fs::read_to_string(&version) {
            Ok(text) if text == VERSION => {
                check_ids(&home, &version, ids)?;
                // Removed from outside, perhaps.
                if DIRECTORIES.iter().any(|name| !home.join(name).is_dir()) {
                    create(&home, ids)?;
                }
            }
            Ok(text) => {
                return Err(StoreError::Format { path: home, found: text.trim().to_owned(), expected: VERSION.trim() });
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => create(&home, ids)?,
            Err(e) => return Err(StoreError::io("read", version, e)),
        }
        let path = home.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path).on("open", &path)?;
        lock.lock_shared().on("lock", &path)?;
        let path = home.join("obj");
        let objects = rustix::fs::open(&path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .on("open", &path)?;
        let started = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX));
        Ok(Self {
            home,
            objects,
            lock,
            counter: AtomicU64::new(0),
            started,
            alive: OnceLock::new(),
            swept: Once::new(),
        })
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.home.join("index")
    }

    pub(crate) fn object(&self, name: &str) -> PathBuf {
        self.home.join("obj").join(name)
    }

    pub(crate) fn checkout(&self, name: &str) -> PathBuf {
        let (shard, rest) = name.split_at(2.min(name.len()));
        self.home.join("checkout").join(shard).join(rest)
    }

    pub(crate) fn blob(&self, digest: &rbc_ir::Digest) -> PathBuf {
        self.home.join("blob").join(digest.hex())
    }

    pub(crate) fn caches(&self) -> PathBuf {
        self.home.join("cache")
    }

    pub(crate) fn runs(&self) -> PathBuf {
        self.home.join("run")
    }

    fn owner(&self) -> String {
        format!("{}-{:x}", std::process::id(), self.started)
    }

    fn unique(&self) -> String {
        let owner = self.owner();
        self.alive.get_or_init(|| Alive::claim(&self.runs(), &owner).ok());
        let n = self.counter.fetch_add(1, Ordering::Relaxed);
        format!("{owner}-{n}")
    }

    /// Returns a path for something damaged.
    pub(crate) fn aside(&self) -> PathBuf {
        let n = self.counter.fetch_add(1, Ordering::Relaxed);
        self.home.join("damaged").join(format!("{}-{n}", self.owner()))
    }

    pub(crate) fn boot(&self) -> PathBuf {
        self.home.join("boot")
    }

    /// Returns a path in `tmp` that nobody else uses.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.home.join("tmp").join(self.unique())
    }

    /// Makes the directory of one process.
    pub(crate) fn new_run(&self) -> Result<PathBuf, StoreError> {
        let path = self.runs().join(self.unique());
        self.swept.call_once(|| liveness::sweep(&self.runs(), &self.home.join("tmp")));
        fs::create_dir(&path).on("create", &path)?;
        Ok(path)
    }

    /// Swaps the shared lock for the exclusive one; `Busy` if somebody else
    /// uses the store.
    pub(crate) fn lock_exclusively(&self) -> Result<(), StoreError> {
        match self.lock.try_lock() {
            Ok(()) => Ok(()),
            Err(fs::TryLockError::WouldBlock) => {
                self.lock.lock_shared().on("lock", self.home.join("lock"))?;
                Err(StoreError::Busy { path: self.home.clone() })
            }
            Err(fs::TryLockError::Error(e)) => Err(StoreError::io("lock", self.home.join("lock"), e)),
        }
    }

    /// Goes back to the shared lock.
    pub(crate) fn lock_shared(&self) -> Result<(), StoreError> {
        self.lock.lock_shared().on("lock", self.home.join("lock"))
    }
}

/// Refuses a store whose owners on disk mean something else than here.
fn check_ids(home: &Path, version: &Path, ids: &IdMap) -> Result<(), StoreError> {
    let found = fs::symlink_metadata(version).on("stat", version)?;
    let expected = ids.mark();
    if found.uid() == expected && (!ids.has_ranges() || found.gid() == expected) {
        return Ok(());
    }
    let user = rustix::process::geteuid().as_raw();
    Err(match ids.has_ranges() && found.uid() == user {
        true => StoreError::SingleId { path: home.to_owned() },
        false => StoreError::OtherIds { path: home.to_owned(), owner: found.uid() },
    })
}

/// Makes the directories; VERSION comes last, so a store that was cut short
/// is made again. Safe against another process doing the same.
fn create(home: &Path, ids: &IdMap) -> Result<(), StoreError> {
    let mut private = fs::DirBuilder::new();
    private.recursive(true).mode(0o700);
    private.create(home).on("create", home)?;
    fs::set_permissions(home, fs::Permissions::from_mode(0o700)).on("chmod", home)?;
    for name in DIRECTORIES {
        let path = home.join(name);
        private.create(&path).on("create", &path)?;
    }
    for name in ["obj", "checkout"] {
        for shard in 0..=255u8 {
            let path = home.join(name).join(format!("{shard:02x}"));
            private.create(&path).on("create", &path)?;
        }
    }
    let temporary = home.join("tmp").join(format!("VERSION-{}", std::process::id()));
    fs::write(&temporary, VERSION).on("write", &temporary)?;
    if ids.has_ranges() {
        chown(&temporary, Some(ids.mark()), Some(ids.mark())).on("chown", &temporary)?;
    }
    let version = home.join("VERSION");
    fs::rename(&temporary, &version).on("create", version)
}

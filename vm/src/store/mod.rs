//! The store: content-addressed and immutable. Only names are ever added or
//! removed; see `layout` for where everything stands.

mod blobs;
mod capture;
mod checkout;
mod error;
mod heal;
mod index;
mod layout;
mod liveness;
mod objects;
mod pending;
mod prune;
mod records;
mod snapshot;
#[cfg(test)]
mod tests;
mod trees;
mod usage;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dashmap::DashMap;
use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;

use crate::fs::{Dir, TreeId};
use index::Index;
use layout::Layout;
use pending::Pending;

pub(crate) use capture::says_nothing;
pub(crate) use checkout::{Inodes, remove_tree};
pub(crate) use error::IoContext;
pub use error::StoreError;
pub(crate) use objects::set_meta;
pub use prune::{PrunePolicy, Pruned};
pub(crate) use records::{Action, RecordKey, Why, root_from_text, root_to_text};
pub use snapshot::{BaseLayer, Layer, MadeLayer, Snapshot};
pub use usage::DiskUsage;
pub use verify::VerifyReport;

/// An opened store. Shared by all threads of a process; several processes may
/// have the same one open.
pub struct Store {
    layout: Layout,
    index: Index,
    /// Directories seen so far: a Merkle walk meets the same ones again.
    dirs: DashMap<TreeId, Arc<Dir>, FxBuildHasher>,
    pending: Pending,
    /// Records that were read or written.
    used: Mutex<Vec<RecordKey>>,
    /// Something was not as a record says; see `heal`.
    damaged: AtomicBool,
    keeps_owners: bool,
    in_user_namespace: bool,
}

impl Store {
    /// Opens the store below `home`, making it if need be.
    ///
    /// # Errors
    ///
    /// If the directory cannot be made or used, or holds another format.
    pub fn open(home: &Path) -> Result<Self, StoreError> {
        let ids = IdMap::read();
        let layout = Layout::open(home, &ids)?;
        let index = match Index::open(&layout.index()) {
            // Objects and archives are found again; only results are lost.
            Err(StoreError::IndexDamaged { path, .. }) => {
                let to = layout.aside();
                std::fs::create_dir_all(to.parent().unwrap_or(&to)).on("create", &to)?;
                std::fs::rename(&path, &to).on("move", &path)?;
                Index::open(&path)?
            }
            index => index?,
        };
        let store = Self {
            layout,
            index,
            dirs: DashMap::default(),
            pending: Pending::default(),
            used: Mutex::default(),
            damaged: AtomicBool::new(false),
            keeps_owners: rustix::process::geteuid().is_root() && ids.several,
            in_user_namespace: ids.in_user_namespace,
        };
        store.distrust_other_boots()?;
        Ok(store)
    }

    /// Returns a path for something half-made; nobody else uses it.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.layout.scratch()
    }

    /// Makes the directory of one process.
    pub(crate) fn new_run(&self) -> Result<PathBuf, StoreError> {
        self.layout.new_run()
    }

    /// Returns the directory of cache mounts.
    pub(crate) fn caches(&self) -> PathBuf {
        self.layout.caches()
    }

    /// Returns the directory that holds the store.
    pub fn home(&self) -> &Path {
        self.layout.home()
    }

    /// Tells whether inodes get the owner that their metadata says. Not so
    /// for a user with a single id: then true owners are in the trees only.
    pub(crate) fn keeps_owners(&self) -> bool {
        self.keeps_owners
    }

    /// Name of one of overlayfs's extended attributes: root's mounts use
    /// `trusted.`, those of a user namespace `user.` (option `userxattr`).
    pub(crate) fn overlay_xattr(&self, name: &str) -> String {
        let space = if self.in_user_namespace { "user" } else { "trusted" };
        format!("{space}.overlay.{name}")
    }
}

/// What the user namespace of this process maps.
struct IdMap {
    /// More than one id: root may give files away.
    several: bool,
    /// Not the initial namespace's identity map.
    in_user_namespace: bool,
}

impl IdMap {
    /// Whether this is a user namespace with more than one id.
    fn has_ranges(&self) -> bool {
        self.in_user_namespace && self.several && rustix::process::geteuid().is_root()
    }

    /// The owner of a file that tells under which ids a store was made.
    fn mark(&self) -> u32 {
        if self.has_ranges() { 1 } else { rustix::process::geteuid().as_raw() }
    }

    fn read() -> Self {
        let text = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let ids: u64 = text.lines().filter_map(|l| l.split_whitespace().nth(2)?.parse::<u64>().ok()).sum();
        Self { several: ids > 1, in_user_namespace: ids < u64::from(u32::MAX) }
    }
}

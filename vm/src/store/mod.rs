//! The store: content-addressed and immutable. Only names are ever added or
//! removed; see `layout` for where everything stands.

mod error;
mod index;
mod layout;
mod objects;
mod pending;
mod records;
mod snapshot;
mod trees;

use std::path::Path;
use std::sync::Arc;

use dashmap::DashMap;
use rustc_hash::FxBuildHasher;

use crate::fs::{Dir, TreeId};
use index::Index;
use layout::Layout;
use pending::Pending;

pub(crate) use error::IoContext;
pub use error::StoreError;
pub(crate) use records::{Action, RecordKey, Why, root_from_text, root_to_text};
pub use snapshot::{BaseLayer, Layer, MadeLayer, Snapshot};

/// An opened store. Shared by all threads of a process; several processes may
/// have the same one open.
pub struct Store {
    layout: Layout,
    index: Index,
    /// Directories seen so far: a Merkle walk meets the same ones again.
    dirs: DashMap<TreeId, Arc<Dir>, FxBuildHasher>,
    pending: Pending,
    keeps_owners: bool,
}

impl Store {
    /// Opens the store below `home`, making it if need be.
    ///
    /// # Errors
    ///
    /// If the directory cannot be made or used, or holds another format.
    pub fn open(home: &Path) -> Result<Self, StoreError> {
        let layout = Layout::open(home)?;
        let index = Index::open(&layout.index())?;
        let keeps_owners = can_chown();
        Ok(Self { layout, index, dirs: DashMap::default(), pending: Pending::default(), keeps_owners })
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
}

/// Tells whether this process may give files away: it is root, here or in a
/// user namespace that maps more than one id.
fn can_chown() -> bool {
    let maps = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let ids: u64 = maps.lines().filter_map(|l| l.split_whitespace().nth(2)?.parse::<u64>().ok()).sum();
    rustix::process::geteuid().is_root() && ids > 1
}

//! Removing what nobody wants any more: mark from the records, sweep the rest.
//!
//! Runs alone: it needs the store's lock exclusively, which builds hold
//! shared, and says so if it cannot have it. The number of links of an object
//! says nothing about its use (links to it appear only when a process needs
//! the file), so everything is marked from the records.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rbc_ir::Digest;
use rustc_hash::FxBuildHasher;

use super::checkout::remove_tree;
use super::error::{IoContext, StoreError};
use super::objects::object_name;
use super::records::root_from_text;
use super::usage::DiskUsage;
use super::{Layer, Store};
use crate::fs::deep::deeper;
use crate::fs::{Forest, Node, Root, TreeError, TreeId};

/// Files take whole blocks on disk; 4 KiB on nearly every file system.
const BLOCK: u64 = 4096;

/// What is to be removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrunePolicy {
    /// Everything, cache mounts included.
    pub all: bool,
    /// Results that were not used for this long.
    pub unused_for: Option<Duration>,
    /// The longest unused results, until files take no more than this.
    pub max_bytes: Option<u64>,
    /// Nothing is removed, only counted.
    pub dry_run: bool,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Results.
    pub records: u64,
    /// Objects.
    pub objects: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

type Set<T> = HashSet<T, FxBuildHasher>;

/// What records name.
#[derive(Default)]
struct Marked {
    trees: Set<TreeId>,
    /// Names of objects, without the number of a replica.
    objects: Set<String>,
    checkouts: Set<String>,
    blobs: Set<Digest>,
    bytes: u64,
}

/// A record with the time of its last use.
struct Aged {
    key: [u8; 32],
    used: i64,
    value: Vec<u8>,
}

impl Store {
    /// Removes what a policy says, and everything that is only in the way:
    /// leftovers of killed processes, objects without a record.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] if another process uses the store.
    pub fn prune(&self, policy: &PrunePolicy) -> Result<Pruned, StoreError> {
        self.layout.lock_exclusively()?;
        let pruned = self.prune_alone(policy);
        self.layout.lock_shared()?;
        pruned
    }

    fn prune_alone(&self, policy: &PrunePolicy) -> Result<Pruned, StoreError> {
        let before = self.disk_usage()?;
        let (mut keep, mut drop) = self.divide(policy)?;
        let mut marked = self.mark(&keep)?;
        if let Some(limit) = policy.max_bytes {
            keep.sort_by_key(|r| r.used);
            keep.reverse();
            while marked.bytes > limit && !keep.is_empty() {
                // An eighth at a time: marking anew for each would be
                // quadratic.
                let rest = keep.len() - keep.len().div_ceil(8);
                drop.extend(keep.drain(rest..));
                marked = self.mark(&keep)?;
            }
        }
        if policy.dry_run {
            let bytes = before.objects.saturating_sub(marked.bytes);
            let kept = marked.objects.len() as u64;
            let objects = before.object_count.saturating_sub(kept);
            return Ok(Pruned { records: drop.len() as u64, objects, bytes });
        }
        // The index needs room to forget something, and the disk may be full:
        // first goes what can go without it.
        for name in ["run", "tmp", "damaged"] {
            clear(&self.home().join(name))?;
        }
        if policy.all {
            clear(&self.home().join("cache"))?;
        }
        let checkouts = self.sweep_checkouts(&marked)?;
        self.sweep_blobs(&marked, policy.all)?;
        self.forget(&drop, &checkouts, &marked)?;
        let objects = self.sweep_objects(&marked)?;
        self.dirs.clear();
        let after: DiskUsage = self.disk_usage()?;
        let bytes = before.total().saturating_sub(after.total());
        Ok(Pruned { records: drop.len() as u64, objects, bytes })
    }

    /// Divides the records into those that a policy keeps and the others.
    fn divide(&self, policy: &PrunePolicy) -> Result<(Vec<Aged>, Vec<Aged>), StoreError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let oldest = policy.unused_for.map(|d| now.saturating_sub_unsigned(d.as_secs()));
        self.index.read(|txn| {
            let (mut keep, mut drop) = (Vec::new(), Vec::new());
            for row in self.index.records.iter(txn)? {
                let (key, value) = row?;
                let Ok(key) = <[u8; 32]>::try_from(key) else { continue };
                let used =
                    self.index.uses.get(txn, &key)?.and_then(|b| b.try_into().ok()).map_or(0, i64::from_le_bytes);
                let record = Aged { key, used, value: value.to_vec() };
                if policy.all || oldest.is_some_and(|oldest| used < oldest) {
                    drop.push(record);
                } else {
                    keep.push(record);
                }
            }
            Ok((keep, drop))
        })
    }

    /// Finds everything that records name.
    fn mark(&self, records: &[Aged]) -> Result<Marked, StoreError> {
        let mut marked = Marked::default();
        for record in records {
            if let Some(action) = self.decode_action(&record.value) {
                self.mark_root(&action.snapshot.root, &mut marked)?;
                for layer in &action.snapshot.layers {
                    match layer {
                        Layer::Base(base) => {
                            marked.blobs.insert(base.digest);
                        }
                        Layer::Made(made) => self.mark_root(&made.diff, &mut marked)?,
                    }
                }
            } else if let Some(root) =
                serde_json::from_slice::<String>(&record.value).ok().and_then(|t| root_from_text(&t))
            {
                self.mark_root(&root, &mut marked)?;
            } else if let Ok(named) = serde_json::from_slice::<NamedBlob>(&record.value) {
                marked.blobs.insert(named.digest);
            }
        }
        Ok(marked)
    }

    fn mark_root(&self, root: &Root, marked: &mut Marked) -> Result<(), StoreError> {
        marked.checkouts.insert(hex::encode(root.id().0));
        match self.mark_dir(&root.dir.id, marked, 0) {
            // A record whose trees are gone is a miss, not a fault.
            Err(StoreError::Tree(TreeError::Missing(_) | TreeError::Damaged(_))) => Ok(()),
            result => result,
        }
    }

    fn mark_dir(&self, id: &TreeId, marked: &mut Marked, level: usize) -> Result<(), StoreError> {
        if !marked.trees.insert(*id) {
            return Ok(());
        }
        for (_, entry) in self.dir(id)?.entries() {
            match &entry.node {
                Node::Dir(dir) => deeper(level, || self.mark_dir(&dir.id, marked, level + 1))?,
                Node::File(file) if marked.objects.insert(object_name(&file.blob, &entry.meta, 0)) => {
                    marked.bytes += file.size.next_multiple_of(BLOCK);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes rows of the index. The stat index goes as a whole: it says
    /// that files of contexts are in the store, which need not be so now.
    fn forget(&self, drop: &[Aged], checkouts: &[String], marked: &Marked) -> Result<(), StoreError> {
        self.index.write(|txn| {
            for name in checkouts {
                self.index.checkouts.delete(txn, name.as_bytes())?;
            }
            for record in drop {
                self.index.records.delete(txn, &record.key)?;
                self.index.uses.delete(txn, &record.key)?;
            }
            self.index.contexts.clear(txn)?;
            let mut gone = Vec::new();
            for row in self.index.trees.iter(txn)? {
                let (key, _) = row?;
                if !key.try_into().is_ok_and(|id| marked.trees.contains(&TreeId(id))) {
                    gone.push(key.to_vec());
                }
            }
            for key in gone {
                self.index.trees.delete(txn, &key)?;
            }
            // Rebuilt as objects are met again; until then the shards are
            // looked through.
            self.index.blobs.clear(txn)
        })
    }

    fn sweep_objects(&self, marked: &Marked) -> Result<u64, StoreError> {
        let mut removed = 0;
        let mut names = Vec::new();
        each(&self.home().join("obj"), &mut |shard, name, path| {
            let object = name.split('.').next().unwrap_or(name);
            let full = format!("{shard}/{object}");
            if marked.objects.contains(&full) {
                names.push(format!("{shard}/{name}"));
                return Ok(());
            }
            removed += 1;
            std::fs::remove_file(path).on("remove", path)
        })?;
        self.index_objects(&names)?;
        Ok(removed)
    }

    /// Returns the names of those that are gone: a row without its directory
    /// counts as none.
    fn sweep_checkouts(&self, marked: &Marked) -> Result<Vec<String>, StoreError> {
        let mut gone = Vec::new();
        each(&self.home().join("checkout"), &mut |shard, name, path| {
            let plain = name.split('.').next().unwrap_or(name);
            if marked.checkouts.contains(&format!("{shard}{plain}")) {
                return Ok(());
            }
            gone.push(format!("{shard}{name}"));
            remove_tree(path)
        })?;
        Ok(gone)
    }

    fn sweep_blobs(&self, marked: &Marked, all: bool) -> Result<(), StoreError> {
        let path = self.home().join("blob");
        for entry in std::fs::read_dir(&path).on("read", &path)? {
            let entry = entry.on("read", &path)?;
            let name = entry.file_name();
            let digest = format!("sha256:{}", name.to_string_lossy()).parse::<Digest>();
            let known = digest.is_ok_and(|d| marked.blobs.contains(&d));
            // Manifests and configurations are small, and spare a request.
            let document = !all && entry.metadata().is_ok_and(|m| m.len() < 1 << 20);
            if !known && !document {
                std::fs::remove_file(entry.path()).on("remove", entry.path())?;
            }
        }
        Ok(())
    }

    /// Writes down which records this process used, unless that was done
    /// lately: an unchanged rebuild must not write.
    pub(crate) fn note_uses(&self) -> Result<(), StoreError> {
        const LATELY: i64 = 3600;
        let keys = std::mem::take(&mut *self.used.lock());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let stale: Vec<_> = self.index.read(|txn| {
            let mut stale = Vec::new();
            for key in &keys {
                let used =
                    self.index.uses.get(txn, &key.0)?.and_then(|b| b.try_into().ok()).map_or(0, i64::from_le_bytes);
                if now - used > LATELY {
                    stale.push(key);
                }
            }
            Ok(stale)
        })?;
        if stale.is_empty() {
            return Ok(());
        }
        self.index.write(|txn| {
            for key in stale {
                self.index.uses.put(txn, &key.0, &now.to_le_bytes())?;
            }
            Ok(())
        })
    }
}

/// A record that names an archive made for an export.
#[derive(serde::Deserialize)]
struct NamedBlob {
    digest: Digest,
}

/// Calls for each entry of each shard, with both names.
pub(super) fn each(
    path: &Path,
    see: &mut dyn FnMut(&str, &str, &Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for shard in std::fs::read_dir(path).on("read", path)? {
        let shard = shard.on("read", path)?;
        for entry in std::fs::read_dir(shard.path()).on("read", shard.path())? {
            let entry = entry.on("read", shard.path())?;
            see(&shard.file_name().to_string_lossy(), &entry.file_name().to_string_lossy(), &entry.path())?;
        }
    }
    Ok(())
}

/// Removes everything in a directory.
pub(super) fn clear(path: &Path) -> Result<(), StoreError> {
    let list = match std::fs::read_dir(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        list => list.on("read", path)?,
    };
    for entry in list {
        let entry = entry.on("read", path)?;
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_tree(&entry.path())?;
        } else {
            std::fs::remove_file(entry.path()).on("remove", entry.path())?;
        }
    }
    Ok(())
}

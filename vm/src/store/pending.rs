//! What is known but not yet in the index: it is written in one transaction
//! with the next record, so that a record never names what is not there.

use std::sync::Arc;

use dashmap::DashMap;
use parking_lot::Mutex;
use rbc_ir::Digest;
use rustc_hash::FxBuildHasher;

use super::Store;
use crate::fs::Dir;

/// Directories and object names that wait for the next record.
#[derive(Default)]
pub(super) struct Pending {
    dirs: Mutex<Vec<Arc<Dir>>>,
    objects: DashMap<Digest, Vec<String>, FxBuildHasher>,
}

impl Store {
    pub(super) fn note_dir(&self, dir: Arc<Dir>) {
        self.pending.dirs.lock().push(dir);
    }

    /// Remembers that an object of a blob exists. Replicas are not listed:
    /// there may be thousands, and what they were made of is.
    pub(super) fn note_object(&self, blob: &Digest, name: &str) {
        let suffix = name.rsplit_once('-').map_or("", |(_, suffix)| suffix);
        if suffix.contains('.') {
            return;
        }
        let mut suffixes = self.pending.objects.entry(*blob).or_default();
        if !suffixes.iter().any(|s| s == suffix) {
            suffixes.push(suffix.to_owned());
        }
    }

    pub(super) fn pending_suffixes(&self, blob: &Digest) -> Vec<String> {
        self.pending.objects.get(blob).map(|s| s.clone()).unwrap_or_default()
    }

    pub(super) fn take_pending(&self) -> (Vec<Arc<Dir>>, Vec<(Digest, String)>) {
        let dirs = std::mem::take(&mut *self.pending.dirs.lock());
        let mut objects = Vec::new();
        // Entries stay until the transaction is through: a reader in between
        // must find an object either here or in the index.
        for entry in &self.pending.objects {
            objects.extend(entry.value().iter().map(|suffix| (*entry.key(), suffix.clone())));
        }
        (dirs, objects)
    }

    /// Forgets object names that are in the index now.
    pub(super) fn written(&self, objects: &[(Digest, String)]) {
        for (blob, suffix) in objects {
            self.pending.objects.remove_if_mut(blob, |_, suffixes| {
                suffixes.retain(|s| s != suffix);
                suffixes.is_empty()
            });
        }
    }

    /// Puts back what a failed transaction did not write.
    pub(super) fn give_back_pending(&self, dirs: Vec<Arc<Dir>>) {
        self.pending.dirs.lock().extend(dirs);
    }
}

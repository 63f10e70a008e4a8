//! Damage from outside: files of the store that were removed or cut short by
//! somebody else, or by a power cut (objects are not synced one by one).
//!
//! Whoever meets it notes it. `heal` then looks for all of it and withdraws
//! every record that names something damaged, so that it is a miss; what is
//! damaged itself is moved to `damaged/`, and removed by a prune. The length
//! of a file tells a cut one; `verify` re-hashes.
//!
//! Checkouts cannot be told from their index row, so all are withdrawn: they
//! are made anew from objects, by links. Their directories are moved only
//! when a successor is published, and never removed beside other processes,
//! which may have them mounted.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use rbc_ir::Digest;
use rustc_hash::FxHashMap;
use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::error::{IoContext, StoreError};
use super::objects::empty_blob;
use super::records::root_from_text;
use super::{Layer, Store};
use crate::fs::deep::deeper;
use crate::fs::{FileRef, Forest, Node, Root, TreeError, TreeId};

/// Objects by content, with their sizes.
type Contents = FxHashMap<Digest, Vec<(u64, PathBuf)>>;

/// What records name, and whether it is there.
struct Check<'a> {
    store: &'a Store,
    /// Contents that there are, with the sizes of their objects.
    contents: Contents,
    /// Directories that were looked at.
    whole: FxHashMap<TreeId, bool>,
}

impl Store {
    /// Notes that something was not as a record says.
    pub(super) fn note_damage(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }

    /// Tells whether damage was met since the last [`Store::heal`].
    pub(crate) fn met_damage(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Tells whether an object is there and of this size; one of another size
    /// is taken out of the way.
    pub(super) fn object_is_whole(&self, name: &str, size: u64) -> Result<bool, StoreError> {
        match rustix::fs::statat(&self.layout.objects, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if u64::try_from(stat.st_size).is_ok_and(|s| s == size) => Ok(true),
            Ok(_) => {
                self.note_damage();
                self.set_aside(&self.layout.object(name))?;
                Ok(false)
            }
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(StoreError::io("stat", self.layout.object(name), e.into())),
        }
    }

    /// Opens a file's content if it is as long as it should be.
    pub(crate) fn open_whole(&self, file: &FileRef) -> Result<File, StoreError> {
        let opened = self.open_blob(&file.blob)?;
        let size = opened.metadata().on("stat", self.layout.object(""))?.len();
        self.expect_size(file, if file.blob == empty_blob() { 0 } else { size })?;
        Ok(opened)
    }

    /// Refuses content that is not as long as it should be.
    pub(super) fn expect_size(&self, file: &FileRef, found: u64) -> Result<(), StoreError> {
        if found == file.size {
            return Ok(());
        }
        self.note_damage();
        let what = format!("file content {} (there are {found} bytes of {})", file.blob, file.size);
        Err(StoreError::Missing { what })
    }

    /// Moves something damaged out of the way.
    pub(super) fn set_aside(&self, path: &Path) -> Result<(), StoreError> {
        let to = self.layout.aside();
        let parent = to.parent().unwrap_or(&to);
        std::fs::create_dir_all(parent).on("create", parent)?;
        match std::fs::rename(path, &to) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            moved => moved.on("move", path),
        }
    }

    /// Withdraws every record that names something that is not there.
    /// Returns how many.
    pub(crate) fn heal(&self) -> Result<u64, StoreError> {
        self.damaged.store(false, Ordering::Relaxed);
        // Directories that this process knows may be damaged on disk.
        self.flush(|_, _| Ok(()))?;
        self.dirs.clear();
        let mut check = Check { store: self, contents: self.contents()?, whole: FxHashMap::default() };
        let records: Vec<(Vec<u8>, Vec<u8>)> = self.index.read(|txn| {
            self.index.records.iter(txn)?.map(|row| row.map(|(k, v)| (k.to_vec(), v.to_vec()))).collect()
        })?;
        let mut gone = Vec::new();
        for (key, value) in records {
            if !check.record(&value)? {
                gone.push(key);
            }
        }
        self.index.write(|txn| {
            for key in &gone {
                self.index.records.delete(txn, key)?;
                self.index.uses.delete(txn, key)?;
            }
            // It says that files of contexts are in the store.
            self.index.contexts.clear(txn)?;
            self.index.checkouts.clear(txn)?;
            let mut trees = Vec::new();
            for (id, _) in check.whole.iter().filter(|(_, whole)| !**whole) {
                trees.push(id.0);
            }
            // A damaged row would keep its successor from being written.
            for id in trees {
                self.index.trees.delete(txn, &id)?;
            }
            Ok(())
        })?;
        self.damaged.store(false, Ordering::Relaxed);
        Ok(gone.len() as u64)
    }

    /// Withdraws all checkouts that another boot of the machine made.
    ///
    /// Files that a process wrote are in a checkout as it left them, and were
    /// never synced: after a power cut they may be short, without that their
    /// checkout tells. Objects are looked at when they are linked. (After a
    /// crash, ext4, xfs and btrfs show a file short rather than with bytes
    /// that nobody wrote: the length is only moved once data is on disk.)
    pub(super) fn distrust_other_boots(&self) -> Result<(), StoreError> {
        let Ok(boot) = std::fs::read("/proc/sys/kernel/random/boot_id") else { return Ok(()) };
        let path = self.layout.boot();
        if std::fs::read(&path).is_ok_and(|known| known == boot) {
            return Ok(());
        }
        if !self.index.read(|txn| self.index.checkouts.is_empty(txn))? {
            self.index.write(|txn| self.index.checkouts.clear(txn))?;
        }
        let temporary = self.layout.scratch();
        std::fs::write(&temporary, boot).on("write", &temporary)?;
        std::fs::rename(&temporary, &path).on("create", path)
    }

    /// All contents that have an object.
    fn contents(&self) -> Result<Contents, StoreError> {
        let mut contents = Contents::default();
        super::prune::each(&self.home().join("obj"), &mut |shard, name, path| {
            let rest = name.split('-').next().unwrap_or(name);
            if let Ok(blob) = format!("sha256:{shard}{rest}").parse()
                && let Ok(meta) = path.symlink_metadata()
            {
                contents.entry(blob).or_default().push((meta.len(), path.to_owned()));
            }
            Ok(())
        })?;
        Ok(contents)
    }
}

impl Check<'_> {
    /// Tells whether everything that a record names is there. Archives are
    /// looked for by whoever wants them, and can be had again.
    fn record(&mut self, value: &[u8]) -> Result<bool, StoreError> {
        if let Some(action) = self.store.decode_action(value) {
            let mut whole = self.root(&action.snapshot.root)?;
            for layer in &action.snapshot.layers {
                if let Layer::Made(made) = layer {
                    whole &= self.root(&made.diff)?;
                }
            }
            return Ok(whole);
        }
        match serde_json::from_slice::<String>(value).ok().and_then(|t| root_from_text(&t)) {
            Some(root) => self.root(&root),
            None => Ok(true),
        }
    }

    fn root(&mut self, root: &Root) -> Result<bool, StoreError> {
        self.dir(&root.dir.id, 0)
    }

    fn dir(&mut self, id: &TreeId, level: usize) -> Result<bool, StoreError> {
        if let Some(whole) = self.whole.get(id) {
            return Ok(*whole);
        }
        let dir = match self.store.dir(id) {
            Ok(dir) => dir,
            Err(TreeError::Missing(_) | TreeError::Damaged(_)) => {
                self.whole.insert(*id, false);
                return Ok(false);
            }
            Err(e) => return Err(e.into()),
        };
        let mut whole = true;
        for (_, entry) in dir.entries() {
            whole &= match &entry.node {
                Node::Dir(below) => deeper(level, || self.dir(&below.id, level + 1))?,
                Node::File(file) => self.has(file)?,
                _ => true,
            };
        }
        self.whole.insert(*id, whole);
        Ok(whole)
    }

    /// Tells whether any object has the content: others are made of it.
    /// Those that were cut short go out of the way.
    fn has(&mut self, file: &FileRef) -> Result<bool, StoreError> {
        if file.blob == empty_blob() {
            return Ok(true);
        }
        let Some(objects) = self.contents.get_mut(&file.blob) else { return Ok(false) };
        for (_, path) in objects.extract_if(.., |(size, _)| *size != file.size) {
            self.store.set_aside(&path)?;
        }
        Ok(!objects.is_empty())
    }
}

//! Re-hashing everything, for whoever doubts the disk.
//!
//! Runs alone, as a prune does. What is damaged goes to `damaged/`, records
//! that name it are withdrawn, and checkouts too, whose files cannot be
//! told from those of objects: they are made anew when needed. Metadata of
//! objects is not compared.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rayon::prelude::*;
use rbc_ir::{Digest, Hasher};

use super::Store;
use super::error::{IoContext, StoreError};
use super::prune::{clear, each};
use crate::fs::{Dir, Totals, TreeId, encode};

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Objects and archives that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Directories of the index that were read.
    pub directories: u64,
    /// What was damaged and is out of use now: paths in the store.
    pub damaged: Vec<String>,
    /// Results that named something damaged or missing, and are forgotten.
    pub records: u64,
}

impl Store {
    /// Reads the whole store and takes out of use what is damaged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] if another process uses the store.
    pub fn verify(&self) -> Result<VerifyReport, StoreError> {
        self.layout.lock_exclusively()?;
        let report = self.verify_alone();
        self.layout.lock_shared()?;
        report
    }

    fn verify_alone(&self) -> Result<VerifyReport, StoreError> {
        let mut files: Vec<(PathBuf, String)> = Vec::new();
        each(&self.home().join("obj"), &mut |shard, name, path| {
            let rest = name.split('-').next().unwrap_or(name);
            files.push((path.to_owned(), format!("{shard}{rest}")));
            Ok(())
        })?;
        let blobs = self.home().join("blob");
        for entry in std::fs::read_dir(&blobs).on("read", &blobs)? {
            let entry = entry.on("read", &blobs)?;
            files.push((entry.path(), entry.file_name().to_string_lossy().into_owned()));
        }
        let (bytes, damaged) = (AtomicU64::new(0), Mutex::new(Vec::new()));
        files.par_iter().try_for_each(|(path, name)| -> Result<(), StoreError> {
            match hash(path) {
                Ok((digest, size)) => {
                    bytes.fetch_add(size, Ordering::Relaxed);
                    if digest.hex() != *name {
                        damaged.lock().push(path.clone());
                    }
                }
                // EIO: the disk itself gave it up.
                Err(_) => damaged.lock().push(path.clone()),
            }
            Ok(())
        })?;
        let mut damaged = damaged.into_inner();
        damaged.sort();
        for path in &damaged {
            self.set_aside(path)?;
        }
        let mut report =
            VerifyReport { files: files.len() as u64, bytes: bytes.into_inner(), ..VerifyReport::default() };
        let shown = |path: &Path| path.strip_prefix(self.home()).unwrap_or(path).display().to_string();
        report.damaged = damaged.iter().map(|p| shown(p)).collect();
        self.verify_trees(&mut report)?;
        report.records = self.heal()?;
        for shard in 0..=255u8 {
            let path = self.home().join("checkout").join(format!("{shard:02x}"));
            if path.is_dir() {
                clear(&path)?;
            }
        }
        Ok(report)
    }

    /// Removes rows that do not have the digest that is their key.
    fn verify_trees(&self, report: &mut VerifyReport) -> Result<(), StoreError> {
        let mut bad = Vec::new();
        self.index.read(|txn| {
            for row in self.index.trees.iter(txn)? {
                let (key, value) = row?;
                report.directories += 1;
                let sound = <[u8; 32]>::try_from(key).is_ok_and(|id| {
                    let dir = encode::decode_row(TreeId(id), value);
                    dir.is_some_and(|d| Dir::new(d.entries().to_vec(), |_| Totals::default()).id() == TreeId(id))
                });
                if !sound {
                    bad.push(key.to_vec());
                }
            }
            Ok(())
        })?;
        report.damaged.extend(bad.iter().map(|key| format!("index: directory {}", hex::encode(key))));
        self.index.write(|txn| {
            for key in &bad {
                self.index.trees.delete(txn, key)?;
            }
            Ok(())
        })
    }
}

fn hash(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let (mut hasher, mut size, mut buffer) = (Hasher::new(), 0u64, vec![0; 256 * 1024]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), size)),
            Ok(n) => {
                hasher.update(buffer.get(..n).unwrap_or_default());
                size += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

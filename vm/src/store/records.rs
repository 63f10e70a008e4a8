//! Records: what was done, and what came of it. A record is written after
//! all that it names.
//!
//! Three kinds share one table, their keys apart by a tag in the hash:
//! actions (key of a node → snapshot), images (manifest digest → snapshot),
//! layers (diff id → tree of the difference).

use std::fmt::Write as _;

use heed::RwTxn;
use rbc_ir::{Digest, Hasher, NodeDigest};
use serde::{Deserialize, Serialize};

use super::Store;
use super::error::StoreError;
use super::index::Index;
use super::snapshot::{BaseLayer, Layer, MadeLayer, Snapshot};
use crate::fs::{Node, Root, encode};

/// The key of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RecordKey(pub(crate) [u8; 32]);

impl RecordKey {
    /// Makes a key of a kind and fields.
    pub(crate) fn of(kind: &str, fields: &[&[u8]]) -> Self {
        let mut hasher = Hasher::new();
        hasher.field(kind.as_bytes());
        for field in fields {
            hasher.field(field);
        }
        Self(hasher.finish().0)
    }
}

/// The result of a node.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    /// The result.
    pub(crate) snapshot: Snapshot,
    /// When it was made, in seconds since 1970.
    pub(crate) created: i64,
    /// Why: the inputs that the key was made of.
    pub(crate) why: Why,
}

/// What a key was made of, so that a miss can be explained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Why {
    /// The node.
    #[serde(default)]
    pub(crate) node: Option<NodeDigest>,
    /// How progress showed it.
    #[serde(default)]
    pub(crate) name: String,
    /// Each input that was read, by what it is, and its digest without times.
    #[serde(default)]
    pub(crate) inputs: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct ActionRow {
    root: String,
    layers: Vec<LayerRow>,
    created: i64,
    why: Why,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LayerRow {
    Base(BaseLayer),
    Made { diff: String, created: i64 },
}

/// A root as text: the hex digits of its encoded entry.
pub(crate) fn root_to_text(root: &Root) -> String {
    let mut bytes = Vec::new();
    encode::entry(&mut bytes, b"", &root.entry());
    hex::encode(bytes)
}

/// Reads what [`root_to_text`] wrote.
pub(crate) fn root_from_text(text: &str) -> Option<Root> {
    let (_, entry) = encode::decode_entry(&hex::decode(text).ok()?)?;
    match entry.node {
        Node::Dir(dir) => Some(Root { meta: entry.meta, dir }),
        _ => None,
    }
}

impl Action {
    fn to_row(&self) -> ActionRow {
        let layers = self.snapshot.layers.iter().map(|layer| match layer {
            Layer::Base(base) => LayerRow::Base(base.clone()),
            Layer::Made(made) => LayerRow::Made { diff: root_to_text(&made.diff), created: made.created },
        });
        ActionRow {
            root: root_to_text(&self.snapshot.root),
            layers: layers.collect(),
            created: self.created,
            why: self.why.clone(),
        }
    }

    fn from_row(row: ActionRow) -> Option<Self> {
        let mut layers = Vec::with_capacity(row.layers.len());
        for layer in row.layers {
            layers.push(match layer {
                LayerRow::Base(base) => Layer::Base(base),
                LayerRow::Made { diff, created } => Layer::Made(MadeLayer { diff: root_from_text(&diff)?, created }),
            });
        }
        let snapshot = Snapshot { root: root_from_text(&row.root)?, layers };
        Some(Self { snapshot, created: row.created, why: row.why })
    }
}

impl Store {
    /// Finds the result of a node. A record that cannot be read, or whose
    /// trees are gone, is a miss.
    pub(crate) fn action(&self, key: &RecordKey) -> Result<Option<Action>, StoreError> {
        let Some(bytes) = self.index.get(self.index.records, &key.0)? else { return Ok(None) };
        let action = serde_json::from_slice(&bytes).ok().and_then(Action::from_row);
        let action = action.filter(|a| self.has_dir(&a.snapshot.root.dir.id));
        if action.is_some() {
            self.used.lock().push(*key);
        }
        Ok(action)
    }

    /// Reads the row of an action; `None` if it is of another kind.
    pub(super) fn decode_action(&self, row: &[u8]) -> Option<Action> {
        serde_json::from_slice(row).ok().and_then(Action::from_row)
    }

    /// Writes the names of objects into the index.
    pub(super) fn index_objects(&self, names: &[String]) -> Result<(), StoreError> {
        for name in names {
            let hex = name.split('-').next().unwrap_or_default().replace('/', "");
            if let Ok(blob) = format!("sha256:{hex}").parse() {
                self.note_object(&blob, name);
            }
        }
        self.flush(|_, _| Ok(()))
    }

    /// Writes the result of a node under its keys, after everything that it
    /// names.
    pub(crate) fn put_action(&self, keys: &[RecordKey], action: &Action) -> Result<(), StoreError> {
        self.put_record(keys, &action.to_row())
    }

    /// Reads a record of another kind.
    pub(crate) fn record<T: for<'de> Deserialize<'de>>(&self, key: &RecordKey) -> Result<Option<T>, StoreError> {
        let bytes = self.index.get(self.index.records, &key.0)?;
        let value = bytes.and_then(|b| serde_json::from_slice(&b).ok());
        if value.is_some() {
            self.used.lock().push(*key);
        }
        Ok(value)
    }

    /// Writes a record, after all trees and object names that are waiting.
    pub(crate) fn put_record<T: Serialize>(&self, keys: &[RecordKey], value: &T) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(value)
            .map_err(|e| StoreError::Index { path: self.layout.index(), message: e.to_string() })?;
        self.used.lock().extend_from_slice(keys);
        self.flush(|index, txn| {
            for key in keys {
                index.records.put(txn, &key.0, &bytes)?;
            }
            Ok(())
        })
    }

    /// Returns the stat rows of a directory of a context.
    pub(crate) fn context_row(&self, key: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        self.index.get(self.index.contexts, key)
    }

    /// Writes the stat rows of directories of a context.
    pub(crate) fn put_context_rows(&self, rows: &[([u8; 32], Vec<u8>)]) -> Result<(), StoreError> {
        self.flush(|index, txn| {
            for (key, row) in rows {
                index.contexts.put(txn, key, row)?;
            }
            Ok(())
        })
    }

    /// Writes all trees and object names that are waiting, then what `write`
    /// writes, in one transaction.
    pub(super) fn flush(
        &self,
        write: impl FnOnce(&Index, &mut RwTxn<'_>) -> heed::Result<()>,
    ) -> Result<(), StoreError> {
        let (dirs, objects) = self.take_pending();
        let written = self.index.write(|txn| {
            for dir in &dirs {
                let key = &dir.id().0;
                if self.index.trees.get(txn, key)?.is_none() {
                    self.index.trees.put(txn, key, &encode::row(dir))?;
                }
            }
            for (blob, suffix) in &objects {
                let known = self.index.blobs.get(txn, &blob.0)?.unwrap_or_default();
                if !known.split(|&b| b == b'\n').any(|s| s == suffix.as_bytes()) {
                    let mut names = known.to_vec();
                    if !names.is_empty() {
                        names.push(b'\n');
                    }
                    names.extend_from_slice(suffix.as_bytes());
                    self.index.blobs.put(txn, &blob.0, &names)?;
                }
            }
            write(&self.index, txn)
        });
        match written {
            Ok(()) => self.written(&objects),
            Err(_) => self.give_back_pending(dirs),
        }
        written
    }

    /// Returns the parts of an object's names that follow its digest.
    pub(super) fn object_suffixes(&self, blob: &Digest) -> Result<Vec<String>, StoreError> {
        let mut suffixes = self.pending_suffixes(blob);
        if let Some(names) = self.index.get(self.index.blobs, &blob.0)? {
            suffixes.extend(names.split(|&b| b == b'\n').map(|s| String::from_utf8_lossy(s).into_owned()));
        }
        Ok(suffixes)
    }
}

impl Why {
    /// Notes an input.
    pub(crate) fn input(&mut self, what: &str, digest: &[u8; 32]) {
        let mut hex_digits = String::with_capacity(64);
        for byte in digest {
            // Writing to a string cannot fail.
            let _ = write!(hex_digits, "{byte:02x}");
        }
        self.inputs.push((what.to_owned(), hex_digits));
    }
}

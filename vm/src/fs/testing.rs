//! What the tests of this module share: trees written as text.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::Mutex;

use rbc_ir::Digest;

use super::path::clean;
use super::{Blobs, Editor, Entry, FileRef, Forest, MemoryForest, Meta, Mtime, Name, Node, Root, list_with};

/// A forest and its blobs, in memory.
#[derive(Default)]
pub(crate) struct Sandbox {
    pub(crate) forest: MemoryForest,
    pub(crate) blobs: MemoryBlobs,
}

#[derive(Default)]
pub(crate) struct MemoryBlobs(Mutex<HashMap<Digest, Vec<u8>>>);

impl Blobs for MemoryBlobs {
    fn put(&self, data: &[u8], _: &Meta) -> io::Result<FileRef> {
        let blob = Digest::of(data);
        self.0.lock().unwrap().insert(blob, data.to_vec());
        Ok(FileRef { blob, size: data.len() as u64, link: 0 })
    }

    fn put_stream(&self, data: &mut dyn Read, _: u64, meta: &Meta) -> io::Result<FileRef> {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        self.put(&bytes, meta)
    }

    fn open(&self, blob: &Digest) -> io::Result<File> {
        let all = self.0.lock().unwrap();
        let data = all.get(blob).ok_or(io::ErrorKind::NotFound)?;
        let mut file = tempfile::tempfile()?;
        file.write_all(data)?;
        file.rewind()?;
        Ok(file)
    }
}

pub(crate) fn names(path: &str) -> Vec<Name> {
    clean(path.as_bytes()).into_iter().map(Into::into).collect()
}

fn dir_meta() -> Meta {
    Meta { mode: 0o755, ..Meta::default() }
}

impl Sandbox {
    pub(crate) fn file(&self, text: &str) -> Entry {
        let meta = Meta { mode: 0o644, ..Meta::default() };
        let file = self.blobs.put(text.as_bytes(), &meta).unwrap();
        Entry { meta, node: Node::File(file) }
    }

    /// Makes a tree of lines `KIND [MODE] [UID:GID] [@MTIME] PATH [REST]`,
    /// where kinds are those of a listing; REST of a file is its text, with
    /// `#N` in front for a hard link group.
    pub(crate) fn tree(&self, text: &str) -> Root {
        let mut e = Editor::new(&self.forest, &self.forest.empty()).unwrap();
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let (kind, mut rest) = line.split_once(' ').unwrap();
            let mut meta = Meta { mode: if kind == "d" { 0o755 } else { 0o644 }, ..Meta::default() };
            if kind == "l" {
                meta.mode = 0o777;
            }
            if kind == "w" {
                meta.mode = 0;
            }
            while !rest.starts_with('/') {
                let (word, after) = rest.split_once(' ').unwrap();
                rest = after;
                if let Some(time) = word.strip_prefix('@') {
                    meta.mtime = Mtime { seconds: time.parse().unwrap(), nanoseconds: 0 };
                } else if let Some((uid, gid)) = word.split_once(':') {
                    (meta.uid, meta.gid) = (uid.parse().unwrap(), gid.parse().unwrap());
                } else {
                    meta.mode = u32::from_str_radix(word, 8).unwrap();
                }
            }
            let (path, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let path = names(path);
            let Some((_, parents)) = path.split_last() else {
                e.change_dir(&[], |m| *m = meta).unwrap();
                continue;
            };
            e.make_dirs(parents, &dir_meta()).unwrap();
            let node = match kind {
                "d" => {
                    e.make_dirs(&path, &dir_meta()).unwrap();
                    let mut dir = self.forest.make(Vec::new()).unwrap().reference();
                    dir.opaque = rest == "(opaque)";
                    Node::Dir(dir)
                }
                "f" => {
                    let (link, text) = match rest.strip_prefix('#') {
                        Some(rest) => rest.split_once(' ').unwrap_or((rest, "")),
                        None => ("0", rest),
                    };
                    let Node::File(file) = self.file(text).node else { unreachable!() };
                    Node::File(FileRef { link: link.parse().unwrap(), ..file })
                }
                "l" => Node::Symlink(rest.strip_prefix("-> ").unwrap().as_bytes().into()),
                "p" => Node::Fifo,
                "c" => Node::Char(259),
                "w" => Node::Whiteout,
                _ => panic!("kind {kind}"),
            };
            e.set(&path, Entry { meta, node }).unwrap();
        }
        e.finish().unwrap()
    }

    pub(crate) fn list(&self, root: &Root) -> String {
        let all = self.blobs.0.lock().unwrap();
        list_with(&self.forest, root, &|file| {
            let text = all.get(&file.blob).map(|b| String::from_utf8_lossy(b).into_owned());
            format!("{:?}", text.unwrap_or_else(|| file.blob.hex()))
        })
        .unwrap()
    }
}

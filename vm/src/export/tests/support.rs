//! A small store with trees to export, and readers for what comes out.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;

use rbc_ir::{Digest, ImageDocument, Platform};
use serde_json::Value;

use crate::archive::testing::DirBlobs;
use crate::export::{BaseLayer, Context, ExportImage, ExportLayer, NoLayerCache};
use crate::fs::{Blobs, DirRef, Entry, Forest, MemoryForest, Meta, Mtime, Node, Root};

pub(super) struct Lab {
    pub(super) forest: MemoryForest,
    pub(super) blobs: DirBlobs,
    pub(super) dir: tempfile::TempDir,
}

pub(super) fn meta(mode: u32) -> Meta {
    Meta { mode, mtime: Mtime { seconds: 1_600_000_000, nanoseconds: 5 }, ..Meta::default() }
}

impl Lab {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("scratch")).unwrap();
        Self { forest: MemoryForest::default(), blobs: DirBlobs::new(), dir }
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn context<'a>(&'a self, scratch: &'a Path) -> Context<'a> {
        Context { forest: &self.forest, blobs: &self.blobs, cache: &NoLayerCache, scratch }
    }

    pub(super) fn file(&self, text: &str, mode: u32) -> Entry {
        let meta = meta(mode);
        let file = self.blobs.put(text.as_bytes(), &meta).unwrap();
        Entry { meta, node: Node::File(file) }
    }

    pub(super) fn dir(&self, entries: Vec<(&str, Entry)>) -> Entry {
        let entries = entries.into_iter().map(|(n, e)| (n.as_bytes().into(), e)).collect();
        Entry { meta: meta(0o755), node: Node::Dir(self.forest.make(entries).unwrap().reference()) }
    }

    pub(super) fn root(&self, entries: Vec<(&str, Entry)>) -> Root {
        let Entry { meta, node } = self.dir(entries);
        let Node::Dir(dir) = node else { unreachable!() };
        Root { meta, dir: DirRef { opaque: false, ..dir } }
    }

    /// Files, links, a whiteout-free tree with a bit of everything.
    pub(super) fn sample(&self) -> Root {
        let mut linked = self.file("linked", 0o640);
        if let Node::File(f) = &mut linked.node {
            f.link = crate::archive::testing::group_number(b"/d/one", f);
        }
        let symlink = Entry { meta: meta(0o777), node: Node::Symlink(b"one".as_slice().into()) };
        let inner = self.dir(vec![
            ("one", linked.clone()),
            ("l", symlink),
            ("pipe", Entry { meta: meta(0o600), node: Node::Fifo }),
        ]);
        self.root(vec![("d", inner), ("two", linked), ("run.sh", self.file("#!/bin/sh\n", 0o755))])
    }

    /// An image with one base layer and one of our own.
    pub(super) fn image<'a>(&self, base: &BaseLayer<'a>, platform: &str) -> ExportImage<'a> {
        let platform = Platform::parse(platform).unwrap();
        let document = ImageDocument {
            created: Some("2020-02-02T02:02:02Z".to_owned()),
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            ..ImageDocument::default()
        };
        let layers = vec![ExportLayer::Base(base.clone()), ExportLayer::Made(self.sample())];
        ExportImage { platform, document, layers }
    }
}

/// A base layer of one file, as gzip, with Docker's media type.
pub(super) fn base_bytes() -> (Vec<u8>, Digest) {
    let mut header = tar::Header::new_ustar();
    header.set_path("base").unwrap();
    header.set_mode(0o644);
    header.set_size(4);
    header.set_cksum();
    let mut plain = header.as_bytes().to_vec();
    plain.extend_from_slice(b"base");
    plain.resize(4 * 512, 0);
    let mut gz = flate2::read::GzEncoder::new(plain.as_slice(), flate2::Compression::best());
    let mut bytes = Vec::new();
    gz.read_to_end(&mut bytes).unwrap();
    (bytes, Digest::of(&plain))
}

pub(super) type OpenFn = Box<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Sync>;

pub(super) fn opener(bytes: Vec<u8>) -> OpenFn {
    Box::new(move || Ok(Box::new(io::Cursor::new(bytes.clone()))))
}

pub(super) fn base_layer<'a>(bytes: &[u8], diff_id: Digest, open: &'a OpenFn) -> BaseLayer<'a> {
    BaseLayer {
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        media_type: "application/vnd.docker.image.rootfs.diff.tar.gzip".to_owned(),
        diff_id,
        open: &**open,
    }
}

/// The files of an archive.
pub(super) fn unpacked(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(std::fs::File::open(path).unwrap());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut data = Vec::new();
        entry.read_to_end(&mut data).unwrap();
        if entry.header().entry_type().is_file() {
            assert!(files.insert(name, data).is_none(), "a name stands twice");
        }
    }
    files
}

pub(super) fn json(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Value {
    serde_json::from_slice(files.get(name).unwrap_or_else(|| panic!("no {name}"))).unwrap()
}

/// Follows a descriptor, checking what it says.
pub(super) fn follow(files: &BTreeMap<String, Vec<u8>>, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap();
    let bytes = files[&format!("blobs/sha256/{}", digest.strip_prefix("sha256:").unwrap())].clone();
    assert_eq!(Digest::of(&bytes).to_string(), digest);
    assert_eq!(descriptor["size"].as_u64(), Some(bytes.len() as u64));
    bytes
}

pub(super) fn follow_json(files: &BTreeMap<String, Vec<u8>>, descriptor: &Value) -> Value {
    serde_json::from_slice(&follow(files, descriptor)).unwrap()
}

/// Runs a program if it is there; says so if not.
#[expect(clippy::print_stderr, reason = "a skipped check says so")]
pub(super) fn run(program: &str, args: &[&str]) -> Option<String> {
    match Command::new(program).args(args).output() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            eprintln!("skipped: no {program} to look at the result with");
            None
        }
        other => {
            let out = other.unwrap();
            assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
            Some(String::from_utf8(out.stdout).unwrap())
        }
    }
}

/// Names of all entries of a directory, hidden ones too.
pub(super) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

//! Any bytes are an archive or an error, as a layer and as an archive of ADD;
//! what comes out is a tree that can be listed.

#![no_main]

use std::fs::File;
use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use rbc_ir::Digest;
use rbc_vm::archive::{Options, ingest};
use rbc_vm::fs::{Blobs, FileRef, MemoryForest, Meta, list};

/// Counts and hashes bytes; nothing reads them back.
struct Nowhere;

impl Blobs for Nowhere {
    fn put(&self, data: &[u8], _: &Meta) -> io::Result<FileRef> {
        Ok(FileRef { blob: Digest::of(data), size: data.len() as u64, link: 0 })
    }

    fn put_stream(&self, data: &mut dyn Read, _: u64, meta: &Meta) -> io::Result<FileRef> {
        let mut bytes = Vec::new();
        data.take(1 << 20).read_to_end(&mut bytes)?;
        io::copy(data, &mut io::sink())?;
        self.put(&bytes, meta)
    }

    fn open(&self, _: &Digest) -> io::Result<File> {
        Err(io::Error::from(io::ErrorKind::NotFound))
    }
}

fuzz_target!(|bytes: &[u8]| {
    for whiteouts in [true, false] {
        let forest = MemoryForest::default();
        let options = Options { whiteouts, ..Options::default() };
        if let Ok(ingested) = ingest(bytes, &forest, &Nowhere, &options) {
            list(&forest, &ingested.root).expect("every directory of a tree is kept");
        }
    }
});

//! The outer archive of an image: a few files with short names.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

pub(crate) struct Container<'a> {
    out: &'a mut dyn Write,
    dirs: BTreeSet<String>,
}

impl<'a> Container<'a> {
    pub(crate) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, dirs: BTreeSet::new() }
    }

    fn header(&mut self, name: &str, kind: tar::EntryType, mode: u32, size: u64) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name)?;
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn parents(&mut self, name: &str) -> io::Result<()> {
        for (i, _) in name.match_indices('/') {
            let dir = name.get(..=i).unwrap_or_default();
            if self.dirs.insert(dir.to_owned()) {
                self.header(dir, tar::EntryType::Directory, 0o755, 0)?;
            }
        }
        Ok(())
    }

    /// Adds a file of exactly `size` bytes; `UnexpectedEof` if there are
    /// fewer.
    pub(crate) fn add(&mut self, name: &str, size: u64, data: &mut dyn Read) -> io::Result<()> {
        self.parents(name)?;
        self.header(name, tar::EntryType::Regular, 0o644, size)?;
        if io::copy(&mut data.take(size), self.out)? < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let padding = usize::try_from(size.wrapping_neg() % 512).unwrap_or_default();
        self.out.write_all([0; 512].get(..padding).unwrap_or_default())
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        self.out.write_all(&[0; 1024])
    }
}

//! Where an export goes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::ExportError;

/// A destination as `dest=` gives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dest {
    /// `-`: standard output.
    Stdout,
    /// A file or directory.
    Path(PathBuf),
}

impl Dest {
    /// Reads the value of `dest=`.
    pub fn new(value: &str) -> Self {
        match value {
            "-" => Self::Stdout,
            path => Self::Path(path.into()),
        }
    }
}

/// Returns a name beside `path` that nothing else uses.
pub(crate) fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut name = OsString::from(".");
    // Room for the rest in 255 bytes.
    let base = path.file_name().unwrap_or_default().as_bytes();
    name.push(std::ffi::OsStr::from_bytes(base.get(..base.len().min(200)).unwrap_or_default()));
    name.push(format!(".rbc-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(name)
}

/// Writes one file or stream. A regular file appears under its name only
/// when all of it is written; a device or pipe is written to directly.
pub(crate) fn write_to<T>(
    dest: &Dest,
    write: impl FnOnce(&mut dyn Write, &Path) -> Result<T, ExportError>,
) -> Result<T, ExportError> {
    let path = match dest {
        Dest::Stdout => {
            let shown = Path::new("standard output");
            let mut out = io::stdout().lock();
            let done = write(&mut out, shown)?;
            out.flush().map_err(ExportError::at("write", shown))?;
            return Ok(done);
        }
        Dest::Path(path) => path,
    };
    // What a link leads to is replaced, not the link.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    match fs::metadata(&real) {
        Ok(meta) if meta.is_dir() => {
            let error = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(ExportError::at("write", path)(error));
        }
        Ok(meta) if !meta.is_file() => {
            let mut out = File::options().write(true).open(&real).map_err(ExportError::at("open", path))?;
            return write(&mut out, path);
        }
        _ => {}
    }
    if let Some(parent) = real.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(ExportError::at("create the directory of", path))?;
    }
    let tmp = Temporary(beside(&real));
    let file = File::options().write(true).create_new(true).open(&tmp.0).map_err(ExportError::at("create", path))?;
    let mut out = io::BufWriter::with_capacity(256 << 10, file);
    let done = write(&mut out, path)?;
    out.flush().map_err(ExportError::at("write", path))?;
    fs::rename(&tmp.0, &real).map_err(ExportError::at("write", path))?;
    Ok(done)
}

/// A file that goes away unless it was renamed.
pub(crate) struct Temporary(pub(crate) PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing better can be done about a failure here.
        let _ = fs::remove_file(&self.0);
    }
}

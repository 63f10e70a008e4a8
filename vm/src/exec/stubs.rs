//! Mount points that the image lacks.
//!
//! They are made in the directory that becomes the root's mount point, which
//! then serves as one more layer below all others: the sandbox sees them, the
//! upper directory, and so the image, does not. (BuildKit makes them in the
//! snapshot and removes those that are still empty; runc's `/proc`, `/sys`
//! and `/dev` stay.)

use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::mounts::{Prepared, open_in_root};
use super::spec::SandboxSpec;
use super::wire::Failure;

/// Mount points of the pseudo file systems.
const DIRECTORIES: &[&str] = &["/proc", "/sys", "/dev"];

/// Makes what is missing; whether anything was.
pub(super) fn make(spec: &SandboxSpec, prepared: &[Prepared<'_>]) -> Result<bool, Failure> {
    let mut wanted: Vec<(&Path, bool)> = DIRECTORIES.iter().map(|path| (Path::new(path), true)).collect();
    for mount in prepared {
        // Below another mount the layers do not show.
        if wanted.iter().any(|(above, _)| mount.target.starts_with(above)) {
            continue;
        }
        let is_directory = mount.is_directory().map_err(Failure::at("look at a mount's source"))?;
        wanted.push((mount.target, is_directory));
    }
    // The lowest layer is the base image, which has most of them.
    for layer in spec.lowers.iter().rev() {
        if wanted.is_empty() {
            return Ok(false);
        }
        // A layer that cannot be opened is told by the mount that follows.
        let Ok(layer) = rustix::fs::open(layer, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        else {
            continue;
        };
        wanted.retain(|(path, _)| open_in_root(&layer, path).is_err());
    }
    for (path, is_directory) in &wanted {
        make_one(&spec.root, path, *is_directory)
            .map_err(Failure::at(format!("make the mount point {}", path.display())))?;
    }
    Ok(!wanted.is_empty())
}

fn make_one(root: &Path, path: &Path, is_directory: bool) -> Result<(), Errno> {
    let mut place = PathBuf::from(root);
    let mut rest = path.components().filter(|c| matches!(c, Component::Normal(_))).peekable();
    while let Some(component) = rest.next() {
        place.push(component);
        let made = if rest.peek().is_some() || is_directory {
            rustix::fs::mkdir(&place, Mode::from_raw_mode(0o755))
        } else {
            rustix::fs::open(
                &place,
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC,
                Mode::from_raw_mode(0o644),
            )
            .map(drop)
        };
        match made {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Empties the directory again, once the sandbox is gone.
pub(super) fn remove(root: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

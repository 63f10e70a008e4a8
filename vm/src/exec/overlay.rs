//! Overlay file systems through the mount API of Linux 5.2, one call per
//! layer (`lowerdir+`, Linux 6.7), as `mount(2)` takes a page of options only.
//!
//! Options: `volatile` (a RUN's upper is captured or thrown away, never
//! recovered after a crash; without it each copy-up syncs), `userxattr` in a
//! user namespace, where `trusted.*` cannot be written, and `redirect_dir`,
//! `index` and `metacopy` off, so that an upper directory means the same to
//! every reader: plain files, char 0:0 whiteouts, the opaque attribute.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, open_tree, unmount,
};

use super::wire::Failure;

/// The kernel's limit on a string parameter of `fsconfig(2)`, with its NUL.
const MAX_VALUE: usize = 256;
/// `OVL_MAX_STACK`.
const MAX_LOWERS: usize = 500;

/// The layers of an overlay.
pub(super) struct Layers<'a> {
    /// Topmost first.
    pub(super) lowers: &'a [PathBuf],
    /// Upper and work directory.
    pub(super) upper: Option<(&'a Path, &'a Path)>,
    /// Whether attributes go to `user.overlay.*`.
    pub(super) userxattr: bool,
}

/// Mounts layers, attached nowhere. `scratch` is an empty directory, used as a
/// passing mount point on kernels before 6.7.
pub(super) fn mount_detached(layers: &Layers<'_>, scratch: &Path) -> Result<OwnedFd, Failure> {
    if layers.lowers.len() > MAX_LOWERS {
        return Err(Failure {
            step: format!("mount the root: {} layers, the kernel takes {MAX_LOWERS}", layers.lowers.len()),
            errno: libc::E2BIG,
        });
    }
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(Failure::at("open the overlay file system"))?;
    // What mount(8) and df(1) show in the first column.
    fsconfig_set_string(&fs, "source", "overlay").map_err(|e| explain(&fs, "name the overlay", None, e))?;
    let mut keep = Vec::new();
    for (index, lower) in layers.lowers.iter().enumerate() {
        match set_path(&fs, "lowerdir+", lower, &mut keep) {
            Err(Errno::INVAL) if index == 0 && log(&fs).contains("nknown parameter") => {
                return mount_in_one_string(layers, scratch);
            }
            other => other.map_err(|e| explain(&fs, "add the layer", Some(lower), e))?,
        }
    }
    if let Some((upper, work)) = layers.upper {
        set_path(&fs, "upperdir", upper, &mut keep)
            .map_err(|e| explain(&fs, "set the upper directory", Some(upper), e))?;
        set_path(&fs, "workdir", work, &mut keep).map_err(|e| explain(&fs, "set the work directory", Some(work), e))?;
        // Linux 5.10; slower without, not wrong.
        let _ = fsconfig_set_flag(&fs, "volatile");
    }
    if layers.userxattr {
        fsconfig_set_flag(&fs, "userxattr").map_err(|e| explain(&fs, "set userxattr (needs Linux 5.11)", None, e))?;
    } else {
        // With userxattr these are off and refuse to be named.
        for (key, value) in [("redirect_dir", "nofollow"), ("metacopy", "off")] {
            fsconfig_set_string(&fs, key, value).map_err(|e| explain(&fs, key, None, e))?;
        }
    }
    let _ = fsconfig_set_string(&fs, "index", "off");
    fsconfig_create(&fs).map_err(|e| explain(&fs, "create the overlay", None, e))?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        .map_err(|e| explain(&fs, "mount the overlay", None, e))
}

/// Sets a directory. A path that is too long, or that holds a character some
/// kernels take for a separator or an escape, goes through a descriptor.
fn set_path(fs: &OwnedFd, key: &str, path: &Path, keep: &mut Vec<OwnedFd>) -> Result<(), Errno> {
    let bytes = path.as_os_str().as_bytes();
    let is_plain = !bytes.iter().any(|b| matches!(b, b'\\' | b':' | b','));
    if bytes.len() < MAX_VALUE && is_plain {
        return fsconfig_set_string(fs, key, bytes);
    }
    let directory = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let name = format!("/proc/self/fd/{}", directory.as_raw_fd());
    keep.push(directory);
    fsconfig_set_string(fs, key, name)
}

/// Kernels before 6.7: all layers in one option string.
fn mount_in_one_string(layers: &Layers<'_>, scratch: &Path) -> Result<OwnedFd, Failure> {
    let escape = |path: &Path, out: &mut Vec<u8>| {
        for byte in path.as_os_str().as_bytes() {
            if matches!(byte, b'\\' | b':' | b',') {
                out.push(b'\\');
            }
            out.push(*byte);
        }
    };
    let mut options = b"lowerdir=".to_vec();
    for (index, lower) in layers.lowers.iter().enumerate() {
        if index > 0 {
            options.push(b':');
        }
        escape(lower, &mut options);
    }
    if let Some((upper, work)) = layers.upper {
        options.extend_from_slice(b",upperdir=");
        escape(upper, &mut options);
        options.extend_from_slice(b",workdir=");
        escape(work, &mut options);
        options.extend_from_slice(b",volatile");
    }
    options.extend_from_slice(if layers.userxattr {
        b",userxattr".as_slice()
    } else {
        b",redirect_dir=nofollow,metacopy=off"
    });
    options.extend_from_slice(b",index=off");
    // A page, of which the kernel keeps the last byte for the NUL.
    if options.len() >= 4096 {
        return Err(Failure {
            step: format!(
                "mount {} layers: this kernel is older than 6.7 and takes 4 KiB of options, \
                 {} needed",
                layers.lowers.len(),
                options.len()
            ),
            errno: libc::E2BIG,
        });
    }
    let options = CString::new(options)
        .map_err(|_| Failure { step: "mount the overlay: a path holds a NUL byte".into(), errno: libc::EINVAL })?;
    mount("overlay", scratch, "overlay", MountFlags::empty(), options.as_c_str())
        .map_err(Failure::at("mount the overlay"))?;
    let tree = open_tree(CWD, scratch, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
        .map_err(Failure::at("detach the overlay"))?;
    unmount(scratch, UnmountFlags::DETACH).map_err(Failure::at("detach the overlay"))?;
    Ok(tree)
}

/// Adds what the kernel wrote in the context's log to an error.
fn explain(fs: &OwnedFd, what: &str, path: Option<&Path>, errno: Errno) -> Failure {
    let mut step = what.to_owned();
    if let Some(path) = path {
        step.push(' ');
        step.push_str(&path.display().to_string());
    }
    let log = log(fs);
    if !log.is_empty() {
        step.push_str(" (");
        step.push_str(&log);
        step.push(')');
    }
    Failure { step, errno: errno.raw_os_error() }
}

/// The messages of a file system context: one per read, `e `, `w ` or `i `
/// before the text.
fn log(fs: &OwnedFd) -> String {
    let mut messages = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length) = rustix::io::read(fs.as_fd(), &mut buffer[..]) {
        if length == 0 {
            break;
        }
        let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
        messages.push(text.trim().to_owned());
    }
    messages.join("; ")
}

#[cfg(test)]
#[allow(clippy::print_stderr)]
mod tests {
    use std::io::Read;

    use nix::sched::{CloneFlags, unshare};
    use rustix::mount::{MountPropagationFlags, mount_change};

    use super::*;
    use crate::exec::mounts::open_in_root;

    /// The way of kernels before 6.7, which newer ones still know.
    #[test]
    fn all_layers_in_one_string() {
        let dir = tempfile::tempdir().expect("directory");
        let make = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).expect("directory");
            path
        };
        let lowers = [make("odd:name,with\\all"), make("second")];
        for (lower, name) in lowers.iter().zip(["f", "g"]) {
            std::fs::write(lower.join(name), name).expect("file");
        }
        let (upper, work, root) = (make("up"), make("wk"), make("root"));
        // A thread may have a mount namespace of its own.
        let run = move || {
            if let Err(e) = unshare(CloneFlags::CLONE_NEWNS) {
                eprintln!("SKIPPED: a new mount namespace: {e}");
                return;
            }
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", private).expect("private mounts");
            let layers = Layers { lowers: &lowers, upper: Some((&upper, &work)), userxattr: false };
            let tree = mount_in_one_string(&layers, &root).unwrap_or_else(|f| panic!("{}: {}", f.step, f.errno));
            for name in ["f", "g"] {
                open_in_root(&tree, Path::new(name)).expect("a file of a layer");
            }
            let file = rustix::fs::openat(&tree, "f", OFlags::RDONLY, Mode::empty());
            let mut text = String::new();
            std::fs::File::from(file.expect("file")).read_to_string(&mut text).expect("text");
            assert_eq!(text, "f");
            assert_eq!(std::fs::read_dir(&root).expect("root").count(), 0);
        };
        std::thread::spawn(run).join().expect("thread");
    }
}

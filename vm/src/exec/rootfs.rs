//! The pseudo file systems of a sandbox: `/proc`, `/sys`, `/dev`, and what of
//! them is hidden or read-only. Lists: containerd's default OCI spec
//! (`pkg/oci/spec.go`) and the OCI runtime spec, "Default Devices".

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Dev, FileType, Mode, OFlags, makedev};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

use super::mounts::{attach_at, clone_tree, is_directory, open_in_root, tmpfs};
use super::spec::SandboxSpec;
use super::sys::mount_attr;
use super::wire::{Degraded, Failure};

const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Name, major, minor.
const DEVICES: &[(&str, u32, u32)] =
    &[("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// Size of `/dev` itself, as in the default OCI spec.
const DEV_SIZE: u64 = 64 * 1024 * 1024;

/// Mounts all of them below `root`.
pub(super) fn mount(root: &OwnedFd, spec: &SandboxSpec, degraded: &mut Vec<Degraded>) -> Result<(), Failure> {
    proc(root, degraded)?;
    sys(root, spec.insecure)?;
    dev(root, spec.shm_size)
}

/// Hides and protects parts of `/proc` and `/sys`. After the spec's mounts:
/// none of them may uncover what is hidden here.
pub(super) fn protect(root: &OwnedFd) -> Result<(), Failure> {
    let mut empty: Option<OwnedFd> = None;
    for path in MASKED {
        mask(root, path, &mut empty).map_err(Failure::at(format!("mask {path}")))?;
    }
    for path in READ_ONLY {
        make_read_only(root, path).map_err(Failure::at(format!("protect {path}")))?;
    }
    Ok(())
}

fn proc(root: &OwnedFd, degraded: &mut Vec<Degraded>) -> Result<(), Failure> {
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let tree = match new_file_system("proc", attributes) {
        // The kernel shows a new procfs in a user namespace only where an
        // unmasked one is visible (`mount_too_revealing`).
        Err(Errno::PERM) => {
            degraded.push(Degraded::OuterProc);
            clone_tree(CWD, Path::new("/proc"), true).and_then(|tree| {
                mount_attr::add_recursive(&tree, mount_attr::RDONLY)
                    .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
                Ok(tree)
            })
        }
        other => other,
    }
    .map_err(Failure::at("mount /proc"))?;
    put(root, "/proc", &tree)
}

fn sys(root: &OwnedFd, writable: bool) -> Result<(), Failure> {
    let mut attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    if !writable {
        attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    let tree = match new_file_system("sysfs", attributes) {
        // A sysfs belongs to a network namespace; the host's is not ours to
        // mount anew in a user namespace.
        Err(Errno::PERM) => clone_tree(CWD, Path::new("/sys"), true).and_then(|tree| {
            mount_attr::add_recursive(
                &tree,
                mount_attr::RDONLY | mount_attr::NOSUID | mount_attr::NODEV | mount_attr::NOEXEC,
            )
            .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
            Ok(tree)
        }),
        other => other,
    }
    .map_err(Failure::at("mount /sys"))?;
    put(root, "/sys", &tree)
}

fn dev(root: &OwnedFd, shm_size: u64) -> Result<(), Failure> {
    let dev = tmpfs(Some(DEV_SIZE), 0o755, MountAttrFlags::MOUNT_ATTR_NOSUID)?;
    let mut bound = Vec::new();
    for (name, major, minor) in DEVICES {
        match make_device(&dev, name, makedev(*major, *minor)) {
            Ok(()) => {}
            // User namespace, or a devices cgroup that forbids it.
            Err(Errno::PERM) => bound.push(*name),
            Err(e) => return Err(Failure::at(format!("make /dev/{name}"))(e)),
        }
    }
    for (target, name) in LINKS {
        rustix::fs::symlinkat(*target, &dev, *name).map_err(Failure::at(format!("make /dev/{name}")))?;
    }
    for name in ["pts", "shm", "mqueue"] {
        rustix::fs::mkdirat(&dev, name, Mode::from_raw_mode(0o755))
            .map_err(Failure::at(format!("make /dev/{name}")))?;
    }
    put(root, "/dev", &dev)?;
    for name in bound {
        bind_device(&dev, name).map_err(Failure::at(format!("bind /dev/{name}")))?;
    }

    let private = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let pts = devpts(private).map_err(Failure::at("mount /dev/pts"))?;
    put(&dev, "pts", &pts)?;
    let shm = tmpfs(Some(shm_size), 0o1777, private | MountAttrFlags::MOUNT_ATTR_NODEV)?;
    put(&dev, "shm", &shm)?;
    // Not in every kernel, and hardly used: no reason to fail.
    if let Ok(mqueue) = new_file_system("mqueue", private | MountAttrFlags::MOUNT_ATTR_NODEV) {
        put(&dev, "mqueue", &mqueue)?;
    }
    Ok(())
}

fn make_device(dev: &OwnedFd, name: &str, number: Dev) -> Result<(), Errno> {
    rustix::fs::mknodat(dev, name, FileType::CharacterDevice, Mode::from_raw_mode(0o666), number)
}

fn bind_device(dev: &OwnedFd, name: &str) -> Result<(), Errno> {
    rustix::fs::openat(dev, name, OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC, Mode::from_raw_mode(0o666))?;
    let host = Path::new("/dev").join(name);
    match clone_tree(CWD, &host, false) {
        Ok(tree) => attach_at(tree, open_in_root(dev, Path::new(name))?),
        // The outer container has no such device either.
        Err(Errno::NOENT) => rustix::fs::unlinkat(dev, name, rustix::fs::AtFlags::empty()),
        Err(e) => Err(e),
    }
}

fn devpts(attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    let fs = fsopen("devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "source", "devpts")?;
    fsconfig_set_flag(&fs, "newinstance")?;
    fsconfig_set_string(&fs, "ptmxmode", "0666")?;
    fsconfig_set_string(&fs, "mode", "0620")?;
    // The group "tty"; unmapped in a single-id user namespace.
    let _ = fsconfig_set_string(&fs, "gid", "5");
    fsconfig_create(&fs)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn new_file_system(name: &str, attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    let fs = fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "source", name)?;
    fsconfig_create(&fs)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Attaches a tree below `root`, whose mount point is made if the image has
/// none (as runc does).
fn put(root: &OwnedFd, path: &str, tree: &OwnedFd) -> Result<(), Failure> {
    let place = match open_in_root(root, Path::new(path)) {
        Err(Errno::NOENT) => rustix::fs::mkdirat(root, path.trim_start_matches('/'), Mode::from_raw_mode(0o755))
            .and_then(|()| open_in_root(root, Path::new(path))),
        other => other,
    };
    place.and_then(|place| attach_at(tree, place)).map_err(Failure::at(format!("mount on {path}")))
}

fn mask(root: &OwnedFd, path: &str, empty: &mut Option<OwnedFd>) -> Result<(), Errno> {
    let place = match open_in_root(root, Path::new(path)) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    if !is_directory(&place)? {
        let null = open_in_root(root, Path::new("/dev/null"))?;
        return attach_at(clone_tree(&null, Path::new(""), false)?, place);
    }
    match empty {
        Some(attached) => attach_at(clone_tree(&*attached, Path::new(""), false)?, place),
        None => {
            let tree =
                tmpfs(None, 0o755, MountAttrFlags::MOUNT_ATTR_RDONLY).map_err(|f| Errno::from_raw_os_error(f.errno))?;
            attach_at(&tree, place)?;
            *empty = Some(tree);
            Ok(())
        }
    }
}

fn make_read_only(root: &OwnedFd, path: &str) -> Result<(), Errno> {
    let place = match open_in_root(root, Path::new(path)) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let tree = clone_tree(&place, Path::new(""), true)?;
    mount_attr::add_recursive(&tree, mount_attr::RDONLY).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    attach_at(tree, place)
}

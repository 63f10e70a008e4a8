//! The mounts a spec asks for on top of the root: prepared as detached trees
//! while the host's paths are in reach, attached once the root stands.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};

use super::overlay::{self, Layers};
use super::spec::{SandboxMount, SandboxSource, SandboxSpec};
use super::sys::mount_attr;
use super::wire::Failure;

/// A tree attached nowhere, and where it shall stand.
pub(super) struct Prepared<'a> {
    pub(super) target: &'a Path,
    tree: OwnedFd,
}

impl Prepared<'_> {
    pub(super) fn is_directory(&self) -> Result<bool, Errno> {
        is_directory(&self.tree)
    }
}

/// Makes the trees of all mounts. `spec.root` serves as a passing mount point:
/// cloning a part of a detached tree needs Linux 6.15, of an attached one 5.2.
pub(super) fn prepare<'a>(spec: &'a SandboxSpec, userxattr: bool) -> Result<Vec<Prepared<'a>>, Failure> {
    let secrets = Secrets::mount(spec)?;
    let mut prepared = Vec::with_capacity(spec.mounts.len());
    for (index, mount) in spec.mounts.iter().enumerate() {
        let tree = tree(mount, index, spec, userxattr, secrets.as_ref())?;
        if mount.readonly || matches!(mount.source, SandboxSource::Secret { .. }) {
            mount_attr::add_recursive(&tree, mount_attr::RDONLY)
                .map_err(Failure::at(at("make read-only the mount", &mount.target)))?;
        }
        prepared.push(Prepared { target: &mount.target, tree });
    }
    if let Some(secrets) = secrets {
        drop(secrets);
        unmount(&spec.root, UnmountFlags::DETACH).map_err(Failure::at("detach the secrets"))?;
    }
    Ok(prepared)
}

fn tree(
    mount: &SandboxMount,
    index: usize,
    spec: &SandboxSpec,
    userxattr: bool,
    secrets: Option<&Secrets>,
) -> Result<OwnedFd, Failure> {
    match &mount.source {
        SandboxSource::Bind(path) => clone_tree(CWD, path, true).map_err(Failure::at(at("bind", path))),
        SandboxSource::Overlay { lowers, upper: None, subdir } if lowers.len() == 1 => {
            // An overlay without an upper needs two layers, and one layer with
            // nothing below it to hide is its own merged view.
            let lower = lowers.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
            let top = open_directory(lower)?;
            let inside = open_in_root(&top, subdir).map_err(Failure::at(at("mount from the layer", subdir)))?;
            clone_tree(&inside, Path::new(""), false).map_err(Failure::at(at("bind the layer", lower)))
        }
        SandboxSource::Overlay { lowers, upper, subdir } => {
            let layers =
                Layers { lowers, upper: upper.as_ref().map(|(up, work)| (up.as_path(), work.as_path())), userxattr };
            let merged = overlay::mount_detached(&layers, &spec.root)?;
            if subdir.as_os_str().is_empty() {
                return Ok(merged);
            }
            part_of(&merged, subdir, &spec.root)
        }
        SandboxSource::Tmpfs { size, mode } => tmpfs(*size, *mode, MountAttrFlags::MOUNT_ATTR_NOSUID),
        SandboxSource::Secret { .. } => {
            let secrets =
                secrets.ok_or_else(|| Failure { step: "find the secrets' mount".into(), errno: libc::ENOENT })?;
            clone_tree(&secrets.root, Path::new(&Secrets::name(index)), false)
                .map_err(Failure::at(at("mount the secret", &mount.target)))
        }
    }
}

/// Cuts `subdir` out of a detached tree, by way of a passing mount point.
fn part_of(merged: &OwnedFd, subdir: &Path, scratch: &Path) -> Result<OwnedFd, Failure> {
    let step = || at("mount a part of a stage", subdir);
    // Secrets may stand there already; mounts stack.
    attach_at_path(merged, scratch).map_err(Failure::at(step()))?;
    let part = open_in_root(merged, subdir)
        .and_then(|inside| clone_tree(&inside, Path::new(""), false))
        .map_err(Failure::at(step()));
    unmount(scratch, UnmountFlags::DETACH).map_err(Failure::at(step()))?;
    part
}

/// One tmpfs with a file per secret.
struct Secrets {
    root: OwnedFd,
}

impl Secrets {
    fn name(index: usize) -> String {
        format!("secret-{index}")
    }

    fn mount(spec: &SandboxSpec) -> Result<Option<Self>, Failure> {
        let is_secret = |m: &SandboxMount| matches!(m.source, SandboxSource::Secret { .. });
        if !spec.mounts.iter().any(is_secret) {
            return Ok(None);
        }
        let root = tmpfs(
            None,
            0o700,
            MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC,
        )?;
        for (index, mount) in spec.mounts.iter().enumerate() {
            let SandboxSource::Secret { data, mode, uid, gid } = &mount.source else {
                continue;
            };
            write_secret(&root, &Self::name(index), data, *mode, (*uid, *gid))
                .map_err(Failure::at(at("write the secret", &mount.target)))?;
        }
        attach_at_path(&root, &spec.root).map_err(Failure::at("mount the secrets"))?;
        Ok(Some(Self { root }))
    }
}

fn write_secret(root: &OwnedFd, name: &str, mut data: &[u8], mode: u32, (uid, gid): (u32, u32)) -> Result<(), Errno> {
    let file = rustix::fs::openat(
        root,
        name,
        OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC,
        Mode::RUSR | Mode::WUSR,
    )?;
    while !data.is_empty() {
        let written = rustix::io::write(&file, data)?;
        data = data.get(written..).unwrap_or_default();
    }
    match rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
        // An id outside a user namespace's map: no process can have it
        // either, so the secret stays with root.
        Err(Errno::INVAL) | Ok(()) => {}
        Err(e) => return Err(e),
    }
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))
}

/// Attaches the prepared trees below `root`.
pub(super) fn attach(root: &OwnedFd, prepared: Vec<Prepared<'_>>) -> Result<(), Failure> {
    for Prepared { target, tree } in prepared {
        let place = match open_in_root(root, target) {
            Err(Errno::NOENT) => create_target(root, target, &tree),
            other => other,
        }
        .map_err(Failure::at(at("find the mount point", target)))?;
        attach_at(&tree, &place).map_err(Failure::at(at("mount on", target)))?;
    }
    Ok(())
}

/// Makes a mount point that no layer shows: below a tmpfs, or deleted by a
/// layer (then it is left in the upper).
fn create_target(root: &OwnedFd, target: &Path, tree: &OwnedFd) -> Result<OwnedFd, Errno> {
    let is_directory = is_directory(tree)?;
    let mut done = PathBuf::new();
    let mut rest = target.components().filter(|c| matches!(c, Component::Normal(_))).peekable();
    while let Some(component) = rest.next() {
        let parent = open_in_root(root, &done)?;
        let made = if rest.peek().is_some() || is_directory {
            rustix::fs::mkdirat(&parent, component.as_os_str(), Mode::from_raw_mode(0o755))
        } else {
            rustix::fs::openat(
                &parent,
                component.as_os_str(),
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC,
                Mode::from_raw_mode(0o644),
            )
            .map(drop)
        };
        match made {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e),
        }
        done.push(component);
    }
    open_in_root(root, target)
}

/// Whether a descriptor stands for a directory.
pub(super) fn is_directory(fd: impl AsFd) -> Result<bool, Errno> {
    let stat = rustix::fs::statat(fd, "", AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// A new tmpfs, attached nowhere.
pub(super) fn tmpfs(size: Option<u64>, mode: u32, attributes: MountAttrFlags) -> Result<OwnedFd, Failure> {
    let make = || {
        let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&fs, "source", "tmpfs")?;
        if let Some(size) = size {
            fsconfig_set_string(&fs, "size", size.to_string())?;
        }
        fsconfig_set_string(&fs, "mode", format!("{mode:o}"))?;
        // Linux 6.4, and not in a user namespace; keeps secrets off the swap.
        if mode & 0o077 == 0 {
            let _ = fsconfig_set_flag(&fs, "noswap");
        }
        fsconfig_create(&fs)?;
        fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    make().map_err(|e: Errno| Failure::at("mount a tmpfs")(e))
}

/// A copy of the mount (or of everything mounted below it too) at a path.
pub(super) fn clone_tree(dir: impl AsFd, path: &Path, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    if path.as_os_str().is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    match open_tree(&dir, path, flags) {
        // In a user namespace mounts below are locked to theirs: all or none.
        Err(Errno::INVAL) if !recursive => open_tree(&dir, path, flags | OpenTreeFlags::AT_RECURSIVE),
        other => other,
    }
}

/// Attaches a detached tree on what `place` stands for.
pub(super) fn attach_at(tree: impl AsFd, place: impl AsFd) -> Result<(), Errno> {
    move_mount(tree, "", place, "", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH)
}

/// Attaches a detached tree on a path of the host.
pub(super) fn attach_at_path(tree: impl AsFd, path: &Path) -> Result<(), Errno> {
    move_mount(tree, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Opens (`O_PATH`) what `path` names when `root` is the root directory: no
/// symlink of the image leads out of it.
pub(super) fn open_in_root(root: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    let path = path.strip_prefix("/").unwrap_or(path);
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    rustix::fs::openat2(
        root,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )
}

fn open_directory(path: &Path) -> Result<OwnedFd, Failure> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(Failure::at(at("open", path)))
}

fn at(what: &str, path: &Path) -> String {
    format!("{what} {}", path.display())
}

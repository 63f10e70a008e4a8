//! `mount_setattr(2)` (Linux 5.12).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::check;

/// `MOUNT_ATTR_RDONLY` of `linux/mount.h`.
pub(in crate::exec) const RDONLY: u64 = 0x1;
/// `MOUNT_ATTR_NOSUID`.
pub(in crate::exec) const NOSUID: u64 = 0x2;
/// `MOUNT_ATTR_NODEV`.
pub(in crate::exec) const NODEV: u64 = 0x4;
/// `MOUNT_ATTR_NOEXEC`.
pub(in crate::exec) const NOEXEC: u64 = 0x8;

/// `struct mount_attr` (`MOUNT_ATTR_SIZE_VER0`).
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Adds attributes to the mount `fd` stands for and to all mounts below it.
pub(in crate::exec) fn add_recursive(fd: impl AsFd, attributes: u64) -> io::Result<()> {
    let attr = MountAttr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the path is a NUL-terminated literal and `attr` is a valid
    // mount_attr of the size passed; both outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

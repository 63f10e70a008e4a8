//! The only place with `unsafe`: one file per family of system calls that
//! neither `rustix` nor `nix` offers as a safe function.
#![allow(unsafe_code)]

pub(super) mod clone;
pub(super) mod descriptors;
pub(super) mod keyring;
pub(super) mod loopback;
pub(super) mod mount_attr;
pub(super) mod seccomp;
pub(super) mod signals;

use std::io;

/// The result of a raw system call, as `io::Result`.
fn check(ret: libc::c_long) -> io::Result<libc::c_long> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

//! `ioctl(2)` on network interfaces.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::check;

/// Brings `lo` of the current network namespace up.
pub(in crate::exec) fn bring_up() -> io::Result<()> {
    // SAFETY: no memory is passed.
    let fd =
        check(libc::c_long::from(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) }))?;
    #[allow(clippy::cast_possible_truncation)]
    // SAFETY: a fresh descriptor (an int, widened above) that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) };
    // SAFETY: all-zero bytes are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed() as libc::c_char;
    }
    #[allow(clippy::cast_possible_truncation)]
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    request.ifr_ifru.ifru_flags = flags;
    // SAFETY: SIOCSIFFLAGS reads one `ifreq`, which outlives the call.
    check(libc::c_long::from(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) }))
        .map(drop)
}

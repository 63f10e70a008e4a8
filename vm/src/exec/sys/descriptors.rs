//! `close_range(2)`.

use super::check;

/// Marks every descriptor from `first` on close-on-exec: those that came in
/// over the exec of this program without belonging to it. A kernel before
/// 5.11 refuses; what it lets through is then inherited, as before.
pub(in crate::exec) fn close_on_exec_from(first: libc::c_uint) {
    // SAFETY: no memory is passed, and setting a flag invalidates no
    // descriptor that anybody owns.
    let _ = check(unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) });
}

//! `keyctl(2)`.

use super::check;

/// `KEYCTL_JOIN_SESSION_KEYRING` of `linux/keyctl.h`.
const JOIN_SESSION_KEYRING: libc::c_long = 1;

/// Gives the process a session keyring of its own, so that it does not see
/// the user's keys. Failure (no `CONFIG_KEYS`, quota) is of no consequence.
pub(in crate::exec) fn join_new_session_keyring() {
    // SAFETY: a null name asks for an anonymous keyring; no memory is passed.
    let _ = check(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) });
}

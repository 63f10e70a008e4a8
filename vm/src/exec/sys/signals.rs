//! Signal dispositions and mask.

/// Puts every signal back to its default and unblocks all: what is ignored
/// stays ignored over an exec, and the Rust runtime ignores `SIGPIPE`, which
/// would break `yes | head` in a RUN.
pub(in crate::exec) fn reset() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL installs no code. SIGKILL, SIGSTOP and the two
        // signals that libc keeps to itself are refused, which is harmless.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: `set` is initialised by sigemptyset before it is read.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

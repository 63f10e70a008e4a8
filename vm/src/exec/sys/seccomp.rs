//! `seccomp(2)`: loading a filter.

use std::io;

use super::check;
use crate::exec::seccomp::Instruction;

/// Installs `program` for the calling thread. Needs `CAP_SYS_ADMIN` in the
/// user namespace, as `no_new_privs` is deliberately not set: `sudo` and `su`
/// work in a RUN as they do under docker.
pub(in crate::exec) fn install(program: &[Instruction]) -> io::Result<()> {
    let mut filters: Vec<libc::sock_filter> =
        program.iter().map(|i| libc::sock_filter { code: i.code, jt: i.jt, jf: i.jf, k: i.k }).collect();
    let len = libc::c_ushort::try_from(filters.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let program = libc::sock_fprog { len, filter: filters.as_mut_ptr() };
    // SAFETY: `program` points at `len` instructions that outlive the call;
    // the kernel copies and verifies them.
    check(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::c_long::from(libc::SECCOMP_SET_MODE_FILTER), 0_usize, &raw const program)
    })
    .map(drop)
}

//! The exec at the end: look-up in `PATH`, and what to say when there is no
//! such program (words and codes as runc and docker have them).

use std::ffi::CString;

use nix::errno::Errno;

use super::spec::SandboxSpec;

/// Docker's default, for a spec without a `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Exit code when the program does not exist.
const NOT_FOUND: i32 = 127;
/// Exit code when it may not be executed.
const NOT_EXECUTABLE: i32 = 126;

/// Becomes the program. Returns only if that fails, with the exit code; the
/// reason is on standard error.
pub(super) fn exec(spec: &SandboxSpec) -> i32 {
    let (message, code) = try_exec(spec);
    let _ = rustix::io::write(rustix::stdio::stderr(), format!("{message}\n").as_bytes());
    code
}

fn try_exec(spec: &SandboxSpec) -> (String, i32) {
    let Some(name) = spec.args.first() else {
        return ("exec: no command".into(), NOT_FOUND);
    };
    let shown = String::from_utf8_lossy(name).into_owned();
    let (Some(args), Some(env)) = (c_strings(&spec.args), c_strings(&spec.env)) else {
        return (format!("exec: {shown:?}: a NUL byte in its arguments or environment"), NOT_EXECUTABLE);
    };
    if name.contains(&b'/') {
        return match execve(name, &args, &env) {
            Errno::ENOENT | Errno::ENOTDIR => missing(name, &shown),
            Errno::EACCES => (format!("exec: {shown:?}: permission denied"), NOT_EXECUTABLE),
            Errno::ENOEXEC => (format!("exec {shown}: exec format error"), NOT_EXECUTABLE),
            other => (format!("exec {shown}: {}", other.desc()), NOT_EXECUTABLE),
        };
    }
    let path = spec.env.iter().find_map(|e| e.strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH);
    let mut denied = false;
    for directory in path.split(|b| *b == b':') {
        // An empty element is the current directory.
        let mut candidate = if directory.is_empty() { b".".to_vec() } else { directory.to_vec() };
        candidate.push(b'/');
        candidate.extend_from_slice(name);
        match execve(&candidate, &args, &env) {
            Errno::ENOENT if exists(&candidate) => {
                return missing(&candidate, &String::from_utf8_lossy(&candidate));
            }
            Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG | Errno::ELOOP => {}
            Errno::EACCES => denied = true,
            other => {
                let found = String::from_utf8_lossy(&candidate).into_owned();
                return (format!("exec {found}: {}", describe(other)), NOT_EXECUTABLE);
            }
        }
    }
    if denied {
        return (format!("exec: {shown:?}: permission denied"), NOT_EXECUTABLE);
    }
    (format!("exec: {shown:?}: executable file not found in $PATH"), NOT_FOUND)
}

/// The program is not there, or its interpreter (`#!` line, dynamic loader).
fn missing(path: &[u8], shown: &str) -> (String, i32) {
    if exists(path) {
        (format!("exec {shown}: no such file or directory (its interpreter is missing)"), NOT_FOUND)
    } else {
        (format!("exec: {shown:?}: stat {shown}: no such file or directory"), NOT_FOUND)
    }
}

fn exists(path: &[u8]) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXISTS).is_ok()
}

fn describe(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOEXEC => "exec format error",
        other => other.desc(),
    }
}

fn execve(path: &[u8], args: &[CString], env: &[CString]) -> Errno {
    let Ok(path) = CString::new(path) else {
        return Errno::ENOENT;
    };
    match nix::unistd::execve(&path, args, env) {
        Ok(never) => match never {},
        Err(errno) => errno,
    }
}

fn c_strings(list: &[Vec<u8>]) -> Option<Vec<CString>> {
    list.iter().map(|s| CString::new(s.as_slice()).ok()).collect()
}

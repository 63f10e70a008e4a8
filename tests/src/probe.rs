//! What this machine can do. A test that lacks something says so and is
//! counted as skipped; it never passes in silence.

use std::io::Write as _;
use std::path::Path;

/// Says that a test is skipped, past the test harness's capture.
pub fn skipped(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// Whether the tests run as root (chroot, device nodes).
pub fn root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether a program is installed.
pub fn program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(name).exists()) || Path::new("/usr/sbin").join(name).exists()
}

/// Leaves a test with a report unless all conditions hold.
#[macro_export]
macro_rules! needs {
    (root) => {
        if !$crate::probe::root() {
            $crate::probe::skipped(module_path!(), "needs root");
            return Ok(());
        }
    };
    ($($program:literal),+) => {
        $(if !$crate::probe::program($program) {
            $crate::probe::skipped(module_path!(), concat!("needs ", $program));
            return Ok(());
        })+
    };
}

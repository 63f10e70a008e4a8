//! Why a machine may refuse user namespaces, and what to change.

use std::path::Path;

/// Settings that forbid: where, the value that does, what to do.
const SETTINGS: &[(&str, &str, &str)] = &[
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor keeps programs without a profile from using user namespaces: give rbc a profile with \
         `userns,`, or `sysctl kernel.apparmor_restrict_unprivileged_userns=0`",
    ),
    (
        "kernel/unprivileged_userns_clone",
        "0",
        "only root may make user namespaces here: `sysctl kernel.unprivileged_userns_clone=1`",
    ),
    ("user/max_user_namespaces", "0", "user namespaces are switched off: `sysctl user.max_user_namespaces=15000`"),
];

/// The way out, from the machine's settings.
pub(super) fn help() -> String {
    help_of(Path::new("/proc/sys"))
}

fn help_of(settings: &Path) -> String {
    let forbids = |(name, value, _): &&(&str, &str, _)| {
        std::fs::read_to_string(settings.join(name)).is_ok_and(|v| v.trim() == *value)
    };
    match SETTINGS.iter().find(forbids) {
        Some((_, _, help)) => format!("{help}; or run as root"),
        // A container's filter of system calls, most of the time.
        None => "allow unprivileged user namespaces (in a container: its seccomp profile), or run as root".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_that_forbids_is_named() {
        let dir = tempfile::tempdir().expect("directory");
        std::fs::create_dir(dir.path().join("user")).expect("directory");
        let path = dir.path().join("user/max_user_namespaces");
        std::fs::write(&path, "0\n").expect("setting");
        assert!(help_of(dir.path()).contains("user.max_user_namespaces=15000"));
        std::fs::write(&path, "31000\n").expect("setting");
        assert!(help_of(dir.path()).starts_with("allow unprivileged"));
    }
}

//! As an ordinary user: a user namespace around the whole program.
//!
//! These run as root too: they become `nobody` in a process of their own.

use std::path::Path;
use std::process::Command;

use rbc_vm::exec::userns::{IdMapKind, enter_user_namespace};
use rbc_vm::exec::{Degraded, ExitStatus, SandboxSource};

use crate::harness::{Box, mount, names, sandbox, this_program};

const NOBODY: &str = "65534";

/// Runs one of the ignored tests below as `nobody`, after `prepare` (shell,
/// in a mount namespace of its own).
fn as_nobody(test: &str, prepare: &str) {
    let Some(bx) = sandbox() else { return };
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    // The program and its directory must be in reach of that user.
    let place = tempfile::Builder::new().prefix("rbc-nobody-").tempdir().expect("directory");
    let copy = place.path().join("program");
    std::fs::copy(std::env::current_exe().expect("own path"), &copy).expect("copy");
    let home = place.path().join("tmp");
    std::fs::create_dir(&home).expect("directory");
    let id = nix::unistd::Uid::from_raw(65534);
    for path in [place.path(), &home] {
        nix::unistd::chown(path, Some(id), None).expect("chown");
    }
    drop(bx);
    let original = this_program(test);
    let args: Vec<String> = original.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c"])
        .arg(format!("{prepare} exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups \"$0\" \"$@\""))
        .arg(&copy)
        .args(args)
        .env("TMPDIR", &home)
        .current_dir("/")
        .output()
        .expect("unshare and setpriv of util-linux");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    if let Some(line) = errors.lines().find(|l| l.starts_with("SKIPPED")) {
        eprintln!("{line}");
        return;
    }
    assert!(output.status.success() && text.contains("body passed"), "{text}\n{errors}");
}

pub(crate) fn an_ordinary_user_with_one_id() {
    as_nobody("rootless::body_with_one_id", "mount --bind /dev/null /etc/subuid;");
}

pub(crate) fn an_ordinary_user_with_ranges() {
    if !Path::new("/usr/bin/newuidmap").exists() {
        eprintln!("SKIPPED: no newuidmap (Debian: uidmap)");
        return;
    }
    as_nobody(
        "rootless::body_with_ranges",
        "f=$(mktemp); chmod 644 $f; echo nobody:100000:65536 > $f; \
         mount --bind $f /etc/subuid; mount --bind $f /etc/subgid; rm -f $f;",
    );
}

pub(crate) fn inside_a_container_with_a_masked_proc() {
    as_nobody("rootless::body_with_a_masked_proc", "mount --bind /dev/null /proc/version;");
}

/// What works with any map.
fn basics(bx: &Box) {
    let ran = bx.run(&bx.spec(
        "id -u; id -g; echo x > /new; rm /etc/base; cat /proc/self/uid_map > /dev/null; \
         echo x > /dev/null; grep ^Seccomp: /proc/self/status; grep ^CapEff /proc/self/status; \
         mount -t tmpfs none /mnt 2>/dev/null && echo mounted; true",
    ));
    assert_eq!(ran.status, ExitStatus::Code(0), "{ran:?}");
    assert_eq!(ran.stdout, "0\n0\nSeccomp:\t2\nCapEff:\t00000000a80425fb\n");
    assert_eq!(names(&ran.upper), ["etc", "new"]);

    let mut spec = bx.spec("ip -o link | grep LOOPBACK | grep -c '[<,]UP'");
    spec.network = rbc_vm::exec::Network::None;
    assert_eq!(bx.output_of(&spec), "1\n");

    let mut spec = bx.spec("cat /etc/base");
    spec.mounts = vec![mount(
        "/etc/base",
        SandboxSource::Secret { data: b"hidden\n".to_vec(), mode: 0o400, uid: 0, gid: 0 },
        true,
    )];
    assert_eq!(bx.output_of(&spec), "hidden\n");
    assert_eq!(bx.output("sleep 1000 & echo done"), "done\n");
}

pub(crate) fn body_with_one_id() {
    let map = enter_user_namespace().expect("user namespace");
    assert_eq!(map.kind, IdMapKind::Single);
    let note = map.note.expect("a reason");
    assert!(note.contains("/etc/subuid"), "{note}");
    let bx = Box::new();
    basics(&bx);
    let mut spec = bx.spec("true");
    spec.uid = 1000;
    let error = bx.try_run(&spec).expect_err("no such id").to_string();
    assert!(error.contains("/etc/subuid"), "{error}");
}

pub(crate) fn body_with_ranges() {
    let map = enter_user_namespace().expect("user namespace");
    assert_eq!(map.note, None);
    assert_eq!(map.kind, IdMapKind::Ranges);
    assert_eq!(map.uids.iter().map(|r| r.count).sum::<u32>(), 65_537);
    let bx = Box::new();
    basics(&bx);
    let mut spec = bx.spec("id -u; id -G; touch /tmp/mine; stat -c '%u %g' /tmp/mine");
    (spec.uid, spec.gid, spec.groups) = (1000, 50, vec![50, 60]);
    let tmp = bx.lower().join("tmp");
    std::fs::set_permissions(&tmp, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).expect("chmod");
    assert_eq!(bx.output_of(&spec), "1000\n50 60\n1000 50\n");
    assert_eq!(bx.output("touch /f && chown 5:6 /f && stat -c '%u %g' /f"), "5 6\n");
    // Removed here: outside the namespace its files belong to others.
    drop(bx);
}

pub(crate) fn body_with_a_masked_proc() {
    enter_user_namespace().expect("user namespace");
    let bx = Box::new();
    let ran = bx.run(&bx.spec("test -r /proc/self/status && echo x > /x && echo $$"));
    assert_eq!(ran.status, ExitStatus::Code(0), "{ran:?}");
    assert_eq!(ran.stdout, "1\n");
    assert!(bx.spawner.degraded().contains(&Degraded::OuterProc));
    let ran = bx.run(&bx.spec("(echo x > /proc/sys/kernel/domainname) 2>&1; cat /proc/timer_list | wc -c"));
    assert!(ran.stdout.contains("Read-only"), "{ran:?}");
    assert!(ran.stdout.ends_with("\n0\n"), "{ran:?}");
}

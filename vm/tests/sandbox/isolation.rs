//! What a sandbox may not see or do.

use rbc_vm::exec::{ExitStatus, Network};

use crate::harness::sandbox;

/// The field of `/proc/self/status`, of a process of this user.
fn status_field(bx: &crate::harness::Box, uid: u32, field: &str) -> String {
    let mut spec = bx.spec(&format!("grep ^{field}: /proc/self/status"));
    (spec.uid, spec.gid, spec.groups) = (uid, uid, vec![uid]);
    let line = bx.output_of(&spec);
    line.split_whitespace().nth(1).unwrap_or_default().to_owned()
}

#[test]
fn capabilities_are_those_of_docker() {
    let Some(bx) = sandbox() else { return };
    let default = "00000000a80425fb";
    let none = "0000000000000000";
    for (field, root, user) in [
        ("CapBnd", default, default),
        ("CapPrm", default, none),
        ("CapEff", default, none),
        ("CapInh", none, none),
        ("CapAmb", none, none),
    ] {
        assert_eq!(status_field(&bx, 0, field), root, "{field}");
        assert_eq!(status_field(&bx, 1000, field), user, "{field} of a user");
    }
}

#[test]
fn the_filter_is_on_and_sudo_would_work() {
    let Some(bx) = sandbox() else { return };
    assert_eq!(status_field(&bx, 0, "Seccomp"), "2");
    assert_eq!(status_field(&bx, 0, "NoNewPrivs"), "0");
}

#[test]
fn insecure_has_everything() {
    let Some(bx) = sandbox() else { return };
    let mut spec = bx.spec("grep ^Seccomp: /proc/self/status; mount -t tmpfs none /mnt && echo mounted");
    spec.insecure = true;
    assert_eq!(bx.output_of(&spec), "Seccomp:\t0\nmounted\n");
}

#[test]
fn mounts_and_namespaces_are_refused() {
    let Some(bx) = sandbox() else { return };
    assert_eq!(
        bx.output(
            "for c in 'mount -t tmpfs none /mnt' 'unshare -U true' 'unshare -m true' \
             'hostname other'; do $c 2>/dev/null && echo allowed $c; done; true"
        ),
        ""
    );
}

#[test]
fn proc_is_masked_and_partly_read_only() {
    let Some(bx) = sandbox() else { return };
    let ran = bx.run(&bx.spec(
        "for f in kcore keys timer_list; do test -e /proc/$f && wc -c < /proc/$f; done; \
         ls -A /sys/firmware 2>/dev/null; \
         for f in /proc/sys/kernel/domainname /proc/sysrq-trigger /sys/x; do \
           (echo x > $f) 2>&1; done; true",
    ));
    assert_eq!(ran.status, ExitStatus::Code(0), "{ran:?}");
    for line in ran.stdout.lines() {
        assert!(
            line == "0" || line.ends_with("Read-only file system"),
            "{line} in {ran:?}"
        );
    }
    assert!(ran.stdout.matches("Read-only").count() == 3, "{ran:?}");
}

#[test]
fn the_host_is_out_of_sight() {
    let Some(bx) = sandbox() else { return };
    let shown = bx.output("ls /; cat /proc/self/mountinfo");
    assert!(!shown.contains("lost+found"), "{shown}");
    // The only place where a host path may show is the overlay's options.
    for line in shown.lines().filter(|l| l.contains("rbc")) {
        assert!(line.contains(" overlay "), "{line}");
    }
}

#[test]
fn without_network_there_is_lo_and_it_is_up() {
    let Some(bx) = sandbox() else { return };
    let mut spec = bx.spec("ip -o link | grep -v LOOPBACK | grep -c '[<,]UP'; ip -o link | grep LOOPBACK | grep -c '[<,]UP'");
    spec.network = Network::None;
    assert_eq!(bx.run(&spec).stdout, "0\n1\n");
}

#[test]
fn device_nodes_can_be_made() {
    let Some(bx) = sandbox() else { return };
    let ran = bx.run(&bx.spec("mknod -m 0622 /c c 1 7 && mknod /b b 7 0 && stat -c '%a %F' /c /b"));
    assert_eq!(
        ran.stdout,
        "622 character special file\n644 block special file\n"
    );
}

//! What a sandbox may not see or do.

use rbc_vm::exec::Network;

use crate::harness::sandbox;

/// The field of `/proc/self/status`, of a process of this user.
fn status_field(bx: &crate::harness::Box, uid: u32, field: &str) -> String {
    let mut spec = bx.spec(&format!("grep ^{field}: /proc/self/status"));
    (spec.uid, spec.gid, spec.groups) = (uid, uid, vec![uid]);
    let line = bx.output_of(&spec);
    line.split_whitespace().nth(1).unwrap_or_default().to_owned()
}

pub(crate) fn capabilities_are_those_of_docker() {
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

pub(crate) fn the_filter_is_on_and_sudo_would_work() {
    let Some(bx) = sandbox() else { return };
    assert_eq!(status_field(&bx, 0, "Seccomp"), "2");
    assert_eq!(status_field(&bx, 0, "NoNewPrivs"), "0");
}

pub(crate) fn insecure_has_everything() {
    let Some(bx) = sandbox() else { return };
    let mut spec = bx.spec("grep ^Seccomp: /proc/self/status; mount -t tmpfs none /mnt && echo mounted");
    spec.insecure = true;
    assert_eq!(bx.output_of(&spec), "Seccomp:\t0\nmounted\n");
}

pub(crate) fn mounts_and_namespaces_are_refused() {
    let Some(bx) = sandbox() else { return };
    assert_eq!(
        bx.output(
            "for c in 'mount -t tmpfs none /mnt' 'unshare -U true' 'unshare -m true' \
             'hostname other'; do $c 2>/dev/null && echo allowed $c; done; true"
        ),
        ""
    );
}

pub(crate) fn proc_is_masked_and_partly_read_only() {
    let Some(bx) = sandbox() else { return };
    let sizes = bx.output("cd /proc; for f in kcore keys timer_list; do cat $f; done; ls -A acpi scsi /sys/firmware 2>/dev/null | grep -v : ; true");
    assert_eq!(sizes.trim(), "");
    let ran = bx.run(&bx.spec(
        "for f in /proc/sys/kernel/domainname /proc/sys/vm/swappiness /sys/x; do \
         (echo x > $f) 2>&1; done; grep -E ' /proc/(bus|fs|irq|sys|sysrq-trigger) ' \
         /proc/self/mountinfo | grep -vc ' ro,'",
    ));
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{ran:?}");
    for line in lines.iter().take(3) {
        assert!(line.ends_with("Read-only file system"), "{ran:?}");
    }
    assert_eq!(lines.last(), Some(&"0"), "{ran:?}");
}

pub(crate) fn the_host_is_out_of_sight() {
    let Some(bx) = sandbox() else { return };
    assert_eq!(bx.output("echo /*; ls /proc/1/root/ | wc -l"), "/bin /dev /etc /mnt /proc /sys /tmp\n7\n");
    assert!(bx.output("mount").starts_with("overlay on / type overlay "));
    // The only place where a host path may show is the overlay's options.
    let here = bx.dir.path().to_string_lossy().into_owned();
    for line in bx.output("cat /proc/self/mountinfo").lines() {
        assert!(!line.contains(&here) || line.contains(" overlay "), "{line}");
    }
}

pub(crate) fn without_network_there_is_lo_and_it_is_up() {
    let Some(bx) = sandbox() else { return };
    let mut spec =
        bx.spec("ip -o link | grep -v LOOPBACK | grep -c '[<,]UP'; ip -o link | grep LOOPBACK | grep -c '[<,]UP'");
    spec.network = Network::None;
    assert_eq!(bx.run(&spec).stdout, "0\n1\n");
}

pub(crate) fn device_nodes_can_be_made() {
    let Some(bx) = sandbox() else { return };
    let ran = bx.run(&bx.spec("mknod -m 0622 /c c 1 7 && mknod /b b 7 0 && stat -c '%a %F' /c /b"));
    assert_eq!(ran.stdout, "622 character special file\n644 block special file\n");
}

//! Files: the overlay, mounts, secrets, devices.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rbc_vm::exec::{ExitStatus, SandboxSource};

use crate::harness::{mount, names, sandbox};

pub(crate) fn lower_files_are_untouched_whatever_happens_above() {
    let Some(bx) = sandbox() else { return };
    let file = bx.lower().join("etc/base");
    let stamp = |path: &std::path::Path| {
        let meta = std::fs::metadata(path).expect("file");
        (
            meta.ino(),
            meta.mode(),
            meta.nlink(),
            meta.mtime_nsec(),
            meta.ctime_nsec(),
            std::fs::read(path).expect("content"),
        )
    };
    let before = stamp(&file);
    for script in [
        "echo more >> /etc/base",
        "chmod 4777 /etc/base",
        "touch /etc/base",
        "mv /etc/base /etc/moved",
        "rm /etc/base",
        "echo new > /etc/base",
    ] {
        bx.output(script);
        assert_eq!(stamp(&file), before, "{script}");
    }
}

pub(crate) fn the_upper_holds_what_changed() {
    let Some(bx) = sandbox() else { return };
    let ran = bx.run(&bx.spec("echo x > /new; rm /etc/base; mkdir /dir; chmod 2750 /dir"));
    assert_eq!(ran.status, ExitStatus::Code(0), "{ran:?}");
    assert_eq!(names(&ran.upper), ["dir", "etc", "new"]);
    let mode = |name: &str| std::fs::symlink_metadata(ran.upper.join(name)).expect("file").permissions().mode();
    assert_eq!(mode("dir") & 0o7777, 0o2750);
    assert_eq!(mode("new") & 0o7777, 0o644);
    assert_eq!(mode("etc/base") & libc::S_IFMT, libc::S_IFCHR);
}

pub(crate) fn binds_read_only_and_writable() {
    let Some(bx) = sandbox() else { return };
    let host = bx.fresh("host");
    std::fs::write(host.join("f"), "host\n").expect("file");
    let mut spec = bx.spec("cat /mnt/f && echo x > /mnt/g");
    spec.mounts = vec![mount("/mnt", SandboxSource::Bind(host.clone()), true)];
    let ran = bx.run(&spec);
    assert_eq!(ran.stdout, "host\n");
    assert!(ran.stderr.contains("Read-only file system"), "{ran:?}");

    let mut spec = bx.spec("echo x > /mnt/g");
    spec.mounts = vec![mount("/mnt", SandboxSource::Bind(host.clone()), false)];
    bx.output_of(&spec);
    assert_eq!(names(&host), ["f", "g"]);
}

pub(crate) fn a_file_can_be_bound_over_a_file() {
    let Some(bx) = sandbox() else { return };
    let host = bx.fresh("host").join("hosts");
    std::fs::write(&host, "1.2.3.4 there\n").expect("file");
    let mut spec = bx.spec("cat /etc/base");
    spec.mounts = vec![mount("/etc/base", SandboxSource::Bind(host), false)];
    assert_eq!(bx.output_of(&spec), "1.2.3.4 there\n");
    assert_eq!(names(&spec.upper), Vec::<String>::new());
}

pub(crate) fn views_of_other_stages() {
    let Some(bx) = sandbox() else { return };
    let (top, bottom) = (bx.fresh("top"), bx.fresh("bottom"));
    std::fs::create_dir_all(bottom.join("d/e")).expect("directory");
    std::fs::write(bottom.join("d/e/f"), "below\n").expect("file");
    std::fs::write(bottom.join("d/only"), "only\n").expect("file");
    std::fs::create_dir_all(top.join("d/e")).expect("directory");
    std::fs::write(top.join("d/e/f"), "above\n").expect("file");
    let view = |subdir: &str, lowers: &[&std::path::PathBuf]| SandboxSource::Overlay {
        lowers: lowers.iter().map(|p| (*p).clone()).collect(),
        upper: None,
        subdir: subdir.into(),
    };

    for (subdir, lowers, script, expected) in [
        ("", vec![&top, &bottom], "cat /mnt/d/e/f /mnt/d/only", "above\nonly\n"),
        ("d", vec![&top, &bottom], "cat /mnt/e/f /mnt/only", "above\nonly\n"),
        ("d", vec![&bottom], "cat /mnt/e/f /mnt/only", "below\nonly\n"),
        ("", vec![&bottom], "cat /mnt/d/e/f", "below\n"),
    ] {
        let mut spec = bx.spec(script);
        spec.mounts = vec![mount("/mnt", view(subdir, &lowers), true)];
        assert_eq!(bx.output_of(&spec), expected, "{subdir} of {}", lowers.len());
        spec = bx.spec("touch /mnt/x 2>/dev/null || echo refused");
        spec.mounts = vec![mount("/mnt", view(subdir, &lowers), true)];
        assert_eq!(bx.output_of(&spec), "refused\n");
    }

    let mut spec = bx.spec("cat /etc/base");
    spec.mounts = vec![mount("/etc/base", view("d/e/f", &[&top, &bottom]), true)];
    assert_eq!(bx.output_of(&spec), "above\n");

    let mut spec = bx.spec("echo x > /mnt/e/f; cat /mnt/e/f");
    let source = SandboxSource::Overlay {
        lowers: vec![top.clone(), bottom],
        upper: Some((bx.fresh("up"), bx.fresh("wk"))),
        subdir: "d".into(),
    };
    spec.mounts = vec![mount("/mnt", source, false)];
    assert_eq!(bx.output_of(&spec), "x\n");
    assert_eq!(std::fs::read_to_string(top.join("d/e/f")).expect("file"), "above\n");
}

pub(crate) fn temporary_file_systems_and_mounts_inside_them() {
    let Some(bx) = sandbox() else { return };
    let host = bx.fresh("host");
    std::fs::write(host.join("f"), "host\n").expect("file");
    let mut spec = bx.spec("df -k /mnt | tail -n 1 | { read a b c; echo $b; }; cat /mnt/a/b/f; touch /mnt/x");
    std::os::unix::fs::symlink("busybox", bx.lower().join("bin/tail")).expect("applet");
    let tmpfs = SandboxSource::Tmpfs { size: Some(2 << 20), mode: 0o1777 };
    spec.mounts = vec![mount("/mnt", tmpfs, false), mount("/mnt/a/b", SandboxSource::Bind(host), true)];
    assert_eq!(bx.output_of(&spec), "2048\nhost\n");
    assert_eq!(names(&spec.upper), Vec::<String>::new());
}

pub(crate) fn secrets_are_read_by_their_owner_and_never_reach_the_upper() {
    let Some(bx) = sandbox() else { return };
    std::fs::write(bx.lower().join("etc/token"), "").expect("mount point");
    let mut spec =
        bx.spec("cat /etc/token; stat -c '%a %u %g' /etc/token; (echo x > /etc/token) 2>/dev/null || echo refused");
    let secret = SandboxSource::Secret { data: b"s3cret\n".to_vec(), mode: 0o440, uid: 1000, gid: 50 };
    spec.mounts = vec![mount("/etc/token", secret, true)];
    assert_eq!(bx.output_of(&spec), "s3cret\n440 1000 50\nrefused\n");
    assert_eq!(names(&spec.upper), Vec::<String>::new());
    assert_eq!(names(&spec.root), Vec::<String>::new());
}

pub(crate) fn a_large_secret_arrives_whole() {
    let Some(bx) = sandbox() else { return };
    std::fs::write(bx.lower().join("etc/token"), "").expect("mount point");
    let mut spec = bx.spec("wc -c < /etc/token");
    let secret = SandboxSource::Secret { data: vec![7; 500_000], mode: 0o400, uid: 0, gid: 0 };
    spec.mounts = vec![mount("/etc/token", secret, true)];
    assert_eq!(bx.output_of(&spec), "500000\n");
}

pub(crate) fn a_hundred_layers_with_odd_names() {
    let Some(bx) = sandbox() else { return };
    let mut spec = bx.spec("ls /d | wc -l; cat /d/f-99");
    for number in 0..100 {
        let layer = bx.fresh("a:layer,with\\odd");
        std::fs::create_dir(layer.join("d")).expect("directory");
        std::fs::write(layer.join(format!("d/f-{number}")), "x\n").expect("file");
        std::fs::write(layer.join("d/same"), "x\n").expect("file");
        spec.lowers.push(layer);
    }
    assert_eq!(bx.output_of(&spec), "101\nx\n");
}

pub(crate) fn a_missing_layer_is_named() {
    let Some(bx) = sandbox() else { return };
    let mut spec = bx.spec("true");
    spec.lowers.push("/no/such/layer".into());
    let error = bx.try_run(&spec).expect_err("no layer").to_string();
    assert!(error.contains("/no/such/layer"), "{error}");
}

pub(crate) fn mount_points_that_the_image_lacks_stay_out_of_it() {
    let Some(bx) = sandbox() else { return };
    for name in ["proc", "sys", "dev"] {
        std::fs::remove_dir(bx.lower().join(name)).expect("directory");
    }
    let host = bx.fresh("host").join("f");
    std::fs::write(&host, "host\n").expect("file");
    let mut spec =
        bx.spec("cat /opt/a/file /etc/fresh; touch /opt/a/mine; test -d /proc/self && test -c /dev/null && echo all");
    spec.mounts = vec![
        mount("/opt/a/file", SandboxSource::Bind(host.clone()), true),
        mount("/etc/fresh", SandboxSource::Bind(host), true),
    ];
    assert_eq!(bx.output_of(&spec), "host\nhost\nall\n");
    assert_eq!(names(&spec.upper), ["opt"]);
    assert_eq!(names(&spec.upper.join("opt/a")), ["mine"]);
    assert_eq!(names(&spec.root), Vec::<String>::new());
}

pub(crate) fn devices() {
    let Some(bx) = sandbox() else { return };
    assert_eq!(
        bx.output("echo $(ls /dev); echo x > /dev/null; head -c 2 /dev/zero | od -An -tx1; readlink /dev/stdin; test -c /dev/ptmx && echo pty"),
        "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero\n \
         00 00\n/proc/self/fd/0\npty\n"
    );
    let mut spec = bx.spec("df -k /dev/shm | grep shm | { read a b c; echo $b; }; stat -c %a /dev/shm");
    spec.shm_size = 20 << 20;
    assert_eq!(bx.output_of(&spec), "20480\n1777\n");
}

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rbc_ir::Platform;

use super::support::{Lab, names, unpacked};
use crate::export::{ExportError, Output, export_files};
use crate::fs::{Entry, FileRef, Meta, Node, Root};

fn platform(text: &str) -> Platform {
    Platform::parse(text).unwrap()
}

fn export(lab: &Lab, spec: &str, roots: &[(&str, Root)]) -> Result<(), ExportError> {
    let roots: Vec<_> = roots.iter().map(|(p, r)| (platform(p), r.clone())).collect();
    export_files(&Output::parse(spec).unwrap(), &roots, &lab.forest, &lab.blobs).map(drop)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn files_come_out_as_they_are() {
    let lab = Lab::new();
    let out = lab.path("new/out");
    export(&lab, &format!("{}/", out.display()), &[("linux/amd64", lab.sample())]).unwrap();
    assert_eq!(names(&out), ["d", "run.sh", "two"]);
    assert_eq!(names(&lab.path("new")), ["out"]);
    let stat = |p: &str| std::fs::symlink_metadata(out.join(p)).unwrap();
    assert_eq!(stat("run.sh").mode() & 0o7777, 0o755);
    assert_eq!((stat("run.sh").mtime(), stat("run.sh").mtime_nsec()), (1_600_000_000, 5));
    assert_eq!((stat("d").mtime(), stat("d/l").mtime()), (1_600_000_000, 1_600_000_000));
    assert_eq!(stat("d/one").ino(), stat("two").ino());
    // Nothing but the two names: the store is not linked to.
    assert_eq!(stat("two").nlink(), 2);
    assert_eq!(std::fs::read_link(out.join("d/l")).unwrap(), Path::new("one"));
    assert_eq!(text(&out.join("d/one")), "linked");
}

#[test]
fn a_directory_that_exists_is_filled_and_links_in_it_are_not_followed() {
    let lab = Lab::new();
    let (out, other) = (lab.path("out"), lab.path("other"));
    std::fs::create_dir_all(out.join("run.sh/full")).unwrap();
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("one"), "mine").unwrap();
    symlink(&other, out.join("d")).unwrap();
    std::fs::write(out.join("kept"), "kept").unwrap();
    let spec = format!("type=local,dest={}", out.display());
    for _ in 0..2 {
        export(&lab, &spec, &[("linux/amd64", lab.sample())]).unwrap();
        assert_eq!(names(&out), ["d", "kept", "run.sh", "two"]);
        assert_eq!(names(&out.join("d")), ["l", "one", "pipe"]);
    }
    assert_eq!((text(&other.join("one")), text(&out.join("run.sh"))), ("mine".to_owned(), "#!/bin/sh\n".to_owned()));
    export(&lab, &format!("{spec},mode=delete"), &[("linux/amd64", lab.root(vec![("two", lab.file("2", 0o600))]))])
        .unwrap();
    assert_eq!(names(&out), ["two"]);
    assert_eq!(text(&out.join("two")), "2");
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let lab = Lab::new();
    let lost = FileRef { blob: rbc_ir::Digest::of(b"lost"), size: 4, link: 0 };
    let lost = Entry { meta: Meta::default(), node: Node::File(lost) };
    let root = lab.root(vec![("a", lab.file("a", 0o644)), ("d", lab.dir(vec![("lost", lost)]))]);
    for spec in ["type=local", "type=tar"] {
        let spec = format!("{spec},dest={}", lab.path("out").display());
        let e = export(&lab, &spec, &[("linux/amd64", root.clone())]).unwrap_err();
        assert!(e.to_string().starts_with("cannot read `/d/lost` from the cache"), "{e}");
        assert_eq!(names(lab.dir.path()), ["scratch"]);
    }
}

#[test]
fn an_archive_replaces_the_old_one_when_it_is_complete() {
    let lab = Lab::new();
    let (real, link) = (lab.path("real.tar"), lab.path("link.tar"));
    std::fs::write(&real, "old").unwrap();
    symlink("real.tar", &link).unwrap();
    let spec = format!("type=tar,dest={}", link.display());
    export(&lab, &spec, &[("linux/amd64", lab.sample())]).unwrap();
    assert_eq!(unpacked(&real).keys().collect::<Vec<_>>(), ["d/one", "run.sh"]);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    let full = export(&lab, "type=tar,dest=/dev/full", &[("linux/amd64", lab.sample())]);
    assert!(matches!(full, Err(ExportError::Full { .. })));
    let dir = export(&lab, &format!("type=tar,dest={}", lab.dir.path().display()), &[("linux/amd64", lab.sample())]);
    assert!(dir.unwrap_err().to_string().contains("directory"));
}

#[test]
fn platforms_have_directories_of_their_own() {
    let lab = Lab::new();
    let root = |arch: &str| {
        lab.root(vec![("arch", lab.file(arch, 0o644)), ("same", lab.dir(vec![("x", lab.file("", 0o644))]))])
    };
    let roots = [("linux/amd64", root("amd64")), ("linux/arm/v7", root("arm"))];
    let out = lab.path("out");
    export(&lab, &format!("type=local,dest={}", out.display()), &roots).unwrap();
    assert_eq!(names(&out), ["linux_amd64", "linux_arm_v7"]);
    assert_eq!(text(&out.join("linux_arm_v7/arch")), "arm");
    let joined = format!("type=local,dest={},platform-split=false", lab.path("joined").display());
    let e = export(&lab, &joined, &roots).unwrap_err();
    assert_eq!(e.to_string(), "`/arch` differs between platforms: use platform-split=true");
    let other = lab.root(vec![("other", lab.file("o", 0o644)), ("same", lab.dir(vec![("y", lab.file("", 0o644))]))]);
    export(&lab, &joined, &[("linux/amd64", root("amd64")), ("linux/arm64", other)]).unwrap();
    assert_eq!(names(&lab.path("joined")), ["arch", "other", "same"]);
    assert_eq!(names(&lab.path("joined/same")), ["x", "y"]);
}

#[test]
fn the_epoch_is_the_time_of_all_files() {
    let lab = Lab::new();
    let spec = format!("type=local,dest={},source-date-epoch=1700000000", lab.path("out").display());
    export(&lab, &spec, &[("linux/amd64", lab.sample())]).unwrap();
    for name in ["d", "run.sh", "d/l", "d/pipe"] {
        assert_eq!(std::fs::symlink_metadata(lab.path("out").join(name)).unwrap().mtime(), 1_700_000_000, "{name}");
    }
}

#[test]
fn read_only_directories_are_written_again() {
    let lab = Lab::new();
    let mut inner = lab.dir(vec![("f", lab.file("1", 0o400))]);
    inner.meta.mode = 0o555;
    let root = lab.root(vec![("d", inner)]);
    let spec = format!("type=local,dest={}", lab.path("out").display());
    export(&lab, &spec, &[("linux/amd64", root.clone())]).unwrap();
    export(&lab, &spec, &[("linux/amd64", root)]).unwrap();
    let mode = std::fs::metadata(lab.path("out/d")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o555);
    std::fs::set_permissions(lab.path("out/d"), std::fs::Permissions::from_mode(0o755)).unwrap();
}

//! The images that tests build on, in a registry that all tests of a process
//! share: `alpine` (a busybox), and `golang:1.21-alpine` (Debian's Go).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::image::{Image, Layer};
use crate::registry::Registry;

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Applets of busybox that the tests' scripts use.
const APPLETS: &[&str] = &[
    "[",
    "ash",
    "basename",
    "cat",
    "chmod",
    "chown",
    "cp",
    "cut",
    "date",
    "dd",
    "dirname",
    "du",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "grep",
    "head",
    "id",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mv",
    "od",
    "printf",
    "pwd",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "sync",
    "tail",
    "tar",
    "test",
    "touch",
    "tr",
    "true",
    "truncate",
    "uname",
    "uniq",
    "wc",
    "which",
    "xargs",
    "yes",
];

/// Directory for what is made once and kept between runs.
pub fn kept() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")).join("fixtures")
}

/// Returns the registry with `library/alpine:latest`.
///
/// # Panics
///
/// If it cannot be set up; no test can go on then.
pub fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| match set_up() {
        Ok(registry) => registry,
        Err(e) => panic!("the test registry cannot be set up: {e:#}"),
    })
}

fn set_up() -> Result<Registry> {
    let registry = Registry::start(&kept().join("registry"))?;
    let _lock = lock("registry.lock")?;
    registry.push("library/alpine", "latest", &alpine()?)?;
    registry.push("library/tools", "1", &tools()?)?;
    Ok(registry)
}

/// A lock between test processes on something that is kept.
fn lock(name: &str) -> Result<File> {
    fs::create_dir_all(kept())?;
    let file = File::create(kept().join(name))?;
    file.lock()?;
    Ok(file)
}

/// A small root file system around the machine's static busybox.
fn alpine() -> Result<Image> {
    let busybox = fs::read("/bin/busybox").or_else(|_| fs::read("/usr/bin/busybox")).context("read busybox")?;
    let mut layer = Layer::default();
    for dir in ["bin", "dev", "etc", "home", "lib", "opt", "proc", "sys", "usr", "usr/bin", "usr/lib", "var"] {
        layer.dir(dir, 0o755)?;
    }
    layer.dir("root", 0o700)?.dir("tmp", 0o1777)?;
    layer.file("bin/busybox", 0o755, &busybox)?;
    for applet in APPLETS {
        layer.symlink(&format!("bin/{applet}"), "/bin/busybox")?;
    }
    layer.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")?;
    layer.file("etc/group", 0o644, b"root:x:0:\nnobody:x:65534:\n")?;
    layer.file("etc/os-release", 0o644, b"ID=alpine\n")?;
    Image::new(vec![layer.finish()?], &json!({ "Env": [PATH], "Cmd": ["/bin/sh"] }))
}

/// An image without a shell, for `COPY --from=IMAGE`.
fn tools() -> Result<Image> {
    let mut layer = Layer::default();
    layer.dir("opt", 0o755)?.dir("opt/tool", 0o755)?.dir("opt/tool/lib", 0o755)?;
    layer.file("opt/tool/run", 0o755, b"#!/bin/sh\necho tool\n")?;
    layer.file("opt/tool/lib/one.so", 0o644, b"one")?.file("opt/tool/lib/two.so", 0o644, b"two")?;
    Image::new(vec![layer.finish()?], &json!({}))
}

/// Makes sure that the registry has `library/golang:1.21-alpine`: Debian's Go
/// packages, as `mmdebstrap` installs them. It takes a minute the first time;
/// the file system is kept.
///
/// # Errors
///
/// If `mmdebstrap` is missing or fails.
pub fn golang() -> Result<&'static Registry> {
    let registry = registry();
    let _lock = lock("golang.lock")?;
    let marker = kept().join("registry/golang.pushed");
    if marker.exists() {
        return Ok(registry);
    }
    let rootfs = kept().join("golang.tar");
    if !rootfs.exists() {
        let half = kept().join("golang.tmp.tar");
        let status = Command::new("mmdebstrap")
            .args(["--quiet", "--variant=minbase", "--include=golang-go,ca-certificates"])
            .arg("--customize-hook=rm -rf \"$1\"/usr/share/doc \"$1\"/usr/share/man \"$1\"/var/cache/apt")
            .args(["bookworm", &half.to_string_lossy()])
            .status()
            .context("run mmdebstrap")?;
        ensure!(status.success(), "mmdebstrap: {status}");
        fs::rename(half, &rootfs)?;
    }
    // As the official image has it, but for the module mode: the programs of
    // the tests have no go.mod, and there is no C compiler.
    let config = json!({
        "Env": [PATH, "GOPATH=/go", "GO111MODULE=auto", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false"],
        "WorkingDir": "/go",
        "Cmd": ["/bin/bash"],
    });
    registry.push("library/golang", "1.21-alpine", &Image::new(vec![fs::read(&rootfs)?], &config)?)?;
    File::create(marker)?;
    Ok(registry)
}

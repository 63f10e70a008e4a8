//! What goes wrong is said at the place in the user's file, with the values
//! involved and the way out; and the exit code says whose fault it is.

use std::fs;
use std::net::TcpListener;

use anyhow::Result;
use rbc_tests::rbc::{Ran, Workspace};
use rbc_tests::{fixtures, needs};

fn build(dockerfile: &str) -> Result<Ran> {
    let workspace = Workspace::new(fixtures::registry())?;
    workspace.write("Dockerfile", dockerfile)?;
    workspace.write("main.go", "package main\n")?;
    workspace.build(&["--progress=quiet"])
}

/// Checks the exit code, and that the message has all the parts, in order.
fn says(ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!(ran.code, Some(code), "{}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    let mut rest = ran.stderr.as_str();
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => panic!("`{part}` is not said (or not there) in:\n{}", ran.stderr),
        }
    }
}

#[test]
fn an_unknown_instruction() -> Result<()> {
    let ran = build("FROM alpine\nCOPPY main.go /\n")?;
    says(&ran, 2, &["error", "COPPY", "Dockerfile:2:1", "COPPY main.go /", "help", "COPY"]);
    Ok(())
}

#[test]
fn several_mistakes_are_told_at_once() -> Result<()> {
    let ran = build("FROM alpine\nCOPPY main.go /\nRUN echo fine\nWORKDIRR /x\n")?;
    says(&ran, 2, &["COPPY", "Dockerfile:2", "WORKDIRR", "Dockerfile:4"]);
    Ok(())
}

#[test]
fn an_unknown_stage() -> Result<()> {
    let ran = build("FROM alpine AS builder\nRUN true\nFROM alpine\nCOPY --from=buidler /etc/passwd /\n")?;
    // It could be an image: whether the Hub can be asked depends on the machine.
    assert!(matches!(ran.code, Some(2 | 3)), "{:?}", ran.code);
    says(&ran, ran.code.unwrap_or_default(), &["error", "buidler", "Dockerfile:4", "did you mean the stage `builder`"]);
    Ok(())
}

#[test]
fn an_unknown_target() -> Result<()> {
    let workspace = Workspace::new(fixtures::registry())?;
    workspace.write("Dockerfile", "FROM alpine AS builder\n")?;
    let ran = workspace.build(&["--target", "bilder"])?;
    says(&ran, 2, &["bilder", "builder"]);
    Ok(())
}

#[test]
fn a_missing_source_in_the_context() -> Result<()> {
    let ran = build("FROM alpine\nCOPY mian.go /\n")?;
    says(&ran, 1, &["error", "mian.go", "Dockerfile:2", "COPY mian.go /", "main.go"]);
    Ok(())
}

#[test]
fn a_missing_source_in_a_stage() -> Result<()> {
    let ran =
        build("FROM alpine AS builder\nWORKDIR /app\nRUN touch myapp\nFROM alpine\nCOPY --from=builder /app/mypp /\n")?;
    says(&ran, 1, &["error", "/app/mypp", "Dockerfile:5", "COPY --from=builder", "/app/myapp"]);
    Ok(())
}

#[test]
fn a_failing_command() -> Result<()> {
    let ran = build(
        "FROM alpine\nRUN echo fine\nRUN for i in $(seq 40); do echo line $i; done; echo to-stderr >&2; exit 42\n",
    )?;
    says(&ran, 1, &["error", "42", "Dockerfile:3:1", "RUN for i in", "line 39", "line 40"]);
    assert!(ran.stderr.contains("to-stderr"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("line 2\n"), "the output's beginning is shown: {}", ran.stderr);
    Ok(())
}

#[test]
fn a_command_killed_by_a_signal() -> Result<()> {
    let ran = build("FROM alpine\nRUN sh -c 'kill -9 $$'; exit $?\n")?;
    says(&ran, 1, &["137", "Dockerfile:2", "memory"]);
    Ok(())
}

#[test]
fn a_program_that_is_not_there() -> Result<()> {
    let ran = build("FROM alpine\nRUN [\"/no/such/prog\"]\n")?;
    says(&ran, 1, &["127", "Dockerfile:2", "exec: \"/no/such/prog\""]);
    Ok(())
}

#[test]
fn a_failure_keeps_what_is_done() -> Result<()> {
    let workspace = Workspace::new(fixtures::registry())?;
    workspace.write("Dockerfile", "FROM alpine\nRUN echo slow work > /done\nRUN test -e /nothing\n")?;
    assert_eq!(workspace.build(&[])?.code, Some(1));
    workspace.write("Dockerfile", "FROM alpine\nRUN echo slow work > /done\nRUN test -e /done\n")?;
    let again = workspace.built(&[])?;
    assert_eq!(again.step("RUN echo slow").as_deref(), Some("CACHED"), "{}", again.stderr);
    Ok(())
}

#[test]
fn an_image_that_is_not_there() -> Result<()> {
    let host = fixtures::registry().host();
    let ran = build(&format!("FROM {host}/library/alpine:no-such-tag\nRUN true\n"))?;
    says(&ran, 2, &["error", "alpine:no-such-tag", "not found", "Dockerfile:1"]);
    Ok(())
}

#[test]
fn an_unreachable_registry() -> Result<()> {
    // A port that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let ran = build(&format!("FROM 127.0.0.1:{port}/base:1\nRUN true\n"))?;
    says(&ran, 3, &["error", &format!("127.0.0.1:{port}"), "Dockerfile:1"]);
    Ok(())
}

#[test]
fn a_missing_dockerfile() -> Result<()> {
    let workspace = Workspace::new(fixtures::registry())?;
    let ran = workspace.build(&[])?;
    says(&ran, 2, &["Dockerfile", "--file"]);
    let ran = workspace.build(&["-f", "context/nowhere"])?;
    says(&ran, 2, &["context/nowhere"]);
    Ok(())
}

#[test]
fn a_missing_context() -> Result<()> {
    let workspace = Workspace::new(fixtures::registry())?;
    let ran = workspace.run(["build", "nowhere"])?;
    says(&ran, 2, &["error", "nowhere"]);
    Ok(())
}

#[test]
fn a_full_disk() -> Result<()> {
    needs!(root);
    let workspace = Workspace::new(fixtures::registry())?;
    let Some(disk) = SmallDisk::mount(&workspace.home(), "24m")? else {
        rbc_tests::probe::skipped("a_full_disk", "tmpfs cannot be mounted here");
        return Ok(());
    };
    workspace
        .write("Dockerfile", "FROM alpine\nRUN echo kept > /kept\nRUN dd if=/dev/zero of=/large bs=1M count=100\n")?;
    let ran = workspace.build(&[])?;
    assert!(matches!(ran.code, Some(1 | 3)), "{:?} {}", ran.code, ran.stderr);
    assert!(ran.stderr.to_lowercase().contains("no space"), "{}", ran.stderr);
    // The store is sound: less is asked for, and it works.
    workspace.write("Dockerfile", "FROM alpine\nRUN echo kept > /kept\nRUN cat /kept\n")?;
    let again = workspace.built(&[])?;
    assert_eq!(again.step("RUN cat /kept").as_deref(), Some("DONE"), "{}", again.stderr);
    drop(disk);
    Ok(())
}

/// A tmpfs of a given size.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: &std::path::Path, size: &str) -> Result<Option<Self>> {
        use nix::mount::{MsFlags, mount};
        fs::create_dir_all(at)?;
        let options = format!("size={size},mode=700");
        let mounted = mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()));
        Ok(mounted.is_ok().then(|| Self(at.to_owned())))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

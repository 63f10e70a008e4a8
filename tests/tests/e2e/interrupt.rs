//! Ctrl-C and worse leave nothing running and the cache sound.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use rbc_tests::fixtures;
use rbc_tests::rbc::Workspace;

/// A workspace whose build says `ready` and then sleeps under a name that no
/// other process has.
fn sleeper(unique: &str) -> Result<Workspace> {
    let workspace = Workspace::new(fixtures::registry())?;
    workspace.write(
        "Dockerfile",
        &format!(
            "FROM alpine\nRUN echo done before > /before\n\
             RUN touch /{unique} && echo ready && (sleep 600 & sleep 600)\n"
        ),
    )?;
    Ok(workspace)
}

/// Starts the build and waits until its sleep runs.
fn start(workspace: &Workspace) -> Result<Child> {
    let mut child = workspace.spawn(["build", "--progress=plain", "context"])?;
    let stderr = child.stderr.take().context("no standard error")?;
    let mut reader = BufReader::new(stderr);
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            let _ = child.wait();
            bail!("the build ended before it was ready:\n{seen}");
        }
        seen.push_str(&line);
        if line.trim_end().ends_with(" ready") {
            break;
        }
    }
    // Somebody has to read what follows, or rbc would wait for it.
    std::thread::spawn(move || reader.read_to_end(&mut Vec::new()));
    Ok(child)
}

/// Process ids of all processes whose root holds `/NAME`: those of the
/// sandbox, whatever they call themselves.
fn inside(name: &str) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<i32>() else { continue };
        if fs::symlink_metadata(format!("/proc/{pid}/root/{name}")).is_ok() {
            found.push(pid);
        }
    }
    Ok(found)
}

fn wait(child: &mut Child) -> Result<Option<i32>> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        ensure!(Instant::now() < deadline, "rbc does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn nothing_is_left(unique: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let left = inside(unique)?;
        if left.is_empty() {
            break;
        }
        ensure!(Instant::now() < deadline, "still running: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn no_mounts_are_left(workspace: &Workspace) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let home = workspace.home().to_string_lossy().into_owned();
    let left: Vec<_> = mounts.lines().filter(|l| l.contains(&home)).collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

/// The finished step is cached, and the cache serves further builds.
fn the_cache_is_sound(workspace: &Workspace) -> Result<()> {
    workspace.write("Dockerfile", "FROM alpine\nRUN echo done before > /before\nRUN cat /before > /after\n")?;
    let again = workspace.built(&["-o", "out"])?;
    assert_eq!(again.step("RUN echo done").as_deref(), Some("CACHED"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(workspace.path("out/after"))?, "done before\n");
    Ok(())
}

fn no_directories_are_left(workspace: &Workspace) -> Result<()> {
    let left: Vec<_> = fs::read_dir(workspace.home().join("run"))?.collect::<Result<_, _>>()?;
    assert!(left.is_empty(), "left in run/: {left:?}");
    Ok(())
}

fn stopped_by(signal: Signal, unique: &str) -> Result<()> {
    let workspace = sleeper(unique)?;
    let mut child = start(&workspace)?;
    assert!(!inside(unique)?.is_empty(), "the test does not see the sandbox's processes");
    let pid = Pid::from_raw(child.id().try_into()?);
    match signal {
        // As a terminal does: to the whole group.
        Signal::SIGINT => killpg(pid, signal)?,
        _ => kill(pid, signal)?,
    }
    let code = wait(&mut child)?;
    if signal == Signal::SIGKILL {
        assert_eq!(code, None);
    } else {
        assert_eq!(code, Some(130));
    }
    nothing_is_left(unique)?;
    no_mounts_are_left(&workspace)?;
    if signal == Signal::SIGKILL {
        // Nobody was left to clean up; a prune does it.
        let pruned = workspace.run(["cache", "prune"])?;
        assert_eq!(pruned.code, Some(0), "{}", pruned.stderr);
    }
    no_directories_are_left(&workspace)?;
    the_cache_is_sound(&workspace)
}

#[test]
fn ctrl_c_leaves_nothing_running() -> Result<()> {
    stopped_by(Signal::SIGINT, "rbc-test-sigint")
}

#[test]
fn termination_leaves_nothing_running() -> Result<()> {
    stopped_by(Signal::SIGTERM, "rbc-test-sigterm")
}

#[test]
fn a_lost_terminal_leaves_nothing_running() -> Result<()> {
    stopped_by(Signal::SIGHUP, "rbc-test-sighup")
}

#[test]
fn a_kill_leaves_nothing_running() -> Result<()> {
    stopped_by(Signal::SIGKILL, "rbc-test-sigkill")
}

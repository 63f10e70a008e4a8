//! Builds of an ordinary user, with and without ranges of ids.
//!
//! Root only: it alone can become a user of either kind. (As an ordinary user
//! all other tests are tests of this.) The user is `nobody`; what
//! `/etc/subuid` and `/etc/subgid` say is replaced in a mount namespace.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use rbc_tests::rbc::{Ran, Workspace, program};
use rbc_tests::result::tool;
use rbc_tests::{fixtures, needs};

const NOBODY: u32 = 65534;

/// What `/etc/subuid` has for the user.
#[derive(Clone, Copy)]
enum Ids {
    Ranges,
    Single,
}

/// Gives a directory with all below to the user.
fn give(path: &Path) -> Result<()> {
    lchown(path, Some(NOBODY), Some(NOBODY))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path())?;
        }
    }
    Ok(())
}

/// A workspace of the user's, with a copy of the program in reach.
fn workspace(dockerfile: &str) -> Result<Workspace> {
    let workspace = Workspace::new(fixtures::registry())?;
    workspace.write("Dockerfile", dockerfile)?;
    fs::copy(program(), workspace.path("rbc"))?;
    for name in ["subuid", "subgid"] {
        fs::write(workspace.path(name), "nobody:100000:65536\n")?;
    }
    give(&workspace.path(""))?;
    Ok(workspace)
}

/// A command that runs rbc as the user.
fn command(workspace: &Workspace, ids: Ids, args: &[&str]) -> Command {
    let path = |name: &str| match ids {
        Ids::Ranges => workspace.path(name).display().to_string(),
        Ids::Single => "/dev/null".to_owned(),
    };
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-ec"])
        .arg(format!(
            "mount --bind '{}' /etc/subuid; mount --bind '{}' /etc/subgid; \
             exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups \"$0\" \"$@\"",
            path("subuid"),
            path("subgid")
        ))
        .arg(workspace.path("rbc"))
        .args(args)
        .current_dir(workspace.path(""));
    let own = workspace.command(args);
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // Where the cache is by default.
    command.env_remove("RBC_HOME").env_remove("XDG_CACHE_HOME").env("HOME", workspace.path(""));
    command.stdin(Stdio::null());
    command
}

fn run(workspace: &Workspace, ids: Ids, args: &[&str]) -> Result<Ran> {
    Ok(command(workspace, ids, args).output().context("run unshare")?.into())
}

fn build(workspace: &Workspace, ids: Ids, flags: &[&str]) -> Result<Ran> {
    let args: Vec<&str> = ["build", "--progress=plain"].iter().chain(flags).chain(&["context"]).copied().collect();
    run(workspace, ids, &args)
}

/// Whether namespaces of the kind can be had here; says so if not.
fn possible(test: &str, ids: Ids) -> bool {
    let mut probe = Command::new("unshare");
    probe.args([
        "--mount",
        "sh",
        "-ec",
        "mount --bind /dev/null /etc/subuid; mount --bind /dev/null /etc/subgid; \
                exec setpriv --reuid=65534 --regid=65534 --clear-groups unshare --user --map-root-user true",
    ]);
    let works = probe.stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    let why = match ids {
        _ if !works => "an ordinary user cannot have a user namespace here",
        Ids::Ranges if !rbc_tests::probe::program("newuidmap") => "needs newuidmap",
        _ => return true,
    };
    rbc_tests::probe::skipped(test, why);
    false
}

/// Lines of `tar -tv`: `MODE OWNER/GROUP NAME`.
fn listing(archive: &Path) -> Result<Vec<String>> {
    let text = tool("tar", &["--numeric-owner", "-tvf", &archive.to_string_lossy()])?;
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        Some(format!("{} {} {}", fields.first()?, fields.get(1)?, fields.get(5)?))
    };
    Ok(text.lines().filter_map(line).collect())
}

fn has(listing: &[String], line: &str) {
    assert!(listing.iter().any(|l| l == line), "{line} is not in {listing:#?}");
}

/// All of it belongs to the user.
fn is_the_users(path: &Path) -> Result<()> {
    let meta = fs::symlink_metadata(path).with_context(|| format!("{}", path.display()))?;
    assert_eq!((meta.uid(), meta.gid()), (NOBODY, NOBODY), "{}", path.display());
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            is_the_users(&entry?.path())?;
        }
    }
    Ok(())
}

#[test]
fn with_ranges_all_owners_are_kept() -> Result<()> {
    needs!(root);
    if !possible("with_ranges_all_owners_are_kept", Ids::Ranges) {
        return Ok(());
    }
    let workspace = workspace(
        "FROM alpine AS build\nCOPY --chown=1000:50 private /data/private\nCOPY --chown=4000000:50 private /data/far\n\
         RUN cp /data/private /data/copy && chown 5:6 /data/copy && chmod 640 /data/copy\n\
         USER nobody\nRUN id -u > /tmp/id && test ! -r /data/copy\n\
         FROM scratch\nCOPY --from=build /data /data\nCOPY --from=build /tmp/id /\n",
    )?;
    let private = workspace.write("private", "private\n")?;
    fs::set_permissions(&private, fs::Permissions::from_mode(0o600))?;
    chown(&private, Some(NOBODY), Some(NOBODY))?;

    let flags = ["-o", "dir", "-o", "type=tar,dest=out.tar", "-o", "type=oci,dest=image.tar", "--iidfile", "iid"];
    let ran = build(&workspace, Ids::Ranges, &flags)?;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    let files = listing(&workspace.path("out.tar"))?;
    has(&files, "-rw------- 1000/50 data/private");
    has(&files, "-rw------- 4000000/50 data/far");
    has(&files, "-rw-r----- 5/6 data/copy");
    assert_eq!(fs::read_to_string(workspace.path("dir/id"))?, "65534\n");
    for name in ["dir", "out.tar", "image.tar", "iid"] {
        is_the_users(&workspace.path(name))?;
    }

    let again = build(&workspace, Ids::Ranges, &[])?;
    assert!(again.steps().iter().all(|(name, end)| end != "DONE" || name.contains("context")), "{}", again.stderr);
    let usage = run(&workspace, Ids::Ranges, &["cache", "du"])?;
    assert!(usage.stdout.contains(&*workspace.path(".cache/rbc").to_string_lossy()), "{usage:?}");
    let pruned = run(&workspace, Ids::Ranges, &["cache", "prune", "--all"])?;
    assert_eq!(pruned.code, Some(0), "{}", pruned.stderr);
    Ok(())
}

#[test]
fn with_a_single_id_builds_work_and_say_what_they_lack() -> Result<()> {
    needs!(root);
    if !possible("with_a_single_id_builds_work_and_say_what_they_lack", Ids::Single) {
        return Ok(());
    }
    let workspace = workspace(
        "FROM alpine AS build\nCOPY --chown=1000:50 --chmod=750 file /data/\nCOPY --chown=1000:50 file /data/other\n\
         RUN echo made > /data/made && echo more >> /data/other && rm -rf /opt && mkdir /opt && rm /etc/os-release\n\
         RUN test ! -e /etc/os-release && test $(stat -c %u /data/made) = 0\n\
         FROM alpine AS out\nCOPY --from=build /data /data\nRUN cat /data/made\nCMD [\"sh\"]\n\
         FROM out AS user\nUSER nobody\nRUN id\n",
    )?;
    give(&workspace.write("file", "text\n")?)?;
    let flags = ["--target=out", "-o", "dir", "-o", "type=tar,dest=out.tar", "-o", "type=oci,dest=image.tar"];
    let ran = build(&workspace, Ids::Single, &flags)?;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let warnings: Vec<&str> = ran.stderr.lines().filter(|l| l.contains("warning")).collect();
    assert!(matches!(&warnings[..], [one] if one.contains("/etc/subuid") && one.contains("uidmap")), "{}", ran.stderr);
    let files = listing(&workspace.path("out.tar"))?;
    // The tree knows owners that no file on this disk can have.
    has(&files, "-rwxr-x--- 1000/50 data/file");
    has(&files, "-rw-r--r-- 1000/50 data/other");
    has(&files, "-rw-r--r-- 0/0 data/made");
    for name in ["dir", "out.tar", "image.tar", ".cache"] {
        is_the_users(&workspace.path(name))?;
    }

    let refused = build(&workspace, Ids::Single, &["--target=user"])?;
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    for part in ["Dockerfile:12", "65534", "uidmap", "/etc/subuid"] {
        assert!(refused.stderr.contains(part), "{part} is not in\n{}", refused.stderr);
    }
    Ok(())
}

#[test]
fn a_cache_of_other_ids_is_refused_with_the_way_out() -> Result<()> {
    needs!(root);
    if !possible("a_cache_of_other_ids_is_refused_with_the_way_out", Ids::Ranges) {
        return Ok(());
    }
    let refused = |ran: Ran, words: &str| {
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.stderr.contains(words) && ran.stderr.contains("RBC_HOME"), "{}", ran.stderr);
    };
    let workspace = workspace("FROM scratch\n")?;
    let du = ["cache", "du"];
    assert_eq!(run(&workspace, Ids::Single, &du)?.code, Some(0));
    // As after following the advice that a user without ranges gets.
    refused(run(&workspace, Ids::Ranges, &du)?, "rm -rf");
    fs::remove_dir_all(workspace.path(".cache"))?;
    assert_eq!(run(&workspace, Ids::Ranges, &du)?.code, Some(0));
    refused(run(&workspace, Ids::Single, &du)?, "other ids");
    let as_root = workspace.command(du).env("RBC_HOME", workspace.path(".cache/rbc")).output()?;
    refused(as_root.into(), "another user");

    assert_eq!(workspace.run(du)?.code, Some(0));
    let mut of_root = command(&workspace, Ids::Ranges, &du);
    of_root.env("RBC_HOME", workspace.home());
    refused(of_root.output()?.into(), "belong to another user");
    Ok(())
}

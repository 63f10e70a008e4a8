//! Flags that act on the build, and how the program presents itself.

use std::fs;

use anyhow::Result;
use rbc_tests::fixtures;
use rbc_tests::rbc::Workspace;
use rbc_tests::result::text;

fn workspace(dockerfile: &str) -> Result<Workspace> {
    let workspace = Workspace::new(fixtures::registry())?;
    workspace.write("Dockerfile", dockerfile)?;
    Ok(workspace)
}

#[test]
fn help_and_version() -> Result<()> {
    let workspace = workspace("")?;
    let version = workspace.run(["--version"])?;
    assert_eq!(version.stdout, format!("rbc {}\n", env!("CARGO_PKG_VERSION")));
    for args in [&["--help"][..], &["build", "--help"], &["compile", "--help"], &["cache", "prune", "--help"]] {
        let help = workspace.run(args)?;
        assert_eq!(help.code, Some(0));
        assert!(help.stdout.contains("Usage:"), "{args:?}: {}", help.stdout);
    }
    assert!(workspace.run(["build", "--help"])?.stdout.contains("Exit codes:"));
    assert!(!workspace.home().exists(), "help needs no cache");
    Ok(())
}

#[test]
fn wrong_usage_is_exit_code_2_and_names_the_right_flag() -> Result<()> {
    let workspace = workspace("FROM scratch\n")?;
    let ran = workspace.run(["build", "--no-cahce", "context"])?;
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--no-cache"), "{}", ran.stderr);
    for (flag, word) in [("--load", "docker load"), ("--push", "skopeo")] {
        let ran = workspace.run(["build", flag, "context"])?;
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(word), "{}", ran.stderr);
    }
    let ran = workspace.run(["build", "-"])?;
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("standard input"), "{}", ran.stderr);
    Ok(())
}

#[test]
fn arguments_come_from_the_flag_or_the_environment() -> Result<()> {
    let workspace = workspace("FROM alpine\nARG A=default\nARG B=default\nARG C=default\nRUN echo $A $B $C > /args\n")?;
    let output = workspace
        .command(["build", "-o", "out", "--build-arg", "A=flag", "--build-arg", "B", "--build-arg", "C", "context"])
        .env("B", "environment")
        .env_remove("C")
        .output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text(&workspace.path("out"), "args")?, "flag environment default\n");
    Ok(())
}

#[test]
fn a_dockerfile_elsewhere_or_on_standard_input() -> Result<()> {
    let workspace = workspace("FROM scratch\nCOPY wrong /\n")?;
    workspace.write("f", "content\n")?;
    fs::write(workspace.path("other.df"), "FROM scratch\nCOPY f /f\n")?;
    workspace.built(&["-f", "other.df", "-o", "out"])?;
    assert_eq!(text(&workspace.path("out"), "f")?, "content\n");

    let output = workspace
        .command(["build", "-f", "-", "-o", "out2", "context"])
        .stdin(fs::File::open(workspace.path("other.df"))?)
        .output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text(&workspace.path("out2"), "f")?, "content\n");
    Ok(())
}

#[test]
fn secrets_reach_the_command_and_nothing_else() -> Result<()> {
    let workspace = workspace(
        "FROM alpine\nRUN --mount=type=secret,id=file --mount=type=secret,id=var,env=TOKEN \
         md5sum < /run/secrets/file > /sums && echo -n \"$TOKEN\" | md5sum >> /sums\nRUN test ! -s /run/secrets/file\n",
    )?;
    fs::write(workspace.path("secret.txt"), "of-a-file-0815")?;
    let output = workspace
        .command([
            "build",
            "-o",
            "out",
            "--secret",
            "id=file,src=secret.txt",
            "--secret",
            "id=var,env=MY_TOKEN",
            "context",
        ])
        .env("MY_TOKEN", "of-a-variable-4711")
        .output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sums = text(&workspace.path("out"), "sums")?;
    assert_eq!(sums.lines().filter(|l| l.len() > 32).count(), 2, "{sums}");
    for path in rbc_tests::store::files(&workspace.home())? {
        let bytes = fs::read(&path).unwrap_or_default();
        for secret in ["of-a-file-0815", "of-a-variable-4711"] {
            let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "{secret} stands in {}", path.display());
        }
    }
    let missing = workspace.build(&["--secret", "id=file,src=nowhere.txt"])?;
    assert_eq!(missing.code, Some(2), "{}", missing.stderr);
    assert!(missing.stderr.contains("nowhere.txt"), "{}", missing.stderr);
    Ok(())
}

#[test]
fn progress_as_json_is_one_object_per_line() -> Result<()> {
    let workspace = workspace("FROM alpine\nRUN echo said\n")?;
    let ran = workspace.run(["build", "--progress=rawjson", "context"])?;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let mut kinds = Vec::new();
    for line in ran.stderr.lines().filter(|l| l.starts_with('{')) {
        let event: serde_json::Value = serde_json::from_str(line)?;
        kinds.push(event["event"].as_str().unwrap_or_default().to_owned());
        if event["event"] == "output" {
            assert_eq!(event["text"], "said\n");
        }
    }
    for kind in ["started", "output", "finished"] {
        assert!(kinds.iter().any(|k| k == kind), "{kind} is not in {kinds:?}");
    }
    Ok(())
}

#[test]
fn the_live_view_draws_on_a_terminal() -> Result<()> {
    rbc_tests::needs!("script");
    let workspace = workspace("FROM alpine\nRUN echo said; sleep 1\n")?;
    let program = rbc_tests::rbc::program().display().to_string();
    let line = format!("{program} build --progress=tty context");
    let mut command = workspace.command(["--version"]);
    // `script` gives the program a terminal; the environment is the same.
    let envs: Vec<_> = command.get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(workspace.path(""));
    for (key, value) in envs {
        match value {
            Some(value) => script.env(key, value),
            None => script.env_remove(key),
        };
    }
    let _ = command.output()?;
    let output = script.env("TERM", "xterm").output()?;
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("› [1/1] RUN echo said") || shown.contains("RUN echo said"), "{shown}");
    assert!(shown.contains("building"), "{shown}");
    assert!(!shown.contains("\x1b[3"), "NO_COLOR is set: {shown}");
    Ok(())
}

//! A plan that was printed runs to the same image.

use std::fs;

use anyhow::{Context as _, Result};
use rbc_tests::rbc::Workspace;
use rbc_tests::{fixtures, needs};

use crate::programs::{MAIN_GO, THREE_STAGES, TWO_STAGES};

fn same_image(workspace: &Workspace) -> Result<()> {
    let direct = workspace.run(["build", "-q", "context"])?;
    assert_eq!(direct.code, Some(0), "{}", direct.stderr);
    let plan = workspace.run(["compile", "context"])?;
    assert_eq!((plan.code, plan.stderr.as_str()), (Some(0), ""));
    fs::write(workspace.path("plan.json"), &plan.stdout)?;
    // In the same cache, and in an empty one.
    let cached = workspace.run(["build", "-q", "--plan", "plan.json", "context"])?;
    assert_eq!(cached.code, Some(0), "{}", cached.stderr);
    assert_eq!(cached.stdout, direct.stdout);
    Ok(())
}

#[test]
fn of_both_programs() -> Result<()> {
    needs!("mmdebstrap", "docker-registry");
    for dockerfile in [TWO_STAGES, THREE_STAGES] {
        let workspace = Workspace::new(fixtures::golang()?)?;
        workspace.write("Dockerfile", dockerfile)?;
        workspace.write("main.go", MAIN_GO)?;
        same_image(&workspace)?;
    }
    Ok(())
}

#[test]
fn is_json_with_digests_and_the_same_every_time() -> Result<()> {
    let workspace = Workspace::new(fixtures::registry())?;
    workspace.write("Dockerfile", "FROM alpine AS a\nRUN echo $V > /v\nFROM scratch\nCOPY --from=a /v /\nARG V\n")?;
    let first = workspace.run(["compile", "context"])?;
    let second = workspace.run(["compile", "context"])?;
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert_eq!(first.stdout, second.stdout);
    let plan: serde_json::Value = serde_json::from_str(&first.stdout)?;
    assert_eq!(plan["format"], "rbc.plan");
    let nodes = plan["nodes"].as_array().context("no nodes")?;
    assert!(nodes.iter().all(|n| n["digest"].as_str().is_some_and(|d| d.starts_with("rbc1:"))), "{plan}");
    assert!(nodes.iter().any(|n| n["op"] == "exec"), "{plan}");
    // Nothing was run, nor any layer pulled.
    assert!(!workspace.home().join("run").exists() || fs::read_dir(workspace.home().join("run"))?.next().is_none());
    Ok(())
}

#[test]
fn takes_target_and_arguments() -> Result<()> {
    let workspace = Workspace::new(fixtures::registry())?;
    workspace.write("Dockerfile", "FROM alpine AS a\nARG V=0\nRUN echo version-$V\nFROM alpine\nRUN echo last\n")?;
    let plan = workspace.run(["compile", "--target", "a", "--build-arg", "V=7", "context"])?;
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    assert!(plan.stdout.contains("V=7") && !plan.stdout.contains("echo last"), "{}", plan.stdout);
    Ok(())
}

#[test]
fn that_was_changed_is_refused() -> Result<()> {
    let workspace = Workspace::new(fixtures::registry())?;
    workspace.write("Dockerfile", "FROM alpine\nRUN echo good\n")?;
    let plan = workspace.run(["compile", "context"])?;
    fs::write(workspace.path("plan.json"), plan.stdout.replace("echo good", "echo evil"))?;
    let ran = workspace.run(["build", "--plan", "plan.json", "context"])?;
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("plan.json") && ran.stderr.contains("digest"), "{}", ran.stderr);
    fs::write(workspace.path("plan.json"), "not a plan")?;
    let ran = workspace.run(["build", "--plan", "plan.json", "context"])?;
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    Ok(())
}

//! Contexts: what of them is seen, and other contexts by name.

use std::fs;

use anyhow::Result;
use rbc_tests::fixtures;
use rbc_tests::rbc::Workspace;
use rbc_tests::result::{text, untar};
use rbc_tests::tree;

fn workspace(dockerfile: &str) -> Result<Workspace> {
    let workspace = Workspace::new(fixtures::registry())?;
    workspace.write("Dockerfile", dockerfile)?;
    Ok(workspace)
}

#[test]
fn ignored_files_are_not_there() -> Result<()> {
    let workspace = workspace("FROM scratch\nCOPY . /\n")?;
    workspace.write(".dockerignore", "secret\n*.log\n!keep.log\nDockerfile\n.dockerignore\n")?;
    for name in ["secret/key", "a.log", "keep.log", "src/b.txt"] {
        workspace.write(name, name)?;
    }
    workspace.built(&["-o", "out"])?;
    let names: Vec<_> = tree::describe(&workspace.path("out"))?.into_keys().collect();
    assert_eq!(names, ["keep.log", "src", "src/b.txt"]);
    Ok(())
}

#[test]
fn a_directory_by_name() -> Result<()> {
    let workspace = workspace("FROM scratch\nCOPY --from=extra f /f\n")?;
    fs::create_dir(workspace.path("extra"))?;
    fs::write(workspace.path("extra/f"), "extra\n")?;
    workspace.built(&["--build-context", "extra=extra", "-o", "out"])?;
    assert_eq!(text(&workspace.path("out"), "f")?, "extra\n");
    Ok(())
}

#[test]
fn an_image_layout_by_name() -> Result<()> {
    let workspace = workspace("FROM alpine\nRUN echo of the layout > /mark\n")?;
    workspace.built(&["-t", "base:1", "-o", "type=oci,dest=base.tar"])?;
    untar(&workspace.path("base.tar"), &workspace.path("layout"))?;
    workspace.write("Dockerfile", "FROM base\nRUN cp /mark /mark2\n")?;
    workspace.built(&["--build-context", "base=oci-layout://layout", "-o", "out"])?;
    assert_eq!(text(&workspace.path("out"), "mark2")?, "of the layout\n");
    Ok(())
}

#[test]
fn a_link_out_of_the_context_does_not_lead_out() -> Result<()> {
    let workspace = workspace("FROM scratch\nCOPY out/passwd /\n")?;
    std::os::unix::fs::symlink("/etc", workspace.context().join("out"))?;
    let ran = workspace.build(&[])?;
    assert_ne!(ran.code, Some(0), "{}", ran.stderr);
    Ok(())
}

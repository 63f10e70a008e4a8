//! Where results go, and what is said about them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use rbc_tests::image::digest;
use rbc_tests::rbc::Workspace;
use rbc_tests::result::{json, text, tool, untar};
use rbc_tests::{fixtures, needs, tree};

fn workspace() -> Result<Workspace> {
    let workspace = Workspace::new(fixtures::registry())?;
    workspace.write(
        "Dockerfile",
        "FROM alpine AS base\nRUN mkdir -p /data/sub && echo one > /data/one && ln -s one /data/link && \
         chmod 750 /data/sub && chmod 4755 /data/one\nFROM scratch\nCOPY --from=base /data /\nCMD [\"/one\"]\n",
    )?;
    Ok(workspace)
}

#[test]
fn a_directory_and_an_archive_hold_the_same() -> Result<()> {
    let workspace = workspace()?;
    workspace.built(&["-o", "dir", "-o", "type=tar,dest=image.tar"])?;
    untar(&workspace.path("image.tar"), &workspace.path("from-tar"))?;
    let dir = tree::describe(&workspace.path("dir"))?;
    assert_eq!(dir, tree::describe(&workspace.path("from-tar"))?);
    assert_eq!(dir.get("link").map(String::as_str), Some("symlink one"), "{dir:?}");
    assert_eq!(dir.get("sub").map(String::as_str), Some("dir 750"), "{dir:?}");
    Ok(())
}

#[test]
fn what_is_exported_is_the_users_own() -> Result<()> {
    // Changing an exported file must not change the cache.
    let workspace = workspace()?;
    workspace.built(&["-o", "first"])?;
    let file = workspace.path("first/one");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    fs::write(&file, "scribbled\n")?;
    workspace.built(&["-o", "second"])?;
    assert_eq!(text(&workspace.path("second"), "one")?, "one\n");
    Ok(())
}

#[test]
fn an_archive_goes_to_standard_output() -> Result<()> {
    let workspace = workspace()?;
    let output = workspace.command(["build", "-o", "-", "context"]).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write(workspace.path("piped.tar"), &output.stdout)?;
    untar(&workspace.path("piped.tar"), &workspace.path("piped"))?;
    assert_eq!(text(&workspace.path("piped"), "one")?, "one\n");
    Ok(())
}

#[test]
fn without_an_output_nothing_is_written_but_the_cache() -> Result<()> {
    let workspace = workspace()?;
    let before = tree::describe(&workspace.context())?;
    let ran = workspace.built(&["-t", "name"])?;
    assert_eq!(ran.stdout, "");
    assert_eq!(tree::describe(&workspace.context())?, before);
    let summary = ran.stderr.lines().last().context("no summary")?;
    assert!(ran.stderr.contains("sha256:") && summary.contains("cache"), "{}", ran.stderr);
    Ok(())
}

#[test]
fn ids_and_metadata_are_those_of_the_image() -> Result<()> {
    let workspace = workspace()?;
    let ran = workspace.run([
        "build",
        "-q",
        "-t",
        "app:1",
        "-o",
        "type=oci,dest=oci.tar",
        "--iidfile",
        "iid",
        "--metadata-file",
        "meta.json",
        "context",
    ])?;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stderr, "");
    untar(&workspace.path("oci.tar"), &workspace.path("layout"))?;
    let index = json(&workspace.path("layout/index.json"))?;
    let manifest_digest = index["manifests"][0]["digest"].as_str().context("no digest")?.to_owned();
    let blob = |d: &str| fs::read(workspace.path("layout/blobs/sha256").join(d.trim_start_matches("sha256:")));
    assert_eq!(digest(&blob(&manifest_digest)?), manifest_digest);
    assert_eq!(ran.stdout.trim_end(), manifest_digest);

    let manifest: serde_json::Value = serde_json::from_slice(&blob(&manifest_digest)?)?;
    let config = manifest["config"]["digest"].as_str().context("no config")?;
    assert_eq!(fs::read_to_string(workspace.path("iid"))?, config);
    let meta = json(&workspace.path("meta.json"))?;
    assert_eq!(meta["containerimage.digest"], manifest_digest);
    assert_eq!(meta["containerimage.config.digest"], config);
    assert_eq!(meta["containerimage.descriptor"]["digest"], manifest_digest);
    assert_eq!(meta["image.name"], "docker.io/library/app:1");
    Ok(())
}

#[test]
fn skopeo_reads_the_archive_and_its_name() -> Result<()> {
    needs!("skopeo");
    let workspace = workspace()?;
    workspace.built(&["-t", "app:1", "-o", "type=docker,dest=d.tar"])?;
    let place = format!("docker-archive:{}:docker.io/library/app:1", workspace.path("d.tar").display());
    let config: serde_json::Value = serde_json::from_str(&tool("skopeo", &["inspect", "--config", &place])?)?;
    assert_eq!(config["config"]["Cmd"], serde_json::json!(["/one"]));
    Ok(())
}

#[test]
fn a_wrong_output_is_refused_before_anything_runs() -> Result<()> {
    let workspace = workspace()?;
    for (output, word) in [("type=ocy,dest=x", "ocy"), ("type=tar,dest=x,colour=red", "colour"), ("type=local", "dest")]
    {
        let ran = workspace.build(&["-o", output])?;
        assert_eq!(ran.code, Some(2), "{output}: {}", ran.stderr);
        assert!(ran.stderr.contains(word), "{output}: {}", ran.stderr);
        assert!(!ran.stderr.contains("] RUN"), "{output}: {}", ran.stderr);
    }
    Ok(())
}

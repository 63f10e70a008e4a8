//! The two programs that are the reason for rbc, verbatim, built with a real
//! Go toolchain, as every kind of output.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use rbc_tests::fixtures;
use rbc_tests::needs;
use rbc_tests::rbc::Workspace;
use rbc_tests::result::{json, text, tool, unpack_oci, untar};

pub(crate) const MAIN_GO: &str =
    "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello from myapp\") }\n";

pub(crate) const TWO_STAGES: &str = r#"# Stage 1: Build the application
FROM golang:1.21-alpine AS builder
WORKDIR /app
COPY main.go .
RUN go build -o myapp .
# Stage 2: Create the final image
FROM alpine:latest
WORKDIR /app
COPY --from=builder /app/myapp .
CMD ["/app/myapp"]
"#;

pub(crate) const THREE_STAGES: &str = r#"# Stage 1: Build the application
FROM golang:1.21-alpine AS builder
WORKDIR /app
COPY main.go .
RUN go build -o myapp .
# Stage 2: Prepare configuration files
FROM alpine:latest AS configs
RUN mkdir /etc/myapp
RUN echo "some_config=value" > /etc/myapp/config.yaml
# Stage 3: Create the final image
FROM alpine:latest
WORKDIR /app
COPY --from=builder /app/myapp .
COPY --from=configs /etc/myapp/config.yaml /etc/myapp/config.yaml
CMD ["/app/myapp"]
"#;

fn workspace(dockerfile: &str) -> Result<Workspace> {
    let workspace = Workspace::new(fixtures::golang()?)?;
    workspace.write("Dockerfile", dockerfile)?;
    workspace.write("main.go", MAIN_GO)?;
    Ok(workspace)
}

/// Builds all outputs at once and returns their root file systems.
fn roots(workspace: &Workspace) -> Result<Vec<(&'static str, PathBuf)>> {
    workspace.built(&[
        "-o",
        "type=oci,dest=image.oci.tar",
        "-o",
        "type=docker,dest=image.docker.tar",
        "-o",
        "type=tar,dest=image.tar",
        "-o",
        "type=local,dest=image.local",
        "-t",
        "myapp:1",
    ])?;
    let tar = workspace.path("from-tar");
    untar(&workspace.path("image.tar"), &tar)?;
    let docker = workspace.path("from-docker");
    unpack_docker(&workspace.path("image.docker.tar"), &workspace.path("docker"), &docker)?;
    Ok(vec![
        ("oci", unpack_oci(&workspace.path("image.oci.tar"), &workspace.path(""))?),
        ("docker", docker),
        ("tar", tar),
        ("local", workspace.path("image.local")),
    ])
}

/// Lays the layers of a docker archive over each other (they hold no
/// whiteouts here).
fn unpack_docker(archive: &Path, scratch: &Path, into: &Path) -> Result<()> {
    untar(archive, scratch)?;
    let manifest = json(&scratch.join("manifest.json"))?;
    assert_eq!(manifest[0]["RepoTags"][0], "myapp:1");
    let Some(layers) = manifest[0]["Layers"].as_array() else { bail!("no layers in {manifest}") };
    for layer in layers {
        untar(&scratch.join(layer.as_str().unwrap_or_default()), into)?;
    }
    Ok(())
}

#[test]
fn two_stages_run_from_every_output() -> Result<()> {
    needs!(root);
    needs!("mmdebstrap", "docker-registry", "umoci");
    let workspace = workspace(TWO_STAGES)?;
    for (output, root) in roots(&workspace)? {
        let said = tool("chroot", &[&root.to_string_lossy(), "/app/myapp"])?;
        assert_eq!(said, "hello from myapp\n", "{output}");
        assert!(!root.join("app/main.go").exists(), "{output}: the builder's files are in the image");
    }
    Ok(())
}

#[test]
fn three_stages_run_and_have_their_configuration() -> Result<()> {
    needs!(root);
    needs!("mmdebstrap", "docker-registry", "umoci");
    let workspace = workspace(THREE_STAGES)?;
    for (output, root) in roots(&workspace)? {
        let said = tool("chroot", &[&root.to_string_lossy(), "/app/myapp"])?;
        assert_eq!(said, "hello from myapp\n", "{output}");
        assert_eq!(text(&root, "etc/myapp/config.yaml")?, "some_config=value\n", "{output}");
    }
    Ok(())
}

#[test]
fn other_programs_accept_the_image() -> Result<()> {
    needs!("mmdebstrap", "docker-registry", "skopeo");
    let workspace = workspace(TWO_STAGES)?;
    workspace.built(&["-o", "type=oci,dest=oci.tar", "-o", "type=docker,dest=docker.tar", "-t", "myapp:1"])?;
    for image in ["oci-archive", "docker-archive"] {
        let file = workspace.path(format!("{}.tar", image.trim_end_matches("-archive")));
        let place = format!("{image}:{}", file.display());
        let config: serde_json::Value = serde_json::from_str(&tool("skopeo", &["inspect", "--config", &place])?)?;
        assert_eq!(config["config"]["Cmd"], serde_json::json!(["/app/myapp"]), "{image}");
        assert_eq!(config["config"]["WorkingDir"], "/app", "{image}");
        // skopeo copy verifies every digest, diff ids included.
        let copy = workspace.path(format!("copy-{image}"));
        tool("skopeo", &["copy", "--quiet", "--insecure-policy", &place, &format!("dir:{}", copy.display())])?;
    }
    Ok(())
}

#[test]
fn a_base_keeps_its_own_layers() -> Result<()> {
    needs!("docker-registry");
    let registry = fixtures::registry();
    let workspace = Workspace::new(registry)?;
    workspace.write("Dockerfile", "FROM alpine\nRUN echo x > /x\n")?;
    workspace.built(&["-o", "type=oci,dest=oci.tar"])?;
    untar(&workspace.path("oci.tar"), &workspace.path("layout"))?;
    let index = json(&workspace.path("layout/index.json"))?;
    let blob = |digest: &serde_json::Value| {
        let hex = digest.as_str().unwrap_or_default().trim_start_matches("sha256:").to_owned();
        workspace.path(format!("layout/blobs/sha256/{hex}"))
    };
    let manifest = json(&blob(&index["manifests"][0]["digest"]))?;
    let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
    assert_eq!(layers.len(), 2);
    // The registry's own copy of the base layer, byte for byte.
    let hex = layers[0]["digest"].as_str().unwrap_or_default().trim_start_matches("sha256:").to_owned();
    let kept = fixtures::kept().join(format!("registry/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]));
    assert_eq!(fs::read(kept)?, fs::read(blob(&layers[0]["digest"]))?);
    Ok(())
}

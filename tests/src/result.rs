//! Reads what rbc writes, with other programs' eyes where there are some.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Runs a program, which must succeed; returns its standard output.
///
/// # Errors
///
/// If it cannot be started or fails.
pub fn tool(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).output().with_context(|| format!("run {program}"))?;
    ensure!(
        output.status.success(),
        "{program} {args:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Unpacks a tar archive.
///
/// # Errors
///
/// If `tar` fails.
pub fn untar(archive: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    tool("tar", &["-xpf", &archive.to_string_lossy(), "-C", &into.to_string_lossy()])?;
    Ok(())
}

/// Reads a JSON file.
///
/// # Errors
///
/// If it is missing or not JSON.
pub fn json(path: &Path) -> Result<Value> {
    let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

/// Unpacks the root file system of an OCI archive with umoci.
///
/// # Errors
///
/// If umoci does not accept the image.
pub fn unpack_oci(archive: &Path, scratch: &Path) -> Result<std::path::PathBuf> {
    let layout = scratch.join("layout");
    untar(archive, &layout)?;
    // umoci finds images by their tag.
    let index = layout.join("index.json");
    let mut document = json(&index)?;
    document["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] = "t".into();
    fs::write(&index, document.to_string())?;
    let bundle = scratch.join("bundle");
    let mut args = vec!["unpack"];
    if !crate::probe::root() {
        args.push("--rootless");
    }
    let image = format!("{}:t", layout.display());
    let bundle_text = bundle.to_string_lossy();
    args.extend(["--image", &image, &bundle_text]);
    tool("umoci", &args)?;
    Ok(bundle.join("rootfs"))
}

/// Reads a file of a root file system as text.
///
/// # Errors
///
/// If it is missing.
pub fn text(root: &Path, path: &str) -> Result<String> {
    let path = root.join(path.trim_start_matches('/'));
    fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

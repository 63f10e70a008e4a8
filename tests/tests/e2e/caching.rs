//! What is run again, and what is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use rbc_tests::rbc::{Ran, Workspace};
use rbc_tests::watch::Watch;
use rbc_tests::{fixtures, store};

const STAGES: &str = "FROM alpine AS builder\nWORKDIR /src\nCOPY main.c .\nRUN cp main.c out && echo built\n\
                      FROM alpine AS docs\nCOPY README .\nRUN cp README doc && echo documented\n\
                      FROM alpine\nCOPY --from=builder /src/out /out\nRUN cat /out\nCOPY --from=docs /doc /doc\n";

fn workspace() -> Result<Workspace> {
    let workspace = Workspace::new(fixtures::registry())?;
    workspace.write("Dockerfile", STAGES)?;
    workspace.write("main.c", "int main;\n")?;
    workspace.write("README", "read me\n")?;
    Ok(workspace)
}

/// Steps that were not taken from the cache, sources of files apart.
fn ran(build: &Ran) -> Vec<String> {
    build
        .steps()
        .into_iter()
        .filter(|(name, end)| end == "DONE" && (name.contains("] RUN ") || name.contains("] COPY ")))
        .filter_map(|(name, _)| name.split_once("] ").map(|(_, instruction)| instruction.to_owned()))
        .collect()
}

#[test]
fn an_unchanged_build_runs_nothing() -> Result<()> {
    let workspace = workspace()?;
    let first = workspace.built(&[])?;
    assert!(ran(&first).iter().any(|s| s.starts_with("RUN cp main.c")), "{}", first.stderr);
    let second = workspace.built(&[])?;
    assert_eq!(ran(&second), Vec::<String>::new(), "{}", second.stderr);
    assert!(second.stderr.contains("0 steps run"), "{}", second.stderr);
    Ok(())
}

#[test]
fn an_unchanged_build_gives_the_same_image() -> Result<()> {
    let workspace = workspace()?;
    let first = workspace.run(["build", "-q", "context"])?;
    let second = workspace.run(["build", "-q", "context"])?;
    assert_eq!((first.code, second.code), (Some(0), Some(0)), "{}{}", first.stderr, second.stderr);
    assert!(first.stdout.starts_with("sha256:"), "{:?}", first.stdout);
    assert_eq!(first.stdout, second.stdout);
    Ok(())
}

#[test]
fn an_unchanged_build_opens_no_context_file() -> Result<()> {
    let workspace = workspace()?;
    // Files that were changed a moment ago are racy and hashed again: a
    // second write could leave their time as it is. Give them an old one.
    for name in ["main.c", "README"] {
        rbc_tests::result::tool("touch", &["-d", "2020-01-01", &workspace.context().join(name).to_string_lossy()])?;
    }
    workspace.built(&[])?;
    // The change time cannot be set back: let it fall behind the index.
    workspace.wait_for_clock()?;
    workspace.built(&[])?;
    let watch = Watch::opens(&[workspace.context().join("main.c"), workspace.context().join("README")])?;
    let again = workspace.built(&[])?;
    assert_eq!(watch.seen()?, Vec::<std::path::PathBuf>::new(), "{}", again.stderr);
    // The watch does see what is opened.
    fs::read(workspace.context().join("main.c"))?;
    assert_eq!(watch.seen()?, [workspace.context().join("main.c")]);
    Ok(())
}

#[test]
fn a_changed_file_runs_what_depends_on_it() -> Result<()> {
    let workspace = workspace()?;
    workspace.built(&[])?;
    workspace.write("main.c", "int main = 1;\n")?;
    let again = workspace.built(&["-o", "out"])?;
    assert_eq!(again.step("RUN cp main.c").as_deref(), Some("DONE"), "{}", again.stderr);
    assert_eq!(again.step("RUN cat /out").as_deref(), Some("DONE"), "{}", again.stderr);
    assert_ne!(again.step("RUN cp README").as_deref(), Some("DONE"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(workspace.path("out/out"))?, "int main = 1;\n");
    Ok(())
}

#[test]
fn a_touched_file_runs_nothing() -> Result<()> {
    let workspace = workspace()?;
    workspace.built(&[])?;
    rbc_tests::result::tool("touch", &["-d", "2019-01-01", &workspace.context().join("main.c").to_string_lossy()])?;
    let again = workspace.built(&[])?;
    assert!(!ran(&again).iter().any(|s| s.starts_with("RUN")), "{}", again.stderr);
    Ok(())
}

#[test]
fn a_changed_mode_runs_what_depends_on_it() -> Result<()> {
    let workspace = workspace()?;
    workspace.built(&[])?;
    fs::set_permissions(workspace.context().join("main.c"), fs::Permissions::from_mode(0o755))?;
    let again = workspace.built(&[])?;
    assert_eq!(again.step("RUN cp main.c").as_deref(), Some("DONE"), "{}", again.stderr);
    Ok(())
}

#[test]
fn a_builder_that_yields_the_same_files_leaves_later_stages_cached() -> Result<()> {
    let workspace = Workspace::new(fixtures::registry())?;
    workspace.write(
        "Dockerfile",
        "FROM alpine AS builder\nCOPY main.c .\nRUN grep -v '^//' main.c > out; true\n\
         FROM alpine\nCOPY --from=builder /out /out\nRUN echo expensive && cat /out > /result\n",
    )?;
    workspace.write("main.c", "int main;\n")?;
    workspace.built(&[])?;
    workspace.write("main.c", "// a remark\nint main;\n")?;
    let again = workspace.built(&[])?;
    assert_eq!(again.step("RUN grep").as_deref(), Some("DONE"), "{}", again.stderr);
    assert_eq!(again.step("RUN echo expensive").as_deref(), Some("CACHED"), "{}", again.stderr);
    Ok(())
}

#[test]
fn a_file_that_no_instruction_takes_does_not_matter() -> Result<()> {
    let workspace = workspace()?;
    workspace.built(&[])?;
    workspace.write("unrelated", "new\n")?;
    let again = workspace.built(&[])?;
    assert_eq!(ran(&again), Vec::<String>::new(), "{}", again.stderr);
    Ok(())
}

#[test]
fn no_cache_runs_all_and_keeps_the_results() -> Result<()> {
    let workspace = workspace()?;
    workspace.built(&[])?;
    let again = workspace.built(&["--no-cache"])?;
    for step in ["RUN cp main.c", "RUN cp README", "RUN cat /out"] {
        assert_eq!(again.step(step).as_deref(), Some("DONE"), "{step}: {}", again.stderr);
    }
    let filtered = workspace.built(&["--no-cache-filter", "docs"])?;
    assert_eq!(filtered.step("RUN cp README").as_deref(), Some("DONE"), "{}", filtered.stderr);
    assert_ne!(filtered.step("RUN cp main.c").as_deref(), Some("DONE"), "{}", filtered.stderr);
    Ok(())
}

#[test]
fn copying_a_large_file_from_a_stage_takes_no_room() -> Result<()> {
    let workspace = Workspace::new(fixtures::registry())?;
    let big = "FROM alpine AS big\nRUN mkdir /d && yes | head -c 200000000 > /d/large\n";
    workspace.write("Dockerfile", big)?;
    workspace.built(&[])?;
    let before = store::size(&workspace.home())?;
    workspace.write("Dockerfile", &format!("{big}FROM alpine\nCOPY --from=big /d /e\nRUN stat /e/large\n"))?;
    workspace.built(&[])?;
    let grown = store::size(&workspace.home())?.saturating_sub(before);
    assert!(grown < 4 << 20, "the store grew by {grown} bytes");
    Ok(())
}

#[test]
fn two_builds_at_the_same_time_share_a_home() -> Result<()> {
    let workspace = workspace()?;
    let children: Vec<_> = (0..3).map(|_| workspace.spawn(["build", "-q", "context"])).collect::<Result<_>>()?;
    let mut digests = Vec::new();
    for child in children {
        let ran = Ran::from(child.wait_with_output()?);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        digests.push(ran.stdout);
    }
    // Creation times may differ where two ran the same step; what is stored
    // is one result, so a further build agrees with one of them.
    let after = workspace.run(["build", "-q", "context"])?;
    assert!(digests.contains(&after.stdout), "{digests:?} {after:?}");
    Ok(())
}

#[test]
fn a_damaged_file_is_found_and_made_anew() -> Result<()> {
    let workspace = workspace()?;
    workspace.built(&[])?;
    let sound = workspace.run(["cache", "verify"])?;
    assert_eq!(sound.code, Some(0), "{}", sound.stderr);
    let objects = store::objects(&workspace.home())?;
    let wanted = rbc_tests::image::digest(b"int main;\n");
    let (path, _) = objects.iter().find(|(_, o)| o.digest == wanted).context("main.c is not in the store")?;
    fs::write(path, "int mian;\n")?;
    let damaged = workspace.run(["cache", "verify"])?;
    assert_eq!(damaged.code, Some(1), "{}", damaged.stdout);
    assert!(damaged.stderr.contains("damaged"), "{}", damaged.stderr);
    workspace.built(&["-o", "out"])?;
    assert_eq!(fs::read_to_string(workspace.path("out/out"))?, "int main;\n");
    assert_eq!(workspace.run(["cache", "verify"])?.code, Some(0));
    Ok(())
}

#[test]
fn pruning_frees_the_cache_and_leaves_it_usable() -> Result<()> {
    let workspace = workspace()?;
    workspace.built(&[])?;
    let du = workspace.run(["cache", "du"])?;
    assert_eq!(du.code, Some(0), "{}", du.stderr);
    let dry = workspace.run(["cache", "prune", "--all", "--dry-run"])?;
    assert_eq!(dry.code, Some(0), "{}", dry.stderr);
    let before = store::objects(&workspace.home())?.len();
    let pruned = workspace.run(["cache", "prune", "--all"])?;
    assert_eq!(pruned.code, Some(0), "{}", pruned.stderr);
    let after = store::objects(&workspace.home())?.len();
    assert!(after < before, "{before} objects before, {after} after\n{}{}", pruned.stdout, pruned.stderr);
    let again = workspace.built(&["-o", "out"])?;
    assert_eq!(again.step("RUN cp main.c").as_deref(), Some("DONE"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(workspace.path("out/out"))?, "int main;\n");
    Ok(())
}

#[test]
fn equal_content_in_other_layers_keeps_layers_and_history_together() -> Result<()> {
    // The last RUN of both stages has the same command and, times apart, the
    // same files below it; its result must not bring the other's layers.
    let workspace = Workspace::new(fixtures::registry())?;
    let dockerfile = "FROM alpine AS two\nRUN echo a > /a\nRUN echo b > /b\nRUN echo c > /c\n\
                      FROM alpine AS one\nRUN echo a > /a; echo b > /b\nRUN echo c > /c\n";
    workspace.write("Dockerfile", dockerfile)?;
    workspace.built(&["--target", "two"])?;
    let one = workspace.built(&["--target", "one", "-o", "type=oci,dest=image.tar,tar=false"])?;
    assert_eq!(ran(&one), ["RUN echo a > /a; echo b > /b"], "{}", one.stderr);
    let blob = |name: &str| rbc_tests::result::json(&workspace.path("image.tar").join(name));
    let digest =
        |value: &serde_json::Value| value["digest"].as_str().unwrap_or_default().replace("sha256:", "blobs/sha256/");
    let manifest = blob(&digest(&blob("index.json")?["manifests"][0]))?;
    let config = blob(&digest(&manifest["config"]))?;
    let layers = manifest["layers"].as_array().map_or(0, Vec::len);
    let steps = config["history"].as_array().into_iter().flatten().filter(|h| h["empty_layer"] != true).count();
    assert_eq!((layers, config["rootfs"]["diff_ids"].as_array().map(Vec::len)), (steps, Some(layers)));
    Ok(())
}

#[test]
fn an_export_of_a_damaged_result_makes_it_again() -> Result<()> {
    let workspace = workspace()?;
    workspace.built(&[])?;
    for object in rbc_tests::store::files(&workspace.home().join("obj"))? {
        fs::remove_file(object)?;
    }
    let again = workspace.built(&["-o", "out"])?;
    assert!(ran(&again).iter().any(|s| s.starts_with("RUN cp main.c")), "{}", again.stderr);
    assert_eq!(fs::read_to_string(workspace.path("out/out"))?, "int main;\n");
    Ok(())
}

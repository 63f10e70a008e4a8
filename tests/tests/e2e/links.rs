//! `COPY --from` is a link: the file that a later RUN sees is the store's
//! inode, and nothing that the RUN does to it reaches the store or the stage
//! that it came from.

use anyhow::{Context as _, Result};
use rbc_tests::fixtures;
use rbc_tests::rbc::Workspace;
use rbc_tests::result::text;
use rbc_tests::store::{Object, objects};

fn workspace(dockerfile: &str) -> Result<Workspace> {
    let workspace = Workspace::new(fixtures::registry())?;
    workspace.write("Dockerfile", dockerfile)?;
    Ok(workspace)
}

/// Builds and returns the text of a file of the result.
fn file_of(workspace: &Workspace, path: &str) -> Result<String> {
    workspace.built(&["-o", "out"])?;
    text(&workspace.path("out"), path)
}

/// Returns the object with an inode number, which must be in the store.
fn object(workspace: &Workspace, inode: &str) -> Result<Object> {
    let inode: u64 = inode.trim().parse().with_context(|| format!("`{inode}` is no inode number"))?;
    let found = objects(&workspace.home())?.into_values().find(|o| o.inode == inode);
    found.with_context(|| format!("no object of the store has inode {inode}"))
}

/// Builds a Dockerfile whose result has /ino: `stat`'s lines `PATH INODE
/// LINKS`, each of which must be a linked object of the store.
fn all_are_links(dockerfile: &str, paths: &[&str]) -> Result<()> {
    let workspace = workspace(dockerfile)?;
    let listing = file_of(&workspace, "/ino")?;
    for path in paths {
        let line = listing.lines().find(|l| l.split(' ').next() == Some(path));
        let line = line.with_context(|| format!("{path} is not in {listing:?}"))?;
        let mut words = line.split(' ').skip(1);
        let (inode, links) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        object(&workspace, inode).with_context(|| (*path).to_owned())?;
        assert!(links.parse::<u32>()? >= 2, "{line}");
    }
    Ok(())
}

const STAT: &str = "stat -c '%n %i %h'";

#[test]
fn by_name_of_a_file_made_by_run() -> Result<()> {
    all_are_links(
        &format!(
            "FROM alpine AS made\nRUN echo made > /f\nFROM alpine\nCOPY --from=made /f /g\nRUN {STAT} /g > /ino\n"
        ),
        &["/g"],
    )
}

#[test]
fn by_index_of_a_file_made_by_an_earlier_copy() -> Result<()> {
    let workspace = workspace(&format!(
        "FROM alpine\nCOPY f /f\nFROM alpine\nCOPY --from=0 /f /g\nRUN {STAT} /g > /ino && cat /g >> /ino\n"
    ))?;
    workspace.write("f", "from the context\n")?;
    let listing = file_of(&workspace, "/ino")?;
    assert!(listing.ends_with("from the context\n"), "{listing}");
    object(&workspace, listing.split(' ').nth(1).unwrap_or_default())?;
    Ok(())
}

#[test]
fn from_an_image() -> Result<()> {
    all_are_links(
        &format!("FROM alpine\nCOPY --from=tools:1 /opt/tool/run /run-it\nRUN {STAT} /run-it > /ino && /run-it\n"),
        &["/run-it"],
    )
}

#[test]
fn a_file_inherited_from_the_base_image() -> Result<()> {
    all_are_links(
        &format!("FROM alpine AS a\nFROM alpine\nCOPY --from=a /etc/os-release /taken\nRUN {STAT} /taken > /ino\n"),
        &["/taken"],
    )
}

#[test]
fn a_directory_with_all_below() -> Result<()> {
    all_are_links(
        &format!(
            "FROM alpine AS a\nRUN mkdir -p /d/e && echo 1 > /d/one && echo 2 > /d/e/two\n\
             FROM alpine\nCOPY --from=a /d /copy\nRUN {STAT} /copy/one /copy/e/two > /ino\n"
        ),
        &["/copy/one", "/copy/e/two"],
    )
}

#[test]
fn files_by_a_pattern() -> Result<()> {
    all_are_links(
        &format!(
            "FROM alpine AS a\nRUN mkdir /d && echo a > /d/a.so && echo b > /d/b.so && echo c > /d/c.txt\n\
             FROM alpine\nCOPY --from=a /d/*.so /lib/\nRUN {STAT} /lib/*.so > /ino && test ! -e /lib/c.txt\n"
        ),
        &["/lib/a.so", "/lib/b.so"],
    )
}

#[test]
fn both_stages_see_one_inode() -> Result<()> {
    let workspace = workspace(
        "FROM alpine AS a\nRUN echo shared > /f\nRUN stat -c %i /f > /ino-a\n\
         FROM alpine AS b\nCOPY --from=a /f /g\nRUN stat -c %i /g > /ino-b\n\
         FROM scratch\nCOPY --from=a /ino-a /\nCOPY --from=b /ino-b /\n",
    )?;
    workspace.built(&["-o", "out"])?;
    let out = workspace.path("out");
    assert_eq!(text(&out, "ino-a")?, text(&out, "ino-b")?);
    Ok(())
}

#[test]
fn two_paths_of_one_root_do_not_share_an_inode() -> Result<()> {
    // `cp a b` refuses files that are one inode.
    let workspace = workspace(
        "FROM alpine AS a\nRUN echo same > /f\nFROM alpine\nCOPY --from=a /f /one\nCOPY --from=a /f /two\n\
         RUN cp /one /two && stat -c %i /one /two > /ino\n",
    )?;
    workspace.built(&[])?;
    Ok(())
}

/// Builds with a RUN that changes a linked file. Neither the objects that
/// were there before nor the other stage may notice; the changing stage must.
fn is_kept_from(change: &str, check: &str) -> Result<()> {
    let stages = |run: &str| {
        format!(
            "FROM alpine AS a\nRUN mkdir /d && echo original > /d/f && chmod 640 /d/f && touch -d '2020-01-02 03:04:05' /d/f\n\
             FROM alpine AS b\nCOPY --from=a /d /d\nRUN {run}\n\
             FROM alpine AS after\nCOPY --from=a /d /a\nCOPY --from=b / /b\n\
             RUN {{ stat -c '%a %Y' /a/f && cat /a/f; }} > /seen-of-a\n"
        )
    };
    let workspace = workspace(&stages("cat /d/f && stat /d/f"))?;
    workspace.built(&["-o", "before"])?;
    let before = objects(&workspace.home())?;
    assert!(!before.is_empty(), "the store has no objects");

    workspace.write("Dockerfile", &stages(&format!("{change} && {check}")))?;
    let again = workspace.built(&["-o", "after"])?;
    assert_ne!(again.step("RUN mkdir /d").as_deref(), Some("DONE"), "{}", again.stderr);
    let after = objects(&workspace.home())?;
    for (path, object) in &before {
        assert_eq!(after.get(path), Some(object), "{} was changed by `{change}`", path.display());
    }
    for out in ["before", "after"] {
        assert_eq!(text(&workspace.path(out), "seen-of-a")?, "640 1577934245\noriginal\n", "{out}");
    }
    Ok(())
}

#[test]
fn writing_to_it_changes_nothing_else() -> Result<()> {
    is_kept_from("echo more >> /d/f", "grep -q more /d/f")
}

#[test]
fn overwriting_it_in_place_changes_nothing_else() -> Result<()> {
    is_kept_from("printf X | dd of=/d/f conv=notrunc", "grep -q Xriginal /d/f")
}

#[test]
fn changing_its_mode_changes_nothing_else() -> Result<()> {
    is_kept_from("chmod 777 /d/f", "test $(stat -c %a /d/f) = 777")
}

#[test]
fn changing_its_time_changes_nothing_else() -> Result<()> {
    is_kept_from("touch -d '2011-11-11 11:11:11' /d/f", "test $(stat -c %Y /d/f) = 1321009871")
}

#[test]
fn changing_its_owner_changes_nothing_else() -> Result<()> {
    rbc_tests::needs!(root);
    is_kept_from("chown 65534:65534 /d/f", "test $(stat -c %u /d/f) = 65534")
}

#[test]
fn renaming_it_changes_nothing_else() -> Result<()> {
    is_kept_from("mv /d/f /d/g", "test ! -e /d/f && grep -q original /d/g")
}

#[test]
fn deleting_it_changes_nothing_else() -> Result<()> {
    is_kept_from("rm /d/f", "test ! -e /d/f")
}

#[test]
fn replacing_its_directory_changes_nothing_else() -> Result<()> {
    is_kept_from("rm -r /d && mkdir /d && echo new > /d/f", "grep -q new /d/f")
}

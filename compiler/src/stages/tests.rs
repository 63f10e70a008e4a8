//! Tests of stage resolution.

use rbc_grammar::dockerfile::parse;

use super::*;
use crate::hir;

fn outline(source: &str, options: &BuildOptions) -> Outline {
    let (program, _) = hir::build(&parse(source).tree);
    Outline::new(&program, options, &Platform::new("linux", "arm64", ""))
}

fn plain(source: &str) -> Outline {
    outline(source, &BuildOptions::new("Dockerfile", "."))
}

#[test]
fn names_and_bases() {
    let o = plain("FROM alpine AS Alpine\nFROM alpine AS two\nFROM Alpine\nFROM scratch\nFROM two\n");
    let bases: Vec<_> = o.stages.iter().map(|s| s.base.clone()).collect();
    assert_eq!(
        bases,
        [
            // The first `alpine` is the image, then it is the stage. A base is
            // looked up by the raw text, so `Alpine` is an image.
            Base::Image("alpine".into()),
            Base::Stage(0),
            Base::Image("Alpine".into()),
            Base::Scratch,
            Base::Stage(1),
        ]
    );
    let labels: Vec<_> = o.stages.iter().map(|s| s.label.as_str()).collect();
    assert_eq!(labels, ["alpine", "two", "stage-2", "stage-3", "stage-4"]);
    assert_eq!(plain("FROM scratch AS x\n").stages[0].label, "");
}

#[test]
fn references() {
    let o = plain("FROM scratch AS a\nFROM scratch AS b\nFROM scratch AS a\nFROM scratch AS c\n");
    // Of two stages with a name, the last is meant, even if it comes too late.
    assert_eq!(o.resolve_from("A", 1, true), FromRef::Later(2));
    assert_eq!(o.resolve_from("a", 3, true), FromRef::Stage(2));
    assert_eq!(o.resolve_from("c", 1, true), FromRef::Later(3));
    assert_eq!(o.resolve_from("b", 1, true), FromRef::Later(1));
    assert_eq!(o.resolve_from("0", 1, true), FromRef::Stage(0));
    assert_eq!(o.resolve_from("3", 1, true), FromRef::Later(3));
    assert_eq!(o.resolve_from("9", 1, true), FromRef::BadIndex);
    assert_eq!(o.resolve_from("-1", 1, true), FromRef::BadIndex);
    // Mounts know names only.
    assert_eq!(o.resolve_from("0", 1, false), FromRef::Other);
    assert_eq!(o.resolve_from("alpine", 1, true), FromRef::Other);
}

#[test]
fn reachable_stages() {
    let source = "FROM a AS base\nONBUILD COPY --from=tools /t /t\nFROM b AS tools\nFROM c AS unused\nFROM d AS mounted\n\
                  FROM base\nRUN --mount=type=cache,target=/x,from=mounted true\nFROM unused\n";
    let mut options = BuildOptions::new("Dockerfile", ".");
    assert_eq!(outline(source, &options).reachable, [false, false, true, false, false, true]);
    options.target = Some("BASE".into());
    assert_eq!(outline(source, &options).reachable, [true, false, false, false, false, false]);
    let named = source.replace("FROM base\n", "FROM base AS last\n");
    options.target = Some("last".into());
    assert_eq!(outline(&named, &options).reachable, [true, true, false, true, true, false]);
    // A context instead of a stage needs nothing.
    options.build_contexts.insert("last".into(), "dir".into());
    assert_eq!(outline(&named, &options).reachable, [false, false, false, false, true, false]);
}

#[test]
fn globals() {
    let mut options = BuildOptions::new("Dockerfile", ".");
    options.build_platform = Platform::new("linux", "amd64", "");
    options.build_args.insert("given".into(), "cli".into());
    options.build_args.insert("TARGETARCH".into(), "mine".into());
    let source = "ARG a=1\nARG a=${a}2 b=$a-x\nARG given=no none\nARG p=$BUILDPLATFORM\nFROM scratch\nARG late=1\n";
    let o = outline(source, &options);
    let get = |name: &str| o.globals.get(name).map(String::as_str);
    assert_eq!(get("a"), Some("12"));
    assert_eq!(get("b"), Some("12-x"));
    assert_eq!(get("given"), Some("cli"));
    assert_eq!(get("none"), None);
    assert_eq!(get("late"), None);
    assert_eq!(get("p"), Some("linux/amd64"));
    assert_eq!(get("TARGETPLATFORM"), Some("linux/arm64"));
    assert_eq!(get("TARGETARCH"), Some("mine"));
    assert_eq!(get("TARGETSTAGE"), Some("default"));
}

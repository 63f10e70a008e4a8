//! What users see: one snapshot for each code, and for what is likely.

mod fake;

use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use fake::Fake;
use rbc_compiler::{ALL_CODES, BuildOptions, Compiled, FaultKind, compile, render};
use rbc_ir::Platform;

fn options() -> BuildOptions {
    BuildOptions { build_platform: Platform::new("linux", "amd64", ""), ..BuildOptions::new("Dockerfile", ".") }
}

fn fails(options: &BuildOptions, source: &str) -> Compiled {
    let compiled = compile(options, source, &Fake::default());
    assert!(compiled.plan.is_none(), "compiles: {source}");
    compiled
}

#[track_caller]
fn check(source: &str, want: &Expect) {
    check_with(&options(), source, want);
}

#[track_caller]
fn check_with(options: &BuildOptions, source: &str, want: &Expect) {
    let compiled = fails(options, source);
    want.assert_eq(&render(&compiled.diagnostics, &compiled.sources, false));
}

fn with(change: impl FnOnce(&mut BuildOptions)) -> BuildOptions {
    let mut options = options();
    change(&mut options);
    options
}

/// A file (and options) for each code.
fn samples() -> Vec<(&'static str, BuildOptions, &'static str)> {
    let plain = |code, source| (code, options(), source);
    vec![
        plain("E1003", "LABEL a=1\nFROM scratch\n"),
        plain("E1004", "FROM scratch\nCOPY --shown=1 a b\nUSER --x y\n"),
        plain("E1005", "FROM scratch\nCOPY --chown=1 --chown=2 a b\n"),
        plain("E1006", "FROM alpine\nRUN --network=none true\nRUN --network true\nCOPY --link=maybe a b\n"),
        plain("E1007", "ARG x=1\n"),
        plain("E1010", "FROM scratch\nENV v=1\nLABEL a=1 \\\n  b=\"${v^x}\"\nLABEL c=\"${missing:?give it}\"\n"),
        plain("E1020", "ARG BASE\nFROM ${BSAE}\n"),
        plain("E1021", "FROM Not/AValid:Image:Name\n"),
        plain("E1022", "FROM alpine AS 1st\n"),
        ("E1023", with(|o| o.target = Some("buidler".into())), "FROM scratch AS builder\nFROM scratch AS final\n"),
        plain("E1024", "FROM scratch\nCOPY --from=5 /a /b\n"),
        plain("E1025", "FROM alpine AS one\nCOPY --from=two /a /b\nFROM alpine AS two\nFROM one\n"),
        plain("E1026", "FROM --platform=linux/ alpine\n"),
        plain("E1027", "FROM alpine\nCOPY --from=$x /a /b\nRUN --mount=from=$x,target=/y true\n"),
        plain(
            "E1030",
            "FROM alpine AS builder\nFROM scratch\nCOPY --from=biulder /a /b\nCOPY --from=x.invalid/y / /\n",
        ),
        ("E1031", with(|o| o.platforms = vec![Platform::new("linux", "s390x", "")]), "FROM multi\n"),
        ("E1032", with(|o| drop(o.build_contexts.insert("x".into(), "ftp://h/y".into()))), "FROM x\n"),
        plain("E1040", "FROM alpine\nRUN --mount=type=cache,target=/c,sizze=1 true\nRUN --mount=type=cache true\n"),
        plain("E1042", "FROM scratch\nCOPY http://h/x /x\nADD --checksum=sha256:0 a b\n"),
        plain("E1043", "FROM scratch\nCOPY --chmod=rwx9 a b\n"),
        plain("E1044", "FROM scratch\nADD --checksum=md5:1 http://h/x /x\nADD https://h/r.git?nope=1 /r\n"),
        plain("E1050", "FROM scratch\nEXPOSE 80 eighty\n"),
        plain("E1051", "FROM scratch\nSTOPSIGNAL SIGNOPE\n"),
        plain("E1052", "FROM scratch\nHEALTHCHECK --interval=5parsecs --timeout=1us --retries=x CMD x\n"),
        plain("E1053", "FROM scratch\nVOLUME $x\n"),
        plain("E1061", "FROM bad-trigger\nFROM from-trigger\nCOPY --from=0 / /\nRUN []\n"),
        ("E1070", with(|o| o.source_date_epoch = Some("yesterday".into())), "FROM scratch\n"),
    ]
}

#[test]
fn every_code_has_a_sample_and_an_entry_in_the_reference() {
    let mut shown = BTreeSet::new();
    for (code, options, source) in samples() {
        let compiled = fails(&options, source);
        let codes: Vec<_> = compiled.diagnostics.iter().map(|d| d.code).collect();
        assert!(codes.contains(&code), "{code} is not in {codes:?} of {source}");
        shown.extend(codes);
    }
    let reference = include_str!("../../docs/reference/errors-compiler.md");
    for code in ALL_CODES {
        assert!(reference.contains(&format!("| {} |", code.0)), "{} is not in the reference", code.0);
        // The ignore file needs a directory: the conformance cases have one.
        assert!(shown.contains(code.0) || code.0 == "E1033", "{} has no sample", code.0);
    }
    let documented = reference.lines().filter(|l| l.starts_with("| E")).count();
    assert_eq!(documented, ALL_CODES.len(), "the reference has entries for codes that are gone");
}

#[test]
fn samples_as_users_see_them() {
    let mut text = String::new();
    for (_, options, source) in samples() {
        let compiled = fails(&options, source);
        text.push_str(&render(&compiled.diagnostics, &compiled.sources, false));
        text.push_str("----\n");
    }
    expect![[r#"
        error[E1003]: no build stage in current context: LABEL stands before the first FROM
          ┌─ Dockerfile:1:1
          │
        1 │ LABEL a=1
          │ ^^^^^^^^^
          │
          = help: only ARG may stand before FROM

        ----
        error[E1004]: unknown flag: --shown
          ┌─ Dockerfile:2:6
          │
        2 │ COPY --shown=1 a b
          │      ^^^^^^^^^
          │
          = help: did you mean `--chown`?

        error[E1004]: unknown flag: --x
          ┌─ Dockerfile:3:6
          │
        3 │ USER --x y
          │      ^^^
          │
          = help: USER has no flags

        ----
        error[E1005]: duplicate flag specified: --chown
          ┌─ Dockerfile:2:16
          │
        2 │ COPY --chown=1 --chown=2 a b
          │                ^^^^^^^^^

        ----
        error[E1006]: missing a value on flag: --network
          ┌─ Dockerfile:3:5
          │
        3 │ RUN --network true
          │     ^^^^^^^^^
          │
          = help: write `--network=value`

        error[E1006]: expecting boolean value for flag --link, not: `maybe`
          ┌─ Dockerfile:4:6
          │
        4 │ COPY --link=maybe a b
          │      ^^^^^^^^^^^^
          │
          = help: write `true` or `false`

        ----
        error[E1007]: there is no FROM, so there is nothing to build
          ┌─ Dockerfile:1:1
          │
        1 │ ARG x=1
          │ ^^^^^^^

        ----
        error[E1010]: failed to process `"${v^x}"`: unsupported modifier (^) in substitution
          ┌─ Dockerfile:4:6
          │
        4 │   b="${v^x}"
          │      ^^^^^^

        error[E1010]: failed to process `"${missing:?give it}"`: missing: give it
          ┌─ Dockerfile:5:10
          │
        5 │ LABEL c="${missing:?give it}"
          │          ^^^^^^^^^^^^^^^^^^^

        ----
        error[E1020]: base name (${BSAE}) should not be blank
          ┌─ Dockerfile:2:6
          │
        2 │ FROM ${BSAE}
          │      ^^^^^^^
          │
          = FROM sees only ARGs that stand before the first FROM
          = help: did you mean `BASE`?

        ----
        error[E1021]: failed to parse stage name "Not/AValid:Image:Name": invalid reference format: repository name (AValid) must be lowercase
          ┌─ Dockerfile:1:6
          │
        1 │ FROM Not/AValid:Image:Name
          │      ^^^^^^^^^^^^^^^^^^^^^

        ----
        error[E1022]: invalid name for build stage: "1st", name can't start with a number or contain symbols
          ┌─ Dockerfile:1:16
          │
        1 │ FROM alpine AS 1st
          │                ^^^
          │
          = help: a name begins with a letter; letters, digits, `-`, `_` and `.` may follow

        ----
        error[E1023]: target stage "buidler" could not be found
         = help: did you mean `builder`?

        ----
        error[E1024]: invalid stage index 5: the file has 1 stage, counted from 0
          ┌─ Dockerfile:2:13
          │
        2 │ COPY --from=5 /a /b
          │             ^

        ----
        error[E1025]: cannot copy from stage "two", it needs to be defined before current stage "one"
          ┌─ Dockerfile:2:13
          │
        2 │ COPY --from=two /a /b
          │             ^^^ used here
        3 │ FROM alpine AS two
          │ ------------------ defined here
          │
          = help: move the stage up, before the one that uses it

        ----
        error[E1026]: `linux/` is not a platform
          ┌─ Dockerfile:1:17
          │
        1 │ FROM --platform=linux/ alpine
          │                 ^^^^^^
          │
          = help: write os/architecture, such as linux/amd64

        ----
        error[E1027]: variable expansion is not supported for --from: `$x`
          ┌─ Dockerfile:2:13
          │
        2 │ COPY --from=$x /a /b
          │             ^^
          │
          = help: define a stage with `FROM … AS name`, using an ARG of the global scope, and name that

        error[E1027]: --mount: 'from' doesn't support variable expansion, define alias stage instead
          ┌─ Dockerfile:3:13
          │
        3 │ RUN --mount=from=$x,target=/y true
          │             ^^^^^^^
          │
          = help: define a stage with `FROM … AS name` and mount from that

        ----
        error[E1030]: cannot use image `docker.io/library/biulder:latest`: not found
          ┌─ Dockerfile:3:13
          │
        3 │ COPY --from=biulder /a /b
          │             ^^^^^^^
          │
          = help: did you mean the stage `builder`?

        error[E1030]: cannot use image `x.invalid/y:latest`: no such host
          ┌─ Dockerfile:4:13
          │
        4 │ COPY --from=x.invalid/y / /
          │             ^^^^^^^^^^^

        ----
        error[E1031]: image `docker.io/library/multi:latest` has no variant for platform linux/s390x: it has linux/amd64, linux/arm64, linux/arm/v7
          ┌─ Dockerfile:1:6
          │
        1 │ FROM multi
          │      ^^^^^
          │
          = help: choose another one with `--platform`, or in the line with `FROM --platform=…`

        ----
        error[E1032]: --build-context x: `ftp://` is not a kind of context
          ┌─ Dockerfile:1:6
          │
        1 │ FROM x
          │      ^

        ----
        error[E1040]: --mount: unexpected key 'sizze' in 'sizze=1'
          ┌─ Dockerfile:2:34
          │
        2 │ RUN --mount=type=cache,target=/c,sizze=1 true
          │                                  ^^^^^^^
          │
          = help: did you mean `size`?

        ----
        error[E1042]: source can't be a URL for COPY: http://h/x
          ┌─ Dockerfile:2:6
          │
        2 │ COPY http://h/x /x
          │      ^^^^^^^^^^
          │
          = help: ADD takes URLs

        error[E1042]: checksum can't be specified for non-HTTP(S) sources
          ┌─ Dockerfile:3:16
          │
        3 │ ADD --checksum=sha256:0 a b
          │                ^^^^^^^^

        ----
        error[E1043]: invalid chmod parameter: 'rwx9'. it should be octal string and between 0 and 07777
          ┌─ Dockerfile:2:14
          │
        2 │ COPY --chmod=rwx9 a b
          │              ^^^^
          │
          = help: write an octal number such as 0755, or a symbolic mode such as u=rwX,go=rX

        ----
        error[E1044]: invalid checksum: `md5:1` is not a digest: want `sha256:` and 64 hex digits
          ┌─ Dockerfile:2:16
          │
        2 │ ADD --checksum=md5:1 http://h/x /x
          │                ^^^^^

        error[E1044]: https://h/r.git?nope=1: unexpected query `nope` in a git reference
          ┌─ Dockerfile:3:5
          │
        3 │ ADD https://h/r.git?nope=1 /r
          │     ^^^^^^^^^^^^^^^^^^^^^^

        ----
        error[E1050]: EXPOSE `eighty`: invalid containerPort: eighty
          ┌─ Dockerfile:2:11
          │
        2 │ EXPOSE 80 eighty
          │           ^^^^^^
          │
          = help: write a number or a range, such as 80, 53/udp or 8000-8010

        ----
        error[E1051]: invalid signal: `SIGNOPE`
          ┌─ Dockerfile:2:12
          │
        2 │ STOPSIGNAL SIGNOPE
          │            ^^^^^^^
          │
          = help: write a name such as SIGTERM, or a number

        ----
        error[E1052]: --interval: invalid duration "5parsecs"
          ┌─ Dockerfile:2:24
          │
        2 │ HEALTHCHECK --interval=5parsecs --timeout=1us --retries=x CMD x
          │                        ^^^^^^^^
          │
          = help: write a number with a unit, such as 500ms, 30s, 1m30s

        error[E1052]: --timeout "1us" cannot be less than 1ms
          ┌─ Dockerfile:2:43
          │
        2 │ HEALTHCHECK --interval=5parsecs --timeout=1us --retries=x CMD x
          │                                           ^^^
          │
          = help: write a number with a unit, such as 500ms, 30s, 1m30s

        error[E1052]: --retries: "x" is no number of attempts
          ┌─ Dockerfile:2:57
          │
        2 │ HEALTHCHECK --interval=5parsecs --timeout=1us --retries=x CMD x
          │                                                         ^

        ----
        error[E1053]: VOLUME `$x` is empty
          ┌─ Dockerfile:2:8
          │
        2 │ VOLUME $x
          │        ^^

        ----
        error[E1061]: the trigger `RUN a
        RUN b` of the base cannot be used: an ONBUILD trigger should be a single instruction, not 2
          ┌─ Dockerfile:1:6
          │
        1 │ FROM bad-trigger
          │      ^^^^^^^^^^^

        error[E1061]: the trigger `from alpine` of the base cannot be used: FROM isn't allowed as an ONBUILD trigger
          ┌─ Dockerfile:2:6
          │
        2 │ FROM from-trigger
          │      ^^^^^^^^^^^^

        error[E1053]: RUN has an empty list of arguments
          ┌─ Dockerfile:4:1
          │
        4 │ RUN []
          │ ^^^^^^

        ----
        error[E1070]: SOURCE_DATE_EPOCH is `yesterday`
         = help: give it as whole seconds since 1970, such as the output of `git log -1 --format=%ct`

        ----
    "#]].assert_eq(&text);
}

#[test]
fn several_mistakes_in_one_run() {
    check(
        "FROM alpine\nCOPPY a b\nRUN --netwrok=none x\nWORKDIR\n",
        &expect![[r#"
        error[D0006]: unknown instruction: COPPY
          ┌─ Dockerfile:2:1
          │
        2 │ COPPY a b
          │ ^^^^^
          │
          = help: did you mean COPY?

        error[E1004]: unknown flag: --netwrok
          ┌─ Dockerfile:3:5
          │
        3 │ RUN --netwrok=none x
          │     ^^^^^^^^^^^^^^
          │
          = help: did you mean `--network`?

        error[D0013]: WORKDIR requires exactly one argument
          ┌─ Dockerfile:4:1
          │
        4 │ WORKDIR
          │ ^^^^^^^

    "#]],
    );
}

#[test]
fn the_surroundings_are_told_apart() {
    let kind = |source| fails(&options(), source).diagnostics[0].kind;
    assert_eq!(kind("FROM x.invalid/y\n"), FaultKind::Environment);
    assert_eq!(kind("FROM denied/x\n"), FaultKind::Environment);
    assert_eq!(kind("FROM no-such-image\n"), FaultKind::Input);
    assert_eq!(kind("FROM scratch\nEXPOSE x\n"), FaultKind::Input);
}

#[test]
fn colours_are_optional() {
    let compiled = fails(&options(), "FROM\n");
    let (plain, colour) = (false, true);
    assert!(!render(&compiled.diagnostics, &compiled.sources, plain).contains('\x1b'));
    assert!(render(&compiled.diagnostics, &compiled.sources, colour).contains('\x1b'));
}

#[test]
fn the_target_is_not_in_the_file() {
    let options = with(|o| o.target = Some("two".into()));
    check_with(
        &options,
        "FROM scratch AS one\n",
        &expect![[r#"
        error[E1023]: target stage "two" could not be found
         = help: there is one

    "#]],
    );
}

/// The first line of each diagnostic, with the line of the file.
fn heads(source: &str) -> Vec<String> {
    let compiled = compile(&options(), source, &Fake::default());
    let line = |start: u32| source[..start as usize].lines().count().max(1);
    let at = |d: &rbc_compiler::Diagnostic| d.primary.as_ref().map_or(0, |l| line(l.span.start + 1));
    compiled.diagnostics.iter().map(|d| format!("{}: {}", at(d), d.message)).collect()
}

#[test]
fn stages_that_nobody_needs_are_checked_like_buildkit_does() {
    let unused = |insn: &str| heads(&format!("FROM alpine AS unused\n{insn}\nFROM scratch\n"));
    assert_eq!(
        unused("HEALTHCHECK --interval=1x --retries=-1 CMD true"),
        ["2: --interval: invalid duration \"1x\"", "2: --retries cannot be negative (-1)"]
    );
    assert_eq!(unused("COPY --from=2 /a /b"), ["2: invalid stage index 2: the file has 2 stages, counted from 0"]);
    assert_eq!(unused("COPY --from=$x /a /b"), ["2: variable expansion is not supported for --from: `$x`"]);
    assert_eq!(unused("COPY --link=1 /a /b"), ["2: expecting boolean value for flag --link, not: `1`"]);
    // What needs values is looked at only where it is used.
    assert!(unused("ENV a=${x:?}\nEXPOSE x\nSTOPSIGNAL x\nCOPY --from=1 /a /b").is_empty());
}

#[test]
fn flags_that_nobody_reads() {
    assert!(heads("FROM scratch\nSTOPSIGNAL --x SIGINT\nARG --y z=1\nHEALTHCHECK --interval=1x NONE\n").is_empty());
}

#[test]
fn stages_that_need_themselves() {
    let circular = |name| format!("circular dependency detected on stage: {name}");
    let own = heads("FROM alpine AS alpine\nCOPY --from=alpine /a /b\n");
    assert_eq!(own.first(), Some(&format!("2: {}", circular("alpine"))));
    let two =
        "FROM scratch AS a\nCOPY --from=b /a /b\nFROM scratch AS b\nRUN --mount=from=a,target=/x x\nFROM scratch\n";
    assert_eq!(heads(two), [format!("2: {}", circular("a"))]);
}

#[test]
fn of_two_stages_with_one_name_the_last_is_meant() {
    let source = "FROM alpine AS a\nFROM alpine AS b\nCOPY --from=a /1 /2\nFROM alpine AS a\nFROM b\n";
    let message = "cannot copy from stage \"a\", it needs to be defined before current stage \"b\"";
    assert_eq!(heads(source), [format!("3: {message}")]);
}

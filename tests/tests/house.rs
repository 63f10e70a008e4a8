//! The house rules that a compiler does not check: which crate may use which,
//! and under which licences dependencies come. Both are read from
//! `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// Edges that `docs/architecture.md` allows; data flows from left to right.
const ALLOWED: &[(&str, &[&str])] = &[
    ("rbc-grammar", &[]),
    ("rbc-ir", &[]),
    ("rbc-compiler", &["rbc-grammar", "rbc-ir"]),
    ("rbc-vm", &["rbc-ir"]),
    ("rbc", &["rbc-grammar", "rbc-ir", "rbc-compiler", "rbc-vm"]),
    ("rbc-tests", &["rbc-grammar", "rbc-ir", "rbc-compiler", "rbc-vm", "rbc"]),
];

/// Crates that a pure crate must not have: the front ends know neither file
/// descriptors nor terminals nor threads of their own, and the plan is data.
const NOT_IN: &[(&str, &[&str])] = &[
    ("rbc-grammar", &["nix", "rustix", "libc", "rayon", "ureq", "clap", "salsa", "heed"]),
    ("rbc-ir", &["nix", "rustix", "libc", "rayon", "ureq", "clap", "salsa", "heed"]),
    ("rbc-compiler", &["nix", "rustix", "libc", "ureq", "clap", "indicatif", "heed"]),
    ("rbc-vm", &["logos", "lalrpop-util", "salsa", "codespan-reporting", "clap", "indicatif"]),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn metadata() -> Result<Metadata> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .context("run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn a_crate_uses_only_what_stands_to_its_left() -> Result<()> {
    let metadata = metadata()?;
    let own: BTreeMap<&str, &Package> =
        metadata.packages.iter().filter(|p| p.source.is_none()).map(|p| (p.name.as_str(), p)).collect();
    let known: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    assert_eq!(own.keys().copied().collect::<BTreeSet<_>>(), known, "a crate came or went: say here what it may use");
    for (name, allowed) in ALLOWED {
        // Tests of a crate may use what they like.
        let uses = own[name].dependencies.iter().filter(|d| d.kind.as_deref() != Some("dev")).map(|d| d.name.as_str());
        for used in uses {
            assert!(!known.contains(used) || allowed.contains(&used), "{name} must not use {used}");
            let banned = NOT_IN.iter().find(|(n, _)| n == name).map_or(&[][..], |(_, banned)| banned);
            assert!(!banned.contains(&used), "{name} must not use {used}");
        }
    }
    Ok(())
}

#[test]
fn licences_of_dependencies_are_allowed() -> Result<()> {
    let policy = std::fs::read_to_string(root().join("deny.toml"))?;
    let list = policy.split_once("allow = [").and_then(|(_, rest)| rest.split_once("\n]")).context("no allow list")?.0;
    let allowed: BTreeSet<&str> = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.split_once('"'))
        .map(|(licence, _)| licence)
        .collect();
    ensure!(allowed.contains("MIT"), "the allow list is not understood: {list}");
    for package in metadata()?.packages.iter().filter(|p| p.source.is_some()) {
        let expression = package.license.as_deref().unwrap_or("none");
        assert!(
            accepted(expression, &allowed),
            "{} {} comes under `{expression}`, which deny.toml does not allow",
            package.name,
            package.version
        );
    }
    Ok(())
}

/// Evaluates an SPDX expression (AND binds tighter than OR; `/` is an old way
/// to write OR).
fn accepted(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut at = 0;
    let value = any_of(&words, &mut at, allowed);
    value && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let mut value = all_of(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        value |= all_of(words, at, allowed);
    }
    value
}

fn all_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let mut value = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        value &= one(words, at, allowed);
    }
    value
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let Some(&word) = words.get(*at) else { return false };
    *at += 1;
    if word == "(" {
        let value = any_of(words, at, allowed);
        *at += 1;
        return value;
    }
    if words.get(*at) == Some(&"WITH") {
        let exception = words.get(*at + 1).copied().unwrap_or_default();
        *at += 2;
        return allowed.contains(format!("{word} WITH {exception}").as_str());
    }
    allowed.contains(word)
}

#[test]
fn licence_expressions_are_evaluated() {
    let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
    for yes in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/GPL-3.0",
        "MIT AND ISC",
        "(GPL-3.0 OR ISC) AND MIT",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(accepted(yes, &allowed), "{yes}");
    }
    for no in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "Apache-2.0", "", "none"] {
        assert!(!accepted(no, &allowed), "{no}");
    }
}

//! The recorded conformance cases, as far as a compiler can tell: image
//! configurations, numbers of layers, errors and their lines.
//!
//! Cases are read from `tests/conformance/cases` of the workspace, or from
//! `RBC_CONFORMANCE_CASES`. Files in layers, and errors that only running
//! finds, are the end-to-end suite's.

mod fake;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fake::Fake;
use rbc_compiler::{BuildOptions, Compiled, NoCache, compile, parse_size, render};
use rbc_ir::{Instance, Platform};
use serde_json::{Map, Value, json};

/// Errors that are found when the plan runs, or by the program around.
const NOT_HERE: &[&str] = &[
    "add/git-no-ref",
    "add/http-404",
    "add/http-checksum-wrong",
    "cache/failed-step-keeps-earlier",
    "copy/dir-over-file",
    "dockerignore/copy-ignored-file",
    "errors/context-missing",
    "errors/missing-file",
    "errors/missing-in-stage",
    "errors/no-dockerfile",
    "errors/scratch-run",
    "mount/missing-source",
    "mount/secret-required-missing",
    "mount/ssh-required-missing",
    "run/exit-code",
    "run/missing-program",
    "stages/from-deleted",
    "user/unknown-run",
];

fn cases() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/cases");
    let given = std::env::var_os("RBC_CONFORMANCE_CASES").map(PathBuf::from);
    given.into_iter().chain([own]).find(|path| path.is_dir())
}

#[test]
fn recorded_cases() {
    let Some(root) = cases() else {
        #[allow(clippy::print_stderr, reason = "a skipped test has to say so")]
        {
            eprintln!("skipped: no conformance cases; set RBC_CONFORMANCE_CASES");
        }
        return;
    };
    let mut failures = Vec::new();
    let mut count = 0;
    for area in sorted(&root) {
        for case in sorted(&area) {
            let name = case.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            if !case.join("case.toml").is_file() || NOT_HERE.contains(&name.as_str()) {
                continue;
            }
            count += 1;
            if let Err(why) = run(&case) {
                failures.push(format!("{name}: {why}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(count > 200, "only {count} cases in {}", root.display());
}

fn sorted(path: &Path) -> Vec<PathBuf> {
    let mut list: Vec<_> = std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect();
    list.sort();
    list
}

fn strings(table: &Map<String, Value>, key: &str) -> Vec<String> {
    let list = table.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    list.iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

fn text<'t>(table: &'t Map<String, Value>, key: &str) -> Option<&'t str> {
    table.get(key).and_then(Value::as_str)
}

/// Notes the files that `setup` or `change` writes, by path.
fn note_written(operations: Option<&Value>, written: &mut BTreeMap<String, String>) {
    let operations = operations.and_then(Value::as_array).cloned().unwrap_or_default();
    for operation in operations.iter().filter_map(Value::as_array).filter(|o| o[0] == "write") {
        written.insert(operation[1].as_str().unwrap().to_owned(), operation[2].as_str().unwrap().to_owned());
    }
}

fn run(case: &Path) -> Result<(), String> {
    let toml: toml::Table = std::fs::read_to_string(case.join("case.toml")).unwrap().parse().unwrap();
    let Value::Object(table) = serde_json::to_value(toml).unwrap() else { unreachable!("a table") };
    let expected = std::fs::read(case.join("expected.json")).ok();
    let expected: Option<Value> = expected.map(|bytes| serde_json::from_slice(&bytes).unwrap());
    let steps = table.get("steps").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![json!({})]);
    let mut written = BTreeMap::new();
    note_written(table.get("setup"), &mut written);
    for (i, step) in steps.iter().enumerate() {
        note_written(step.get("change"), &mut written);
        let mut all = table.clone();
        all.extend(step.as_object().unwrap().clone());
        let compiled = build(case, &all, &written)?;
        let log = render(&compiled.diagnostics, &compiled.sources, false);
        if text(&all, "expect") == Some("error") {
            check_error(&all, &compiled, &log)?;
            continue;
        }
        let Some(plan) = &compiled.plan else { return Err(format!("no plan\n{log}")) };
        let instances = &plan.targets[0].instances;
        let Some(expected) = expected.as_ref().map(|e| &e["builds"][i]) else { continue };
        match expected.get("platforms").and_then(Value::as_object) {
            Some(platforms) => {
                for instance in instances {
                    check_image(&platforms[&instance.platform.to_string()], instance, &all)?;
                }
            }
            None if expected.get("config").is_some() => check_image(expected, &instances[0], &all)?,
            None => {}
        }
    }
    Ok(())
}

fn build(case: &Path, table: &Map<String, Value>, written: &BTreeMap<String, String>) -> Result<Compiled, String> {
    let replace = |s: String| {
        let digest = format!("sha256:{}", "a".repeat(64));
        let s = s.replace("${HTTP}", "http://127.0.0.1:9").replace("${REGISTRY}", "127.0.0.1:5000");
        s.replace("${DIGEST:alpine}", &digest)
    };
    let env = table.get("env").and_then(Value::as_object).cloned().unwrap_or_default();
    let pairs = |key: &str| -> indexmap::IndexMap<String, String> {
        let pair = |s: String| match s.split_once('=') {
            Some((k, v)) => Some((k.to_owned(), v.to_owned())),
            None => env.get(&s).map(|v| (s.clone(), v.as_str().unwrap().to_owned())),
        };
        strings(table, key).into_iter().map(&replace).filter_map(pair).collect()
    };
    let file = text(table, "file").unwrap_or("context/Dockerfile");
    let mut options = BuildOptions::new(file, "context");
    options.build_platform = Platform::new("linux", "amd64", "");
    options.target = text(table, "target").map(str::to_owned);
    options.build_args = pairs("build_args");
    options.labels = pairs("labels");
    options.build_contexts = pairs("build_contexts");
    let platforms = text(table, "platform").unwrap_or_default().split(',').filter(|p| !p.is_empty());
    options.platforms = platforms.map(|p| Platform::parse(p).unwrap()).collect();
    options.shm_size = text(table, "shm_size").map_or(0, |s| parse_size(s).unwrap());
    options.source_date_epoch = text(&env, "SOURCE_DATE_EPOCH").map(str::to_owned);
    if table.get("no_cache") == Some(&json!(true)) {
        options.no_cache = NoCache::All;
    }
    let source = match written.get(file) {
        Some(text) => text.clone(),
        None => std::fs::read_to_string(case.join(file))
            .or_else(|_| std::fs::read_to_string(case.join("context/real/Df")))
            .map_err(|e| format!("{file}: {e}"))?,
    };
    let mut fake = Fake::default();
    fake.contexts.insert("context".to_owned(), case.join("context"));
    let directory = Path::new(file).parent().unwrap();
    fake.contexts.insert("dockerfile".to_owned(), case.join(directory));
    for (name, path) in &options.build_contexts {
        fake.contexts.insert(name.clone(), case.join(path));
    }
    Ok(compile(&options, &source, &fake))
}

fn check_error(table: &Map<String, Value>, compiled: &Compiled, log: &str) -> Result<(), String> {
    if compiled.plan.is_some() {
        return Err("compiles, but must not".to_owned());
    }
    for word in strings(table, "error_mentions") {
        if !log.to_lowercase().contains(&word.to_lowercase()) {
            return Err(format!("does not mention {word:?}\n{log}"));
        }
    }
    for key in ["error_line", "wanted_line"] {
        if let Some(line) = table.get(key).and_then(Value::as_u64)
            && !log.contains(&format!("Dockerfile:{line}:"))
        {
            return Err(format!("does not point at line {line}\n{log}"));
        }
    }
    Ok(())
}

fn check_image(expected: &Value, instance: &Instance, table: &Map<String, Value>) -> Result<(), String> {
    let mut got = match serde_json::to_value(&instance.config).unwrap() {
        Value::Object(got) => got,
        _ => unreachable!("a configuration is an object"),
    };
    for key in ["ExposedPorts", "Volumes"] {
        if let Some(Value::Object(map)) = got.get(key) {
            let keys: Vec<_> = map.keys().cloned().collect();
            got.insert(key.to_owned(), json!(keys));
        }
    }
    got.insert("architecture".to_owned(), json!(instance.platform.architecture));
    got.insert("os".to_owned(), json!(instance.platform.os));
    got.insert("variant".to_owned(), json!(instance.platform.variant));
    got.insert("author".to_owned(), json!(instance.author));
    let empty = |v: &Value| matches!(v, Value::Null) || *v == json!("") || *v == json!([]) || *v == json!({});
    got.retain(|_, v| !empty(v));
    let mut want = expected["config"].as_object().unwrap().clone();
    want.remove("created");
    if got != want {
        return Err(format!("configuration\n got {}\nwant {}", Value::Object(got), Value::Object(want)));
    }
    let layers = instance.history.iter().filter(|h| !h.entry.empty_layer).count();
    if table.get("check_layers") != Some(&json!(false)) && expected.get("layers") != Some(&json!(layers)) {
        return Err(format!("{layers} layers, want {}", expected["layers"]));
    }
    Ok(())
}

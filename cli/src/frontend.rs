//! From the command line to a plan: finds the Dockerfile, compiles it, shows
//! its diagnostics.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rbc_compiler::{BuildOptions, FaultKind, NoCache, Severity, SourceText, compile, render};
use rbc_ir::Plan;
use rbc_vm::Vm;

use crate::args::{BuildArgs, CompileArgs, SourceArgs};
use crate::failure::{Exit, Failure};
use crate::inputs::Surroundings;

/// A compiled build.
pub(crate) struct Program {
    /// What to do.
    pub(crate) plan: Plan,
    /// The texts that it came from, for showing places.
    pub(crate) sources: Vec<SourceText>,
    /// Creation times in the image, if they are given.
    pub(crate) source_date_epoch: Option<i64>,
}

/// A Dockerfile that was found.
struct Dockerfile {
    /// Its name for messages.
    name: String,
    text: String,
    /// Where its own ignore file would be.
    directory: PathBuf,
}

/// Returns the compiler's options for `rbc build`.
pub(crate) fn build_options(args: &BuildArgs) -> BuildOptions {
    let mut options = shared_options(&args.source, &args.labels, &args.context);
    options.network = args.network.into();
    options.add_hosts.clone_from(&args.add_hosts);
    options.ulimits.clone_from(&args.ulimits);
    options.shm_size = args.shm_size.unwrap_or_default();
    options.no_cache = match (args.no_cache, &args.no_cache_filter) {
        (true, _) => NoCache::All,
        (false, stages) if stages.is_empty() => NoCache::None,
        (false, stages) => NoCache::Stages(stages.clone()),
    };
    options
}

/// Returns the compiler's options for `rbc compile`.
pub(crate) fn compile_options(args: &CompileArgs) -> BuildOptions {
    shared_options(&args.source, &args.labels, &args.context)
}

fn shared_options(source: &SourceArgs, labels: &[(String, String)], context: &Path) -> BuildOptions {
    let mut options = BuildOptions::new("Dockerfile", &context.to_string_lossy());
    options.target.clone_from(&source.target);
    options.build_args = source.build_args.iter().filter_map(crate::args::values::BuildArg::resolve).collect();
    options.labels = labels.iter().cloned().collect();
    options.platforms.clone_from(&source.platforms);
    options.build_contexts = source.build_contexts.iter().cloned().collect();
    options.source_date_epoch = std::env::var("SOURCE_DATE_EPOCH").ok().filter(|v| !v.is_empty());
    options
}

/// Compiles. Warnings are shown; errors become the failure.
pub(crate) fn program(
    vm: &Vm,
    args: &SourceArgs,
    context: &Path,
    mut options: BuildOptions,
    quiet: bool,
) -> Result<Program, Failure> {
    check_context(context)?;
    let dockerfile = find(args.file.as_deref(), context)?;
    options.file.clone_from(&dockerfile.name);
    let mut directories = HashMap::from([
        ("dockerfile".to_owned(), dockerfile.directory.clone()),
        ("context".to_owned(), context.to_owned()),
    ]);
    for (name, value) in &args.build_contexts {
        directories.insert(name.clone(), PathBuf::from(value));
    }
    let surroundings = Surroundings::new(vm, directories);
    let compiled = compile(&options, &dockerfile.text, &surroundings);

    let (errors, warnings): (Vec<_>, Vec<_>) =
        compiled.diagnostics.into_iter().partition(|d| d.severity == Severity::Error);
    let colour = colour();
    if !warnings.is_empty() && !quiet {
        let _ = io::stderr().write_all(render(&warnings, &compiled.sources, colour).as_bytes());
    }
    match compiled.plan {
        Some(plan) if errors.is_empty() => {
            Ok(Program { plan, sources: compiled.sources, source_date_epoch: compiled.source_date_epoch })
        }
        _ => {
            let environment = errors.iter().any(|e| e.kind == FaultKind::Environment);
            let exit = if environment { Exit::Environment } else { Exit::Usage };
            Err(Failure::rendered(exit, render(&errors, &compiled.sources, colour)))
        }
    }
}

/// Whether diagnostics are coloured.
pub(crate) fn colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Refuses what is no directory, before anything else is looked at.
pub(crate) fn check_context(context: &Path) -> Result<(), Failure> {
    let shown = context.display();
    if context == Path::new("-") {
        return Err(Failure::usage("a context on standard input is not supported")
            .help("unpack it and give the directory; a Dockerfile alone can come from standard input with `-f -`"));
    }
    if shown.to_string().contains("://") {
        return Err(Failure::usage(format!("`{shown}`: a context is a directory, URLs are not supported"))
            .help("fetch it and give the directory"));
    }
    match std::fs::metadata(context) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(Failure::usage(format!("the build context `{shown}` is not a directory"))
            .help("the Dockerfile is given with --file, the context is the directory that COPY reads")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Err(Failure::usage(format!("the build context `{shown}` does not exist")))
        }
        Err(e) => Err(Failure::environment(format!("cannot read the build context `{shown}`: {e}"))),
    }
}

/// Finds the Dockerfile: `--file`, which is relative to the current
/// directory, or `Dockerfile`, or in its lack `dockerfile`, in the context
/// (docker's rules).
fn find(file: Option<&Path>, context: &Path) -> Result<Dockerfile, Failure> {
    if file == Some(Path::new("-")) {
        let mut bytes = Vec::new();
        io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(|e| Failure::environment(format!("cannot read the Dockerfile from standard input: {e}")))?;
        return decode(bytes, "Dockerfile", context.to_owned());
    }
    let candidates = match file {
        Some(file) => vec![file.to_owned()],
        None => vec![context.join("Dockerfile"), context.join("dockerfile")],
    };
    for path in &candidates {
        match std::fs::read(path) {
            Ok(bytes) => {
                let name = path.strip_prefix("./").unwrap_or(path).display().to_string();
                let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                return decode(bytes, &name, directory.to_owned());
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(e) if e.kind() == io::ErrorKind::IsADirectory => {
                return Err(Failure::usage(format!("`{}` is a directory, not a Dockerfile", path.display())));
            }
            Err(e) => return Err(Failure::environment(format!("cannot read `{}`: {e}", path.display()))),
        }
    }
    let failure = match file {
        Some(file) => Failure::usage(format!("the Dockerfile `{}` does not exist", file.display()))
            .help("--file is relative to the current directory, not to the context"),
        None => Failure::usage(format!("there is no Dockerfile in `{}`", context.display()))
            .help("name another file with --file"),
    };
    Err(failure)
}

fn decode(bytes: Vec<u8>, name: &str, directory: PathBuf) -> Result<Dockerfile, Failure> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Dockerfile { name: name.to_owned(), text, directory }),
        Err(e) => {
            let line = e.as_bytes().iter().take(e.utf8_error().valid_up_to()).filter(|&&b| b == b'\n').count() + 1;
            Err(Failure::usage(format!("{name}:{line}: the Dockerfile is not UTF-8")).help("save it as UTF-8"))
        }
    }
}

/// Reads a plan that was made before, and the texts that it came from if they
/// are still the same.
pub(crate) fn read_plan(path: &Path) -> Result<Program, Failure> {
    let shown = path.display();
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = read.map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Failure::usage(format!("the plan `{shown}` does not exist")),
        _ => Failure::environment(format!("cannot read the plan `{shown}`: {e}")),
    })?;
    let plan = Plan::from_json(&bytes).map_err(|e| {
        Failure::usage(format!("the plan `{shown}` cannot be used: {e}")).help("make it anew with `rbc compile`")
    })?;
    let unchanged = |source: &rbc_ir::PlanSource| {
        let text = std::fs::read_to_string(&source.path).ok()?;
        (rbc_ir::Digest::of(text.as_bytes()) == source.sha256).then_some(text)
    };
    let sources = plan
        .sources
        .iter()
        .map(|s| SourceText { name: s.path.clone(), text: unchanged(s).unwrap_or_default().into() })
        .collect();
    let source_date_epoch = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|v| v.parse().ok());
    Ok(Program { plan, sources, source_date_epoch })
}

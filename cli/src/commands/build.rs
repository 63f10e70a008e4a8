//! `rbc build`: a plan, run, and what comes out of it.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rbc_ir::Plan;
use rbc_vm::event::{Event, Observer as _};
use rbc_vm::export::{Dest, ExportError, Output, OutputKind};
use rbc_vm::schedule::{BuildRequest, Built};

use crate::args::{BuildArgs, ProgressMode};
use crate::commands::result::{Made, write_files};
use crate::failure::{Exit, Failure};
use crate::frontend::{self, Program};
use crate::progress::{Counts, Progress, seconds};
use crate::session::Session;
use crate::{given, report};

/// Runs the command.
pub(crate) fn run(args: &BuildArgs) -> Result<(), Failure> {
    refuse_what_needs_a_daemon(args)?;
    frontend::check_context(&args.context)?;
    let mut outputs = outputs(args)?;
    let secrets = given::secrets(&args.secrets)?;
    let ssh = given::agents(&args.ssh)?;

    let session = Session::open()?;
    let interrupt = session.interrupt.clone();
    let begun = Instant::now();
    let built = || -> Result<(Made, Counts), Failure> {
        let program = program(&session, args)?;
        for output in &mut outputs {
            output.image.epoch = output.image.epoch.or(program.source_date_epoch);
            output.files.epoch = output.files.epoch.or(program.source_date_epoch);
        }
        let contexts = contexts(&program.plan, args);
        let progress = Progress::start(mode(args), &program.plan);
        if let Some(note) = &session.note {
            progress.event(Event::Warning { node: None, message: note.clone() });
        }
        let request = BuildRequest {
            plan: &program.plan,
            target: 0,
            contexts: contexts.clone(),
            secrets,
            ssh,
            jobs: args.jobs,
            source_date_epoch: program.source_date_epoch,
            cancel: interrupt.token.clone(),
            observer: &progress,
        };
        let build = || {
            let built = session.vm.build(&request);
            built.map_err(|e| report::build_failure(&e, &program.plan, &program.sources, &contexts))
        };
        let outcome = build().and_then(|built| {
            let delivered = match export(&session, &built, &outputs, args, &progress) {
                // Cached results that proved damaged are withdrawn by now, so
                // another build makes them anew.
                Err(ExportError::Forgotten { .. }) => export(&session, &build()?, &outputs, args, &progress),
                other => other,
            };
            delivered.map_err(|e| export_failure(&e))
        });
        let counts = progress.finish();
        Ok((outcome?, counts))
    }();
    let (made, counts) = match built {
        // Whatever it was that failed, it failed because it was told to stop.
        Err(_) if interrupt.came() => {
            return Err(Failure::new(Exit::Interrupted, "interrupted").help("finished steps are in the cache"));
        }
        other => other?,
    };
    write_files(args, &made)?;
    if args.quiet {
        print_digest(&made)?;
    } else if mode(args) != ProgressMode::Quiet && mode(args) != ProgressMode::Rawjson {
        let _ = writeln!(io::stderr(), "{}", summary(&made, counts, &outputs, begun));
    }
    Ok(())
}

fn refuse_what_needs_a_daemon(args: &BuildArgs) -> Result<(), Failure> {
    if args.load {
        return Err(Failure::usage("--load needs docker's daemon, and there is none here")
            .help("rbc build -o type=docker,dest=- … | docker load"));
    }
    let attested =
        |flag: &Option<String>| flag.as_deref().is_some_and(|v| !matches!(v, "false" | "0" | "disabled=true"));
    if attested(&args.provenance) || attested(&args.sbom) {
        return Err(
            Failure::usage("attestations are not supported").help("leave --provenance and --sbom out, or say =false")
        );
    }
    if args.push {
        return Err(cannot_push());
    }
    Ok(())
}

fn cannot_push() -> Failure {
    Failure::usage("pushing to a registry is not supported")
        .help("rbc build -o type=oci,dest=image.tar … && skopeo copy oci-archive:image.tar docker://NAME")
}

/// Reads `--output` and `--tag`, before anything runs.
fn outputs(args: &BuildArgs) -> Result<Vec<Output>, Failure> {
    let mut names = Vec::new();
    for tag in &args.tags {
        names.push(tag.parse().map_err(|e| Failure::usage(format!("--tag: {e}")))?);
    }
    let mut outputs = Vec::new();
    let mut to_stdout = 0;
    for text in &args.outputs {
        let mut output = Output::parse(text).map_err(|e| Failure::usage(format!("--output: {e}")))?;
        if output.image.push {
            return Err(cannot_push());
        }
        if output.image.names.is_empty() {
            output.image.names.clone_from(&names);
        }
        for key in &output.ignored {
            let _ = writeln!(io::stderr(), "warning: --output: `{key}` has no effect");
        }
        to_stdout += usize::from(output.dest == Some(Dest::Stdout));
        outputs.push(output);
    }
    if to_stdout > 1 || (to_stdout == 1 && args.quiet) {
        return Err(Failure::usage("only one thing can go to standard output").help("give the others a dest=FILE"));
    }
    if to_stdout == 1 && io::stdout().is_terminal() {
        return Err(Failure::usage("an archive is not for a terminal").help("give a dest=FILE, or redirect the output"));
    }
    let wants_image = args.quiet || args.iidfile.is_some() || args.metadata_file.is_some();
    let has_image = outputs.iter().any(|o| matches!(o.kind, OutputKind::Oci | OutputKind::Docker | OutputKind::Image));
    if wants_image && !has_image {
        // Digests are those of an image, so one is made, if only in the cache.
        let mut image = Output::parse("type=image").map_err(Failure::usage)?;
        image.image.names = names;
        outputs.push(image);
    }
    Ok(outputs)
}

fn program(session: &Session, args: &BuildArgs) -> Result<Program, Failure> {
    match &args.plan {
        Some(plan) => frontend::read_plan(plan),
        None => {
            let quiet = mode(args) == ProgressMode::Quiet;
            frontend::program(&session.vm, &args.source, &args.context, frontend::build_options(args), quiet)
        }
    }
}

fn mode(args: &BuildArgs) -> ProgressMode {
    if args.quiet { ProgressMode::Quiet } else { args.progress }
}

/// Directories of the plan's contexts: those of this command line, else those
/// that the plan was made with.
fn contexts(plan: &Plan, args: &BuildArgs) -> BTreeMap<String, PathBuf> {
    let given = |id: &str| args.source.build_contexts.iter().find(|(name, _)| name == id).map(|(_, v)| v);
    plan.inputs
        .contexts
        .iter()
        .map(|input| {
            let directory = match (input.id.as_str(), given(&input.id)) {
                ("context", _) => args.context.clone(),
                (_, Some(value)) => PathBuf::from(value),
                (_, None) => PathBuf::from(&input.path),
            };
            (input.id.clone(), directory)
        })
        .collect()
}

fn export(
    session: &Session,
    built: &Built,
    outputs: &[Output],
    args: &BuildArgs,
    progress: &Progress,
) -> Result<Made, ExportError> {
    let mut made = Made::default();
    for output in outputs.iter().filter(|o| o.kind != OutputKind::CacheOnly) {
        if session.interrupt.came() {
            return Err(ExportError::Interrupted);
        }
        let delivered = session.vm.export(built, output, progress)?;
        for what in &delivered.left_out {
            progress.event(Event::Warning { node: None, message: what.clone() });
        }
        if delivered.descriptor.is_some() && made.descriptor.is_none() {
            made.descriptor = delivered.descriptor;
            made.config = delivered.config;
            made.names = output.image.names.iter().map(ToString::to_string).collect();
        }
    }
    if made.names.is_empty() {
        made.names.clone_from(&args.tags);
    }
    Ok(made)
}

fn export_failure(error: &ExportError) -> Failure {
    match error {
        ExportError::Full { .. } => Failure::environment(error).help("free some space, or choose another dest="),
        ExportError::ManyPlatforms { .. } | ExportError::DockerZstd | ExportError::Conflict { .. } => {
            Failure::usage(error)
        }
        ExportError::Dest { .. } => Failure::environment(error),
        _ => Failure::new(Exit::Failed, error),
    }
}

fn print_digest(made: &Made) -> Result<(), Failure> {
    let Some(descriptor) = &made.descriptor else { return Ok(()) };
    match writeln!(io::stdout(), "{}", descriptor.digest) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::environment(format!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}

/// What is said at the end.
fn summary(made: &Made, counts: Counts, outputs: &[Output], begun: Instant) -> String {
    let mut lines = vec![format!(
        "built in {}: {} {} run, {} from the cache",
        seconds(begun.elapsed()),
        counts.ran,
        if counts.ran == 1 { "step" } else { "steps" },
        counts.cached
    )];
    if let Some(descriptor) = &made.descriptor {
        lines.push(format!("  image  {}", descriptor.digest));
    }
    lines.extend(made.names.iter().map(|name| format!("  name   {name}")));
    let written = |dest: &Dest| match dest {
        Dest::Stdout => "standard output".to_owned(),
        Dest::Path(path) => Path::new(path).display().to_string(),
    };
    let places: Vec<String> = outputs.iter().filter_map(|o| o.dest.as_ref()).map(written).collect();
    if places.is_empty() {
        lines.push("  the result is in the cache; -o writes it somewhere".to_owned());
    }
    lines.extend(places.iter().map(|place| format!("  wrote  {place}")));
    lines.join("\n")
}

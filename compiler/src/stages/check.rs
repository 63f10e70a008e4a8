//! Rules that need no values: they hold for the whole file, also for stages
//! that the target does not need (BuildKit parses all before it builds any).

use rbc_grammar::suggest;

use crate::codes;
use crate::diagnostic::Problem;
use crate::expand;
use crate::flags::Flags;
use crate::health::Timing;
use crate::hir::{Body, Insn, Place, Program, Word};
use crate::mount;

const NETWORKS: &[&str] = &["default", "none", "host"];
const SECURITY: &[&str] = &["sandbox", "insecure"];

/// Checks a program.
pub(crate) fn check(program: &Program) -> Vec<Problem> {
    let mut problems = Vec::new();
    let stages = program.stages.len();
    for insn in &program.head {
        flags(insn, program.escape, stages, &mut problems);
        if !matches!(insn.body, Body::Arg(_) | Body::Invalid | Body::Unknown) {
            let message = format!("no build stage in current context: {} stands before the first FROM", insn.keyword);
            let help = "only ARG may stand before FROM";
            problems.push(Problem::new(codes::BEFORE_FROM, message).at(insn.whole()).help(help));
        }
    }
    // A file without any instruction is the parser's to report.
    if let Some(last) = program.head.last()
        && program.stages.is_empty()
        && program.head.iter().all(|i| matches!(i.body, Body::Arg(_)))
    {
        let problem = Problem::new(codes::NO_STAGE, "there is no FROM, so there is nothing to build");
        problems.push(problem.at(last.whole()));
    }
    for stage in &program.stages {
        let place = |slot| Place::slot(stage.from, slot);
        problems.extend(Flags::parse("FROM", &stage.flags, program.escape, place).1);
        for insn in &stage.body {
            flags(insn, program.escape, stages, &mut problems);
        }
    }
    problems
}

fn flags(insn: &Insn, escape: char, stages: usize, problems: &mut Vec<Problem>) {
    // An unknown instruction's flags are unknown, too.
    if insn.body == Body::Unknown || insn.ignores_flags() {
        return;
    }
    let (flags, found) = Flags::parse(&insn.keyword, &insn.flags, escape, |slot| insn.place(slot));
    problems.extend(found);
    match insn.body {
        Body::Run(_) => run(insn, &flags, problems),
        Body::Copy { .. } => problems
            .extend(flags.word("from").and_then(|word| wrong_from(&word.text, insn.place(word.slot), escape, stages))),
        Body::Healthcheck(_) => problems.extend(Timing::read(insn, &flags).1),
        _ => {}
    }
}

/// What is wrong with a `--from`, whatever the stages are called.
pub(crate) fn wrong_from(from: &str, place: Place, escape: char, stages: usize) -> Option<Problem> {
    let variables = expand::word(from, escape, &|_: &str| None).map_or(true, |e| !e.missing.is_empty());
    if variables && from.contains('$') {
        let message = format!("variable expansion is not supported for --from: `{from}`");
        let help = "define a stage with `FROM … AS name`, using an ARG of the global scope, and name that";
        return Some(Problem::new(codes::NO_VARIABLE_HERE, message).at(place).help(help));
    }
    let index: i64 = from.parse().ok()?;
    if usize::try_from(index).is_ok_and(|index| index < stages) {
        return None;
    }
    let plural = if stages == 1 { "stage" } else { "stages" };
    let message = format!("invalid stage index {from}: the file has {stages} {plural}, counted from 0");
    Some(Problem::new(codes::STAGE_INDEX, message).at(place))
}

fn run(insn: &Insn, flags: &Flags, problems: &mut Vec<Problem>) {
    for (name, known) in [("network", NETWORKS), ("security", SECURITY)] {
        if let Some(word) = flags.word(name)
            && !known.contains(&word.text.as_str())
        {
            let message = format!("unsupported {name} mode \"{}\"", word.text);
            let help = match suggest(&word.text, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it can be {}", known.join(", ")),
            };
            problems.push(Problem::new(codes::FLAG_VALUE, message).at(insn.place(word.slot)).help(help));
        }
    }
    for word in flags.all("device") {
        let message = format!("`--device={}`: devices are not supported", word.text);
        problems.push(Problem::new(codes::FLAG_VALUE, message).at(insn.place(word.slot)));
    }
    for word in flags.all("mount") {
        // What holds a variable is looked at again when it has its value.
        if let Err(e) = mount::parse(&word.text, &mut |v| Ok(v.to_owned()))
            && (e.variable || !word.text.contains('$'))
        {
            problems.push(mount_problem(insn, word, e));
        }
    }
}

/// The problem of a mount.
pub(crate) fn mount_problem(insn: &Insn, word: &Word, e: mount::MountError) -> Problem {
    let code = if e.variable { codes::NO_VARIABLE_HERE } else { codes::MOUNT };
    let place = match e.range {
        Some((start, end)) => insn.range(word, start, end),
        None => insn.place(word.slot),
    };
    Problem::new(code, format!("--mount: {}", e.message)).at(place).maybe_help(e.help)
}

//! Rules that need no values: they hold for the whole file, also for stages
//! that the target does not need (BuildKit parses all before it builds any).

use rbc_grammar::suggest;

use crate::codes;
use crate::diagnostic::Problem;
use crate::flags::Flags;
use crate::hir::{Body, Insn, Place, Program};
use crate::mount;

const NETWORKS: &[&str] = &["default", "none", "host"];
const SECURITY: &[&str] = &["sandbox", "insecure"];

/// Checks a program.
pub(crate) fn check(program: &Program) -> Vec<Problem> {
    let mut problems = Vec::new();
    for insn in &program.head {
        flags(insn, program.escape, &mut problems);
        if !matches!(insn.body, Body::Arg(_) | Body::Invalid | Body::Unknown) {
            let message = format!("no build stage in current context: {} stands before the first FROM", insn.keyword);
            let help = "only ARG may stand before FROM";
            problems.push(Problem::new(codes::BEFORE_FROM, message).at(insn.whole()).help(help));
        }
    }
    if program.stages.is_empty() && program.head.iter().all(|i| matches!(i.body, Body::Arg(_))) {
        let problem = Problem::new(codes::NO_STAGE, "there is no FROM, so there is nothing to build");
        problems.push(match program.head.last() {
            Some(insn) => problem.at(insn.whole()),
            None => problem,
        });
    }
    for stage in &program.stages {
        let place = |slot| Place::slot(stage.from, slot);
        problems.extend(Flags::parse("FROM", &stage.flags, program.escape, place).1);
        for insn in &stage.body {
            flags(insn, program.escape, &mut problems);
        }
    }
    problems
}

fn flags(insn: &Insn, escape: char, problems: &mut Vec<Problem>) {
    // An unknown instruction's flags are unknown, too.
    if insn.body == Body::Unknown {
        return;
    }
    let (flags, found) = Flags::parse(&insn.keyword, &insn.flags, escape, |slot| insn.place(slot));
    problems.extend(found);
    if !matches!(insn.body, Body::Run(_)) {
        return;
    }
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
pub(crate) fn mount_problem(insn: &Insn, word: &crate::hir::Word, e: mount::MountError) -> Problem {
    let code = if e.variable { codes::NO_VARIABLE_HERE } else { codes::MOUNT };
    let place = match e.range {
        Some((start, end)) => insn.range(word, start, end),
        None => insn.place(word.slot),
    };
    Problem::new(code, format!("--mount: {}", e.message)).at(place).maybe_help(e.help)
}

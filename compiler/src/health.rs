//! The flags of HEALTHCHECK (BuildKit: `parseHealthcheck` in
//! `instructions/parse.go`). They hold no variables, so they can be checked
//! wherever the instruction stands.

use crate::codes;
use crate::diagnostic::Problem;
use crate::flags::Flags;
use crate::go;
use crate::hir::Insn;

/// Flag and field of each duration.
const DURATIONS: &[(&str, &str)] = &[
    ("interval", "Interval"),
    ("timeout", "Timeout"),
    ("start-period", "StartPeriod"),
    ("start-interval", "StartInterval"),
];

/// When and how often to check; 0 leaves the default.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Timing {
    /// Fields of the configuration, in nanoseconds.
    pub(crate) durations: Vec<(&'static str, u64)>,
    pub(crate) retries: u32,
}

impl Timing {
    /// Reads the flags; what is wrong counts as 0.
    pub(crate) fn read(insn: &Insn, flags: &Flags) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut timing = Self::default();
        for (name, field) in DURATIONS {
            let mut nanos = 0;
            if let Some(word) = flags.word(name).filter(|w| !w.text.is_empty()) {
                let wrong = match go::parse_duration(&word.text) {
                    Some(given) if given == 0 || given >= 1_000_000 => {
                        nanos = given;
                        None
                    }
                    Some(_) => Some(format!("--{name} \"{}\" cannot be less than 1ms", word.text)),
                    None => Some(format!("--{name}: invalid duration \"{}\"", word.text)),
                };
                let help = "write a number with a unit, such as 500ms, 30s, 1m30s";
                let tell = |wrong| Problem::new(codes::HEALTHCHECK, wrong).at(insn.place(word.slot)).help(help);
                problems.extend(wrong.map(tell));
            }
            timing.durations.push((field, nanos));
        }
        if let Some(word) = flags.word("retries").filter(|w| !w.text.is_empty()) {
            match word.text.parse::<i32>().map(u32::try_from) {
                Ok(Ok(n)) => timing.retries = n,
                Ok(Err(_)) => {
                    let message = format!("--retries cannot be negative ({})", word.text);
                    problems.push(Problem::new(codes::HEALTHCHECK, message).at(insn.place(word.slot)));
                }
                Err(_) => {
                    let message = format!("--retries: \"{}\" is no number of attempts", word.text);
                    problems.push(Problem::new(codes::HEALTHCHECK, message).at(insn.place(word.slot)));
                }
            }
        }
        (timing, problems)
    }
}

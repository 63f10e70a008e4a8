//! Instructions that set one field: LABEL, VOLUME, STOPSIGNAL, ONBUILD,
//! MAINTAINER.

use serde_json::json;

use super::stage::StageRun;
use crate::codes;
use crate::diagnostic::Problem;
use crate::hir::{Insn, Pair, Word};

/// Signals of Linux by name, without `SIG` (moby's `sys/signal`).
const SIGNALS: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

impl StageRun<'_, '_> {
    pub(super) fn label(&mut self, insn: &Insn, pairs: &[Pair]) {
        let mut text = String::from("LABEL");
        for (key, value) in self.pairs(insn, pairs) {
            text.push_str(&format!(" {key}={value}"));
            self.state.config.labels.insert(key, value);
        }
        self.commit_empty(text);
    }

    pub(super) fn volume(&mut self, insn: &Insn, paths: &[Word]) {
        let mut volumes = Vec::with_capacity(paths.len());
        for path in paths {
            let Some(volume) = self.expand(insn, path) else { continue };
            if volume.is_empty() {
                let message = format!("VOLUME `{}` is empty", path.text);
                self.run.tell(Problem::new(codes::EMPTY_ARGUMENT, message).at(insn.place(path.slot)));
                continue;
            }
            self.state.config.volumes.insert(volume.clone(), json!({}));
            volumes.push(volume);
        }
        self.commit_empty(format!("VOLUME [{}]", volumes.join(" ")));
    }

    pub(super) fn stop_signal(&mut self, insn: &Insn, word: &Word) {
        let Some(signal) = self.expand(insn, word) else { return };
        if !is_signal(&signal) {
            let problem = Problem::new(codes::SIGNAL, format!("invalid signal: `{signal}`"))
                .at(insn.place(word.slot))
                .help("write a name such as SIGTERM, or a number");
            return self.run.tell(problem);
        }
        self.commit_empty(format!("STOPSIGNAL {signal}"));
        self.state.config.stop_signal = signal;
    }

    pub(super) fn onbuild(&mut self, text: &str) {
        // Not in the history (BuildKit: `dispatchOnbuild`).
        self.state.config.on_build.push(text.to_owned());
    }

    pub(super) fn maintainer(&mut self, author: &Word) {
        self.state.author.clone_from(&author.text);
        self.commit_empty(format!("MAINTAINER {}", author.text));
    }
}

fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i32>() {
        return number != 0;
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if SIGNALS.contains(&name) {
        return true;
    }
    let offset = name.strip_prefix("RTMIN+").or(name.strip_prefix("RTMAX-"));
    offset.and_then(|n| n.parse::<u8>().ok()).is_some_and(|n| (1..=15).contains(&n))
}

#[cfg(test)]
mod tests {
    use super::is_signal;

    #[test]
    fn signals() {
        for ok in ["SIGTERM", "term", "9", "-1", "SIGRTMIN+3", "SIGRTMAX-14"] {
            assert!(is_signal(ok), "{ok}");
        }
        for bad in ["", "0", "SIGNOPE", "RTMIN+99", "SIGRTMIN+"] {
            assert!(!is_signal(bad), "{bad}");
        }
    }
}

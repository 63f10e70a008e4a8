//! HEALTHCHECK.

use serde_json::{Map, Value, json};

use super::stage::StageRun;
use crate::codes;
use crate::diagnostic::Problem;
use crate::flags::Flags;
use crate::go;
use crate::hir::{Command, Insn};

/// Flag and field of each duration; 0 leaves the default.
const DURATIONS: &[(&str, &str)] = &[
    ("interval", "Interval"),
    ("timeout", "Timeout"),
    ("start-period", "StartPeriod"),
    ("start-interval", "StartInterval"),
];

impl StageRun<'_, '_> {
    pub(super) fn healthcheck(&mut self, insn: &Insn, flags: &Flags, command: Option<&Command>) {
        let test: Vec<String> = match command {
            None => vec!["NONE".to_owned()],
            Some(Command::Json(words)) => [vec!["CMD".to_owned()], words.clone()].concat(),
            Some(Command::Shell(text)) => vec!["CMD-SHELL".to_owned(), text.text.clone()],
        };
        let mut fields = Map::new();
        let mut shown = vec![go::quote_list(&test)];
        fields.insert("Test".to_owned(), json!(test));
        for (flag, field) in DURATIONS {
            let nanos = self.duration(insn, flags, flag);
            shown.push(go::quote(&go::format_duration(nanos)));
            if nanos > 0 {
                fields.insert((*field).to_owned(), json!(nanos));
            }
        }
        let retries = self.retries(insn, flags);
        if retries > 0 {
            fields.insert("Retries".to_owned(), json!(retries));
        }
        // Go's `%q` of a number is a quoted character.
        let rune = char::from_u32(retries).filter(|c| !c.is_control());
        shown.push(rune.map_or_else(|| format!("'\\x{retries:02x}'"), |c| format!("'{c}'")));
        self.commit_empty(format!("HEALTHCHECK &{{{}}}", shown.join(" ")));
        self.state.config.healthcheck = Some(Value::Object(fields));
    }

    fn duration(&mut self, insn: &Insn, flags: &Flags, name: &str) -> u64 {
        let Some(word) = flags.word(name).filter(|w| !w.text.is_empty()) else { return 0 };
        let wrong = match go::parse_duration(&word.text) {
            Some(nanos) if nanos == 0 || nanos >= 1_000_000 => return nanos,
            Some(_) => format!("--{name} \"{}\" cannot be less than 1ms", word.text),
            None => format!("--{name}: invalid duration \"{}\"", word.text),
        };
        let help = "write a number with a unit, such as 500ms, 30s, 1m30s";
        self.run.tell(Problem::new(codes::HEALTHCHECK, wrong).at(insn.place(word.slot)).help(help));
        0
    }

    fn retries(&mut self, insn: &Insn, flags: &Flags) -> u32 {
        let Some(word) = flags.word("retries").filter(|w| !w.text.is_empty()) else { return 0 };
        if let Ok(n) = word.text.parse::<u32>() {
            return n;
        }
        let message = format!("--retries: \"{}\" is no number of attempts", word.text);
        self.run.tell(Problem::new(codes::HEALTHCHECK, message).at(insn.place(word.slot)));
        0
    }
}

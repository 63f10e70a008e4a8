//! HEALTHCHECK.

use serde_json::{Map, Value, json};

use super::stage::StageRun;
use crate::flags::Flags;
use crate::go;
use crate::health::Timing;
use crate::hir::{Command, Insn};

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
        let (timing, problems) = Timing::read(insn, flags);
        problems.into_iter().for_each(|p| self.run.tell(p));
        for (field, nanos) in timing.durations {
            shown.push(go::quote(&go::format_duration(nanos)));
            if nanos > 0 {
                fields.insert(field.to_owned(), json!(nanos));
            }
        }
        let retries = timing.retries;
        if retries > 0 {
            fields.insert("Retries".to_owned(), json!(retries));
        }
        // Go's `%q` of a number is a quoted character.
        let rune = char::from_u32(retries).filter(|c| !c.is_control());
        shown.push(rune.map_or_else(|| format!("'\\x{retries:02x}'"), |c| format!("'{c}'")));
        self.commit_empty(format!("HEALTHCHECK &{{{}}}", shown.join(" ")));
        self.state.config.healthcheck = Some(Value::Object(fields));
    }
}

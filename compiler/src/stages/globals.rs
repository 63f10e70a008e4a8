//! Build arguments, and ARGs before the first FROM.

use indexmap::IndexMap;

use super::{Outline, expansion_problem};
use crate::expand;
use crate::hir::{Body, Program};
use crate::options::BuildOptions;

/// The build arguments, with what the environment adds to them.
pub(crate) fn effective_build_args(options: &BuildOptions) -> IndexMap<String, String> {
    let mut args = options.build_args.clone();
    if let Some(epoch) = &options.source_date_epoch
        && !args.contains_key("SOURCE_DATE_EPOCH")
    {
        args.insert("SOURCE_DATE_EPOCH".to_owned(), epoch.clone());
    }
    args
}

impl Outline {
    /// Sets the automatic ARGs, then the global ones in order.
    pub(super) fn read_globals(&mut self, program: &Program, options: &BuildOptions) {
        let args = effective_build_args(options);
        let mut globals = IndexMap::new();
        for (prefix, platform) in [("BUILD", &options.build_platform), ("TARGET", &self.platform)] {
            globals.insert(format!("{prefix}PLATFORM"), platform.to_string());
            globals.insert(format!("{prefix}OS"), platform.os.clone());
            globals.insert(format!("{prefix}OSVERSION"), String::new());
            globals.insert(format!("{prefix}ARCH"), platform.architecture.clone());
            globals.insert(format!("{prefix}VARIANT"), platform.variant.clone());
        }
        let stage = options.target.clone().unwrap_or_else(|| "default".to_owned());
        globals.insert("TARGETSTAGE".to_owned(), stage);
        for (name, value) in &mut globals {
            if let Some(given) = args.get(name) {
                value.clone_from(given);
            }
        }
        self.declared.extend(globals.keys().cloned());
        self.globals = globals;
        for insn in &program.head {
            let Body::Arg(pairs) = &insn.body else { continue };
            for pair in pairs {
                let name = match expand::word(&pair.key.text, program.escape, &self.globals) {
                    Ok(name) => name.text,
                    Err(_) => pair.key.text.clone(),
                };
                self.declared.push(name.clone());
                if let Some(given) = args.get(&name) {
                    self.globals.insert(name, given.clone());
                } else if let Some(default) = &pair.value {
                    match expand::word(&default.text, program.escape, &self.globals) {
                        Ok(value) => {
                            self.globals.insert(name, value.text);
                        }
                        Err(e) => {
                            let place = insn.range(default, e.start, e.end);
                            self.problems.push(expansion_problem(&default.text, &e).at(place));
                        }
                    }
                }
            }
        }
    }
}

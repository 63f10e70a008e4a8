//! From the syntax tree to the program and its spans.

use rbc_grammar::Span;
use rbc_grammar::dockerfile as tree;
use rbc_grammar::dockerfile::{Item, Kind, Text};

use super::spans::SlotSpan;
use super::{Body, Command, Doc, Flag, Insn, InsnId, Pair, Program, Slot, Source, SpanTable, Stage, Word};

/// Takes a file apart.
pub(crate) fn build(file: &tree::Dockerfile) -> (Program, SpanTable) {
    let mut program = Program { escape: file.escape, head: Vec::new(), stages: Vec::new() };
    let mut table = SpanTable::default();
    let insns = file.items.iter().filter_map(|item| match item {
        Item::Instruction(insn) => Some(insn),
        _ => None,
    });
    for (id, insn) in insns.enumerate() {
        let mut b = Builder { slots: vec![SlotSpan::Span(insn.span)] };
        let id = InsnId::try_from(id).unwrap_or(InsnId::MAX);
        if let Kind::From { image, alias, .. } = &insn.kind {
            program.stages.push(Stage {
                from: id,
                flags: b.flags(&insn.flags),
                image: b.text(image),
                alias: alias.as_ref().map(|a| b.name(&a.text, a.span)),
                body: Vec::new(),
            });
        } else {
            let insn = b.insn(id, insn);
            match program.stages.last_mut() {
                Some(stage) => stage.body.push(insn),
                None => program.head.push(insn),
            }
        }
        table.insns.push(b.slots);
    }
    (program, table)
}

/// Takes a trigger apart; its places are those of `from`.
pub(crate) fn trigger(from: InsnId, insn: &tree::Instruction) -> Insn {
    let mut b = Builder { slots: vec![SlotSpan::Span(insn.span)] };
    Insn { trigger: true, ..b.insn(from, insn) }
}

struct Builder {
    slots: Vec<SlotSpan>,
}

impl Builder {
    fn slot(&mut self, span: SlotSpan) -> Slot {
        self.slots.push(span);
        Slot::try_from(self.slots.len() - 1).unwrap_or(0)
    }

    fn text(&mut self, text: &Text) -> Word {
        let slot = self.slot(SlotSpan::Text(text.clone()));
        Word { text: text.text.clone(), slot }
    }

    fn texts(&mut self, texts: &[Text]) -> Vec<Word> {
        texts.iter().map(|t| self.text(t)).collect()
    }

    fn name(&mut self, text: &str, span: Span) -> Word {
        Word { text: text.to_owned(), slot: self.slot(SlotSpan::Linear(span)) }
    }

    fn flags(&mut self, flags: &[tree::Flag]) -> Vec<Flag> {
        flags
            .iter()
            .map(|f| Flag {
                name: f.name.clone(),
                slot: self.slot(SlotSpan::Span(f.span)),
                value: f.value.as_ref().map(|v| self.text(v)),
            })
            .collect()
    }

    fn pairs(&mut self, pairs: &[tree::Pair]) -> Vec<Pair> {
        pairs.iter().map(|p| Pair { key: self.text(&p.key), value: p.value.as_ref().map(|v| self.text(v)) }).collect()
    }

    fn command(&mut self, command: &tree::Command) -> Command {
        match command {
            tree::Command::Json(words) => Command::Json(words.iter().map(|w| w.text.clone()).collect()),
            tree::Command::Shell(text) => Command::Shell(self.text(text)),
        }
    }

    fn sources(&mut self, sources: &[tree::Source]) -> Vec<Source> {
        sources
            .iter()
            .map(|s| match s {
                tree::Source::Path(text) => Source::Path(self.text(text)),
                tree::Source::Heredoc(i) => Source::Heredoc(*i),
            })
            .collect()
    }

    fn insn(&mut self, id: InsnId, insn: &tree::Instruction) -> Insn {
        let keyword = insn.keyword.text.to_uppercase();
        let body = match &insn.kind {
            Kind::Run(c) => Body::Run(self.command(c)),
            Kind::Cmd(c) => Body::Cmd(self.command(c)),
            Kind::Entrypoint(c) => Body::Entrypoint(self.command(c)),
            Kind::Shell(words) => Body::Shell(words.iter().map(|w| w.text.clone()).collect()),
            Kind::Env { pairs, .. } => Body::Env(self.pairs(pairs)),
            Kind::Label { pairs, .. } => Body::Label(self.pairs(pairs)),
            Kind::Arg(pairs) => Body::Arg(self.pairs(pairs)),
            Kind::Copy { sources, dest, .. } => Body::Copy { sources: self.sources(sources), dest: self.text(dest) },
            Kind::Add { sources, dest, .. } => Body::Add { sources: self.sources(sources), dest: self.text(dest) },
            Kind::Workdir(t) => Body::Workdir(self.text(t)),
            Kind::User(t) => Body::User(self.text(t)),
            Kind::Volume { paths, .. } => Body::Volume(self.texts(paths)),
            Kind::Expose(ports) => Body::Expose(self.texts(ports)),
            Kind::StopSignal(t) => Body::StopSignal(self.text(t)),
            Kind::Healthcheck(c) => Body::Healthcheck(c.as_ref().map(|c| self.command(c))),
            Kind::Onbuild(inner) => Body::Onbuild(original(insn, inner)),
            Kind::Maintainer(t) => Body::Maintainer(self.text(t)),
            // A FROM among a stage's instructions can only come from a trigger.
            Kind::From { .. } | Kind::Invalid => Body::Invalid,
            Kind::Unknown => Body::Unknown,
        };
        let heredocs = insn
            .heredocs
            .iter()
            .map(|h| {
                // Stripped tabs shift the body's bytes: then only the opener is a sure place.
                let span = if h.strip_tabs { SlotSpan::Span(h.opener) } else { SlotSpan::Linear(h.body_span) };
                Doc {
                    name: h.name.clone(),
                    expand: h.expand,
                    body: Word { text: h.body.clone(), slot: self.slot(span) },
                }
            })
            .collect();
        let display = [keyword.clone(), flags_text(&insn.flags), insn.rest.text.clone()];
        Insn {
            id,
            display: display.iter().filter(|p| !p.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" "),
            flags: self.flags(&insn.flags),
            body,
            heredocs,
            trigger: false,
            keyword,
        }
    }
}

fn flags_text(flags: &[tree::Flag]) -> String {
    let texts: Vec<_> = flags
        .iter()
        .map(|f| match &f.value {
            Some(value) => format!("--{}={}", f.name, value.text),
            None => format!("--{}", f.name),
        })
        .collect();
    texts.join(" ")
}

/// What an ONBUILD records: the trigger as written, then its heredocs, so that
/// it can be parsed again (BuildKit: `parseOnBuild`).
fn original(outer: &tree::Instruction, inner: &tree::Instruction) -> String {
    let mut text = outer.rest.text.clone();
    if text.is_empty() {
        let parts = [inner.keyword.text.clone(), flags_text(&inner.flags), inner.rest.text.clone()];
        text = parts.iter().filter(|p| !p.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ");
    }
    let docs = if outer.heredocs.is_empty() { &inner.heredocs } else { &outer.heredocs };
    for doc in docs {
        text.push('\n');
        text.push_str(&doc.body);
        text.push_str(&doc.name);
    }
    text
}

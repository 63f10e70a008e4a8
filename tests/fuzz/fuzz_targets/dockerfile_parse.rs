//! Any text has a tree, whose places are places in the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rbc_grammar::dockerfile::{Item, Kind, parse, parse_instruction};

fuzz_target!(|source: &str| {
    let parsed = parse(source);
    for error in &parsed.errors {
        assert!(source.get(error.span.range()).is_some(), "{error:?}");
    }
    let mut end = 0;
    for item in &parsed.tree.items {
        let span = match item {
            Item::Instruction(instruction) => instruction.span,
            Item::Comment(span) | Item::Blank(span) | Item::Error(span) => *span,
        };
        assert!(end <= span.start && source.get(span.range()).is_some(), "{item:?}");
        end = span.end;
        let Item::Instruction(instruction) = item else { continue };
        let innermost = match &instruction.kind {
            Kind::Onbuild(inner) => inner,
            _ => instruction,
        };
        for flag in innermost.flags.iter().filter_map(|flag| flag.unquoted()) {
            assert!(source.get(flag.span.range()).is_some(), "{flag:?}");
        }
        let rest = &innermost.rest;
        for (i, byte) in rest.text.bytes().enumerate() {
            let place = rest.source_span(i, i + 1).range();
            assert_eq!(source.as_bytes().get(place), Some([byte].as_slice()));
        }
    }
    let _ = parse_instruction(source, '`');
});

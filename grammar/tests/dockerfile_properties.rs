//! What holds for every text, Dockerfile or not.

mod support;

use proptest::prelude::*;
use rbc_grammar::Span;
use rbc_grammar::dockerfile::{Command, Flag, Instruction, Item, Kind, Parsed, Source, Text, parse, parse_instruction};

/// Pieces of Dockerfiles, in any order: nearly right, in all ways.
fn fragments() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "FROM ", "RUN ", "CMD ", "COPY ", "ADD ", "ENV ", "LABEL ", "ARG ", "VOLUME ", "SHELL ",
            "EXPOSE ", "HEALTHCHECK ", "ONBUILD ", "WORKDIR ", "from ", "FORM ", "AS ", "NONE ", "CMD",
        ]),
        4 => prop::sample::select(vec!["\n", "\n", "\\\n", "\\ \n", "`\n", "\\\\\n", "\n\n", "\n# c\n"]),
        3 => prop::sample::select(vec![
            "[", "]", "\"", "\"a\"", ",", "\\n", "\\u00e9", "\\ud83d\\ude00", "{", "1", "[\"x\", \"y\"]",
            "'", "null", ":", "}",
        ]),
        3 => prop::sample::select(vec![
            "<<A", "<<-A ", "3<<'A'", "<<\"A\" ", "A\n", "\tA\n", "\n A\n", "${x:-", "${x}", "$", "<<<A",
        ]),
        4 => prop::sample::select(vec![
            "a", "b=c", "=", " ", "\t", "--x ", "--y=z ", "-- ", "é", "\u{3000}", "名", "\\", "`", "# ",
            "# escape=`\n", "\u{feff}", "\u{a0}", "\u{b}",
        ]),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn instructions(parsed: &Parsed) -> Vec<&Instruction> {
    let mut all = Vec::new();
    for item in &parsed.tree.items {
        let Item::Instruction(outer) = item else {
            continue;
        };
        let mut instruction = &**outer;
        all.push(instruction);
        while let Kind::Onbuild(inner) = &instruction.kind {
            instruction = inner;
            all.push(instruction);
        }
    }
    all
}

/// All texts but those decoded from JSON.
fn plain_texts(instruction: &Instruction) -> Vec<&Text> {
    let mut texts = vec![&instruction.rest];
    texts.extend(instruction.flags.iter().filter_map(|flag| flag.value.as_ref()));
    match &instruction.kind {
        Kind::From { image, .. } => texts.push(image),
        Kind::Run(Command::Shell(text))
        | Kind::Cmd(Command::Shell(text))
        | Kind::Entrypoint(Command::Shell(text))
        | Kind::Healthcheck(Some(Command::Shell(text)))
        | Kind::Workdir(text)
        | Kind::User(text)
        | Kind::StopSignal(text)
        | Kind::Maintainer(text) => texts.push(text),
        Kind::Env { pairs, .. } | Kind::Label { pairs, .. } | Kind::Arg(pairs) => {
            for pair in pairs {
                texts.push(&pair.key);
                texts.extend(&pair.value);
            }
        }
        Kind::Copy { sources, dest, json: false } | Kind::Add { sources, dest, json: false } => {
            texts.push(dest);
            texts.extend(sources.iter().filter_map(|source| match source {
                Source::Path(path) => Some(path),
                Source::Heredoc(_) => None,
            }));
        }
        Kind::Volume { paths, json: false } | Kind::Expose(paths) => texts.extend(paths),
        _ => {}
    }
    texts
}

fn json_texts(instruction: &Instruction) -> Vec<&Text> {
    match &instruction.kind {
        Kind::Run(Command::Json(words))
        | Kind::Cmd(Command::Json(words))
        | Kind::Entrypoint(Command::Json(words))
        | Kind::Healthcheck(Some(Command::Json(words)))
        | Kind::Shell(words)
        | Kind::Volume { paths: words, json: true } => words.iter().collect(),
        Kind::Copy { sources, dest, json: true } | Kind::Add { sources, dest, json: true } => sources
            .iter()
            .filter_map(|source| match source {
                Source::Path(path) => Some(path),
                Source::Heredoc(_) => None,
            })
            .chain([dest])
            .collect(),
        _ => Vec::new(),
    }
}

#[track_caller]
fn in_bounds(source: &str, span: Span) {
    assert!(source.get(span.range()).is_some(), "{span:?} is no span of {source:?}");
}

/// The map of every text leads back to its bytes.
fn check_texts(source: &str, parsed: &Parsed) {
    for instruction in instructions(parsed) {
        for text in plain_texts(instruction) {
            in_bounds(source, text.span);
            assert_eq!(text.map.first().map(|&(logical, _)| logical), Some(0));
            assert!(text.map.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1), "{text:?}");
            for (i, byte) in text.text.bytes().enumerate() {
                let span = text.source_span(i, i + 1);
                assert_eq!(
                    source.as_bytes().get(span.range()),
                    Some([byte].as_slice()),
                    "byte {i} of {text:?} in {source:?}"
                );
            }
            if !text.is_empty() {
                assert_eq!(text.source_span(0, text.text.len()), text.span);
            }
        }
        for text in json_texts(instruction) {
            in_bounds(source, text.span);
            assert!(text.map.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1), "{text:?}");
            for (i, c) in text.text.char_indices() {
                let span = text.source_span(i, i + c.len_utf8());
                assert!(text.span.start <= span.start && span.end <= text.span.end, "{text:?}");
            }
        }
        for value in instruction.flags.iter().filter_map(Flag::unquoted) {
            for (i, byte) in value.text.bytes().enumerate() {
                let span = value.source_span(i, i + 1);
                assert_eq!(source.as_bytes().get(span.range()), Some([byte].as_slice()));
            }
        }
    }
}

/// Items follow each other, and nothing but white space, escape characters and
/// inner comments is left between them.
fn check_cover(source: &str, parsed: &Parsed) {
    let mut covered: Vec<Span> = parsed.tree.directives.iter().map(|d| d.span).collect();
    for item in &parsed.tree.items {
        let span = match item {
            Item::Instruction(instruction) => instruction.span,
            Item::Comment(span) | Item::Blank(span) | Item::Error(span) => *span,
        };
        covered.push(span);
    }
    assert!(covered.is_sorted_by(|a, b| a.end <= b.start), "items overlap: {covered:?} in {source:?}");
    for instruction in instructions(parsed) {
        covered.extend(&instruction.inner_comments);
        covered.extend(&instruction.inner_blanks);
    }
    let mut left: Vec<char> = Vec::new();
    for (at, c) in source.char_indices() {
        if !covered.iter().any(|span| span.range().contains(&at)) {
            left.push(c);
        }
    }
    let mark = |c: &char| c.is_whitespace() || *c == parsed.tree.escape || *c == '\u{feff}';
    assert!(left.iter().all(mark), "not in the tree: {left:?} of {source:?}");
}

fn check_spans(source: &str, parsed: &Parsed) {
    for error in &parsed.errors {
        in_bounds(source, error.span);
        assert!(error.code.len() == 5 && error.code.starts_with('D'), "{}", error.code);
        assert!(!error.message.is_empty());
    }
    for instruction in instructions(parsed) {
        in_bounds(source, instruction.span);
        let keyword = &source[instruction.keyword.span.range()];
        if !keyword.contains('\n') {
            assert_eq!(keyword, instruction.keyword.text);
        }
        for flag in &instruction.flags {
            in_bounds(source, flag.span);
        }
        for heredoc in &instruction.heredocs {
            in_bounds(source, heredoc.opener);
            in_bounds(source, heredoc.terminator);
            let body = &source[heredoc.body_span.range()];
            assert!(heredoc.strip_tabs || heredoc.body == body);
        }
        if let Kind::Copy { sources, .. } | Kind::Add { sources, .. } = &instruction.kind {
            for source in sources {
                let Source::Heredoc(number) = source else {
                    continue;
                };
                assert!(*number < instruction.heredocs.len());
            }
        }
    }
}

fn check_all(source: &str) {
    let parsed = parse(source);
    check_spans(source, &parsed);
    check_cover(source, &parsed);
    check_texts(source, &parsed);
    let _ = parse_instruction(source, '\\');
    let _ = parse_instruction(source, '`');
}

/// The tree without its places.
fn meaning(source: &str) -> String {
    let dump = support::dump(source);
    let mut out = String::new();
    // A span prints as `1..2`.
    let mut rest = dump.as_str();
    while let Some(at) = rest.find("..") {
        let (before, after) = rest.split_at(at);
        out.push_str(before.trim_end_matches(|c: char| c.is_ascii_digit()));
        rest = after[2..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out.push_str(rest);
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_has_a_tree(source in any::<String>()) {
        check_all(&source);
    }

    #[test]
    fn any_lines_have_a_tree(source in "([A-Z]{3,6} ?[ -~]{0,30}(\\\\)?\n){0,6}") {
        check_all(&source);
    }

    #[test]
    fn nearly_right_files_have_a_tree(source in fragments()) {
        check_all(&source);
    }

    #[test]
    fn line_ends_do_not_matter(source in fragments()) {
        let crlf = source.replace('\n', "\r\n");
        let bare = |dump: String| dump.replace("\\r\\n", "\\n").replace("\r\n", "\n");
        prop_assert_eq!(bare(meaning(&crlf)), meaning(&source));
    }

    /// A continuation may stand between any two characters of the arguments.
    #[test]
    fn continuations_do_not_matter(
        line in "(RUN|ENV a=|COPY --x=y|VOLUME|ONBUILD ADD|LABEL|CMD \\[\"a\",) [a-z=\"'\\[\\], é]{1,20}\\]?",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        between in prop::sample::select(vec!["\\\n", "\\ \t\n", "\\\n# c\n", "\\\n\n  \n"]),
    ) {
        let line = line.trim_end();
        let ends: Vec<usize> = line.char_indices().map(|(at, _)| at).filter(|&at| at > 8).collect();
        let mut at: Vec<usize> = match ends.as_slice() {
            [] => Vec::new(),
            ends => cuts.iter().map(|cut| *cut.get(ends)).collect(),
        };
        at.sort_unstable();
        at.dedup();
        let mut cut = String::new();
        let mut from = 0;
        for at in at {
            // A piece of white space alone would be a blank line.
            if line[from..at].trim().is_empty() || line[at..].trim().is_empty() {
                continue;
            }
            cut.push_str(&line[from..at]);
            cut.push_str(between);
            from = at;
        }
        cut.push_str(&line[from..]);
        let trees = |source: &str| -> String {
            // Mistakes quote the source, which differs.
            meaning(source)
                .lines()
                .filter(|line| !line.contains("inner ") && !line.starts_with('D') && !line.contains("help:"))
                .collect()
        };
        prop_assert_eq!(trees(&cut), trees(line), "{:?}", cut);
        check_all(&cut);
    }
}

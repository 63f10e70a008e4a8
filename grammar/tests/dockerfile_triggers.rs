//! Single instructions, as ONBUILD triggers hold them.

use rbc_grammar::dockerfile::{Kind, Source, parse_instruction};

fn codes(text: &str) -> Vec<&'static str> {
    let (_, errors) = parse_instruction(text, '\\');
    errors.iter().map(|error| error.code).collect()
}

#[test]
fn reads_an_instruction() {
    let (instruction, errors) = parse_instruction("COPY --chown=1:2 a b /c/", '\\');
    let instruction = instruction.expect("an instruction");
    assert_eq!(errors, []);
    assert_eq!(instruction.flags[0].name, "chown");
    assert_eq!(instruction.rest.text, "a b /c/");
    assert!(matches!(instruction.kind, Kind::Copy { sources, .. } if sources.len() == 2));
}

#[test]
fn reads_heredocs_behind_the_line() {
    let text = "COPY <<EOF /x\n# $y\nEOF\n";
    let (instruction, errors) = parse_instruction(text, '\\');
    let instruction = instruction.expect("an instruction");
    assert_eq!(errors, []);
    assert_eq!(instruction.heredocs[0].body, "# $y\n");
    assert!(matches!(
        instruction.kind,
        Kind::Copy { sources, .. } if sources == [Source::Heredoc(0)]
    ));
}

#[test]
fn reads_with_the_given_escape_and_no_directives() {
    let (instruction, errors) = parse_instruction("# escape=\\\nRUN a`\nb", '`');
    assert_eq!(errors, []);
    assert_eq!(instruction.expect("an instruction").rest.text, "ab");
}

#[test]
fn is_one_instruction() {
    assert_eq!(codes("RUN a\nRUN b"), ["D0025"]);
    assert_eq!(codes(""), ["D0025"]);
    assert_eq!(codes("# nothing"), ["D0025"]);
    assert_eq!(codes("RUM a"), ["D0006"]);
    assert!(parse_instruction("", '\\').0.is_none());
}

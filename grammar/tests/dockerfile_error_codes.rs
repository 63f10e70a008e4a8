//! Every error code is documented, and shown by a test.

use std::collections::BTreeSet;

const CODES: &str = include_str!("../src/dockerfile/codes.rs");
const DOCS: &str = include_str!("../../docs/reference/dockerfile-syntax-errors.md");
const TESTS: &[&str] = &[
    include_str!("dockerfile_errors.rs"),
    include_str!("dockerfile_triggers.rs"),
    include_str!("../src/dockerfile/parse.rs"),
];

/// All `D` and four digits in a text, behind a quote, a backtick or a blank.
fn codes(text: &str) -> BTreeSet<&str> {
    text.match_indices('D')
        .filter_map(|(at, _)| text.get(at..at + 5))
        .filter(|code| code[1..].bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}

#[test]
fn every_code_is_documented_and_tested() {
    let known = codes(CODES);
    assert!(known.contains("D0001") && known.len() > 20, "{known:?}");
    assert_eq!(codes(DOCS), known);
    let tested: BTreeSet<&str> = TESTS.iter().flat_map(|text| codes(text)).collect();
    assert_eq!(tested, known);
}

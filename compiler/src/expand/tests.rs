//! Tests of expansion.

use indexmap::IndexMap;
use proptest::prelude::*;

use super::*;

fn env() -> IndexMap<String, String> {
    [("x", "val"), ("empty", ""), ("p", "/usr/local/lib/x.tar.gz"), ("v", "one.two.three"), ("two", "a b")]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

#[track_caller]
fn check(text: &str, want: &str) {
    let env = env();
    let got = word(text, '\\', &env).map(|e| e.text).map_err(|e| e.to_string());
    assert_eq!(got.as_deref(), Ok(want), "{text}");
}

#[track_caller]
fn fails(text: &str, place: &str, want: &str) {
    let e = word(text, '\\', &env()).unwrap_err();
    assert_eq!((&text[e.start..e.end], e.to_string().as_str()), (place, want), "{text}");
}

#[test]
fn quotes_and_escapes() {
    for (text, want) in [
        ("'$x'", "$x"),
        ("\"$x\"", "val"),
        ("\\$x", "$x"),
        ("\"\\$x\"", "$x"),
        ("'a'\"$x\"'b'", "avalb"),
        ("pre${x}post", "prevalpost"),
        ("\"it's\"", "it's"),
        ("'say \"x\"'", "say \"x\""),
        ("\"n\\nn\"", "n\\nn"),
        ("\"j\\\\k\"", "j\\k"),
        ("esc\\ aped", "esc aped"),
        ("end\\", "end"),
        ("$", "$"),
        ("a$ b", "a$ b"),
        ("$1$@$#$?$$$0$*.", "."),
        ("größe${x}ü", "größevalü"),
    ] {
        check(text, want);
    }
}

#[test]
fn modifiers() {
    for (text, want) in [
        ("${x:-d}${empty:-d}${no:-d}", "valdd"),
        ("${x-d}[${empty-d}]${no-d}", "val[]d"),
        ("${x:+a}[${empty:+a}][${no:+a}]", "a[][]"),
        ("${x+a}${empty+a}[${no+a}]", "aa[]"),
        ("${x:?m}${empty?m}", "val"),
        ("${no:-${no:-$x}}", "val"),
        ("${p#*/}", "usr/local/lib/x.tar.gz"),
        ("${p##*/}", "x.tar.gz"),
        ("${p#/usr}", "/local/lib/x.tar.gz"),
        ("${p#no}", "/usr/local/lib/x.tar.gz"),
        ("${p##*.}", "gz"),
        ("${p%.*}", "/usr/local/lib/x.tar"),
        ("${p%%.*}", "/usr/local/lib/x"),
        ("${p%/*}", "/usr/local/lib"),
        ("${p%%/*}", ""),
        ("${v/./-}", "one-two.three"),
        ("${v//./-}", "one-two-three"),
        ("${v/two/}", "one..three"),
        ("${v//t*e/X}", "one.X"),
        ("${v/x/y}", "one.two.three"),
        ("${p//\\//:}", ":usr:local:lib:x.tar.gz"),
        ("${v//two/[\\$0]}", "one.[\\two].three"),
        ("${x//*/-}", "-"),
    ] {
        check(text, want);
    }
}

#[test]
fn mistakes_say_where() {
    fails("a ${x^y} b", "${x^y}", "unsupported modifier (^) in substitution");
    fails("${x:=y}", "${x:=y}", "unsupported modifier (:=) in substitution");
    fails("${x:#y}", "${x:#y}", "unsupported modifier (:#) in substitution");
    fails("${#x}", "${#x}", "unsupported modifier (x) in substitution");
    fails("${x:0:3}", "${x:0:3}", "unsupported modifier (:0) in substitution");
    fails("a${open", "${open", "syntax error: missing '}'");
    fails("${x/a", "${x/a", "syntax error: missing '/' in ${}");
    fails("${}", "${", "syntax error: bad substitution");
    fails("a 'b", "'b", "unexpected end of statement while looking for matching single-quote");
    fails("\"b", "\"b", "unexpected end of statement while looking for matching double-quote");
    fails("${empty:?need a value}", "${empty:?need a value}", "empty: need a value");
    fails("${no?}", "${no?}", "no: is not allowed to be unset");
    fails("${x#\\a}", "${x#\\a}", "invalid pattern (\\a) in substitution: invalid escape '\\a'");
}

#[test]
fn words_split_outside_quotes() {
    let split = |text: &str| words(text, '\\', &env()).unwrap();
    assert_eq!(split("$two c"), ["a", "b", "c"]);
    assert_eq!(split("\"$two\" c\\ d"), ["a b", "c d"]);
    assert_eq!(split("  $x  "), ["val"]);
    assert_eq!(split("$empty"), [""; 0]);
}

#[test]
fn the_escape_character_may_be_a_backtick() {
    let env = env();
    assert_eq!(word("c:\\dir`$x", '`', &env).unwrap().text, "c:\\dir$x");
}

#[test]
fn heredocs_keep_quotes() {
    let body = "it's \"$x\" ${no:-'d'} \\$5 \\\\ end\n";
    assert_eq!(raw(body, &env()).unwrap().text, "it's \"val\" 'd' $5 \\ end\n");
}

#[test]
fn variables_are_told() {
    let env = env();
    let e = word("$x ${no:-$other} '$quoted'", '\\', &env).unwrap();
    assert_eq!(Vec::from_iter(e.used), ["x"]);
    assert_eq!(Vec::from_iter(e.missing), ["no", "other"]);
}

proptest! {
    /// Text without special characters is its own expansion.
    #[test]
    fn plain_text_stays(text in "[a-zA-Z0-9 ./:=,_é-]*") {
        prop_assert_eq!(word(&text, '\\', &env()).unwrap().text, text);
    }

    /// Whatever the text, offsets are inside it and on character boundaries.
    #[test]
    fn offsets_are_sound(text in "[$\\{}:?/#%+'\"\\\\a-c*ü -]{0,24}") {
        if let Err(e) = word(&text, '\\', &env()) {
            prop_assert!(text.get(e.start..e.end).is_some(), "{:?}", e);
        }
        let _ = raw(&text, &env());
    }

    /// Single quotes protect everything but themselves.
    #[test]
    fn single_quotes_protect(text in "[^']*") {
        prop_assert_eq!(word(&format!("'{text}'"), '\\', &env()).unwrap().text, text);
    }

    /// Words put together again with blanks are the text with blanks squeezed.
    #[test]
    fn words_are_the_text_without_blanks(text in "[a-c $x\"]*") {
        if let Ok(e) = word(&text, '\\', &env()) {
            let squeeze = |t: &str| t.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(squeeze(&e.words.concat()), squeeze(&e.text));
        }
    }

    /// What `#` takes away and what it leaves make up the value, and `##`
    /// takes at least as much.
    #[test]
    fn trimming_takes_a_prefix(value in "[ab./]{0,12}", pattern in "[ab.*?]{0,5}") {
        let short = pattern::trim_prefix(&pattern, &value, false).unwrap();
        let long = pattern::trim_prefix(&pattern, &value, true).unwrap();
        prop_assert!(value.ends_with(&short) && value.ends_with(&long) && long.len() <= short.len());
        let end = pattern::trim_suffix(&pattern, &value, true).unwrap();
        prop_assert!(value.starts_with(&end));
    }

    /// Replacing a literal agrees with the standard library.
    #[test]
    fn replacing_literals(value in "[ab]{0,12}", from in "[ab]{1,3}", to in "[xy]{0,2}") {
        prop_assert_eq!(pattern::replace_all(&from, &value, &to).unwrap(), value.replace(&from, &to));
        prop_assert_eq!(pattern::replace_first(&from, &value, &to).unwrap(), value.replacen(&from, &to, 1));
    }

    /// A value never breaks a pattern full of stars, nor takes forever.
    #[test]
    fn stars_are_cheap(n in 0usize..40) {
        let pattern = "*a".repeat(n) + "b";
        prop_assert_eq!(pattern::trim_prefix(&pattern, &"a".repeat(60), true).unwrap(), "a".repeat(60));
    }
}

//! Every mistake that the front end knows, and how it goes on after it.

mod support;

use expect_test::{Expect, expect};

#[track_caller]
fn check(source: &str, expected: &Expect) {
    expected.assert_eq(&support::dump(source));
}

/// Lines that all end in a line feed.
fn lines(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn no_instructions() {
    check(
        &lines(&["# only a comment", ""]),
        &expect![[r##"
        0..16 comment "# only a comment"
        17..17 blank
        D0003 0..18 "# only a comment\n\n": file with no instructions
              help: a Dockerfile begins with FROM, such as `FROM scratch`
    "##]],
    );
}

#[test]
fn empty_file() {
    check(
        "",
        &expect![[r#"
        D0003 0..0 "": file with no instructions
              help: a Dockerfile begins with FROM, such as `FROM scratch`
    "#]],
    );
}

#[test]
fn duplicate_directive() {
    check(
        &lines(&["# check=a", "# check=b", "FROM a"]),
        &expect![[r##"
            0..9 directive check="a"@8..9
            10..19 directive check="b"@18..19
            20..26 FROM | image="a"@25..26
            D0004 10..19 "# check=b": only one check parser directive can be used
                  help: remove all but the first
        "##]],
    );
}

#[test]
fn invalid_escape() {
    check(
        &lines(&["# escape=%", "FROM a"]),
        &expect![[r#"
        0..10 directive escape="%"@9..10
        11..17 FROM | image="a"@16..17
        D0005 9..10 "%": invalid escape token '%' does not match ` or \
              help: write `# escape=\` or `` # escape=` ``
    "#]],
    );
}

#[test]
fn unknown_instruction() {
    check(
        &lines(&["FORM a", "INSTALL vim", "RUN a &&", "  apt-get update"]),
        &expect![[r#"
            0..6 FORM | unknown "a"@5..6
            7..18 INSTALL | unknown "vim"@15..18
            19..27 RUN | "a &&"@23..27
            30..44 apt-get | unknown "update"@38..44
            D0006 0..4 "FORM": unknown instruction: FORM
                  help: did you mean FROM?
            D0006 7..14 "INSTALL": unknown instruction: INSTALL
                  help: if this belongs to the instruction above, end the line before it with \
            D0006 30..37 "apt-get": unknown instruction: apt-get
                  help: if this belongs to the instruction above, end the line before it with \
        "#]],
    );
}

#[test]
fn unknown_instruction_with_heredoc() {
    check(
        &lines(&["COPPY <<X /f", "RUNN", "X", "COPPY <<Y /f", "z"]),
        &expect![[r#"
            0..19 COPPY | unknown "<<X /f"@6..12
              6..9 heredoc "X" "RUNN\n"@13..18 end 18..19
            20..32 COPPY | unknown "<<Y /f"@26..32
            33..34 z | unknown ""@34..34
            D0006 0..5 "COPPY": unknown instruction: COPPY
                  help: did you mean COPY?
            D0006 20..25 "COPPY": unknown instruction: COPPY
                  help: did you mean COPY?
            D0006 33..34 "z": unknown instruction: z
                  help: if this belongs to the instruction above, end the line before it with \
        "#]],
    );
}

#[test]
fn nothing_continued() {
    check(
        &lines(&["FROM a", r"\"]),
        &expect![[r#"
        0..6 FROM | image="a"@5..6
        7..8 error "\\"
        D0007 7..8 "\\": a continuation without an instruction
              help: remove the line
    "#]],
    );
}

#[test]
fn unterminated_heredoc() {
    check(
        &lines(&["FROM a", "RUN <<A <<B", "A", " B"]),
        &expect![[r#"
            0..6 FROM | image="a"@5..6
            7..24 RUN | "<<A <<B"@11..18
              11..14 heredoc "A" ""@19..19 end 19..20
              15..18 heredoc "B" " B\n"@21..24 end 24..24
            D0008 15..18 "<<B": unterminated heredoc B
                  help: there is a line with `B` and blanks around it: remove the blanks (`<<-` allows tabs before it)
        "#]],
    );
}

#[test]
fn heredoc_destination() {
    check(
        &lines(&["COPY a <<X", "x", "X", "ADD <<X", "X"]),
        &expect![[r#"
            0..14 COPY | invalid "a <<X"@5..10
              7..10 heredoc "X" "x\n"@11..13 end 13..14
            15..24 ADD | invalid "<<X"@19..22
              19..22 heredoc "X" ""@23..23 end 23..24
            D0009 7..10 "<<X": COPY cannot accept a heredoc as a destination
                  help: add the path to write to as last argument
            D0015 15..18 "ADD": ADD requires at least two arguments, but only one was provided. Destination could not be determined
                  help: write ADD source destination
        "#]],
    );
}

#[test]
fn array_of_non_strings() {
    check(
        &lines(&[r#"CMD ["a", 1, ["b"], {"c": [null, {}]}, true]"#, "COPY [1]", "RUN a"]),
        &expect![[r#"
            0..44 CMD | invalid "[\"a\", 1, [\"b\"], {\"c\": [null, {}]}, true]"@4..44
            45..53 COPY | invalid "[1]"@50..53
            54..59 RUN | "a"@58..59
            D0010 10..11 "1": when using JSON array syntax, arrays must be comprised of strings only: 1
                  help: write "1"
            D0010 13..18 "[\"b\"]": when using JSON array syntax, arrays must be comprised of strings only: ["b"]
                  help: CMD takes a flat list of strings
            D0010 20..37 "{\"c\": [null, {}]}": when using JSON array syntax, arrays must be comprised of strings only: {"c": [null, {}]}
                  help: CMD takes a flat list of strings
            D0010 39..43 "true": when using JSON array syntax, arrays must be comprised of strings only: true
                  help: write "true"
            D0010 51..52 "1": when using JSON array syntax, arrays must be comprised of strings only: 1
                  help: write "1"
        "#]],
    );
}

#[test]
fn shell_needs_json() {
    check(
        "SHELL bash -c\n",
        &expect![[r#"
        0..13 SHELL | invalid "bash -c"@6..13
        D0011 6..13 "bash -c": SHELL requires the arguments to be in JSON form
              help: write SHELL ["executable", "parameters"], with double quotes
    "#]],
    );
}

#[test]
fn at_least_one_argument() {
    check(
        &lines(&[
            "ENV",
            "LABEL",
            "ARG",
            "EXPOSE",
            "VOLUME",
            "SHELL",
            "ONBUILD",
            "HEALTHCHECK",
            "SHELL []",
            "VOLUME []",
        ]),
        &expect![[r#"
            0..3 ENV | invalid ""@3..3
            4..9 LABEL | invalid ""@9..9
            10..13 ARG | invalid ""@13..13
            14..20 EXPOSE | invalid ""@20..20
            21..27 VOLUME | invalid ""@27..27
            28..33 SHELL | invalid ""@33..33
            34..41 ONBUILD | invalid ""@41..41
            42..53 HEALTHCHECK | invalid ""@53..53
            54..62 SHELL | invalid "[]"@60..62
            63..72 VOLUME | invalid "[]"@70..72
            D0012 0..3 "ENV": ENV requires at least one argument
            D0012 4..9 "LABEL": LABEL requires at least one argument
            D0012 10..13 "ARG": ARG requires at least one argument
            D0012 14..20 "EXPOSE": EXPOSE requires at least one argument
            D0012 21..27 "VOLUME": VOLUME requires at least one argument
            D0012 28..33 "SHELL": SHELL requires at least one argument
            D0012 34..41 "ONBUILD": ONBUILD requires at least one argument
            D0012 42..53 "HEALTHCHECK": HEALTHCHECK requires at least one argument
            D0012 54..59 "SHELL": SHELL requires at least one argument
            D0012 63..69 "VOLUME": VOLUME requires at least one argument
        "#]],
    );
}

#[test]
fn exactly_one_argument() {
    check(
        &lines(&["WORKDIR", "USER", "STOPSIGNAL --x", "MAINTAINER"]),
        &expect![[r#"
            0..7 WORKDIR | invalid ""@7..7
            8..12 USER | invalid ""@12..12
            13..27 STOPSIGNAL --x | invalid ""@27..27
            28..38 MAINTAINER | invalid ""@38..38
            D0013 0..7 "WORKDIR": WORKDIR requires exactly one argument
            D0013 8..12 "USER": USER requires exactly one argument
            D0013 13..23 "STOPSIGNAL": STOPSIGNAL requires exactly one argument
            D0013 28..38 "MAINTAINER": MAINTAINER requires exactly one argument
        "#]],
    );
}

#[test]
fn one_or_three_arguments() {
    check(
        &lines(&["FROM", "FROM a b", "FROM a AS", "FROM a as b c", "FROM a is b"]),
        &expect![[r#"
            0..4 FROM | invalid ""@4..4
            5..13 FROM | invalid "a b"@10..13
            14..23 FROM | invalid "a AS"@19..23
            24..37 FROM | invalid "a as b c"@29..37
            38..49 FROM | invalid "a is b"@43..49
            D0014 0..4 "FROM": FROM requires either one or three arguments
                  help: write `FROM image` or `FROM image AS name`
            D0014 12..13 "b": FROM requires either one or three arguments
                  help: write `FROM image` or `FROM image AS name`
            D0014 19..23 "a AS": FROM requires either one or three arguments
                  help: write `FROM image` or `FROM image AS name`
            D0014 36..37 "c": FROM requires either one or three arguments
                  help: write `FROM image` or `FROM image AS name`
            D0014 45..49 "is b": FROM requires either one or three arguments
                  help: write `FROM image` or `FROM image AS name`
        "#]],
    );
}

#[test]
fn no_destination() {
    check(
        &lines(&["COPY", "ADD a", r#"COPY --x=y ["a"]"#, "ADD []", "COPY <<X", "X"]),
        &expect![[r#"
            0..4 COPY | invalid ""@4..4
            5..10 ADD | invalid "a"@9..10
            11..27 COPY --x="y"@20..21 | invalid "[\"a\"]"@22..27
            28..34 ADD | invalid "[]"@32..34
            35..45 COPY | invalid "<<X"@40..43
              40..43 heredoc "X" ""@44..44 end 44..45
            D0015 0..4 "COPY": COPY requires at least two arguments, but none was provided. Destination could not be determined
                  help: write COPY source destination
            D0015 5..8 "ADD": ADD requires at least two arguments, but only one was provided. Destination could not be determined
                  help: write ADD source destination
            D0015 11..15 "COPY": COPY requires at least two arguments, but only one was provided. Destination could not be determined
                  help: write COPY source destination
            D0015 28..31 "ADD": ADD requires at least two arguments, but none was provided. Destination could not be determined
                  help: write ADD source destination
            D0015 35..39 "COPY": COPY requires at least two arguments, but only one was provided. Destination could not be determined
                  help: write COPY source destination
        "#]],
    );
}

#[test]
fn two_arguments() {
    check(
        &lines(&["ENV a", "LABEL a"]),
        &expect![[r#"
        0..5 ENV | invalid "a"@4..5
        6..13 LABEL | invalid "a"@12..13
        D0016 0..5 "ENV a": ENV must have two arguments
              help: write ENV name=value
        D0016 6..13 "LABEL a": LABEL must have two arguments
              help: write LABEL name=value
    "#]],
    );
}

#[test]
fn pairs_without_equals() {
    check(
        &lines(&["ENV a=1 b c d=2 e", "LABEL x=y z"]),
        &expect![[r#"
            0..17 ENV | "a"@4..5="1"@6..7, "d"@12..13="2"@14..15
            18..29 LABEL | "x"@24..25="y"@26..27
            D0017 8..9 "b": can't find = in "b": must be of the form name=value
                  help: quote the value if it holds blanks: name="a b"
            D0017 10..11 "c": can't find = in "c": must be of the form name=value
                  help: quote the value if it holds blanks: name="a b"
            D0017 16..17 "e": can't find = in "e": must be of the form name=value
                  help: quote the value if it holds blanks: name="a b"
            D0017 28..29 "z": can't find = in "z": must be of the form name=value
                  help: quote the value if it holds blanks: name="a b"
        "#]],
    );
}

#[test]
fn blank_names() {
    check(
        &lines(&["ENV =x a=b", "LABEL =", "ARG =1 =2"]),
        &expect![[r#"
            0..10 ENV | ""@4..4="x"@5..6, "a"@7..8="b"@9..10
            11..18 LABEL | ""@17..17=""@18..18
            19..28 ARG | invalid "=1 =2"@23..28
            D0018 4..6 "=x": ENV names can not be blank
            D0018 17..18 "=": LABEL names can not be blank
            D0018 23..25 "=1": ARG names can not be blank
            D0018 26..28 "=2": ARG names can not be blank
        "#]],
    );
}

#[test]
fn blank_volume() {
    check(
        "VOLUME [\"/a\", \"\", \" \"]\n",
        &expect![[r#"
        0..22 VOLUME | invalid "[\"/a\", \"\", \" \"]"@7..22
        D0019 14..16 "\"\"": VOLUME specified can not be an empty string
        D0019 18..21 "\" \"": VOLUME specified can not be an empty string
    "#]],
    );
}

#[test]
fn healthcheck() {
    check(
        &lines(&["HEALTHCHECK FOO bar", "HEALTHCHECK NONE x", "HEALTHCHECK --a=b CMD", "HEALTHCHECK CMD []"]),
        &expect![[r#"
            0..19 HEALTHCHECK | invalid "FOO bar"@12..19
            20..38 HEALTHCHECK | invalid "NONE x"@32..38
            39..60 HEALTHCHECK --a="b"@55..56 | invalid "CMD"@57..60
            61..79 HEALTHCHECK | invalid "CMD []"@73..79
            D0020 12..15 "FOO": unknown type "FOO" in HEALTHCHECK (try CMD)
                  help: write `HEALTHCHECK CMD command` or `HEALTHCHECK NONE`
            D0021 37..38 "x": HEALTHCHECK NONE takes no arguments
            D0022 39..50 "HEALTHCHECK": missing command after HEALTHCHECK CMD
            D0022 61..72 "HEALTHCHECK": missing command after HEALTHCHECK CMD
        "#]],
    );
}

#[test]
fn onbuild() {
    check(
        &lines(&[
            "ONBUILD ONBUILD RUN x",
            "ONBUILD FROM x",
            "ONBUILD maintainer x",
            "ONBUILD COPY a",
            "ONBUILD FORM x",
        ]),
        &expect![[r#"
            0..21 ONBUILD | invalid "ONBUILD RUN x"@8..21
            22..36 ONBUILD | invalid "FROM x"@30..36
            37..57 ONBUILD | invalid "maintainer x"@45..57
            58..72 ONBUILD | trigger
              66..72 COPY | invalid "a"@71..72
            73..87 ONBUILD | trigger
              81..87 FORM | unknown "x"@86..87
            D0023 8..15 "ONBUILD": chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed
            D0024 30..34 "FROM": FROM isn't allowed as an ONBUILD trigger
            D0024 45..55 "maintainer": MAINTAINER isn't allowed as an ONBUILD trigger
            D0015 66..70 "COPY": COPY requires at least two arguments, but only one was provided. Destination could not be determined
                  help: write COPY source destination
            D0006 81..85 "FORM": unknown instruction: FORM
                  help: did you mean FROM?
        "#]],
    );
}

#[test]
fn onbuild_chain_with_heredoc() {
    check(
        &lines(&["ONBUILD ONBUILD RUN <<E", "foo", "E", "RUN x"]),
        &expect![[r#"
            0..29 ONBUILD | invalid "ONBUILD RUN <<E"@8..23
              20..23 heredoc "E" "foo\n"@24..28 end 28..29
            30..35 RUN | "x"@34..35
            D0023 8..15 "ONBUILD": chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed
        "#]],
    );
}

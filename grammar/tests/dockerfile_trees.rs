//! Trees of well-formed Dockerfiles.

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

/// Lines of which the last one does not end.
fn joined(lines: &[&str]) -> String {
    lines.join("\n")
}

#[test]
fn every_instruction() {
    check(
        &lines(&[
            "# syntax=docker/dockerfile:1",
            "FROM --platform=linux/amd64 alpine:3.20 AS base",
            "FROM scratch",
            "RUN --mount=type=cache,target=/x --network=none make all",
            r#"RUN ["make", "all"]"#,
            "CMD echo hi",
            r#"ENTRYPOINT ["/bin/sh", "-c"]"#,
            r#"SHELL ["/bin/ash", "-eo", "pipefail", "-c"]"#,
            r#"ENV A=1 B="x y" C='a'b\ c"#,
            r#"LABEL "a b"=c d="#,
            "ARG X Y=1 Z=",
            "COPY --from=base --chown=1:2 a b /dst/",
            "ADD https://example.com/x /x",
            "WORKDIR /a b",
            "USER app:staff",
            "VOLUME /a /b",
            r#"VOLUME ["/a b"]"#,
            "EXPOSE 80 443/tcp",
            "STOPSIGNAL SIGTERM",
            "HEALTHCHECK --interval=5s CMD curl localhost",
            "HEALTHCHECK none",
            "ONBUILD RUN --network=none make",
            "MAINTAINER Some Body <some@body>",
        ]),
        &expect![[r#"
            0..28 directive syntax="docker/dockerfile:1"@9..28
            29..76 FROM --platform="linux/amd64"@45..56 | image="alpine:3.20"@57..68 AS "base"@72..76
            77..89 FROM | image="scratch"@82..89
            90..146 RUN --mount="type=cache,target=/x"@102..122 --network="none"@133..137 | "make all"@138..146
            147..166 RUN | json ["make"@153..157, "all"@161..164]
            167..178 CMD | "echo hi"@171..178
            179..207 ENTRYPOINT | json ["/bin/sh"@192..199, "-c"@203..205]
            208..251 SHELL | json ["/bin/ash"@216..224, "-eo"@228..231, "pipefail"@235..243, "-c"@247..249]
            252..277 ENV | "A"@256..257="1"@258..259, "B"@260..261="\"x y\""@262..267, "C"@268..269="'a'b\\ c"@270..277
            278..294 LABEL | "\"a b\""@284..289="c"@290..291, "d"@292..293=""@294..294
            295..307 ARG | "X"@299..300, "Y"@301..302="1"@303..304, "Z"@305..306=""@307..307
            308..346 COPY --from="base"@320..324 --chown="1:2"@333..336 | "a"@337..338, "b"@339..340 -> "/dst/"@341..346
            347..375 ADD | "https://example.com/x"@351..372 -> "/x"@373..375
            376..388 WORKDIR | "/a b"@384..388
            389..403 USER | "app:staff"@394..403
            404..416 VOLUME | ["/a"@411..413, "/b"@414..416]
            417..432 VOLUME | json ["/a b"@426..430]
            433..450 EXPOSE | ["80"@440..442, "443/tcp"@443..450]
            451..469 STOPSIGNAL | "SIGTERM"@462..469
            470..514 HEALTHCHECK --interval="5s"@493..495 | check "curl localhost"@500..514
            515..531 HEALTHCHECK | no check
            532..563 ONBUILD | trigger
              540..563 RUN --network="none"@554..558 | "make"@559..563
            564..596 MAINTAINER | "Some Body <some@body>"@575..596
        "#]],
    );
}

#[test]
fn any_case_and_indent() {
    check(
        &lines(&["  from scratch", "\tLaBeL a=1", " \t env\tB=2   C=3  "]),
        &expect![[r#"
            2..14 from | image="scratch"@7..14
            16..25 LaBeL | "a"@22..23="1"@24..25
            29..42 env | "B"@33..34="2"@35..36, "C"@39..40="3"@41..42
        "#]],
    );
}

#[test]
fn comments_and_blanks() {
    check(
        &joined(&[
            "# first",
            "",
            "  # indented",
            "FROM scratch",
            "   ",
            r"LABEL a=1 \",
            "# in the middle",
            r"      b=2 \",
            "",
            "   # indented in the middle",
            "      c=3",
            "# last",
        ]),
        &expect![[r##"
            0..7 comment "# first"
            8..8 blank
            11..21 comment "# indented"
            22..34 FROM | image="scratch"@27..34
            35..38 blank
            39..117 LABEL | "a"@45..46="1"@47..48, "b"@73..74="2"@75..76, "c"@114..115="3"@116..117
              51..66 inner comment
              83..107 inner comment
              79..79 inner blank
            118..124 comment "# last"
        "##]],
    );
}

#[test]
fn continuations() {
    check(
        &lines(&[r"RUN printf ab\", "cd > /x", r"LABEL a=1 \  ", " b=2 \\\t", " c=3"]),
        &expect![[r#"
            0..22 RUN | "printf abcd > /x"@4..22
            23..49 LABEL | "a"@29..30="1"@31..32, "b"@38..39="2"@40..41, "c"@46..47="3"@48..49
        "#]],
    );
}

#[test]
fn two_escapes_do_not_continue() {
    check(
        &joined(&[r"RUN a \\", r"RUN b \\\", r"RUN c \"]),
        &expect![[r#"
            0..8 RUN | "a \\\\"@4..8
            9..18 RUN | "b \\\\\\"@13..18
            19..24 RUN | "c"@23..24
        "#]],
    );
}

#[test]
fn continuation_before_the_keyword() {
    check(
        &joined(&[r"\", r"  \", r"  FROM a \", " b"]),
        &expect![[r#"
            8..19 FROM | invalid "a  b"@13..19
            D0014 18..19 "b": FROM requires either one or three arguments
                  help: write `FROM image` or `FROM image AS name`
        "#]],
    );
}

#[test]
fn blank_lines_in_a_continuation_join_the_next_line() {
    check(
        &lines(&[r"RUN a \", "", "", "FROM b"]),
        &expect![[r#"
        0..16 RUN | "a FROM b"@4..16
          8..8 inner blank
          9..9 inner blank
    "#]],
    );
}

#[test]
fn escape_directive() {
    check(
        &lines(&["# escape=`", "FROM scratch", "LABEL one=1 `", "      two=2", r"LABEL path=c:\dir\", r"RUN dir c:\"]),
        &expect![[r#"
            0..10 directive escape="`"@9..10
            11..23 FROM | image="scratch"@16..23
            24..49 LABEL | "one"@30..33="1"@34..35, "two"@44..47="2"@48..49
            50..68 LABEL | "path"@56..60="c:\\dir\\"@61..68
            69..80 RUN | "dir c:\\"@73..80
        "#]],
    );
}

#[test]
fn directives() {
    check(
        &lines(&["#Syntax = a/b:1 x", "# CHECK=skip=all", r"# escape=\", "# other=1", "# escape=`", "FROM a"]),
        &expect![[r##"
            0..17 directive syntax="a/b:1 x"@10..17
            18..34 directive check="skip=all"@26..34
            35..45 directive escape="\\"@44..45
            46..55 comment "# other=1"
            56..66 comment "# escape=`"
            67..73 FROM | image="a"@72..73
        "##]],
    );
}

#[test]
fn comments_end_directives() {
    check(
        &lines(&["# hello", "# escape=`", r"FROM a\", "b"]),
        &expect![[r##"
            0..7 comment "# hello"
            8..18 comment "# escape=`"
            19..28 FROM | image="ab"@24..28
        "##]],
    );
}

#[test]
fn byte_order_mark() {
    check(
        &lines(&["\u{feff}# escape=`", "FROM a`", "b"]),
        &expect![[r#"
            3..13 directive escape="`"@12..13
            14..23 FROM | image="ab"@19..23
        "#]],
    );
}

#[test]
fn crlf() {
    check(
        &lines(&["FROM a\r", "LABEL a=1 \\\r", "  b=2\r", "\r", "COPY <<X /f\r", "1\r", "X\r"]),
        &expect![[r#"
            0..6 FROM | image="a"@5..6
            8..26 LABEL | "a"@14..15="1"@16..17, "b"@23..24="2"@25..26
            28..28 blank
            30..47 COPY | heredoc 0 -> "/f"@39..41
              35..38 heredoc "X" "1\r\n"@43..46 end 46..47
        "#]],
    );
}

#[test]
fn json_escapes() {
    check(
        &lines(&[r#"CMD ["tab\there", "\u00e9", "a\/b", "\ud83d\ude00", "\ud800x", ""]"#, "ENTRYPOINT []"]),
        &expect![[r#"
            0..66 CMD | json ["tab\there"@6..15, "é"@19..25, "a/b"@29..33, "😀"@37..49, "�x"@53..60, ""@64..64]
            67..80 ENTRYPOINT | json []
        "#]],
    );
}

#[test]
fn json_over_lines() {
    check(
        &lines(&[r"CMD [ \", r#"  "one", \"#, "# comment", r#"  "tw\"#, r#"o" \"#, "]"]),
        &expect![[r#"
            0..42 CMD | json ["one"@11..14, "two"@32..37]
              19..28 inner comment
        "#]],
    );
}

#[test]
fn bad_json_is_text() {
    check(
        &lines(&[
            "CMD ['single', 'quotes']",
            r#"RUN ["echo", "x"]this"#,
            "RUN [ -f x ] && y",
            "COPY [a b]",
            r#"CMD ["a",]"#,
            r#"CMD ["a\x"]"#,
            "CMD [01]",
            r#"CMD ["a""#,
        ]),
        &expect![[r#"
            0..24 CMD | "['single', 'quotes']"@4..24
            25..46 RUN | "[\"echo\", \"x\"]this"@29..46
            47..64 RUN | "[ -f x ] && y"@51..64
            65..75 COPY | "[a"@70..72 -> "b]"@73..75
            76..86 CMD | "[\"a\",]"@80..86
            87..98 CMD | "[\"a\\x\"]"@91..98
            99..107 CMD | "[01]"@103..107
            108..116 CMD | "[\"a\""@112..116
        "#]],
    );
}

#[test]
fn legacy_pairs() {
    check(
        &lines(&["ENV a b  c = d", "LABEL a 'b c'", r#"ENV "a b" c"#]),
        &expect![[r#"
            0..14 ENV | legacy "a"@4..5="b  c = d"@6..14
            15..28 LABEL | legacy "a"@21..22="'b c'"@23..28
            29..40 ENV | legacy "\"a"@33..35="b\" c"@36..40
        "#]],
    );
}

#[test]
fn pairs_with_equals_in_quotes() {
    check(
        &lines(&[r#"ENV a=b=c "d=e"=f"#, r#"ARG "a=b c" d"#]),
        &expect![[r#"
            0..17 ENV | "a"@4..5="b=c"@6..9, "\"d"@10..12="e\"=f"@13..17
            18..31 ARG | "\"a"@22..24="b c\""@25..29, "d"@30..31
        "#]],
    );
}

#[test]
fn from_forms() {
    check(
        &lines(&["FROM as", "FROM as AS as", "FROM ${A:-x} aS B"]),
        &expect![[r#"
            0..7 FROM | image="as"@5..7
            8..21 FROM | image="as"@13..15 AS "as"@19..21
            22..39 FROM | image="${A:-x}"@27..34 aS "B"@38..39
        "#]],
    );
}

#[test]
fn flags() {
    check(
        &lines(&[
            r#"RUN --a --b= --c="d e" -- --f"#,
            r"COPY --x\ y=z a b",
            "RUN -x --y",
            "FROM --p='a b' c",
            "CMD --x",
        ]),
        &expect![[r#"
            0..29 RUN --a --b=""@12..12 --c="\"d e\""@17..22 | "--f"@26..29
            30..47 COPY --x\ y="z"@42..43 | "a"@44..45 -> "b"@46..47
            48..58 RUN | "-x --y"@52..58
            59..75 FROM --p="'a b'"@68..73 | image="c"@74..75
            76..83 CMD --x | ""@83..83
        "#]],
    );
}

#[test]
fn heredocs() {
    check(
        &lines(&[
            "RUN <<EOF",
            r"echo \",
            "# no comment",
            "EOF",
            "COPY --chmod=644 <<first <<-'second' three /dir/",
            "1",
            "first",
            "\t2",
            "\t\t3",
            "\tsecond",
            r#"RUN cat 3<<X 4<<"Y" > z"#,
            "1",
            "X",
            "2",
            "Y",
            "LABEL x=<<X",
        ]),
        &expect![[r#"
            0..33 RUN | "<<EOF"@4..9
              4..9 heredoc "EOF" "echo \\\n# no comment\n"@10..30 end 30..33
            34..105 COPY --chmod="644"@47..50 | heredoc 0, heredoc 1, "three"@71..76 -> "/dir/"@77..82
              51..58 heredoc "first" "1\n"@83..85 end 85..90
              59..70 heredoc "second" literal stripped "2\n3\n"@91..98 end 98..105
            106..137 RUN | "cat 3<<X 4<<\"Y\" > z"@110..129
              114..118 heredoc "X" fd 3 "1\n"@130..132 end 132..133
              119..125 heredoc "Y" fd 4 literal "2\n"@134..136 end 136..137
            138..149 LABEL | "x"@144..145="<<X"@146..149
        "#]],
    );
}

#[test]
fn no_heredocs() {
    check(
        &lines(&[
            r#"RUN echo "<<EOF" $((1<<4)) a<<b <<<c"#,
            r#"LABEL t="<<x""#,
            r#"RUN ["<<EOF"]"#,
            r#"COPY ["<<EOF", "/x"]"#,
            "RUN it's <<EOF",
        ]),
        &expect![[r#"
            0..36 RUN | "echo \"<<EOF\" $((1<<4)) a<<b <<<c"@4..36
            37..50 LABEL | "t"@43..44="\"<<x\""@45..50
            51..64 RUN | json ["<<EOF"@57..62]
            65..85 COPY | json "<<EOF"@72..77 -> "/x"@81..83
            86..100 RUN | "it's <<EOF"@90..100
        "#]],
    );
}

#[test]
fn empty_heredoc() {
    check(
        &lines(&["COPY <<A <<B /x", "A", "B"]),
        &expect![[r#"
        0..19 COPY | heredoc 0, heredoc 1 -> "/x"@13..15
          5..8 heredoc "A" ""@16..16 end 16..17
          9..12 heredoc "B" ""@18..18 end 18..19
    "#]],
    );
}

#[test]
fn onbuild_heredocs() {
    check(
        &lines(&["ONBUILD COPY --chown=1 <<A b /x", "line", "A", "ONBUILD ENV a=1"]),
        &expect![[r#"
            0..38 ONBUILD | trigger
              8..38 COPY --chown="1"@21..22 | heredoc 0, "b"@27..28 -> "/x"@29..31
                23..26 heredoc "A" "line\n"@32..37 end 37..38
            39..54 ONBUILD | trigger
              47..54 ENV | "a"@51..52="1"@53..54
        "#]],
    );
}

#[test]
fn empty_commands() {
    check(
        &lines(&["RUN", "CMD", "ENTRYPOINT --x"]),
        &expect![[r#"
        0..3 RUN | ""@3..3
        4..7 CMD | ""@7..7
        8..22 ENTRYPOINT --x | ""@22..22
    "#]],
    );
}

#[test]
fn unicode() {
    check(
        &lines(&[r#"LABEL größe="naïve ☃" 名前=値"#, r#"COPY ["schön", "/ü"]"#]),
        &expect![[r#"
            0..37 LABEL | "größe"@6..13="\"naïve ☃\""@14..26, "名前"@27..33="値"@34..37
            38..60 COPY | json "schön"@45..51 -> "/ü"@55..58
        "#]],
    );
}

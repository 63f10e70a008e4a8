//! Operations on the tree's texts that keep the way back to the source.

use std::ops::Range;

use super::tree::{Flag, Text};

impl Text {
    /// Returns a part of the text.
    ///
    /// Empty if the range is out of bounds or splits a character.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let mut part = Self { span: self.source_span(range.start, range.end), ..Self::default() };
        self.append(range, &mut part);
        if part.map.is_empty() {
            part.map.push((0, part.span.start));
        }
        part
    }

    fn append(&self, range: Range<usize>, to: &mut Self) {
        let Some(text) = self.text.get(range.clone()).filter(|text| !text.is_empty()) else {
            return;
        };
        let fit = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        let (base, start, end) = (fit(to.text.len()), fit(range.start), fit(range.end));
        let first = self.source_span(range.start, range.end).start;
        to.map.push((base, first));
        let from = self.map.partition_point(|&(logical, _)| logical <= start);
        for &(logical, source) in self.map.iter().skip(from) {
            if logical >= end {
                break;
            }
            to.map.push((base + (logical - start), source));
        }
        to.text.push_str(text);
    }
}

impl Flag {
    /// Returns the value as BuildKit hands it on: quotes gone, a backslash
    /// replaced by the character behind it.
    ///
    /// BuildKit does this while it reads the flags (`extractBuilderFlags`),
    /// before any expansion, and always with the backslash, whatever
    /// `# escape=` says. So the quotes of `--mount="type=bind,…"` are not part
    /// of the CSV record, and `'$x'` in a flag does expand.
    pub fn unquoted(&self) -> Option<Text> {
        let value = self.value.as_ref()?;
        if !value.text.contains(['\'', '"', '\\']) {
            return Some(value.clone());
        }
        let mut plain = Text { span: value.span, ..Text::default() };
        let mut quote = None;
        let mut kept = 0;
        let mut characters = value.text.char_indices();
        while let Some((at, c)) = characters.next() {
            match (quote, c) {
                (_, '\\') => {
                    value.append(kept..at, &mut plain);
                    kept = at + 1;
                    characters.next();
                }
                (Some(open), c) if c == open => {
                    value.append(kept..at, &mut plain);
                    kept = at + 1;
                    quote = None;
                }
                (None, '\'' | '"') => {
                    value.append(kept..at, &mut plain);
                    kept = at + 1;
                    quote = Some(c);
                }
                _ => {}
            }
        }
        value.append(kept..value.text.len(), &mut plain);
        if plain.map.is_empty() {
            plain.map.push((0, plain.span.start));
        }
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use crate::dockerfile::{Item, parse};

    #[track_caller]
    fn check(flag: &str, expected: &str) {
        let source = format!("RUN {flag} x");
        let parsed = parse(&source);
        let Some(Item::Instruction(run)) = parsed.tree.items.first() else {
            panic!("no instruction: {parsed:?}");
        };
        let value = run.flags[0].unquoted().expect("a value");
        assert_eq!(value.text, expected);
        for (i, c) in value.text.char_indices() {
            let span = value.source_span(i, i + c.len_utf8());
            assert_eq!(&source[span.range()], c.to_string());
        }
    }

    #[test]
    fn unquoted_flags_keep_their_places() {
        check("--a=b", "b");
        check("--a=\"b c\"d", "b cd");
        check("--a='b\\'c'", "b'c");
        check("--a=b\\ c\\\\", "b c\\");
        check("--a=''", "");
        check("--a='b\"\u{e9}\"'", "b\"\u{e9}\"");
    }

    #[test]
    fn slices_map_back_over_joins() {
        let source = "RUN ab\\\ncd\\\nef";
        let parsed = parse(source);
        let Some(Item::Instruction(run)) = parsed.tree.items.first() else {
            panic!("no instruction: {parsed:?}");
        };
        let part = run.rest.slice(1..5);
        assert_eq!((part.text.as_str(), part.span.range()), ("bcde", 5..13));
        for (i, byte) in part.text.bytes().enumerate() {
            assert_eq!(source.as_bytes()[part.source_span(i, i + 1).range().start], byte);
        }
        assert_eq!(run.rest.slice(3..3).text, "");
        assert_eq!(run.rest.slice(4..40).text, "");
    }
}

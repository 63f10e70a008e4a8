//! Word splitting beside expansion (BuildKit's `wordsStruct`).

/// Collects words while a text is walked.
#[derive(Default)]
pub(super) struct Words {
    done: Vec<String>,
    word: String,
    inside: bool,
}

impl Words {
    /// A character that may separate words.
    pub(super) fn soft(&mut self, c: char) {
        if !c.is_whitespace() {
            self.hard(c);
        } else if self.inside && !self.word.is_empty() {
            self.done.push(std::mem::take(&mut self.word));
            self.inside = false;
        }
    }

    /// A character that belongs to the word, whatever it is.
    pub(super) fn hard(&mut self, c: char) {
        self.word.push(c);
        self.inside = true;
    }

    /// A value: its blanks separate.
    pub(super) fn soft_text(&mut self, text: &str) {
        text.chars().for_each(|c| self.soft(c));
    }

    /// A quoted text: its blanks do not separate.
    pub(super) fn hard_text(&mut self, text: &str) {
        self.word.push_str(text);
        self.inside = true;
    }

    pub(super) fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.done.push(self.word);
        }
        self.done
    }
}

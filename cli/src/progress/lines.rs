//! Cuts a process's output into lines.

/// A line longer than this is shown in pieces.
const LONGEST: usize = 64 << 10;

/// Holds the line that is not finished yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    /// Adds output and returns the lines that it ends.
    pub(crate) fn push(&mut self, data: &[u8]) -> Vec<String> {
        self.pending.extend_from_slice(data);
        let mut lines = Vec::new();
        while let Some(end) = self.pending.iter().position(|&b| b == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            lines.push(text(line.strip_suffix(b"\n").unwrap_or(&line)));
        }
        if self.pending.len() > LONGEST {
            lines.push(text(&std::mem::take(&mut self.pending)));
        }
        lines
    }

    /// Returns what was not ended by a line feed.
    pub(crate) fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then(|| text(&rest))
    }
}

/// A line as a terminal would show it in the end: what comes after the last
/// carriage return (programs redraw their progress bars so).
fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let shown = line.rsplit(|&b| b == b'\r').find(|part| !part.is_empty()).unwrap_or(&[]);
    String::from_utf8_lossy(shown).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_may_come_in_pieces() {
        let mut lines = Lines::default();
        assert!(lines.push(b"he").is_empty());
        assert_eq!(lines.push(b"llo\nwor"), ["hello"]);
        assert_eq!(lines.push(b"ld\n\nx"), ["world", ""]);
        assert_eq!(lines.finish().as_deref(), Some("x"));
        assert_eq!(lines.finish(), None);
    }

    #[test]
    fn a_character_split_over_two_writes_stays_whole() {
        let mut lines = Lines::default();
        lines.push(&[0xc3]);
        assert_eq!(lines.push(&[0xa4, b'\n']), ["ä"]);
    }

    #[test]
    fn redrawn_lines_show_their_last_state() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"10%\r50%\r100%\r\n"), ["100%"]);
    }

    #[test]
    fn an_endless_line_does_not_grow_for_ever() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(&vec![b'x'; LONGEST + 1]).len(), 1);
        assert_eq!(lines.finish(), None);
    }
}

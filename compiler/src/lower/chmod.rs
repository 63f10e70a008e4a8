//! `--chmod`: octal and symbolic modes.

use rbc_ir::Chmod;

use super::stage::StageRun;
use crate::codes;
use crate::diagnostic::Problem;
use crate::hir::Place;

impl StageRun<'_, '_> {
    pub(super) fn chmod(&mut self, text: &str, place: Place) -> Option<Chmod> {
        if let Some(mode) = parse_mode(text) {
            return Some(mode);
        }
        let message = format!("invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777");
        let help = "write an octal number such as 0755, or a symbolic mode such as u=rwX,go=rX";
        self.run.tell(Problem::new(codes::MODE, message).at(place).help(help));
        None
    }
}

/// An octal mode up to 07777, or a symbolic one (`u=rwX,go-w`).
fn parse_mode(text: &str) -> Option<Chmod> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        return u32::from_str_radix(digits, 8).ok().filter(|&m| m <= 0o7777).map(Chmod::Octal);
    }
    text.split(',').all(is_symbolic).then(|| Chmod::Symbolic(text.to_owned()))
}

fn is_symbolic(clause: &str) -> bool {
    let rest = clause.trim_start_matches(['u', 'g', 'o', 'a']);
    let mut parts = rest.split(['+', '-', '=']);
    // Before the first operator nothing may be left.
    parts.next() == Some("")
        && rest.contains(['+', '-', '='])
        && parts.all(|perms| perms.chars().all(|c| "rwxXst".contains(c)) || (perms.len() == 1 && "ugo".contains(perms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        assert_eq!(parse_mode("0755"), Some(Chmod::Octal(0o755)));
        assert_eq!(parse_mode("4711"), Some(Chmod::Octal(0o4711)));
        for ok in ["u=rwX,go=rX", "a+x", "go-r,u+s", "+x", "g=u", "u+r-w"] {
            assert!(matches!(parse_mode(ok), Some(Chmod::Symbolic(_))), "{ok}");
        }
        for bad in ["rwx9", "10000", "8", "", "u", "u+q", "x+r", "a+x,"] {
            assert_eq!(parse_mode(bad), None, "{bad}");
        }
    }
}

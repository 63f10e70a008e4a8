//! Symbolic modes of `--chmod` (`u=rwX,go=rX`).
//!
//! The rules are those of BSD's `setmode(3)`, which BuildKit uses (through
//! `dchapes-mode`) with an umask of 0: clauses run in order, `X` asks the
//! mode that the file had at first, and `=` clears all bits of those named,
//! setuid and setgid included.

use rbc_ir::Chmod;

/// A mode is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid chmod parameter: '{0}'")]
pub struct BadMode(pub String);

const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;
const STICKY: u32 = 0o1000;
const ALL: u32 = 0o6777;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Set(u32),
    Clear(u32),
    /// Sets these bits if the file was executable, or is a directory.
    SetIfExecutable(u32),
    /// Takes the permissions of a class (by its shift) for those in `to`.
    Like {
        shift: u32,
        to: u32,
        op: u8,
    },
}

/// What to do with the permission bits of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeChange(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Exactly(u32),
    Steps(Vec<Step>),
}

impl ModeChange {
    /// Reads a mode of the plan.
    ///
    /// # Errors
    ///
    /// If a symbolic mode is malformed.
    pub fn new(mode: &Chmod) -> Result<Self, BadMode> {
        match mode {
            Chmod::Octal(bits) => Ok(Self(Kind::Exactly(bits & 0o7777))),
            Chmod::Symbolic(text) => Self::parse(text),
        }
    }

    /// Reads a symbolic mode.
    ///
    /// # Errors
    ///
    /// If it is malformed.
    pub fn parse(text: &str) -> Result<Self, BadMode> {
        let mut steps = Vec::new();
        for clause in text.split(',') {
            read_clause(clause.as_bytes(), &mut steps).ok_or_else(|| BadMode(text.to_owned()))?;
        }
        Ok(Self(Kind::Steps(steps)))
    }

    /// Returns the bits that directories made on the way get, if this says
    /// anything of them: a symbolic mode does not, and the special bits of an
    /// octal one are lost (`os.Mkdir` of Go).
    pub fn of_parents(&self) -> Option<u32> {
        match &self.0 {
            Kind::Exactly(bits) => Some(bits & 0o777),
            Kind::Steps(_) => None,
        }
    }

    /// Returns the new bits of a file or directory.
    pub fn apply(&self, old: u32, is_dir: bool) -> u32 {
        let steps = match &self.0 {
            Kind::Exactly(bits) => return *bits,
            Kind::Steps(steps) => steps,
        };
        let mut mode = old;
        for step in steps {
            match *step {
                Step::Set(bits) => mode |= bits,
                Step::Clear(bits) => mode &= !bits,
                Step::SetIfExecutable(bits) => {
                    if is_dir || old & 0o111 != 0 {
                        mode |= bits;
                    }
                }
                Step::Like { shift, to, op } => {
                    let value = mode >> shift & 7;
                    let everywhere = |v: u32| (v | v << 3 | v << 6) & to;
                    match op {
                        b'+' => mode |= everywhere(value),
                        b'-' => mode &= !everywhere(value),
                        _ => mode = mode & !everywhere(7) | everywhere(value),
                    }
                }
            }
        }
        mode & 0o7777
    }
}

fn read_clause(clause: &[u8], steps: &mut Vec<Step>) -> Option<()> {
    let who_end = clause.iter().position(|b| !b"ugoa".contains(b))?;
    let (whos, mut rest) = clause.split_at(who_end);
    let mut who = whos.iter().fold(0, |who, b| {
        who | match b {
            b'a' => ALL,
            b'u' => SETUID | 0o700,
            b'g' => SETGID | 0o070,
            _ => 0o007,
        }
    });
    // Nobody named means everybody; only then `o`'s lack of setuid and
    // sticky does not matter.
    let nobody = who == 0;
    if nobody {
        who = ALL;
    }
    let special = nobody || who & !0o007 != 0;
    while let Some((&op, after)) = rest.split_first() {
        if !b"+-=".contains(&op) {
            return None;
        }
        let end = after.iter().position(|b| b"+-=".contains(b)).unwrap_or(after.len());
        let (perms, next) = after.split_at(end);
        rest = next;
        if op == b'=' {
            steps.push(Step::Clear(who));
        }
        for perm in perms {
            let bits = match perm {
                b'r' => who & 0o444,
                b'w' => who & 0o222,
                b'x' => who & 0o111,
                b'X' if op == b'-' => who & 0o111,
                b'X' => {
                    steps.push(Step::SetIfExecutable(who & 0o111));
                    continue;
                }
                b's' if special => who & (SETUID | SETGID),
                b't' if special => STICKY,
                b's' | b't' => 0,
                b'u' | b'g' | b'o' => {
                    let shift = match perm {
                        b'u' => 6,
                        b'g' => 3,
                        _ => 0,
                    };
                    let like = Step::Like { shift, to: who & 0o777, op };
                    // `g=u` must see the mode before `g` is cleared.
                    if op == b'=' && steps.last() == Some(&Step::Clear(who)) {
                        steps.pop();
                    }
                    steps.push(like);
                    continue;
                }
                _ => return None,
            };
            steps.push(if op == b'-' { Step::Clear(bits) } else { Step::Set(bits) });
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbolic() {
        let cases = [
            ("u=rwX,go=rX", 0o644, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o700, true, 0o755),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("a+x", 0o644, false, 0o755),
            ("+x", 0o644, false, 0o755),
            ("+w", 0o444, false, 0o666),
            ("go-r,u+s", 0o644, false, 0o4600),
            ("u=", 0o4755, false, 0o055),
            ("a=r", 0o7777, false, 0o1444),
            ("g=u", 0o640, false, 0o660),
            ("o=g-w", 0o664, false, 0o664),
            ("ug+s,o+t", 0o755, false, 0o6755),
            ("+t", 0o777, true, 0o1777),
            ("g+s", 0o755, true, 0o2755),
            ("a-X", 0o755, true, 0o644),
            ("u+x,go-rwx", 0o644, false, 0o700),
            ("u+r+w-x", 0o100, false, 0o600),
            ("o-u", 0o567, false, 0o562),
        ];
        for (text, old, is_dir, new) in cases {
            let mode = ModeChange::parse(text).unwrap();
            assert_eq!(mode.apply(old, is_dir), new, "{text} of {old:o}: {:o}", mode.apply(old, is_dir));
        }
    }

    #[test]
    fn malformed() {
        for text in ["", "rwx", "u", "u+q", "u+x,", ",u+x", "z+x", "rwx9"] {
            assert!(ModeChange::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn octal() {
        let mode = ModeChange::new(&Chmod::Octal(0o4711)).unwrap();
        assert_eq!(mode.apply(0o600, false), 0o4711);
        assert_eq!(mode.of_parents(), Some(0o711));
        assert_eq!(ModeChange::parse("a+x").unwrap().of_parents(), None);
    }
}

//! Runs a filter as the kernel would, for tests.

use super::emit::{Instruction, JEQ, JGE, JSET, JUMP, LOAD, RET};

/// `BPF_JMP | BPF_JGT | BPF_K`
const JGT: u16 = 0x25;
/// `BPF_ALU | BPF_AND | BPF_K`
const AND: u16 = 0x54;

/// `struct seccomp_data`, without the instruction pointer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) arch: u32,
    pub(super) args: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            16..64 => {
                let arg = self.args[(offset as usize - 16) / 8];
                (if offset.is_multiple_of(8) { arg } else { arg >> 32 }) as u32
            }
            _ => panic!("load at {offset}"),
        }
    }
}

/// The value that the program returns. Panics on what the kernel's checker
/// would refuse.
pub(super) fn run(program: &[Instruction], call: &Call) -> u32 {
    let mut accumulator = 0;
    let mut at = 0;
    loop {
        let i = program[at];
        at += 1;
        let condition = match i.code {
            LOAD => {
                accumulator = call.word(i.k);
                continue;
            }
            AND => {
                accumulator &= i.k;
                continue;
            }
            JUMP => {
                at += i.k as usize;
                continue;
            }
            RET => return i.k,
            JEQ => accumulator == i.k,
            JGE => accumulator >= i.k,
            JGT => accumulator > i.k,
            JSET => accumulator & i.k != 0,
            other => panic!("instruction {other:#x}"),
        };
        at += usize::from(if condition { i.jt } else { i.jf });
    }
}

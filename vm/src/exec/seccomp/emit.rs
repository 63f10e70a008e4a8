//! Classic BPF out of a profile.
//!
//! Shape of the program:
//!
//! ```text
//! load arch; == native? -> native tree; == compat? -> compat tree; else ENOSYS
//! tree: load number; binary search by jge; leaves, each returning
//! ```
//!
//! x32 calls carry the native arch and bit 30 in the number: they fall in the
//! last range, which answers ENOSYS.

use super::profile::{ArchProfile, Verdict};

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exec) struct Instruction {
    pub(in crate::exec) code: u16,
    pub(in crate::exec) jt: u8,
    pub(in crate::exec) jf: u8,
    pub(in crate::exec) k: u32,
}

/// `BPF_LD | BPF_W | BPF_ABS`
pub(super) const LOAD: u16 = 0x20;
/// `BPF_JMP | BPF_JA`
pub(super) const JUMP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`
pub(super) const JEQ: u16 = 0x15;
/// `BPF_JMP | BPF_JGE | BPF_K`
pub(super) const JGE: u16 = 0x35;
/// `BPF_JMP | BPF_JSET | BPF_K`
pub(super) const JSET: u16 = 0x45;
/// `BPF_RET | BPF_K`
pub(super) const RET: u16 = 0x06;

/// `SECCOMP_RET_ALLOW`
pub(super) const RET_ALLOW: u32 = 0x7FFF_0000;
/// `SECCOMP_RET_ERRNO`, with the errno in the low half.
pub(super) const RET_ERRNO: u32 = 0x0005_0000;

/// Offsets in `struct seccomp_data`. Both architectures are little-endian:
/// the low half of the first argument comes first.
pub(super) const OFFSET_NUMBER: u32 = 0;
pub(super) const OFFSET_ARCH: u32 = 4;
pub(super) const OFFSET_ARGUMENT: u32 = 16;

fn statement(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

fn errno(number: u16) -> Instruction {
    statement(RET, RET_ERRNO | u32::from(number))
}

/// The program for these architectures.
pub(super) fn program(arches: &[ArchProfile]) -> Vec<Instruction> {
    let mut out = vec![statement(LOAD, OFFSET_ARCH)];
    for arch in arches {
        let mut tree = vec![statement(LOAD, OFFSET_NUMBER)];
        search(&arch.ranges, &mut tree);
        branch(&mut out, JEQ, arch.audit, tree);
    }
    out.push(errno(libc::ENOSYS as u16));
    out
}

/// `if (condition) { body }`, where body always returns.
fn branch(out: &mut Vec<Instruction>, code: u16, k: u32, body: Vec<Instruction>) {
    if let Ok(skip) = u8::try_from(body.len()) {
        out.push(Instruction { code, jt: 0, jf: skip, k });
    } else {
        // A conditional jump reaches 255 instructions, JA any distance.
        out.push(Instruction { code, jt: 1, jf: 0, k });
        out.push(statement(JUMP, u32::try_from(body.len()).unwrap_or(u32::MAX)));
    }
    out.extend(body);
}

/// Ranges in one block: its jumps, leaves included, stay below 255.
const BLOCK: usize = 96;

/// Finds the range of the loaded number by halving.
fn search(ranges: &[(u32, Verdict)], out: &mut Vec<Instruction>) {
    if ranges.len() <= BLOCK {
        return block(ranges, out);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let start = high.first().map_or(0, |range| range.0);
    let mut body = Vec::new();
    search(high, &mut body);
    branch(out, JGE, start, body);
    search(low, out);
}

/// A binary search whose leaves stand once each, behind all comparisons.
fn block(ranges: &[(u32, Verdict)], out: &mut Vec<Instruction>) {
    let mut nodes = Vec::new();
    let Some(Target::Node(_)) = plant(ranges, &mut nodes) else {
        if let [(_, verdict)] = ranges {
            leaf(*verdict, out);
        }
        return;
    };
    let mut leaves = Vec::new();
    let mut places: Vec<(Verdict, usize)> = Vec::new();
    for (_, verdict) in ranges {
        if places.iter().all(|(known, _)| known != verdict) {
            places.push((*verdict, nodes.len() + leaves.len()));
            leaf(*verdict, &mut leaves);
        }
    }
    let distance = |from: usize, to: Target| {
        let to = match to {
            Target::Node(index) => index,
            Target::Leaf(verdict) => places.iter().find(|(known, _)| *known == verdict).map_or(0, |(_, place)| *place),
        };
        // In range by the choice of BLOCK.
        u8::try_from(to.saturating_sub(from + 1)).unwrap_or(u8::MAX)
    };
    for (index, node) in nodes.iter().enumerate() {
        out.push(Instruction {
            code: JGE,
            jt: distance(index, node.high),
            jf: distance(index, node.low),
            k: node.start,
        });
    }
    out.extend(leaves);
}

#[derive(Clone, Copy)]
enum Target {
    Node(usize),
    Leaf(Verdict),
}

struct Node {
    start: u32,
    low: Target,
    high: Target,
}

/// The search tree in preorder: jumps lead forward only, as BPF demands.
fn plant(ranges: &[(u32, Verdict)], nodes: &mut Vec<Node>) -> Option<Target> {
    if let [(_, verdict)] = ranges {
        return Some(Target::Leaf(*verdict));
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (start, verdict) = *high.first()?;
    let index = nodes.len();
    let passing = Target::Leaf(verdict);
    nodes.push(Node { start, low: passing, high: passing });
    let low = plant(low, nodes)?;
    let high = plant(high, nodes)?;
    if let Some(node) = nodes.get_mut(index) {
        (node.low, node.high) = (low, high);
    }
    Some(Target::Node(index))
}

fn leaf(verdict: Verdict, out: &mut Vec<Instruction>) {
    match verdict {
        Verdict::Allow => out.push(statement(RET, RET_ALLOW)),
        Verdict::Errno(number) => out.push(errno(number)),
        Verdict::AllowWithoutBits(mask) => {
            out.push(statement(LOAD, OFFSET_ARGUMENT));
            branch(out, JSET, mask, vec![errno(libc::EPERM as u16)]);
            out.push(statement(RET, RET_ALLOW));
        }
        Verdict::AllowValues(values) => {
            out.push(statement(LOAD, OFFSET_ARGUMENT));
            for value in values {
                branch(out, JEQ, *value, vec![statement(RET, RET_ALLOW)]);
            }
            out.push(errno(libc::EPERM as u16));
        }
        Verdict::AllowExcept(values) => {
            out.push(statement(LOAD, OFFSET_ARGUMENT));
            for value in values {
                branch(out, JEQ, *value, vec![errno(libc::EPERM as u16)]);
            }
            out.push(statement(RET, RET_ALLOW));
        }
    }
}

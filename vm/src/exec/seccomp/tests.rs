//! The emitted filters against the profile, call by call, and against another
//! compiler.

use std::collections::{BTreeMap, HashMap};

use super::emit::{Instruction, RET_ALLOW, RET_ERRNO, program};
use super::interpreter::{Call, run};
use super::profile::{ArchProfile, aarch64, x86_64};
use super::table::{ALLOWED, NONE};

const X86_64: u32 = 0xC000_003E;
const EPERM: u32 = RET_ERRNO | 1;
const ENOSYS: u32 = RET_ERRNO | 38;

fn call(arch: u32, number: u32, first: u64) -> Call {
    Call { number, arch, args: [first, 0, 0, 0, 0, 0] }
}

/// Which calls each architecture allows without looking at arguments.
fn allowed() -> [(Vec<ArchProfile>, usize, Column); 4] {
    [(x86_64(), 0, |r| r.1), (x86_64(), 1, |r| r.2), (aarch64(), 0, |r| r.3), (aarch64(), 1, |r| r.4)]
}

type Column = fn(&Row) -> u32;
type Row = (&'static str, u32, u32, u32, u32);

#[test]
fn every_number_of_every_architecture_gets_its_verdict() {
    for (arches, index, column) in allowed() {
        let filter = program(&arches);
        let arch = arches[index].audit;
        let numbers: HashMap<u32, &str> =
            ALLOWED.iter().filter(|r| column(r) != NONE).map(|r| (column(r), r.0)).collect();
        let last = *numbers.keys().filter(|n| **n < 0x1000).max().expect("calls");
        for number in (0..1024).chain(0xF_0000..0xF_0010) {
            let special: &[u32] = match (arch, index) {
                (X86_64, _) => &[56, 435, 135, 41],
                (0xC000_00B7, _) => &[220, 435, 92, 198],
                (0x4000_0003, _) => &[120, 435, 136, 359],
                _ => &[120, 435, 136, 281],
            };
            if special.contains(&number) {
                continue;
            }
            let expected = match numbers.get(&number) {
                Some(_) => RET_ALLOW,
                None if number > last => ENOSYS,
                None => EPERM,
            };
            let verdict = run(&filter, &call(arch, number, 0));
            assert_eq!(verdict, expected, "{number} on {arch:#x}");
        }
    }
}

#[test]
fn calls_that_depend_on_an_argument() {
    let filter = program(&x86_64());
    let verdict = |number, first| run(&filter, &call(X86_64, number, first));
    // clone: threads and plain children, no namespace of any kind.
    assert_eq!(verdict(56, 0x0100_0000 | 17), RET_ALLOW);
    for flag in [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ] {
        assert_eq!(verdict(56, u64::from(flag.cast_unsigned()) | 17), EPERM);
    }
    assert_eq!(verdict(435, 0), ENOSYS);
    for (persona, expected) in [
        (0, RET_ALLOW),
        (8, RET_ALLOW),
        (0x2_0000, RET_ALLOW),
        (0x2_0008, RET_ALLOW),
        (0xFFFF_FFFF, RET_ALLOW),
        (0x004_0000, EPERM),
    ] {
        assert_eq!(verdict(135, persona), expected, "{persona:#x}");
    }
    for (family, expected) in [
        (1, RET_ALLOW),
        (2, RET_ALLOW),
        (37, RET_ALLOW),
        (38, EPERM),
        (39, RET_ALLOW),
        (40, EPERM),
        // The kernel takes an int: high bits do not get around it.
        (0x1_0000_0000 | 40, EPERM),
        (41, RET_ALLOW),
    ] {
        assert_eq!(verdict(41, family), expected, "{family}");
    }
}

#[test]
fn foreign_architectures_and_x32_do_not_exist() {
    let filter = program(&x86_64());
    assert_eq!(run(&filter, &call(0xC000_00F3, 1, 0)), ENOSYS);
    assert_eq!(run(&filter, &call(X86_64, 0x4000_0001, 0)), ENOSYS);
}

#[test]
fn filters_are_short() {
    // The kernel's limit is 4096; load time is what matters.
    for arches in [x86_64(), aarch64()] {
        let native = program(&arches[..1]);
        assert!(native.len() < 110, "{}", native.len());
        assert!(program(&arches).len() < 300, "{}", program(&arches).len());
    }
}

#[test]
fn another_compiler_agrees() {
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
        SeccompRule, TargetArch,
    };
    let rule = |op, value| {
        let condition = SeccompCondition::new(0, Len::Dword, op, value).expect("condition");
        SeccompRule::new(vec![condition]).expect("rule")
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().filter(|r| r.1 != NONE).map(|r| (i64::from(r.1), Vec::new())).collect();
    rules.insert(56, vec![rule(Op::MaskedEq(0x7E02_0000), 0)]);
    rules.insert(135, [0, 8, 0x2_0000, 0x2_0008, 0xFFFF_FFFF].map(|v| rule(Op::Eq, v)).into());
    rules.insert(41, vec![rule(Op::Lt, 38), rule(Op::Eq, 39), rule(Op::Gt, 40)]);
    let theirs: BpfProgram =
        SeccompFilter::new(rules, SeccompAction::Errno(1), SeccompAction::Allow, TargetArch::x86_64)
            .and_then(TryInto::try_into)
            .expect("filter");
    let theirs: Vec<Instruction> =
        theirs.iter().map(|i| Instruction { code: i.code, jt: i.jt, jf: i.jf, k: i.k }).collect();
    let ours = program(&x86_64());
    let arguments = [0, 1, 8, 17, 38, 39, 40, 41, 0x2_0000, 0x2_0008, 0x7E02_0000, 0xFFFF_FFFF];
    for number in 0..600 {
        for first in arguments {
            let call = call(X86_64, number, first);
            assert_eq!(run(&ours, &call) == RET_ALLOW, run(&theirs, &call) == RET_ALLOW, "{number} with {first:#x}");
        }
    }
}

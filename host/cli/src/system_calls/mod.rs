//! System calls that neither the host nor its compiler ever makes: the kernel refuses them (seccomp), in case a wall of the
//! sandbox falls. What is not listed works as ever, so a library that changes its ways breaks nothing.
//!
//! Ahead of the list stand two answers that a list can't give. Every number of the x32 interface does not exist: it has each call a
//! second time, some under numbers of their own. And `clone3` does not exist, since its flags lie where a filter can't look: the C
//! library falls back to `clone`, whose flags are looked at.

mod listed;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads, sock_filter,
};

use listed::{KERNEL, MACHINE, NAMESPACES, OTHERS, VIEWS, X32_OWN};

/// The bit that makes a number one of the x32 interface, which passes as x86-64's.
const X32: u32 = 0x4000_0000;
/// How the kernel names x86-64 to a filter.
const X86_64: u32 = 0xc000_003e;

/// From now on these fail with `EPERM` in every thread and in whatever the process starts. false: this kernel has no such
/// filter, and all is as before.
pub fn close() -> bool {
    match filter().and_then(|filter| Ok(apply_filter_all_threads(&filter)?)) {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(%error, "no system calls are closed");
            false
        }
    }
}

fn filter() -> anyhow::Result<BpfProgram> {
    let listed = [OTHERS, VIEWS, KERNEL, MACHINE].into_iter().flatten().copied().chain(X32_OWN);
    let mut rules: BTreeMap<i64, _> = listed.map(|call| (call, Vec::new())).collect();
    let with = |flag: &i32| {
        let flag = u64::from(flag.unsigned_abs());
        let set = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(flag), flag)?;
        SeccompRule::new(vec![set])
    };
    rules.insert(libc::SYS_clone, NAMESPACES.iter().map(with).collect::<Result<_, _>>()?);
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let here: TargetArch = std::env::consts::ARCH.try_into()?;
    let list: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, refused, here)?.try_into()?;
    Ok(ahead_of_the_list().into_iter().chain(list).collect())
}

/// `ENOSYS` for x32 and for `clone3`; everything else, and every other architecture, goes on to the list. Jumps count from the next
/// instruction.
fn ahead_of_the_list() -> [sock_filter; 6] {
    // See linux/bpf_common.h and linux/seccomp.h.
    const LOAD: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    const IF_AT_LEAST: u16 = 0x35;
    const ANSWER: u16 = 0x06;
    const NUMBER: u32 = 0;
    const ARCHITECTURE: u32 = 4;
    let load = |what| sock_filter { code: LOAD, jt: 0, jf: 0, k: what };
    let jump = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    let no_such_call = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    [
        load(ARCHITECTURE),
        jump(IF_EQUAL, X86_64, 0, 4),
        load(NUMBER),
        jump(IF_AT_LEAST, X32, 1, 0),
        jump(IF_EQUAL, libc::SYS_clone3 as u32, 0, 1),
        sock_filter { code: ANSWER, jt: 0, jf: 0, k: no_such_call },
    ]
}

use std::process::Command;

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use super::*;

const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

/// What the kernel would make of a call: the filter, instruction by instruction.
fn verdict(architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let filter = filter().unwrap();
    let word = |offset: u32| match offset {
        0 => number,
        4 => architecture,
        offset => {
            let argument = arguments[(offset as usize - 16) / 8];
            if offset % 8 == 0 { argument as u32 } else { (argument >> 32) as u32 }
        }
    };
    let (mut at, mut held) = (0, 0_u32);
    loop {
        let sock_filter { code, jt, jf, k } = filter[at].clone();
        at += 1;
        let mut jump = |met: bool| at += usize::from(if met { jt } else { jf });
        match code {
            0x20 => held = word(k),
            0x54 => held &= k,
            0x05 => at += k as usize,
            0x15 => jump(held == k),
            0x25 => jump(held > k),
            0x35 => jump(held >= k),
            0x45 => jump(held & k != 0),
            0x06 => return k,
            other => panic!("an instruction of another kind: {other:#x}"),
        }
    }
}

fn of(number: u32) -> u32 {
    verdict(X86_64, number, [0; 6])
}

#[test]
fn every_number_of_x32_is_none() {
    // ptrace, kexec_load, process_vm_readv and process_vm_writev under the numbers that only x32 has.
    for own in [521, 528, 539, 540] {
        assert_eq!(of(X32 | own), ENOSYS, "{own}");
        assert_eq!(of(own), EPERM, "{own}, without the bit");
    }
    for number in (0..1_024).chain([0x2000_0000, 0x3fff_ffff, 0x7fff_ffff, 0xbfff_ffff]) {
        assert_eq!(of(X32 | number), ENOSYS, "{number}");
    }
    assert_eq!(of(u32::MAX), ENOSYS);
}

#[test]
fn what_is_listed_is_refused_and_the_rest_is_not() {
    for call in [OTHERS, VIEWS, KERNEL, MACHINE].concat() {
        assert_eq!(of(call as u32), EPERM, "{call}");
    }
    for call in [libc::SYS_read, libc::SYS_execve, libc::SYS_vfork, libc::SYS_openat, libc::SYS_connect, libc::SYS_mmap]
    {
        assert_eq!(of(call as u32), ALLOW, "{call}");
    }
    assert_eq!((of(511), of(548)), (ALLOW, ALLOW));
    // Another architecture's calls end the process, as ever: its numbers mean something else.
    assert_eq!(verdict(0x4000_0003, 26, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
}

#[test]
fn no_namespace_is_made_by_clone() {
    let clone = |flags: u64| verdict(X86_64, libc::SYS_clone as u32, [flags, 0, 0, 0, 0, 0]);
    // As the C library makes a thread, and as it forks.
    let thread = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
    let thread =
        thread | libc::CLONE_SYSVSEM | libc::CLONE_SETTLS | libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_CLEARTID;
    let fork = libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
    let vfork = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    for flags in [thread, fork, vfork, libc::SIGCHLD] {
        assert_eq!(clone(flags as u64), ALLOW, "{flags:#x}");
        for namespace in NAMESPACES {
            assert_eq!(clone((flags | namespace) as u64), EPERM, "{flags:#x} and {namespace:#x}");
            // The upper half of the register is not looked at by the kernel.
            assert_eq!(clone((flags | namespace) as u64 | 7 << 32), EPERM);
        }
    }
    assert_eq!(NAMESPACES.iter().fold(0, |all, one| all | one), 0x7e02_0000);
    assert_eq!(of(libc::SYS_clone3 as u32), ENOSYS, "its flags can't be looked at");
    assert_eq!((of(libc::SYS_unshare as u32), of(libc::SYS_setns as u32)), (EPERM, EPERM));
}

/// Done in a process of its own by the test below: what is closed stays closed.
#[test]
#[ignore = "closes system calls of its whole process"]
fn in_a_process_of_its_own() {
    let pid = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let stdin = std::io::stdin();
    let number = std::os::fd::AsRawFd::as_raw_fd(&stdin);
    let own = || pidfd_getfd(&pid, number, PidfdGetfdFlags::empty()).map(drop);
    // A container may close this one itself; a kernel may be older than it.
    let before = own();
    println!("before: {before:?}");
    assert!(close(), "this kernel filters no system calls");
    assert_eq!(own(), Err(rustix::io::Errno::PERM));
    // In threads that were there before as well, and in those that come.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    assert!(status.lines().any(|line| line.split_whitespace().eq(["Seccomp:", "2"])), "{status}");
    // Threads start without clone3.
    std::thread::spawn(move || {
        assert_eq!(pidfd_getfd(&pid, 0, PidfdGetfdFlags::empty()).map(drop), Err(rustix::io::Errno::PERM))
    })
    .join()
    .unwrap();
    // What is not listed works: a process is started and waited for.
    assert!(Command::new("/bin/true").status().unwrap().success());
    // Calls by their numbers, made by a child, which has what its maker has: clone3, clone for a namespace of users, ptrace of x32.
    const CALLS: &str = r#"sub end_of { $! = 0; my $made = syscall(shift, shift, 0, 0, 0, 0); exit if $made == 0; $! + 0 }
        print join(" ", end_of(435, 0), end_of(56, 0x10000011), end_of(521, 0), end_of(0x40000000 | 521, 0))"#;
    match Command::new("perl").args(["-e", CALLS]).output() {
        Ok(made) => assert_eq!(String::from_utf8_lossy(&made.stdout), "38 1 1 38", "{made:?}"),
        Err(error) => println!("no calls by their numbers: {error}"),
    }
}

#[test]
fn a_closed_call_fails_and_the_rest_works() {
    let name = concat!(module_path!(), "::in_a_process_of_its_own");
    let name = name.split_once("::").unwrap().1;
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    if words.contains("this kernel filters no system calls") {
        println!("skipped: this kernel filters no system calls");
        return;
    }
    assert!(ended.status.success() && words.contains("1 passed"), "{words}");
}

#[test]
fn no_call_is_listed_twice() {
    let all: Vec<i64> = [OTHERS, VIEWS, KERNEL, MACHINE].concat();
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert!(all.iter().all(|call| *call < i64::from(X32) && !X32_OWN.contains(call)));
}

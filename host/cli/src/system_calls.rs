//! System calls that neither the host nor its compiler ever makes: the kernel refuses them (seccomp), in case a wall of the
//! sandbox falls. What is not listed works as ever, so a library that changes its ways breaks nothing.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter_all_threads};

/// Looking into other processes, or taking what they have open.
const OTHERS: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
];
/// Another view of files, users or the network.
const VIEWS: &[i64] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_personality,
];
/// Parts of the kernel that are often the way into it.
const KERNEL: &[i64] = &[
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_modify_ldt,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
];
/// What is the machine's.
const MACHINE: &[i64] = &[
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
];

/// The same calls under the numbers of the x32 interface, which pass as x86-64's.
const X32: i64 = 0x4000_0000;

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
    let listed = [OTHERS, VIEWS, KERNEL, MACHINE].into_iter().flatten();
    let rules: BTreeMap<i64, _> = listed.flat_map(|call| [(*call, Vec::new()), (call | X32, Vec::new())]).collect();
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let here: TargetArch = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refused, here)?.try_into()?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    use super::*;

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
        std::thread::spawn(move || {
            assert_eq!(pidfd_getfd(&pid, 0, PidfdGetfdFlags::empty()).map(drop), Err(rustix::io::Errno::PERM))
        })
        .join()
        .unwrap();
        // What is not listed works: a process is started and waited for.
        assert!(Command::new("/bin/true").status().unwrap().success());
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
        assert!(all.iter().all(|call| *call < X32));
    }
}

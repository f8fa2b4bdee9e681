//! A second wall around the process, in case one of the sandbox's falls: what the host never does, the kernel refuses.
//!
//! None of it is needed to work, so a kernel that lacks something ends no start: `/readyz` and one line of the log tell what
//! is up. What else a service manager can do is in `fangshi.service`.

use fangshi_console::Walls;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, RestrictSelf, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::system_calls;

/// Before there is a second thread: a thread has what it was started with. No new privileges, no core files, and with Landlock
/// no files but ordinary ones and no listener but on this port.
pub fn raise(port: u16, landlock: bool) -> Walls {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let core_dumps_off = setrlimit(Resource::Core, none).is_ok();
    let restricted = if landlock { restrict(port).or_else(|_| no_new_privileges()) } else { no_new_privileges() };
    Walls { core_dumps_off, ..restricted.unwrap_or_default() }
}

/// That the second wall is up, as far as this kernel and the config let it: whatever runs plugins asks for this.
#[derive(Debug, Clone, Copy)]
pub struct Raised(Walls);

impl Raised {
    /// What is up.
    pub fn walls(self) -> Walls {
        self.0
    }

    /// For tests of rooms, which share their process with others.
    #[cfg(test)]
    pub fn not_at_all() -> Raised {
        Raised(Walls::default())
    }
}

/// After the sandbox was made, which looks at the process's own memory map: nobody else of the same user does. And unless the
/// config says otherwise, the system calls that nobody here makes are closed, in all threads.
pub fn close(mut walls: Walls, seccomp: bool) -> Raised {
    walls.memory_closed = set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
    walls.seccomp = seccomp && system_calls::close();
    tracing::info!(?walls, "second wall");
    Raised(walls)
}

fn no_new_privileges() -> Result<Walls, RulesetError> {
    let status = RestrictSelf::default().apply()?;
    Ok(Walls { no_new_privileges: status.no_new_privs, ..Walls::default() })
}

fn restrict(port: u16) -> Result<Walls, RulesetError> {
    let files: BitFlags<AccessFs> =
        AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::MakeFifo | AccessFs::MakeSym;
    debug_assert!(AccessFs::from_all(ABI::V1).contains(files));
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(files)?
        .handle_access(AccessNet::BindTcp)?
        .create()?
        .add_rule(NetPort::new(port, AccessNet::BindTcp))?
        .restrict_self()?;
    let (landlock_files, landlock_ports) = held(&status.ruleset);
    Ok(Walls { no_new_privileges: status.no_new_privs, landlock_files, landlock_ports, ..Walls::default() })
}

/// What the kernel holds of the rules for files and for ports. Every Landlock knows the files'; what one may lack is ports,
/// which came with Linux 6.7.
fn held(ruleset: &RulesetStatus) -> (bool, bool) {
    match ruleset {
        RulesetStatus::FullyEnforced => (true, true),
        RulesetStatus::PartiallyEnforced => (true, false),
        RulesetStatus::NotEnforced => (false, false),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpListener;

    use super::*;

    /// What is refused to a thread of its own, as it was to the process's first one: links, and ports that are not its own.
    fn refused(landlock: bool) -> (Walls, bool, bool) {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        let own = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = own.local_addr().unwrap().port();
        drop(own);
        let thread = std::thread::spawn(move || {
            let walls = raise(port, landlock);
            let refused = |kind: Option<ErrorKind>| kind == Some(ErrorKind::PermissionDenied);
            let linked = std::os::unix::fs::symlink("nowhere", link).err().map(|error| error.kind());
            let bound = TcpListener::bind("127.0.0.1:0").err().map(|error| error.kind());
            let bound_its_own = TcpListener::bind(("127.0.0.1", port)).err().map(|error| error.kind());
            assert!(!refused(bound_its_own), "its own port is open to it");
            (walls, refused(linked), refused(bound))
        });
        thread.join().unwrap()
    }

    #[test]
    fn what_is_told_of_landlock_is_what_the_kernel_refuses() {
        let (walls, links, ports) = refused(true);
        assert_eq!((walls.landlock_files, walls.landlock_ports), (links, ports));
        assert!(walls.no_new_privileges && walls.core_dumps_off);
    }

    #[test]
    fn landlock_can_be_left_out_and_the_rest_stays() {
        let (walls, links, ports) = refused(false);
        assert_eq!((walls.landlock_files, walls.landlock_ports, links, ports), (false, false, false, false));
        assert!(walls.no_new_privileges && walls.core_dumps_off);
    }

    #[test]
    fn a_kernel_without_rules_for_ports_holds_those_for_files_alone() {
        assert_eq!(held(&RulesetStatus::PartiallyEnforced), (true, false));
        assert_eq!(held(&RulesetStatus::NotEnforced), (false, false));
    }
}

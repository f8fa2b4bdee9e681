//! A second wall around the process, in case one of the sandbox's falls: what the host never does, the kernel refuses.
//!
//! None of it is needed to work, so a kernel that lacks something ends no start: `/readyz` and one line of the log tell what
//! is up. What else a service manager can do is in `fangshi.service`.

use fangshi_console::Walls;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::system_calls;

/// Before there is a second thread: a thread has what it was started with. No new privileges, no core files, no files but
/// ordinary ones, no listener but on this port.
pub fn raise(port: u16) -> Walls {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let core_dumps_off = setrlimit(Resource::Core, none).is_ok();
    let (no_new_privileges, landlock) = match restrict(port) {
        Ok(status) => (status.no_new_privs, status.ruleset != RulesetStatus::NotEnforced),
        Err(_) => (false, false),
    };
    Walls { no_new_privileges, core_dumps_off, landlock, memory_closed: false, seccomp: false }
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

fn restrict(port: u16) -> Result<RestrictionStatus, RulesetError> {
    let files: BitFlags<AccessFs> =
        AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::MakeFifo | AccessFs::MakeSym;
    debug_assert!(AccessFs::from_all(ABI::V1).contains(files));
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(files)?
        .handle_access(AccessNet::BindTcp)?
        .create()?
        .add_rule(NetPort::new(port, AccessNet::BindTcp))?
        .restrict_self()
}

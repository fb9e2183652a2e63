//! The limit on open descriptors: raised for this process, and given back to the programs that it starts.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::proc::open_descriptors;

/// No limit was raised.
const UNCHANGED: u64 = u64::MAX;

/// The soft limit from before [`raise`].
static BEFORE: AtomicU64 = AtomicU64::new(UNCHANGED);

/// Raises the soft limit on descriptors of this process to the hard one, and returns the limit in force.
///
/// Commands, release agents and helper programs that this crate starts get the old soft limit back. A program that
/// uses select(2) must not get a descriptor above 1023 by surprise.
///
/// # Errors
/// Those of getrlimit(2) and setrlimit(2). The limit stays as it was.
pub fn raise() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        // a second call must not take the raised limit for the old one
        let _ = BEFORE.compare_exchange(UNCHANGED, soft, Ordering::Relaxed, Ordering::Relaxed);
    }
    Ok(hard)
}

/// The soft limit on descriptors of this process, and how many are open. 1,024 and 0 where neither can be read.
pub fn limit_and_open() -> (u64, usize) {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    (limit, open_descriptors())
}

/// Gives a forked child the soft limit from before [`raise`]. Makes system calls only.
pub(crate) fn give_back() {
    let before = BEFORE.load(Ordering::Relaxed);
    if before == UNCHANGED {
        return;
    }
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // a soft limit can always be lowered
        let _ = setrlimit(Resource::RLIMIT_NOFILE, before.min(hard), hard);
    }
}

/// Has a program start with the soft limit from before [`raise`].
pub(crate) fn given_back(command: &mut Command) -> &mut Command {
    let between_fork_and_exec = || {
        give_back();
        Ok(())
    };
    // SAFETY: the closure makes two system calls. It takes no lock and allocates nothing.
    unsafe { command.pre_exec(between_fork_and_exec) }
}

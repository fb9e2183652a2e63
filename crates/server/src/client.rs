//! The client of an operation: its rights, and the pid namespace of the task numbers that it uses.

use std::sync::{Arc, OnceLock};

use nix::errno::Errno;
use nix::unistd::geteuid;
use penfold_core::{Caller, ErrorKind, Tid};
use penfold_linux::peer::PeerProcess;
use penfold_linux::proc::{
    Namespace, TaskStatus, all_tasks, has_all_user_ids, in_initial_user_namespace, namespace_of,
    own_namespace, user_namespace_owner,
};

use crate::failure::Failure;

/// The users that a daemon treats as its administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Root with its capabilities and, where the daemon is not root's, the user whose daemon it is.
    Owner(u32),
    /// No user: the engine of one `penfold run`, whose clients are the processes of the job.
    Nobody,
}

/// A process on whose behalf an operation is done.
#[derive(Debug, Clone)]
pub struct Client {
    /// The client as the engine sees it: task, user, groups and privilege.
    pub caller: Caller,
    /// The client's pid namespace; `None` for the daemon's own.
    namespace: Option<u64>,
    /// The client's process. `None` for the daemon itself and for a request of a file view. The kernel holds the task of
    /// a request until the request is answered or the task is killed.
    process: Option<Arc<PeerProcess>>,
}

/// The namespace of a client that ended before its namespace was read. No namespace has this number.
const UNKNOWN_NAMESPACE: u64 = 0;

impl Client {
    /// A process at the other end of a socket, which connected as `uid` and `gid`. `groups` are the supplementary
    /// groups that it had when it connected; without them, those that `/proc` shows now.
    ///
    /// A client that has ended has no privilege but that of its user, and names no task: its number may be another
    /// process's by now.
    pub fn connected(
        trust: Trust,
        peer: PeerProcess,
        uid: u32,
        gid: u32,
        groups: Option<Vec<u32>>,
    ) -> Client {
        let task = peer.pid();
        let process = TaskStatus::read(task);
        // Root of another user namespace has all capabilities, but only there. A daemon without root can't read the
        // namespaces of root's processes.
        let theirs = namespace_of(task, Namespace::User);
        let same = theirs == own_namespace(Namespace::User) || (theirs.is_none() && !geteuid().is_root());
        let namespace = namespace_of(task, Namespace::Pid);
        // the facts above are the client's if it lives after they were read
        let lives = peer.lives();
        let process = process.filter(|_| lives);
        let administrator = same && process.as_ref().is_some_and(TaskStatus::is_administrator);
        let privileged = match trust {
            Trust::Owner(owner) => {
                (uid == 0 && (administrator || owns_namespace(task))) || (owner != 0 && uid == owner)
            }
            Trust::Nobody => false,
        };
        let groups = groups.or(process.map(|process| process.groups)).unwrap_or_default();
        let own = own_namespace(Namespace::Pid);
        let namespace = if lives { namespace } else { Some(UNKNOWN_NAMESPACE) };
        let namespace = namespace.filter(|theirs| Some(*theirs) != own);
        // umask 0: a client sends final modes, since it may change its umask while it is connected
        let caller = Caller { task, uid, gid, groups, umask: 0, privileged };
        Client { caller, namespace, process: Some(Arc::new(peer)) }
    }

    /// Checks that the client has not ended. A fact that was read from `/proc` before is the client's own then.
    ///
    /// # Errors
    /// `ESRCH`.
    pub fn must_live(&self) -> Result<(), Failure> {
        if self.process.as_ref().is_none_or(|process| process.lives()) {
            return Ok(());
        }
        let detail = "has ended, so its rights are not known; connect from the process that asks";
        Err(Failure::new(ErrorKind::NoTask, Errno::ESRCH, "caller", detail))
    }

    /// Notes which process has the caller's number now, for a client of a view that is kept after its request.
    #[cfg(feature = "daemon")]
    pub(crate) fn remember_process(&mut self) {
        self.process = Some(Arc::new(PeerProcess::with_number(self.caller.task.0)));
    }

    /// A process that uses a file view. The kernel has checked owner and mode already. Task numbers are those of the
    /// daemon's pid namespace until [`Client::look_up_namespace`] is called.
    pub fn of_view(trust: Trust, pid: i32, uid: u32, gid: u32) -> Client {
        let privileged = match trust {
            Trust::Owner(owner) => uid == 0 || uid == owner,
            Trust::Nobody => false,
        };
        let caller = Caller { task: Tid(pid), uid, gid, groups: Vec::new(), umask: 0, privileged };
        Client { caller, namespace: None, process: None }
    }

    /// Finds the client's pid namespace. [`Client::of_view`] leaves this out, because most requests name no task.
    pub fn look_up_namespace(&mut self) {
        static OWN: OnceLock<Option<u64>> = OnceLock::new();
        let own = *OWN.get_or_init(|| own_namespace(Namespace::Pid));
        self.namespace = namespace_of(self.caller.task, Namespace::Pid).filter(|theirs| Some(*theirs) != own);
    }

    /// The server itself.
    pub fn own() -> Client {
        let caller = Caller::root(Tid(std::process::id().cast_signed()));
        Client { caller, namespace: None, process: None }
    }

    /// Reads the supplementary groups, which [`Client::of_view`] leaves out. Returns whether the client has any.
    pub fn fetch_groups(&mut self) -> bool {
        if let Some(process) = TaskStatus::read(self.caller.task) {
            self.caller.groups = process.groups;
        }
        !self.caller.groups.is_empty()
    }

    /// The task that `number` means in the client's pid namespace, in the daemon's numbers. 0 is the client itself.
    ///
    /// # Errors
    /// `ESRCH` if the client's namespace has no task of that number. Also if the client has ended, where its own number
    /// or its namespace is needed.
    pub fn task(&self, number: i32) -> Result<Tid, Failure> {
        let none =
            || Failure::new(ErrorKind::NoTask, Errno::ESRCH, format!("task {number}"), "no such process");
        match (number, self.namespace) {
            (0, _) => self.must_live().map(|()| self.caller.task),
            (number, None) => Ok(Tid(number)),
            // Linux has no lookup by the number in another namespace. The namespaces inside this one are small.
            (number, Some(namespace)) => {
                let task =
                    all_tasks().into_iter().find(|task| self.number_in(namespace, *task) == Some(number));
                self.must_live()?;
                task.ok_or_else(none)
            }
        }
    }

    /// The number of a task in the client's pid namespace; `None` if that namespace does not have the task.
    pub fn number(&self, task: Tid) -> Option<i32> {
        self.namespace.map_or(Some(task.0), |namespace| self.number_in(namespace, task))
    }

    /// True if the client is in another pid namespace than the daemon.
    pub fn translates(&self) -> bool {
        self.namespace.is_some()
    }

    fn number_in(&self, namespace: u64, task: Tid) -> Option<i32> {
        let depth = TaskStatus::read(self.caller.task)?.numbers.len();
        self.must_live().ok()?;
        let process = TaskStatus::read(task)?;
        let number = *process.numbers.get(depth - 1)?;
        // two namespaces of the same depth can be different ones
        let same = process.numbers.len() > depth || namespace_of(task, Namespace::Pid) == Some(namespace);
        same.then_some(number)
    }
}

/// Whether a client that is root by the daemon's numbers has made the daemon's user namespace, and is outside of it.
///
/// Such a client has every capability over the daemon, as the kernel sees it: `unshare -r penfold serve` serves the
/// user that has typed it.
fn owns_namespace(task: Tid) -> bool {
    !in_initial_user_namespace() && user_namespace_owner() == Some(0) && has_all_user_ids(task)
}

//! Who asks, and in which numbers it speaks of processes.

use std::sync::OnceLock;

use nix::errno::Errno;
use nix::unistd::geteuid;
use penfold_core::{Caller, ErrorKind, Tid};
use penfold_linux::process::{Process, namespace_of, pid_namespace};

use crate::failure::Failure;

fn own_pid() -> i32 {
    std::process::id().cast_signed()
}

/// Whom a daemon takes for its administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Root with its capabilities and, where the daemon is not root's, the user whose daemon it is.
    Owner(u32),
    /// Nobody: the engine of one `penfold run`, asked by what runs in it.
    Nobody,
}

/// One who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// As the engine sees it.
    pub caller: Caller,
    /// Its pid namespace where that is not the daemon's.
    namespace: Option<u64>,
}

impl Client {
    /// A process at the other end of a socket. Its groups are those that it had when it connected, `groups`, or those
    /// that `/proc` shows.
    pub fn connected(trust: Trust, pid: i32, uid: u32, gid: u32, groups: Option<Vec<u32>>) -> Client {
        let process = Process::read(pid);
        // Root of a user namespace has all capabilities, there. A daemon without root may not look at root's namespaces.
        let theirs = namespace_of(pid, "user");
        let same = theirs == namespace_of(own_pid(), "user") || (theirs.is_none() && !geteuid().is_root());
        let administrator = same && process.as_ref().is_some_and(Process::is_administrator);
        let privileged = match trust {
            Trust::Owner(owner) => (uid == 0 && administrator) || (owner != 0 && uid == owner),
            Trust::Nobody => false,
        };
        let groups = groups.or(process.map(|process| process.groups)).unwrap_or_default();
        let own = pid_namespace(own_pid());
        let namespace = pid_namespace(pid).filter(|theirs| Some(*theirs) != own);
        // the modes that it asks for are final: it may change its umask while it is connected
        Client { caller: Caller { task: Tid(pid), uid, gid, groups, umask: 0, privileged }, namespace }
    }

    /// A process that uses a file view: the kernel has checked owner and mode of what it opens, and numbers are those
    /// of the daemon's namespace.
    pub fn of_view(trust: Trust, pid: i32, uid: u32, gid: u32) -> Client {
        let privileged = match trust {
            Trust::Owner(owner) => uid == 0 || uid == owner,
            Trust::Nobody => false,
        };
        let caller = Caller { task: Tid(pid), uid, gid, groups: Vec::new(), umask: 0, privileged };
        Client { caller, namespace: None }
    }

    /// Finds out which numbers the task speaks in, which [`Client::of_view`] leaves open until it matters.
    pub fn look_up_namespace(&mut self) {
        static OWN: OnceLock<Option<u64>> = OnceLock::new();
        let own = *OWN.get_or_init(|| pid_namespace(std::process::id().cast_signed()));
        self.namespace = pid_namespace(self.caller.task.0).filter(|theirs| Some(*theirs) != own);
    }

    /// The server itself.
    pub fn own() -> Client {
        Client { caller: Caller::root(Tid(std::process::id().cast_signed())), namespace: None }
    }

    /// Fills in the supplementary groups, which a file view leaves out until they matter. True if there are any.
    pub fn fetch_groups(&mut self) -> bool {
        if let Some(process) = Process::read(self.caller.task.0) {
            self.caller.groups = process.groups;
        }
        !self.caller.groups.is_empty()
    }

    /// A task that the client names, in the daemon's numbers; 0 is the client itself.
    ///
    /// # Errors
    /// `ESRCH` if its namespace has none of that number.
    pub fn task(&self, number: i32) -> Result<Tid, Failure> {
        let none =
            || Failure::new(ErrorKind::NoTask, Errno::ESRCH, format!("task {number}"), "no such process");
        match (number, self.namespace) {
            (0, _) => Ok(self.caller.task),
            (number, None) => Ok(Tid(number)),
            // the namespaces inside this one are small; a lookup by number the other way round does not exist
            (number, Some(namespace)) => penfold_linux::process::all_tasks()
                .into_iter()
                .find(|task| self.number_in(namespace, *task) == Some(number))
                .map(Tid)
                .ok_or_else(none),
        }
    }

    /// The number that the client knows a task by; `None` if its namespace does not have it.
    pub fn number(&self, task: Tid) -> Option<i32> {
        self.namespace.map_or(Some(task.0), |namespace| self.number_in(namespace, task.0))
    }

    /// Does it use other numbers than the daemon?
    pub fn translates(&self) -> bool {
        self.namespace.is_some()
    }

    fn number_in(&self, namespace: u64, task: i32) -> Option<i32> {
        let depth = Process::read(self.caller.task.0)?.numbers.len();
        let process = Process::read(task)?;
        let number = *process.numbers.get(depth - 1)?;
        // a namespace of the same depth may be another one
        let same = process.numbers.len() > depth || pid_namespace(task) == Some(namespace);
        same.then_some(number)
    }
}

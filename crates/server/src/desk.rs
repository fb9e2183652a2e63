//! The one door to the engine: what the control socket and the file views share.
//!
//! Every operation is done as a [`Client`] and announced as a [`Change`] to those who asked to hear of it. Paths, names
//! and JSON are the front ends' business.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use nix::errno::Errno;
use penfold_core::{CgroupId, Engine, FileId, Host, HostView, Mounted, Owner, PAGE_SIZE, Tid};
use penfold_linux::process::Process;
use penfold_linux::trace::{Control, TraceHost};

use crate::change::{Change, ViewId, What};
use crate::client::{Client, Trust};
use crate::failure::Failure;
use crate::members;
use crate::modules::{self, Modules};
use crate::reach::{Reach, must_reach, must_reach_task};

/// A way to the engine and the host, for any thread.
#[derive(Clone)]
pub struct Desk {
    shared: Arc<Shared>,
}

struct Shared {
    /// `None` in the engine of one `penfold run`, which takes nobody in.
    host: Option<TraceHost>,
    control: Control,
    trust: Trust,
    listeners: Mutex<Vec<Listener>>,
    modules: Modules,
}

/// Is told of every change, until it answers that it has heard enough: false.
type Listener = Box<dyn Fn(&Change) -> bool + Send>;

/// Which file system a mount is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filesystem {
    /// `mount -t cgroup`
    Cgroup,
    /// The legacy one: bare names, cpuset only.
    Cpuset,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("trust", &self.shared.trust).finish_non_exhaustive()
    }
}

impl Desk {
    /// The desk of a daemon.
    pub fn new(host: TraceHost, trust: Trust) -> Desk {
        let control = host.control();
        Desk::of(Some(host), control, trust)
    }

    /// The desk of one `penfold run`: what runs in it may ask, nobody is taken in.
    pub fn embedded(control: Control) -> Desk {
        Desk::of(None, control, Trust::Nobody)
    }

    fn of(host: Option<TraceHost>, control: Control, trust: Trust) -> Desk {
        let (listeners, modules) = (Mutex::default(), Modules::default());
        Desk { shared: Arc::new(Shared { host, control, trust, listeners, modules }) }
    }

    pub(crate) fn shelf(&self) -> &Modules {
        &self.shared.modules
    }

    /// Whom this daemon takes for its administrator.
    pub fn trust(&self) -> Trust {
        self.shared.trust
    }

    /// The host, where there is one that runs commands.
    ///
    /// # Errors
    /// `EOPNOTSUPP` in the engine of one `penfold run`.
    pub fn host(&self) -> Result<&TraceHost, Failure> {
        self.shared.host.as_ref().ok_or_else(|| {
            Failure::new(
                Errno::EOPNOTSUPP,
                "this is the engine of one penfold run, which takes in no other processes; ask a penfold serve",
            )
        })
    }

    /// Hears of every change from now on. Whoever listens must keep up: the channel is not bounded.
    pub fn listen(&self) -> mpsc::Receiver<Change> {
        let (tell, hear) = mpsc::channel();
        self.tell(move |change| tell.send(change.clone()).is_ok());
        hear
    }

    /// Calls this with every change from now on, on the thread that made it, until it returns false. It must neither
    /// wait nor use the desk.
    pub fn tell(&self, listener: impl Fn(&Change) -> bool + Send + 'static) {
        self.shared.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(listener));
    }

    pub(crate) fn announce(&self, origin: Option<ViewId>, what: What) {
        let mut listeners = self.shared.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let change = Change { origin, what };
        listeners.retain(|listener| listener(&change));
    }

    /// Works on the engine as nobody in particular; announces nothing. For what only looks.
    ///
    /// # Errors
    /// `ESHUTDOWN` when the daemon is ending.
    pub fn look<R: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Engine, &mut dyn Host) -> R + Send + 'static,
    ) -> Result<R, Failure> {
        Ok(self.shared.control.with_exact(look)?)
    }

    /// Looks at the engine from the calling thread, without a turn of the tracer's. The counts of tasks can be ahead of
    /// forks in flight.
    ///
    /// # Errors
    /// As [`Desk::look`].
    pub fn glance<R>(&self, look: impl FnOnce(&Engine, &dyn HostView) -> R) -> Result<R, Failure> {
        Ok(self.shared.control.with_snapshot(look)?)
    }

    /// Works on directories from the calling thread; in the engine of one `penfold run` as far as the client may reach.
    fn quick_of<R>(
        &self,
        client: &Client,
        (cgroup, reach): (CgroupId, Reach),
        ask: impl FnOnce(&mut Engine, &mut dyn Host) -> penfold_core::Result<R>,
    ) -> Result<R, Failure> {
        let confined = self.shared.trust == Trust::Nobody;
        Ok(self.shared.control.request(|engine, host| {
            if confined {
                must_reach(engine, host, client.caller.task, cgroup, reach)?;
            }
            ask(engine, host)
        })??)
    }

    pub(crate) fn ask<R: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Engine, &mut dyn Host) -> penfold_core::Result<R> + Send + 'static,
    ) -> Result<R, Failure> {
        Ok(self.shared.control.with_exact(ask)??)
    }

    /// As [`Desk::ask`], of a cgroup; in the engine of one `penfold run` only as far as the client may reach.
    fn ask_of<R: Send + 'static>(
        &self,
        client: &Client,
        (cgroup, reach): (CgroupId, Reach),
        ask: impl FnOnce(&mut Engine, &mut dyn Host) -> penfold_core::Result<R> + Send + 'static,
    ) -> Result<R, Failure> {
        let confined = self.shared.trust == Trust::Nobody;
        let task = client.caller.task;
        self.ask(move |engine, host| {
            if confined {
                must_reach(engine, host, task, cgroup, reach)?;
            }
            ask(engine, host)
        })
    }

    /// Mounts a hierarchy.
    ///
    /// # Errors
    /// As [`Engine::mount`] and [`Engine::mount_cpuset`]. For a subsystem that is not loaded and could be, the message says
    /// how.
    pub fn mount(
        &self,
        client: &Client,
        options: impl AsRef<[u8]>,
        filesystem: Filesystem,
    ) -> Result<Mounted, Failure> {
        let mounted = self.shared.control.request(|engine, host| match filesystem {
            Filesystem::Cgroup => engine.mount(host, &client.caller, options),
            Filesystem::Cpuset => engine.mount_cpuset(host, &client.caller, options),
        })?;
        let mounted = mounted.map_err(|error| modules::with_remedy(self, error))?;
        self.announce(None, What::Mounted(mounted.root));
        Ok(mounted)
    }

    /// Changes a hierarchy.
    ///
    /// # Errors
    /// As [`Engine::remount`], and for what is not loaded as [`Desk::mount`].
    pub fn remount(&self, client: &Client, root: CgroupId, options: impl AsRef<[u8]>) -> Result<(), Failure> {
        let (caller, options) = (client.caller.clone(), options.as_ref().to_owned());
        let remounted = self.look(move |engine, host| engine.remount(host, &caller, root, &options))?;
        remounted.map_err(|error| modules::with_remedy(self, error))?;
        self.announce(None, What::Remounted(root));
        Ok(())
    }

    /// Takes a mount away.
    ///
    /// # Errors
    /// `EPERM` for who may not mount either; as [`Engine::unmount`].
    pub fn unmount(&self, client: &Client, root: CgroupId) -> Result<(), Failure> {
        self.shared.control.request(|engine, host| {
            client.caller.must_be_privileged("unmount", "a hierarchy")?;
            engine.unmount(host, root)
        })??;
        self.announce(None, What::Unmounted(root));
        Ok(())
    }

    /// Makes a cgroup.
    ///
    /// # Errors
    /// As [`Engine::mkdir`].
    pub fn mkdir(
        &self,
        client: &Client,
        origin: Option<ViewId>,
        parent: CgroupId,
        name: &[u8],
        mode: u32,
    ) -> Result<CgroupId, Failure> {
        let confined = self.shared.trust == Trust::Nobody;
        let cgroup = self.shared.control.request(|engine, host| {
            // that it is there already is the better answer, for mkdir -p
            if confined && !engine.exists(parent, name) {
                must_reach(engine, host, client.caller.task, parent, Reach::BelowOrIn)?;
            }
            engine.mkdir(host, &client.caller, parent, name, mode)
        })??;
        self.announce(origin, What::Made { parent, cgroup });
        Ok(cgroup)
    }

    /// Removes a cgroup.
    ///
    /// # Errors
    /// As [`Engine::rmdir`].
    pub fn rmdir(&self, client: &Client, origin: Option<ViewId>, cgroup: CgroupId) -> Result<(), Failure> {
        let place = self.glance(|engine, _| {
            engine.tree().get(cgroup).map(|node| (node.parent(), node.name().to_vec()))
        })?;
        let quick = self.quick_of(client, (cgroup, Reach::Below), |engine, host| {
            engine.rmdir(host, &client.caller, cgroup)
        });
        match quick {
            // it may be a fork in flight that is about to fail: the tracer knows
            Err(failure) if failure.errno == Errno::EBUSY => {
                let caller = client.caller.clone();
                self.ask_of(client, (cgroup, Reach::Below), move |engine, host| {
                    engine.rmdir(host, &caller, cgroup)
                })?;
            }
            removed => removed?,
        }
        let (parent, name) = place.expect("rmdir of a dead id fails");
        let parent = parent.expect("rmdir of a root fails");
        self.announce(origin, What::Removed { parent, cgroup, name });
        Ok(())
    }

    /// Renames an entry of a directory.
    ///
    /// # Errors
    /// As [`Engine::rename`].
    pub fn rename(
        &self,
        client: &Client,
        origin: Option<ViewId>,
        from: (CgroupId, &[u8]),
        to: (CgroupId, &[u8]),
    ) -> Result<(), Failure> {
        let (parent, new_parent) = (from.0, to.0);
        let (from, to) = (from.1.to_vec(), to.1.to_vec());
        let cgroup = self.quick_of(client, (parent, Reach::BelowOrIn), |engine, _| {
            engine.rename(&client.caller, parent, &from, new_parent, &to)?;
            Ok(engine.tree().child(parent, &to))
        })?;
        if let Some(cgroup) = cgroup.filter(|_| from != to) {
            self.announce(origin, What::Renamed { parent, cgroup, from, to });
        }
        Ok(())
    }

    /// Changes owner and mode of a directory, or of one of its control files, as far as they are given.
    ///
    /// # Errors
    /// As [`Engine::set_owner`] and [`Engine::set_file_owner`].
    pub fn set_owner(
        &self,
        client: &Client,
        origin: Option<ViewId>,
        cgroup: CgroupId,
        file: Option<FileId>,
        change: impl FnOnce(Owner) -> Owner,
    ) -> Result<Owner, Failure> {
        let caller = &client.caller;
        let owner = self.quick_of(client, (cgroup, Reach::Below), |engine, _| {
            let old = owner_of(engine, cgroup, file)?;
            let new = change(old);
            match file {
                None => engine.set_owner(caller, cgroup, new)?,
                Some(file) => engine.set_file_owner(caller, cgroup, file, new)?,
            }
            Ok(new)
        })?;
        self.announce(origin, What::Owner { cgroup, file });
        Ok(owner)
    }

    /// The whole content of a control file, tasks in the client's numbers. In a root, `tasks` and `cgroup.procs` have
    /// every task of the machine that is nowhere else, supervised or not.
    ///
    /// # Errors
    /// As [`Engine::read`].
    pub fn read(&self, client: &Client, cgroup: CgroupId, file: FileId) -> Result<Vec<u8>, Failure> {
        if matches!(file, FileId::Tasks | FileId::Procs) {
            return members::list(self, client, cgroup, file);
        }
        if !matches!(file, FileId::Subsystem { .. }) {
            let read =
                self.shared.control.request(|engine, host| engine.read(host, &client.caller, cgroup, file));
            return Ok(read??);
        }
        let caller = client.caller.clone();
        self.ask(move |engine, host| engine.read(host, &caller, cgroup, file))
    }

    /// One write, which is one command. A task that is not supervised yet is taken in first, if it may be moved.
    ///
    /// # Errors
    /// As [`Engine::write`]; for a task that can't be supervised what [`TraceHost::adopt`] answers.
    pub fn write(
        &self,
        client: &Client,
        origin: Option<ViewId>,
        cgroup: CgroupId,
        file: FileId,
        content: &[u8],
    ) -> Result<(), Failure> {
        if file == FileId::ReleaseAgent {
            must_still_be_administrator(client)?;
        }
        if !matches!(file, FileId::Tasks | FileId::Procs | FileId::Subsystem { .. }) {
            self.quick_of(client, (cgroup, Reach::Below), |engine, host| {
                engine.write(host, &client.caller, cgroup, file, content)
            })?;
            self.announce(origin, What::Written { cgroup, file });
            return Ok(());
        }
        let told = content;
        let content = match file {
            FileId::Tasks | FileId::Procs => {
                // the engine says so too, but only after the task was looked for
                if content.len() <= PAGE_SIZE
                    && self.glance(|engine, _| engine.tree().get(cgroup).is_none())?
                {
                    return Err(penfold_core::Error::Removed { operation: "write" }.into());
                }
                match members::prepare(self, client, content)? {
                    Some(content) => content,
                    None => return Ok(()),
                }
            }
            _ => content.to_vec(),
        };
        let caller = client.caller.clone();
        let moved = self.moved_task(file, &content);
        let written = self.ask_of(client, (cgroup, Reach::Below), move |engine, host| {
            if let Some(task) = moved {
                must_reach_task(engine, host, caller.task, task, cgroup)?;
            }
            engine.write(host, &caller, cgroup, file, &content)
        });
        if let Err(failure) = written {
            // A task that was a member a moment ago and is not may have died: as a zombie it moves nowhere, and is no error.
            let lost = failure.errno == Errno::ESRCH && matches!(file, FileId::Tasks | FileId::Procs);
            let zombie = lost && members::prepare(self, client, told)?.is_none();
            return if zombie { Ok(()) } else { Err(failure) };
        }
        self.announce(origin, What::Written { cgroup, file });
        Ok(())
    }
}

impl Desk {
    /// The task that a write moves, where that is to be judged. What is no number the engine refuses.
    fn moved_task(&self, file: FileId, content: &[u8]) -> Option<Tid> {
        let moves = self.shared.trust == Trust::Nobody && matches!(file, FileId::Tasks | FileId::Procs);
        let number = std::str::from_utf8(content).ok()?.trim().parse().ok()?;
        moves.then_some(Tid(number))
    }
}

/// Owner and mode of a directory or of one of its control files.
///
/// # Errors
/// `ENODEV` if it is gone.
pub fn owner_of(engine: &Engine, cgroup: CgroupId, file: Option<FileId>) -> penfold_core::Result<Owner> {
    if let Some(file) = file {
        return engine.file_owner(cgroup, file);
    }
    let node = engine.tree().get(cgroup);
    node.map(penfold_core::Cgroup::owner).ok_or(penfold_core::Error::Removed { operation: "stat" })
}

/// A release agent runs with the daemon's rights: root without its capabilities, as in a container, may not name one.
fn must_still_be_administrator(client: &Client) -> Result<(), Failure> {
    let is = |pid| Process::read(pid).is_some_and(|process| process.is_administrator());
    if client.caller.uid != 0
        || client.caller.task.0 == std::process::id().cast_signed()
        || is(client.caller.task.0)
    {
        return Ok(());
    }
    Err(Failure::new(Errno::EPERM, "release_agent: this needs the administrator's rights (CAP_SYS_ADMIN)"))
}

//! A toy kernel that embeds `penfold-core`: one CPU, a task table, a round-robin scheduler.
//!
//! The example shows everything that a kernel or a runtime has to do to have cgroups:
//!
//! 1. keep in every task the [`CssSetId`](penfold_core::CssSetId) that core gives it, and implement
//!    [`Host`](penfold_core::host::Host) on the task table;
//! 2. bracket fork with [`Engine::forking`], and call [`Engine::exit`] for every death;
//! 3. charge the use of resources to a task's css_set, here CPU time on every tick;
//! 4. open a [`Session`](penfold_core::Session) for each operation of a user: mkdir, read, write.
//!
//! `budget.rs` is the other side: a controller, which knows nothing of this kernel.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod budget;
mod table;

use alloc::string::String;

use penfold_core::{
    Access, Caller, CgroupId, Engine, Errno, Error, Result, Tid, host::HostView as _, subsystem::CpuTime,
};
use penfold_subsystems::Pids;

pub use budget::Budget;
pub use table::{TaskProgram, ToyTaskTable};

/// The time between two ticks of the timer, in nanoseconds.
pub const TICK: u64 = 1_000_000;

/// The kernel: core's engine, and the parts that core does not know.
pub struct ToyKernel {
    engine: Engine,
    table: ToyTaskTable,
    /// Free page frames; a child needs one.
    frames: usize,
}

impl ToyKernel {
    /// Boots with that many page frames: loads the controllers, then starts task 1, which never ends.
    ///
    /// # Errors
    /// None, because the controllers have different names.
    pub fn boot(frames: usize) -> Result<ToyKernel> {
        let mut kernel = ToyKernel { engine: Engine::new(), table: ToyTaskTable::default(), frames };
        kernel.engine.load(&mut kernel.table, Pids)?;
        kernel.engine.load(&mut kernel.table, Budget)?;
        let init = kernel.table.prepare(None, TaskProgram::Idle);
        // The first task has no parent, so core adopts it into every root.
        kernel.engine.adopt(&mut kernel.table, init);
        Ok(kernel)
    }

    /// Task 1 as the caller of an operation. A real kernel has the credentials of the task in the system call.
    fn init() -> Caller {
        Caller::root(Tid(1))
    }

    /// mount(2).
    ///
    /// # Errors
    /// As [`Session::mount`](penfold_core::Session::mount).
    pub fn mount(&mut self, options: &str) -> Result<CgroupId> {
        Ok(self.engine.session(&mut self.table, &ToyKernel::init()).mount(options)?.root)
    }

    /// mkdir(2).
    ///
    /// # Errors
    /// As [`Session::mkdir`](penfold_core::Session::mkdir).
    pub fn mkdir(&mut self, parent: CgroupId, name: &str) -> Result<CgroupId> {
        self.engine.session(&mut self.table, &ToyKernel::init()).mkdir(parent, name.as_bytes(), 0o755)
    }

    /// rmdir(2).
    ///
    /// # Errors
    /// As [`Session::rmdir`](penfold_core::Session::rmdir).
    pub fn rmdir(&mut self, cgroup: CgroupId) -> Result<()> {
        self.engine.session(&mut self.table, &ToyKernel::init()).rmdir(cgroup)
    }

    /// open, write, close.
    ///
    /// # Errors
    /// As [`Engine::open`] and [`Session::write`](penfold_core::Session::write).
    pub fn write(&mut self, cgroup: CgroupId, file: &str, content: &str) -> Result<()> {
        let caller = ToyKernel::init();
        let file = self.engine.open(&caller, cgroup, file, Access::WRITE)?;
        self.engine.session(&mut self.table, &caller).write(cgroup, file, content.as_bytes())
    }

    /// open, read, close.
    ///
    /// # Errors
    /// As [`Engine::open`] and [`Session::read`](penfold_core::Session::read).
    pub fn read(&mut self, cgroup: CgroupId, file: &str) -> Result<String> {
        let caller = ToyKernel::init();
        let file = self.engine.open(&caller, cgroup, file, Access::READ)?;
        let content = self.engine.session(&mut self.table, &caller).read(cgroup, file)?;
        Ok(String::from_utf8_lossy(&content).into_owned())
    }

    /// fork(2): the child runs `program`, in the cgroups of its parent.
    ///
    /// # Errors
    /// `ESRCH` without the parent, `EAGAIN` from a limit, `ENOMEM` without a free frame.
    pub fn fork(&mut self, parent: Tid, program: TaskProgram) -> Result<Tid> {
        let set = self.table.css_set(parent).ok_or(Error::NoTask(parent))?;
        // From here on the child is charged for, although it does not exist. A return drops the guard, and the drop
        // gives the charge back: no error path can forget it.
        let mut guard = self.engine.forking(&mut self.table, parent, set)?;
        let Some(left) = self.frames.checked_sub(1) else {
            return Err(Error::Task { task: parent, errno: Errno::ENOMEM, reason: "no free page frame" });
        };
        let child = guard.host().prepare(Some(parent), program);
        // The child becomes a member before it can run: it is never seen outside of its cgroups.
        guard.commit(child);
        self.frames = left;
        self.table.make_runnable(child);
        Ok(child)
    }

    /// exit(2), or a deadly signal.
    pub fn exit(&mut self, task: Tid) {
        if let Some(set) = self.table.remove(task) {
            self.frames += 1;
            self.engine.exit(&mut self.table, task, set);
        }
    }

    /// The timer interrupt: charges the tick to the task that ran, lets its program take a step, and switches to the
    /// next task. False if only the idle task is left.
    pub fn tick(&mut self) -> bool {
        let Some((task, set)) = self.table.next() else { return false };
        self.engine.charge_cpu(set, 0, CpuTime { user: TICK, system: 0 });
        match self.table.step(task) {
            TaskProgram::Idle => {}
            TaskProgram::Spin { ticks: 0 } => self.exit(task),
            TaskProgram::Spin { .. } => self.table.make_runnable(task),
            TaskProgram::ForkBomb => {
                self.table.make_runnable(task);
                // A fork bomb ignores errors.
                let _ = self.fork(task, TaskProgram::ForkBomb);
            }
        }
        true
    }

    /// kill(2) with SIGKILL for every member of a cgroup. Returns how many died.
    pub fn kill_all(&mut self, cgroup: CgroupId) -> usize {
        let members = self.engine.tree().tasks(&self.table, cgroup);
        for &task in &members {
            self.exit(task);
        }
        members.len()
    }

    /// The number of free page frames.
    pub fn free_frames(&self) -> usize {
        self.frames
    }

    /// The content of `/proc/PID/cgroup`; empty for an unknown task.
    pub fn proc_cgroup(&self, task: Tid) -> String {
        let text = self.table.css_set(task).and_then(|set| self.engine.proc_pid_cgroup(Some(set)).ok());
        String::from_utf8(text.unwrap_or_default()).unwrap_or_default()
    }
}

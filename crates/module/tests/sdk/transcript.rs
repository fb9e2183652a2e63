//! A world whose operations are written down, so that two runs can be compared.

// a part of the test, not an interface
#![allow(unreachable_pub)]

use std::fmt::{Debug, Write as _};

use penfold_module::{
    Callbacks, CgroupId, Context, Errno, Error, Migration, MoveScope, Result, Subsystem, Tid,
    simulated::ChildKind,
};
use penfold_testkit::SimWorld;

/// Agrees to no move but those to the root.
pub struct Blocker;

impl Subsystem for Blocker {
    type State = ();

    const NAME: &'static str = "blocker";
    const CALLBACKS: Callbacks = Callbacks::CAN_ATTACH;

    fn create(&mut self, _: &mut Context<'_, Self>) -> Result<()> {
        Ok(())
    }

    fn destroy(&mut self, _: &mut Context<'_, Self>) {}

    fn can_attach(&mut self, ctx: &mut Context<'_, Self>, _: &[Migration]) -> Result<()> {
        if ctx.path_of(ctx.css()).ends_with("blocked") {
            return Err(Error::refused(Errno::EPERM, "blocked"));
        }
        Ok(())
    }
}

/// A world in which every operation and its outcome is written down.
pub struct TranscribedWorld {
    pub sim: SimWorld,
    pub top: CgroupId,
    name: String,
    transcript: String,
}

impl TranscribedWorld {
    /// Some tasks, then the controller, then a mount.
    pub fn of(controller: impl Subsystem) -> TranscribedWorld {
        let mut sim = SimWorld::with_cpus(70);
        sim.host.nodes = (0..3).collect();
        sim.host.clock = 1234;
        for _ in 0..3 {
            sim.spawn();
        }
        let name = controller.name().to_owned();
        sim.load(controller);
        sim.load(Blocker);
        sim.engine.watch(true);
        sim.caller.groups = (0..100).collect();
        let top = sim.mount(format!("{name},blocker,xattr"));
        TranscribedWorld { sim, top, name, transcript: String::new() }
    }

    fn note(&mut self, operation: &str, outcome: &dyn Debug) {
        let _ = writeln!(self.transcript, "{operation} -> {outcome:?}");
    }

    /// Notes the outcome of an operation, an error with its message.
    fn note_outcome<T: Debug>(&mut self, operation: &str, outcome: Result<T, Errno>) -> Result<T, Errno> {
        let shown = outcome.as_ref().map_err(|_| described(self.sim.last_error()));
        self.note(operation, &shown);
        outcome
    }

    pub fn mkdir(&mut self, parent: CgroupId, name: &str) -> Option<CgroupId> {
        let made = self.sim.try_mkdir(parent, name);
        // the ids of two engines differ
        self.note_outcome(&format!("mkdir {name}"), made.map(|_| ())).ok()?;
        made.ok()
    }

    pub fn rmdir(&mut self, cgroup: CgroupId) {
        let removed = self.sim.try_rmdir(cgroup);
        let _ = self.note_outcome("rmdir", removed);
    }

    pub fn attach(&mut self, cgroup: CgroupId, task: Tid, scope: MoveScope) {
        let moved = match scope {
            MoveScope::Task => self.sim.try_attach(cgroup, task),
            MoveScope::ThreadGroup => self.sim.try_attach_group(cgroup, task),
        };
        let _ = self.note_outcome(&format!("attach {task}"), moved);
    }

    pub fn fork(&mut self, parent: Tid, kind: ChildKind) -> Option<Tid> {
        let forked = match kind {
            ChildKind::Process => self.sim.try_fork(parent),
            ChildKind::Thread => self.sim.try_thread(parent),
        };
        self.note_outcome(&format!("fork of {parent}"), forked).ok()
    }

    /// Reads a file of the controller, or one of every cgroup; empty when it is refused.
    pub fn read(&mut self, cgroup: CgroupId, name: &str) -> String {
        let name = self.full(name);
        let read = self.sim.try_read(cgroup, &name);
        self.note_outcome(&format!("read {name}"), read).unwrap_or_default()
    }

    pub fn write(&mut self, cgroup: CgroupId, name: &str, text: &str) -> Result<(), Errno> {
        let name = self.full(name);
        let written = self.sim.try_write(cgroup, &name, text);
        let shown: String = text.chars().take(40).collect();
        self.note_outcome(&format!("write {name} {shown:?}"), written)
    }

    fn full(&self, name: &str) -> String {
        if name.contains('.') { name.into() } else { format!("{}.{name}", self.name) }
    }

    /// Notes the events since the last time, the parts of a task that a subsystem can change, and the limits.
    pub fn look(&mut self, cgroup: CgroupId) {
        for event in self.sim.events() {
            self.note("event", &event);
        }
        for task in self.sim.host.tids() {
            let record = format!("{:?}", self.sim.host.get(task).expect("listed"));
            self.note("task", &record);
        }
        let limits = self.sim.engine.limits(cgroup);
        self.note("limits", &limits);
        let events = self.sim.engine.event_mask();
        self.note("event mask", &events);
        let files = self.sim.engine.files(cgroup).expect("it lives");
        for file in files {
            self.note("file", &file);
        }
    }

    /// Unmounts and unloads everything, and returns the transcript.
    pub fn unload(mut self) -> String {
        let name = self.name.clone();
        let early = self.sim.try_unload(&name);
        let _ = self.note_outcome("unload while bound", early);
        self.sim.unmount(self.top);
        self.sim.unload(&name);
        self.transcript
    }
}

/// The parts by which a caller can tell one error from another.
fn described(error: &Error) -> String {
    format!("{error} {}", error.errno())
}

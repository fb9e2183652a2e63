//! A simulated host with one hierarchy, and a transcript of all that was asked of it.

// a part of the test, not an interface
#![allow(unreachable_pub)]

use std::fmt::{Debug, Write as _};

use penfold_module::simulated::SimulatedHost;
use penfold_module::{
    Callbacks, Caller, CgroupId, Context, Engine, Errno, Error, Migration, Result, Subsystem, Tid,
};

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

pub struct World {
    pub engine: Engine,
    pub host: SimulatedHost,
    pub root: Caller,
    pub top: CgroupId,
    name: String,
    pub transcript: String,
}

impl World {
    /// Some tasks, then the controller, then a mount.
    pub fn of(controller: impl Subsystem) -> World {
        let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(70));
        host.nodes = (0..3).collect();
        host.clock = 1234;
        for _ in 0..3 {
            host.spawn(&mut engine, 0);
        }
        let name = controller.name().to_owned();
        engine.load(&mut host, controller).expect("it loads");
        engine.load(&mut host, Blocker).expect("it loads");
        engine.watch(true);
        let mut root = Caller::root(Tid(1));
        root.groups = (0..100).collect();
        let options = format!("{name},blocker,xattr");
        let top = engine.mount(&mut host, &root, &options).expect("it mounts").root;
        World { engine, host, root, top, name, transcript: String::new() }
    }

    fn note(&mut self, what: &str, outcome: &dyn Debug) {
        let _ = writeln!(self.transcript, "{what} -> {outcome:?}");
    }

    pub fn mkdir(&mut self, parent: CgroupId, name: &str) -> Option<CgroupId> {
        let made = self.engine.mkdir(&mut self.host, &self.root, parent, name.as_bytes(), 0o755);
        self.note(&format!("mkdir {name}"), &made.as_ref().map(|_| ()).map_err(described));
        made.ok()
    }

    pub fn rmdir(&mut self, cgroup: CgroupId) {
        let removed = self.engine.rmdir(&mut self.host, &self.root, cgroup);
        self.note("rmdir", &removed.as_ref().map_err(described));
    }

    pub fn attach(&mut self, cgroup: CgroupId, task: Tid, whole: bool) {
        let moved = self.engine.attach(&mut self.host, &self.root, cgroup, task, whole);
        self.note(&format!("attach {task}"), &moved.as_ref().map_err(described));
    }

    pub fn fork(&mut self, parent: Tid, thread: bool) -> Option<Tid> {
        let forked = self.host.fork(&mut self.engine, parent, thread);
        self.note(&format!("fork of {parent}"), &forked.as_ref().map_err(described));
        forked.ok()
    }

    /// A file of the controller, or one of every cgroup.
    pub fn read(&mut self, cgroup: CgroupId, name: &str) -> String {
        let name = self.full(name);
        let read = match self.engine.find_file(cgroup, &name) {
            Some(file) => self.engine.read(&mut self.host, &self.root, cgroup, file),
            None => Err(Error::NotFound { object: name.clone(), what: "control file" }),
        };
        let read = read.map(|content| String::from_utf8(content).unwrap());
        self.note(&format!("read {name}"), &read.as_ref().map_err(described));
        read.unwrap_or_default()
    }

    pub fn write(&mut self, cgroup: CgroupId, name: &str, text: &str) -> Result<(), Errno> {
        let name = self.full(name);
        let written = match self.engine.find_file(cgroup, &name) {
            Some(file) => self.engine.write(&mut self.host, &self.root, cgroup, file, text.as_bytes()),
            None => Err(Error::NotFound { object: name.clone(), what: "control file" }),
        };
        let shown: String = text.chars().take(40).collect();
        self.note(&format!("write {name} {shown:?}"), &written.as_ref().map_err(described));
        written.map_err(|error| error.errno())
    }

    fn full(&self, name: &str) -> String {
        if name.contains('.') { name.into() } else { format!("{}.{name}", self.name) }
    }

    /// Notes the events since the last time, what of a task a subsystem can change, and what limits say.
    pub fn look(&mut self, cgroup: CgroupId) {
        while let Some(event) = self.engine.take_event() {
            self.note("event", &event);
        }
        for task in self.host.tids() {
            let record = format!("{:?}", self.host.get(task).expect("listed"));
            self.note("task", &record);
        }
        let limits = self.engine.limits(cgroup);
        self.note("limits", &limits);
        let interest = self.engine.interest();
        self.note("interest", &interest);
        let files = self.engine.files(cgroup).expect("it lives");
        for file in files {
            self.note("file", &file);
        }
    }

    /// Ends it all and gives the transcript.
    pub fn unload(mut self) -> String {
        let name = self.name.clone();
        let early = self.engine.unload(&mut self.host, &name);
        self.note("unload while bound", &early.as_ref().map_err(described));
        self.engine.unmount(&mut self.host, self.top).expect("nothing is left below");
        self.engine.unload(&mut self.host, &name).expect("it is unbound");
        self.transcript
    }
}

/// What a caller can tell one error from another by.
fn described(error: &Error) -> String {
    format!("{error} {}", error.errno())
}

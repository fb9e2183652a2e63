//! An engine with one hierarchy and as many cgroups and tasks as a benchmark needs.

use penfold_core::{Caller, CgroupId, CssSetId, Engine, MoveScope, Tid, host::HostView};

use crate::controllers::Controllers;
use crate::host::BareHost;

/// The caller of all operations, which is no task of the engine.
const ACTOR: Tid = Tid(0);

/// The shape of the tree: the numbers of directories and cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The number of directories below the root.
    pub directories: usize,
    /// The number of cgroups in each directory.
    pub in_each: usize,
}

impl Shape {
    /// One directory with one cgroup in it. The tree is as deep as the others, so that charges walk as far.
    pub const ONE: Shape = Shape { directories: 1, in_each: 1 };

    /// A million cgroups in a thousand directories. Few in a debug build, which only checks that everything runs.
    pub const MANY: Shape = if cfg!(debug_assertions) {
        Shape { directories: 10, in_each: 10 }
    } else {
        Shape { directories: 1_000, in_each: 1_000 }
    };

    /// As many cgroups as in `MANY`, in one directory.
    pub const SIBLINGS: Shape = Shape { directories: 1, in_each: Shape::MANY.cgroups() };

    /// The number of cgroups, without the directories that hold them.
    pub const fn cgroups(self) -> usize {
        self.directories * self.in_each
    }
}

/// An engine with controllers, mounted together, and its host.
#[derive(Debug)]
pub struct BenchWorld {
    /// The engine.
    pub engine: Engine,
    /// The host of the engine.
    pub host: BareHost,
    /// The caller of all operations: the administrator.
    pub caller: Caller,
    /// The root of the hierarchy.
    pub root: CgroupId,
    /// The directories below the root.
    pub directories: Vec<CgroupId>,
    /// The cgroups in the directories.
    pub cgroups: Vec<CgroupId>,
    last_task: i32,
}

impl BenchWorld {
    /// An engine without cgroups, and memory for `tasks` tasks.
    ///
    /// # Panics
    /// When the engine refuses: then the benchmark is wrong.
    pub fn new(controllers: Controllers, tasks: usize) -> BenchWorld {
        let (mut engine, mut host) = (Engine::new(), BareHost::with_capacity(tasks + 1));
        let caller = Caller::root(ACTOR);
        controllers.load(&mut engine, &mut host).expect("the controllers load");
        let mounted = engine.session(&mut host, &caller).mount(controllers.mount_options());
        let root = mounted.expect("nothing is bound yet").root;
        BenchWorld { engine, host, caller, root, directories: Vec::new(), cgroups: Vec::new(), last_task: 0 }
    }

    /// An engine with the cgroups of a shape.
    pub fn of(controllers: Controllers, shape: Shape, tasks: usize) -> BenchWorld {
        let mut world = BenchWorld::new(controllers, tasks);
        world.cgroups.reserve(shape.cgroups());
        world.grow(shape);
        world
    }

    /// Makes the cgroups of a shape.
    ///
    /// # Panics
    /// When a name is taken, as it is by an earlier shape.
    pub fn grow(&mut self, shape: Shape) {
        for directory in 0..shape.directories {
            let directory = self.mkdir(self.root, &format!("d{directory:04}"));
            self.directories.push(directory);
            for cgroup in 0..shape.in_each {
                let cgroup = self.mkdir(directory, &format!("c{cgroup:07}"));
                self.cgroups.push(cgroup);
            }
        }
    }

    /// Makes one cgroup.
    ///
    /// # Panics
    /// When the name is taken.
    pub fn mkdir(&mut self, parent: CgroupId, name: &str) -> CgroupId {
        let made = self.engine.session(&mut self.host, &self.caller).mkdir(parent, name.as_bytes(), 0o755);
        made.expect("the name is free")
    }

    /// A number for a task that the engine does not know yet.
    pub fn new_task(&mut self) -> Tid {
        self.last_task += 1;
        Tid(self.last_task)
    }

    /// A new task in a cgroup, and the css_set it points to.
    ///
    /// # Panics
    /// When the attach is refused.
    pub fn spawn(&mut self, cgroup: CgroupId) -> (Tid, CssSetId) {
        let task = self.new_task();
        self.engine.adopt(&mut self.host, task);
        self.attach(cgroup, task);
        (task, self.host.css_set(task).expect("an adopted task has one"))
    }

    /// Moves a task.
    ///
    /// # Panics
    /// When the attach is refused.
    pub fn attach(&mut self, cgroup: CgroupId, task: Tid) {
        let attached =
            self.engine.session(&mut self.host, &self.caller).attach(cgroup, task, MoveScope::Task);
        attached.expect("the administrator may move every task");
    }

    /// A whole life: fork of `parent`, which points to `set`, and the exit of its child.
    ///
    /// # Panics
    /// When a limit refuses; none is set.
    #[inline]
    pub fn fork_and_exit(&mut self, parent: Tid, set: CssSetId, child: Tid) {
        let BenchWorld { engine, host, .. } = self;
        let charge = engine.charge_fork(host, parent, set).expect("no limit is set");
        let set = engine.commit_fork(host, charge, child);
        engine.exit(host, child, set);
    }

    /// mkdir and rmdir of one cgroup.
    ///
    /// # Panics
    /// When either is refused.
    #[inline]
    pub fn make_and_remove(&mut self, parent: CgroupId, name: &[u8]) {
        let BenchWorld { engine, host, caller, .. } = self;
        let made = engine.session(host, caller).mkdir(parent, name, 0o755).expect("the name is free");
        engine.session(host, caller).rmdir(made).expect("it is empty");
    }
}

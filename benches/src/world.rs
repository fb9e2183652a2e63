//! An engine with one hierarchy and as many cgroups and tasks as a benchmark needs.

use penfold_core::{CgroupId, CssSetId, Tid};
use penfold_testkit::{PlainHost, SimWorld};

use crate::controllers::Controllers;

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

/// A world of the plain host with controllers mounted together, and the cgroups that a benchmark wants.
#[derive(Debug)]
pub struct BenchWorld {
    /// The engine and its host.
    pub sim: SimWorld<PlainHost>,
    /// The root of the hierarchy.
    pub root: CgroupId,
    /// The directories below the root.
    pub directories: Vec<CgroupId>,
    /// The cgroups in the directories.
    pub cgroups: Vec<CgroupId>,
}

impl BenchWorld {
    /// An engine without cgroups, and memory for `tasks` tasks.
    ///
    /// # Panics
    /// When the engine refuses: then the benchmark is wrong.
    pub fn new(controllers: Controllers, tasks: usize) -> BenchWorld {
        let mut sim = SimWorld::with_host(PlainHost::with_capacity(tasks + 1));
        controllers.load(&mut sim.engine, &mut sim.host).expect("the controllers load");
        let root = sim.mount(controllers.mount_options());
        BenchWorld { sim, root, directories: Vec::new(), cgroups: Vec::new() }
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
            let directory = self.sim.mkdir(self.root, format!("d{directory:04}"));
            self.directories.push(directory);
            for cgroup in 0..shape.in_each {
                let cgroup = self.sim.mkdir(directory, format!("c{cgroup:07}"));
                self.cgroups.push(cgroup);
            }
        }
    }

    /// A new task in a cgroup, and the css_set that it points to.
    ///
    /// # Panics
    /// When the attach is refused.
    pub fn spawn(&mut self, cgroup: CgroupId) -> (Tid, CssSetId) {
        let task = self.sim.spawn_in(cgroup);
        (task, self.sim.css_set(task))
    }

    /// Makes and removes one cgroup.
    ///
    /// # Panics
    /// When either is refused.
    #[inline]
    pub fn make_and_remove(&mut self, parent: CgroupId, name: &[u8]) {
        let made = self.sim.mkdir(parent, name);
        self.sim.rmdir(made);
    }
}

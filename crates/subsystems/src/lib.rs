//! The controllers of penfold: what a cgroup can count, limit or stop. The controllers know core's traits only, and no
//! host.
//!
//! [`load_all`] loads the controllers that are built in into an engine. [`Engine::load`](penfold_core::Engine::load)
//! loads one. A mount binds a loaded controller to a hierarchy.
//!
//! | controller | what it does | capability of the host |
//! |---|---|---|
//! | [`Cpuset`] | restricts tasks to CPUs and memory nodes | `Affinity`, `MemoryNodes` |
//! | [`CpuAcct`] | counts CPU time | |
//! | [`Freezer`] | stops tasks and lets them go on | `Freeze` |
//! | [`NetCls`] | marks sockets with a class; built in with the feature `net_cls`, otherwise a module | `SocketClass` |
//! | [`Pids`] | limits the number of tasks | `ForkVeto` |
//! | [`Numtasks`] | divides tasks by shares, limits the fork rate | `ForkVeto` |
//! | [`Debug`](struct@Debug) | shows `css_set`s and reference counts | |
//!
//! A cargo feature of its name builds a controller in. All are on by default but `net_cls`.
//!
//! A host may lack a [`Capability`](penfold_core::host::Capability). A setting that needs the capability then fails
//! with `EOPNOTSUPP`.
//!
//! The page of a module, such as [`pids`], is the manual of its controller. It names every control file, the values
//! that the file takes, and its errors. `docs/controllers.md` in the repository is the short form.
//!
//! # Example
//!
//! ```
//! use penfold_core::simulated::SimulatedHost;
//! use penfold_core::{Caller, Engine, MoveScope, Tid};
//!
//! let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(2));
//! penfold_subsystems::load_all(&mut engine, &mut host)?;
//! let task = host.spawn(&mut engine, 1000);
//!
//! let root = Caller::root(Tid(1));
//! let mut session = engine.session(&mut host, &root);
//! let top = session.mount("pids,cpuacct")?.root;
//! let job = session.mkdir(top, b"job", 0o755)?;
//! session.write_file(job, "pids.max", "64\n")?;
//! session.attach(job, task, MoveScope::ThreadGroup)?;
//! assert_eq!(session.read_file(job, "pids.current")?, b"1\n");
//! # Ok::<(), penfold_core::Error>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod all;
pub mod cpuacct;
pub mod cpuset;
pub mod debug;
pub mod freezer;
pub mod net_cls;
pub mod numtasks;
pub mod pids;

pub use all::{NAMES, is_built_in, load_all, load_those, load_tree};
pub use cpuacct::CpuAcct;
pub use cpuset::Cpuset;
pub use debug::Debug;
pub use freezer::Freezer;
pub use net_cls::NetCls;
pub use numtasks::Numtasks;
pub use pids::Pids;

//! The framework of penfold: hierarchies, cgroups, css_sets, subsystems and charge rules, for any kernel or runtime.
//!
//! An [`Engine`] is a deterministic state machine behind `&mut self`: no locks, no I/O, no clock, no randomness. It needs
//! `alloc` only, has no `unsafe`, and knows no Linux. Three parties meet in it:
//!
//! * The **host** is yours. It owns the tasks, and implements [`host::HostView`] (facts) and [`host::Host`] (actions).
//! * A **subsystem** is a controller, such as `pids`. It implements [`subsystem::Subsystem`] and never sees the host's type.
//! * A **front end** serves callers: files, a socket, system calls. It opens a [`Session`] for each operation.
//!
//! The host calls [`Engine::forking`] before a child exists and [`Engine::exit`] when a task dies. Writes to control files
//! do everything else. Behaviour and errno are those of Linux 6.x cgroup v1.
//!
//! The words are those of Linux:
//!
//! * A **task** is a thread, or a process with one thread.
//! * A **hierarchy** is a tree of **cgroups** (directories), to which a mount has bound some subsystems.
//! * A **css** is the state of one subsystem in one cgroup.
//! * A **css_set** is the cgroup of a task in each hierarchy. Tasks in the same cgroups share one.
//! * A **charge rule** has core count and limit a resource, so that the subsystem need not.
//!
//! # Example
//!
//! A controller that limits tasks, on the host without processes that this crate brings along. `examples/toy-kernel` in
//! the repository has a host of its own.
//!
//! ```
//! use penfold_core::control_file::ControlFile;
//! use penfold_core::simulated::{ChildKind, SimulatedHost};
//! use penfold_core::subsystem::{Context, Resource, Rule, Subsystem};
//! use penfold_core::{Caller, Engine, Errno, MoveScope, Result, Tid};
//!
//! struct Crew;
//!
//! impl Subsystem for Crew {
//!     type State = ();
//!     const NAME: &'static str = "crew";
//!     // core charges one for every task, up to the root, and refuses a fork above a limit
//!     const RULES: &'static [Rule] = &[Rule::limited_by(Resource::Tasks, "max")];
//!     const FILES: &'static [ControlFile<Crew>] = &[
//!         ControlFile::new("current").read_u64(|_, ctx| Ok(ctx.counter(ctx.css(), 0).usage)),
//!         ControlFile::new("max").not_on_root().write_u64(|_, ctx, max| ctx.set_limit(ctx.css(), 0, max)),
//!     ];
//!
//!     fn create(&mut self, _: &mut Context<'_, Crew>) -> Result<()> {
//!         Ok(())
//!     }
//!
//!     fn destroy(&mut self, _: &mut Context<'_, Crew>) {}
//! }
//!
//! let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(2));
//! engine.load(&mut host, Crew)?;
//! let task = host.spawn(&mut engine, 1000);
//!
//! let root = Caller::root(Tid(1));
//! let mut session = engine.session(&mut host, &root);
//! let top = session.mount("crew")?.root;
//! let job = session.mkdir(top, b"job", 0o755)?;
//! session.write_file(job, "crew.max", "2\n")?;
//! session.attach(job, task, MoveScope::ThreadGroup)?;
//!
//! host.fork(&mut engine, task, ChildKind::Process)?;
//! let refused = host.fork(&mut engine, task, ChildKind::Thread).unwrap_err();
//! assert_eq!(refused.errno(), Errno::EAGAIN);
//! assert_eq!(engine.session(&mut host, &root).read_file(job, "crew.current")?, b"2\n");
//! # Ok::<(), penfold_core::Error>(())
//! ```
//!
//! # Where to go on
//!
//! [`subsystem`] for authors of controllers, [`host`] for authors of hosts, [`Session`] and [`tree`] for front ends,
//! [`simulated`] for tests. [`internal`] belongs to penfold's own crates.
//!
//! Citations such as *B4.4* name rules of `docs/history.md` in the repository, which says what the two kernel patch sets
//! did.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod attach;
mod cgroup;
mod context;
mod control;
pub mod control_file;
mod counter;
mod css_set;
mod directory;
mod engine;
mod engine_services;
mod errno;
mod error;
mod error_kind;
mod event;
mod event_mask;
mod hierarchy;
pub mod host;
mod ids;
mod index_set;
mod instance;
pub mod internal;
mod lifecycle;
mod limits;
mod load;
mod mount;
mod mount_options;
mod number;
mod release;
mod services;
mod session;
pub mod simulated;
mod slot;
pub mod subsystem;
mod task;
mod text;
pub mod tree;
mod walk;

pub use engine::{Engine, LimitHit};
pub use errno::Errno;
pub use error::{Error, Result};
pub use error_kind::ErrorKind;
pub use event::Event;
pub use ids::{CgroupId, CssSetId, MoveScope};
pub use lifecycle::{ForkCharge, ForkGuard};
pub use limits::LimitState;
pub use mount::Mounted;
pub use release::Release;
pub use session::Session;
pub use task::{Access, Caller, Credentials, Owner, Tid};

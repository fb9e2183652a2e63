//! Loadable controllers of penfold. Write a controller in Rust or in C, build a shared object (a *module*), and load
//! the module while everything runs.
//!
//! # A module in Rust
//!
//! A module is a library crate with `crate-type = ["cdylib"]`. The crate needs only `penfold-module`, which re-exports
//! all of `penfold-core` that a controller uses. A controller is a type that implements [`Subsystem`]. [`export!`]
//! makes it a module.
//!
//! ```
//! use penfold_module::{Callbacks, Context, ControlFile, Errno, Error, Resource, Result, Rule, Subsystem, Tid};
//!
//! /// Limits how many forks a cgroup may ever make.
//! #[derive(Default)]
//! pub struct ForkBudget;
//!
//! type Ctx<'a> = Context<'a, ForkBudget>;
//!
//! /// The index of the charge rule in `RULES`.
//! const FORKS: usize = 0;
//!
//! fn max_write(_: &mut ForkBudget, ctx: &mut Ctx<'_>, max: u64) -> Result<()> {
//!     if max > 1_000_000 {
//!         // write(2) fails with the errno; the message has the name of the file before these words
//!         return Err(Error::value(Errno::EINVAL, "takes a number up to 1000000"));
//!     }
//!     ctx.set_limit(ctx.css(), FORKS, max)
//! }
//!
//! impl Subsystem for ForkBudget {
//!     /// The state of one cgroup: the task that was born there last.
//!     type State = Option<Tid>;
//!
//!     const NAME: &'static str = "forkbudget";
//!     /// Callbacks that are not named here are never called and cost nothing.
//!     const CALLBACKS: Callbacks = Callbacks::FORK;
//!     /// Penfold counts the forks and refuses those beyond the limit, up the whole hierarchy.
//!     const RULES: &'static [Rule] = &[Rule::limited_by(Resource::Forks, "max")];
//!     /// `forkbudget.max`, `forkbudget.used` and `forkbudget.newest`.
//!     const FILES: &'static [ControlFile<Self>] = &[
//!         ControlFile::new("max").not_on_root().write_u64(max_write),
//!         ControlFile::new("used").read_u64(|_, ctx| Ok(ctx.counter(ctx.css(), FORKS).usage)),
//!         ControlFile::new("newest").read_s64(|_, ctx| Ok(ctx.state().map_or(0, |task| task.0.into()))),
//!     ];
//!
//!     fn create(&mut self, _: &mut Ctx<'_>) -> Result<Option<Tid>> {
//!         Ok(None)
//!     }
//!
//!     fn destroy(&mut self, _: &mut Ctx<'_>) {}
//!
//!     fn fork(&mut self, ctx: &mut Ctx<'_>, child: Tid) {
//!         *ctx.state_mut() = Some(child);
//!     }
//! }
//!
//! penfold_module::export!(ForkBudget);
//!
//! fn main() -> Result<()> {
//!     // The same type can be built into a program. The simulated host is a table of tasks, for tests.
//!     let mut engine = penfold_module::Engine::new();
//!     let mut host = penfold_module::simulated::SimulatedHost::new(2);
//!     engine.load(&mut host, ForkBudget)
//! }
//! ```
//!
//! # The same module in C
//!
//! A module in C needs a C compiler and `penfold.h` ([`HEADER`]), which includes only headers of standard C.
//!
//! ```c
#![doc = include_str!("../tests/c/example.c")]
//! ```
//!
//! # Build, check and load
//!
//! ```text
//! # in Rust, which makes target/release/libforkbudget.so
//! cargo build --release
//! # in C
//! cc -std=c99 -fvisibility=hidden -shared -fPIC -o forkbudget.so forkbudget.c
//! # plays the life of a controller with simulated tasks
//! penfold module check ./forkbudget.so
//! # for one job: no daemon, no root
//! penfold run --module ./forkbudget.so -s forkbudget.max=100 -- make -j8
//! # into the daemon, for its owner only
//! penfold module load ./forkbudget.so
//! ```
//!
//! # What a module has to keep to
//!
//! * Callbacks run one at a time, so a module needs no locks. Each runs on the thread that needs it.
//! * A callback must not wait: the engine waits with it. The log names a callback that takes longer than 100 ms.
//! * A callback that fails must have changed nothing.
//! * A context is valid until its callback returns. A css (the state of one cgroup) is valid until its `destroy`.
//! * A panic is caught: the callback fails with `EIO`. A C++ exception must not leave a callback.
//!
//! `docs/modules.md` in the repository is the guide; `modules/` has whole controllers.
//!
//! # The parts of this crate
//!
//! * [`sdk`]: what [`export!`] does, and where a module differs from the same controller built in.
//! * [`abi`]: the binary interface that `penfold.h` is generated from.
//! * `loader`, with the feature of that name: for a program that loads modules.

pub mod abi;
mod answer;
#[cfg(feature = "loader")]
pub mod loader;
pub mod sdk;

pub use penfold_core::control_file::*;
pub use penfold_core::host::*;
pub use penfold_core::subsystem::*;
pub use penfold_core::tree::*;
pub use penfold_core::*;

/// The text of `penfold.h`, which is [`abi`] for authors in C.
pub const HEADER: &str = include_str!("../include/penfold.h");

//! The hosts of penfold on Linux: engines over real processes, and the system calls that a daemon needs beside them.
//!
//! A host owns tasks, and `penfold_core` decides about them. There is one host, [`trace`]: a ptrace supervisor that needs
//! no privilege. [`trace::JobBuilder`] runs one command in a cgroup, [`trace::TraceHost`] serves a daemon, which knows it
//! as [`host::HostHandle`]. The other modules are independent of the host: [`proc`] reads `/proc`, [`release`] runs
//! release agents, [`fuse_mount`] mounts file views. [`doctor`] tries which abilities a host has on this machine. The
//! rest wraps single system calls. The crate runs on `x86_64` and `aarch64`.
//!
//! # Example
//!
//! A shell that may have eight tasks at a time. A ninth would fail with `EAGAIN`, as under the kernel's controller.
//!
//! ```
//! use penfold_core::{Caller, Tid};
//! use penfold_linux::trace::{Command, JobBuilder, TraceOptions};
//!
//! // without best effort: a rule that this machine can't keep is an error, not a warning
//! let mut builder = JobBuilder::new(false);
//! let (engine, host) = builder.parts();
//! penfold_subsystems::load_all(engine, host)?;
//! let owner = Caller::root(Tid(std::process::id().cast_signed()));
//! let mut session = engine.session(host, &owner);
//! let root = session.mount("pids")?.root;
//! let cgroup = session.mkdir(root, b"job", 0o755)?;
//! session.write_file(cgroup, "pids.max", "8")?;
//!
//! let command = Command::new(["sh", "-c", "(:); (:); exit 0"]);
//! let finished = builder.start(command, cgroup, TraceOptions::default())?.wait()?;
//! assert_eq!(finished.status, 0);
//! assert_eq!(finished.statistics.created, 3, "the shell and two subshells");
//! assert!(finished.limits_hit.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What this crate does to the process that uses it
//!
//! **Before `main`**, in every program that is linked with [`trace`], a function in `.init_array` runs. It reads the
//! signal mask and whether SIGPIPE and SIGCHLD are ignored, since Rust's runtime changes that. It changes nothing.
//! Commands are started with the state that was read.
//!
//! **At the first job or host** ([`trace::Job::start`], [`trace::JobBuilder::start`], [`trace::TraceHost::start`]), for
//! the rest of the process's life:
//!
//! - The process becomes a *child subreaper* (prctl(2)). Orphans of its descendants become its children.
//! - The handler of `SIGRTMIN+4` is replaced, without `SA_RESTART`. The signal wakes tracer threads.
//! - SIGCHLD gets its default action, with `SA_NOCLDSTOP`, if it was ignored or had that action. An ignored SIGCHLD
//!   would have the kernel reap a command before its status is read. A handler stays as it is.
//!
//! **For each job or host**: a thread `penfold-tracer`, which blocks every signal but `SIGRTMIN+4` and has a POSIX timer.
//! The thread forks commands and is their tracer. For each running command two ends of pipes are open.
//!
//! **Only when called**: [`trace::ForwardedSignals::block`] blocks twelve signals and `SIGRTMIN+4` in the calling thread,
//! and `PausedChild::run` blocks SIGCHLD there and gives it its default action. [`release::Agents::start`] starts a thread
//! `release-agents`, and one `release-agent` for each agent that runs.
//!
//! Nothing else of the process changes: not its limits, its umask, its directory, its *no new privileges*. Filters are
//! installed in the commands.
//!
//! # What the embedding program must not do
//!
//! - **Wait for any child.** wait(2) and `waitpid(-1)` take stops and deaths from the tracer. Wait by process id, as
//!   [`std::process::Child`] does, or with `__WNOTHREAD` on a thread that starts no job.
//! - **Ignore SIGCHLD**, or set `SA_NOCLDWAIT`: then the kernel reaps commands.
//! - **Use `SIGRTMIN+4`**, or block it in a tracer thread.
//! - **Call the engine from within a request or a callback** of the host: the call would wait for itself.
//! - **Fork and go on in the child without exec**: a forked child has no tracer thread.
//! - **Leave orphans.** Whatever the descendants leave behind untraced stays a zombie until [`orphans::Orphans`] or the
//!   program itself reaps it.
//! - **Be traced itself while it traces.** A task has one tracer, so under `strace -f` a command can't be seized
//!   ([`trace::StartError::Traced`]).
//!
//! When the process dies, so do its commands (`PTRACE_O_EXITKILL`), unless [`trace::TraceOptions::exit_kill`] or
//! [`trace::ExecOptions::exit_kill`] says otherwise. `/proc` has to be mounted.

pub mod descriptor;
pub mod doctor;
pub mod error_text;
pub mod fuse_mount;
pub mod host;
pub mod orphans;
pub mod peer;
pub mod proc;
pub mod process;
pub mod release;
pub mod terminal;
pub mod trace;

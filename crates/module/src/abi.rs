//! The binary interface between penfold and a module: what `include/penfold.h` is made from.
//!
//! A module is a shared object with one exported object, `penfold_module`, of type [`RawModule`]. It holds constants
//! only, so that it can be read from the file without running anything of it.
//!
//! Callbacks run one at a time, each on the thread of the program that needs it, which may be another one each time. A
//! callback gets a [`RawContext`], valid until it returns, through which it asks for what [`RawServices`] offers. A service that
//! is called outside of a callback, or on another thread than the callback's, refuses as it does without a context. Callbacks that can fail return 0 or a negative errno,
//! and must then have changed nothing; [`RawServices::explain`] says why. All text is UTF-8.

use core::ffi::{c_char, c_int, c_void};

/// The version of this interface. A module of another version is not loaded.
pub const ABI_VERSION: u32 = 1;

/// The name of the exported [`RawModule`].
pub const SYMBOL: &str = "penfold_module";

/// The size of [`RawModule::name`] with the NUL that ends it.
pub const NAME_SIZE: usize = 33;
/// The size of [`RawModule::version`] with its NUL.
pub const VERSION_SIZE: usize = 32;
/// The size of [`RawModule::summary`] with its NUL.
pub const SUMMARY_SIZE: usize = 128;
/// The size of [`RawFile::name`], [`RawRule::limit_file`] and [`RawModule::refusing_file`] with their NUL.
pub const FILE_NAME_SIZE: usize = 64;

/// [`RawServices::parent`] of the root of a hierarchy.
pub const NO_CSS: u32 = u32::MAX;
/// [`RawCounter::limit`]: none.
pub const UNLIMITED: u64 = u64::MAX;

/// [`RawFile::place`]: in every directory.
pub const EVERYWHERE: u32 = 0;
/// [`RawFile::place`]: only in the root of a hierarchy.
pub const ROOT_ONLY: u32 = 1;
/// [`RawFile::place`]: everywhere but in the root.
pub const NOT_ON_ROOT: u32 = 2;

/// [`RawFile::flags`]: reads as something else than what was written, such as a count that a write resets.
pub const FILE_COUNTS: u32 = 1;

/// [`RawRule::resource`]: living tasks; charged before a fork, moved by an attach, given back at exit.
pub const TASKS: u32 = 0;
/// [`RawRule::resource`]: forks ever made; charged before a fork, never given back but for one that fails.
pub const FORKS: u32 = 1;
/// [`RawRule::resource`]: CPU time in nanoseconds. Never refused.
pub const CPU_TIME: u32 = 2;
/// [`RawRule::resource`]: sockets created. Only hosts that see socket(2) execute it.
pub const SOCKETS: u32 = 3;

/// [`RawServices::require`]: refuse a fork before the child exists.
pub const NEED_FORK_VETO: u32 = 0;
/// [`RawServices::require`]: set the CPU affinity of tasks and clamp what they set themselves.
pub const NEED_AFFINITY: u32 = 1;
/// [`RawServices::require`]: bind the memory of tasks to nodes.
pub const NEED_MEMORY_NODES: u32 = 2;
/// [`RawServices::require`]: stop tasks so that neither they nor their parents notice.
pub const NEED_FREEZE: u32 = 3;
/// [`RawServices::require`]: mark the sockets of tasks with a class.
pub const NEED_SOCKET_CLASS: u32 = 4;

/// What a callback is about. Valid until the callback returns; none of it may be changed.
#[repr(C)]
pub struct RawContext {
    /// What the callback can ask for.
    pub services: *const RawServices,
    /// The loader's own.
    pub engine: *mut c_void,
    /// What [`RawModule::load`] gave.
    pub module: *mut c_void,
    /// What [`RawModule::create`] gave for [`RawContext::css`]; NULL in `create` itself.
    pub state: *mut c_void,
    /// The css (the module's state in one cgroup) that the call is about. In `can_attach`, `cancel_attach` and `attach`
    /// it is where the first task goes.
    pub css: u32,
    /// The number of the control file, in the order of [`RawModule::files`].
    pub file: u32,
    /// [`RawFile::private_value`] of the control file.
    pub private_value: u64,
}

/// One task that moves from one css to another.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RawMigration {
    /// The task: the number of a thread.
    pub task: i32,
    /// Where it is.
    pub from: u32,
    /// Where it goes.
    pub to: u32,
}

/// One control file. At most one `read_...` and one of `write_...` and `trigger` may be given; without, the file can't
/// be read or written (`EINVAL`). One write is one command.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawFile {
    /// The name without the module's prefix.
    pub name: [c_char; FILE_NAME_SIZE],
    /// Permission bits; 0 for those that follow from what the file can do (0444 to read plus 0200 to write).
    pub mode: u32,
    /// [`EVERYWHERE`], [`ROOT_ONLY`] or [`NOT_ON_ROOT`].
    pub place: u32,
    /// The longest write in bytes, more is `E2BIG`; 0 for one page.
    pub max_write: u32,
    /// [`FILE_COUNTS`] or 0.
    pub flags: u32,
    /// A value that the handlers find in [`RawContext::private_value`], so that files can share one.
    pub private_value: u64,
    /// Read as a number.
    pub read_u64: Option<unsafe extern "C" fn(ctx: *mut RawContext, value: *mut u64) -> c_int>,
    /// Read as a signed number.
    pub read_s64: Option<unsafe extern "C" fn(ctx: *mut RawContext, value: *mut i64) -> c_int>,
    /// Read as lines of `key value`, each given to [`RawServices::put_line`].
    pub read_map: Option<unsafe extern "C" fn(ctx: *mut RawContext) -> c_int>,
    /// Read as text, given to [`RawServices::put`] in any number of pieces.
    pub read_text: Option<unsafe extern "C" fn(ctx: *mut RawContext) -> c_int>,
    /// Written as a number: decimal, 0x or octal.
    pub write_u64: Option<unsafe extern "C" fn(ctx: *mut RawContext, value: u64) -> c_int>,
    /// Written as a signed number.
    pub write_s64: Option<unsafe extern "C" fn(ctx: *mut RawContext, value: i64) -> c_int>,
    /// Written as text, without white space at both ends; a NUL follows after `length` bytes.
    pub write_text:
        Option<unsafe extern "C" fn(ctx: *mut RawContext, text: *const c_char, length: usize) -> c_int>,
    /// Written with whatever content.
    pub trigger: Option<unsafe extern "C" fn(ctx: *mut RawContext) -> c_int>,
}

/// A charge rule: gives every css one counter, charged up the hierarchy. The engine executes it, not the module.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawRule {
    /// [`TASKS`], [`FORKS`], [`CPU_TIME`] or [`SOCKETS`].
    pub resource: u32,
    /// What the caller is told when a limit refuses, as a positive errno; 0 for `EAGAIN`.
    pub refusal: i32,
    /// The control file that sets the limit, to name it in messages; may be empty.
    pub limit_file: [c_char; FILE_NAME_SIZE],
}

/// The description of a module. `create` and `destroy` are mandatory; every other callback may be NULL, and then costs
/// nothing.
#[repr(C)]
pub struct RawModule {
    /// `PENFOLD_ABI_VERSION`
    pub abi_version: u32,
    /// `sizeof(struct penfold_module)`
    pub module_size: u32,
    /// `sizeof(struct penfold_file)`
    pub file_size: u32,
    /// `sizeof(struct penfold_rule)`
    pub rule_size: u32,
    /// `sizeof(struct penfold_context)`
    pub context_size: u32,
    /// `sizeof(struct penfold_services)`
    pub services_size: u32,
    /// The name of the controller: 1 to 32 letters, digits, `_` and `-`; also the prefix of its files.
    pub name: [c_char; NAME_SIZE],
    /// The module's own version, for people.
    pub version: [c_char; VERSION_SIZE],
    /// What it does, in a line.
    pub summary: [c_char; SUMMARY_SIZE],
    /// The control file that makes `can_fork` refuse, to name it in events; may be empty.
    pub refusing_file: [c_char; FILE_NAME_SIZE],
    /// The control files.
    pub files: *const RawFile,
    /// How many.
    pub file_count: u32,
    /// How many charge rules.
    pub rule_count: u32,
    /// The charge rules.
    pub rules: *const RawRule,

    /// Before anything else: makes what is one for all cgroups, to be found in [`RawContext::module`].
    pub load: Option<unsafe extern "C" fn(module: *mut *mut c_void) -> c_int>,
    /// After everything else.
    pub unload: Option<unsafe extern "C" fn(module: *mut c_void)>,
    /// Makes the state of a new cgroup; without a parent, of the root at load.
    pub create: Option<unsafe extern "C" fn(ctx: *mut RawContext, state: *mut *mut c_void) -> c_int>,
    /// Frees a state: after rmdir, after a mkdir that failed elsewhere, at unload.
    pub destroy: Option<unsafe extern "C" fn(ctx: *mut RawContext)>,
    /// Before rmdir, and for the last state before unload, which then fail with its error; may run more than once.
    pub pre_destroy: Option<unsafe extern "C" fn(ctx: *mut RawContext) -> c_int>,
    /// May these tasks move? A yes stays valid until `attach` or `cancel_attach`. Never asked on fork.
    pub can_attach:
        Option<unsafe extern "C" fn(ctx: *mut RawContext, tasks: *const RawMigration, count: usize) -> c_int>,
    /// The move that `can_attach` had agreed to does not happen.
    pub cancel_attach:
        Option<unsafe extern "C" fn(ctx: *mut RawContext, tasks: *const RawMigration, count: usize)>,
    /// The tasks have moved.
    pub attach: Option<unsafe extern "C" fn(ctx: *mut RawContext, tasks: *const RawMigration, count: usize)>,
    /// May `parent` fork? One that may say no has to announce it with [`RawServices::set_refusing`].
    pub can_fork: Option<unsafe extern "C" fn(ctx: *mut RawContext, parent: i32) -> c_int>,
    /// The fork that `can_fork` had agreed to does not happen.
    pub cancel_fork: Option<unsafe extern "C" fn(ctx: *mut RawContext)>,
    /// A child exists and has not run yet. Also called once for every task that exists at load.
    pub fork: Option<unsafe extern "C" fn(ctx: *mut RawContext, child: i32)>,
    /// A task has died, told by the number that it has then: a thread that executes a program goes on under its process's
    /// number, after the death of the leader who had that was told, and of the thread's own nothing is told any more.
    pub exit: Option<unsafe extern "C" fn(ctx: *mut RawContext, task: i32)>,
    /// After `create`, where the parent has `cgroup.clone_children` set.
    pub post_clone: Option<unsafe extern "C" fn(ctx: *mut RawContext)>,
    /// Moved to another hierarchy, or back to where unbound controllers live; the call is about the new root.
    pub bind: Option<unsafe extern "C" fn(ctx: *mut RawContext)>,
}

// SAFETY: a description is constant from the moment it is in memory.
unsafe impl Sync for RawModule {}

/// A counter of one css.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct RawCounter {
    /// What is charged now, descendants included.
    pub usage: u64,
    /// The highest usage that a charge may reach; [`UNLIMITED`] for none.
    pub limit: u64,
    /// The highest usage ever seen.
    pub peak: u64,
    /// Charges refused because of this counter's limit.
    pub failures: u64,
    /// Charges refused that began here, whichever ancestor's limit refused them.
    pub refused: u64,
}

/// CPU time in nanoseconds.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct RawCpuTime {
    /// In user mode.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
}

/// Who reads or writes a control file, makes a directory or attaches.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct RawCaller {
    /// The asking task.
    pub task: i32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// The permission bits that mkdir(2) clears.
    pub umask: u32,
    /// 1 if it holds the administrator's capabilities.
    pub privileged: u32,
}

/// What is known of a living task.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct RawTaskFacts {
    /// The thread group (process): the number of its leader.
    pub group: i32,
    /// Real user id.
    pub real_uid: u32,
    /// Saved user id.
    pub saved_uid: u32,
    /// 0 for tasks that may never move.
    pub movable: u32,
    /// 1 while it is exiting.
    pub exiting: u32,
    /// 1 while a fork of it is in flight.
    pub forking: u32,
}

/// What a callback can ask for, always with the context that it was given. A css that is none of the module's, or not
/// alive any more, is answered as if it had nothing, or with `-EINVAL`; a NULL where a pointer is needed with `-EFAULT`.
///
/// Lists are written into `list`, at most `capacity` entries of it; the answer is how many there are.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawServices {
    /// What [`RawModule::create`] gave for a css.
    pub state: unsafe extern "C" fn(ctx: *mut RawContext, css: u32) -> *mut c_void,
    /// The parent, [`NO_CSS`] for the root of a hierarchy.
    pub parent: unsafe extern "C" fn(ctx: *mut RawContext, css: u32) -> u32,
    /// The children, in the order of their creation.
    pub children:
        unsafe extern "C" fn(ctx: *mut RawContext, css: u32, list: *mut u32, capacity: usize) -> usize,
    /// The tasks that are members of the css's cgroup itself, ascending.
    pub tasks: unsafe extern "C" fn(ctx: *mut RawContext, css: u32, list: *mut i32, capacity: usize) -> usize,
    /// 1 if the css's cgroup itself has any member.
    pub has_tasks: unsafe extern "C" fn(ctx: *mut RawContext, css: u32) -> c_int,
    /// The bytes of the path from the root of the hierarchy, without a NUL.
    pub path:
        unsafe extern "C" fn(ctx: *mut RawContext, css: u32, text: *mut c_char, capacity: usize) -> usize,
    /// The flags that the hierarchy was mounted with: 1 `noprefix`, 2 `xattr`, 4 `cpuset_v2_mode`, 8 `favordynmods`.
    pub hierarchy_flags: unsafe extern "C" fn(ctx: *mut RawContext, css: u32) -> u32,
    /// The counter of a css for the module's rule number `rule`.
    pub counter:
        unsafe extern "C" fn(ctx: *mut RawContext, css: u32, rule: u32, counter: *mut RawCounter) -> c_int,
    /// Sets a counter's limit; the usage may already exceed it. `-EOPNOTSUPP` where the host can't enforce it.
    pub set_limit: unsafe extern "C" fn(ctx: *mut RawContext, css: u32, rule: u32, limit: u64) -> c_int,
    /// Sets a counter's peak back to its usage.
    pub reset_peak: unsafe extern "C" fn(ctx: *mut RawContext, css: u32, rule: u32) -> c_int,
    /// Says whether the module's `can_fork` may refuse from now on; it may not at load. `-EOPNOTSUPP` where the host
    /// can't refuse forks.
    pub set_refusing: unsafe extern "C" fn(ctx: *mut RawContext, refusing: c_int) -> c_int,
    /// The CPU time charged to a css, descendants included, for each CPU.
    pub cpu_usage:
        unsafe extern "C" fn(ctx: *mut RawContext, css: u32, list: *mut RawCpuTime, capacity: usize) -> usize,
    /// Forgets the CPU time charged to a css; not that of its parent or children.
    pub reset_cpu_usage: unsafe extern "C" fn(ctx: *mut RawContext, css: u32) -> c_int,
    /// Who asks: 1 and `caller` filled, or 0 in fork, exit and bind.
    pub caller: unsafe extern "C" fn(ctx: *mut RawContext, caller: *mut RawCaller) -> c_int,
    /// The supplementary groups of who asks.
    pub caller_groups: unsafe extern "C" fn(ctx: *mut RawContext, list: *mut u32, capacity: usize) -> usize,
    /// Can the host do this (`PENFOLD_NEED_...`)? 0, or `-EOPNOTSUPP` with its reason as the explanation.
    pub require: unsafe extern "C" fn(ctx: *mut RawContext, need: u32) -> c_int,
    /// The facts of a task: 0, or `-ESRCH`.
    pub task: unsafe extern "C" fn(ctx: *mut RawContext, task: i32, facts: *mut RawTaskFacts) -> c_int,
    /// The threads of a process that are not exiting, its leader first.
    pub threads:
        unsafe extern "C" fn(ctx: *mut RawContext, group: i32, list: *mut i32, capacity: usize) -> usize,
    /// Nanoseconds of a clock that never goes back.
    pub now: unsafe extern "C" fn(ctx: *mut RawContext) -> u64,
    /// The CPUs that are online, as words of a bit mask, lowest first.
    pub cpus: unsafe extern "C" fn(ctx: *mut RawContext, list: *mut u64, capacity: usize) -> usize,
    /// The memory nodes that are online, likewise.
    pub memory_nodes: unsafe extern "C" fn(ctx: *mut RawContext, list: *mut u64, capacity: usize) -> usize,
    /// One more than the highest CPU number that a list may name.
    pub cpu_limit: unsafe extern "C" fn(ctx: *mut RawContext) -> usize,
    /// One more than the highest node number that a list may name.
    pub node_limit: unsafe extern "C" fn(ctx: *mut RawContext) -> usize,
    /// Restricts a task to the CPUs of a mask of `words` words.
    pub set_affinity:
        unsafe extern "C" fn(ctx: *mut RawContext, task: i32, cpus: *const u64, words: usize) -> c_int,
    /// Binds a task's future memory to the nodes `to` and, with `migrate`, moves what it has on `from`.
    pub set_memory_nodes: unsafe extern "C" fn(
        ctx: *mut RawContext,
        task: i32,
        from: *const u64,
        from_words: usize,
        to: *const u64,
        to_words: usize,
        migrate: c_int,
    ) -> c_int,
    /// Starts to stop a task. Asking twice is harmless.
    pub freeze: unsafe extern "C" fn(ctx: *mut RawContext, task: i32),
    /// Lets a frozen task go on.
    pub thaw: unsafe extern "C" fn(ctx: *mut RawContext, task: i32),
    /// 1 once a task that `freeze` was called for can't run any more.
    pub is_frozen: unsafe extern "C" fn(ctx: *mut RawContext, task: i32) -> c_int,
    /// Gives the sockets of a task this class, those it has and those it will make; 0 is "unclassified".
    pub set_socket_class: unsafe extern "C" fn(ctx: *mut RawContext, task: i32, class_id: u32) -> c_int,
    /// Sends a signal to one task.
    pub signal: unsafe extern "C" fn(ctx: *mut RawContext, task: i32, signal: c_int) -> c_int,
    /// Adds text to what is read, in `read_text`.
    pub put: unsafe extern "C" fn(ctx: *mut RawContext, text: *const c_char, length: usize),
    /// Adds a line to what is read, in `read_map`. `key` ends with a NUL.
    pub put_line: unsafe extern "C" fn(ctx: *mut RawContext, key: *const c_char, value: u64),
    /// Says why the callback is going to return an error.
    pub explain: unsafe extern "C" fn(ctx: *mut RawContext, text: *const c_char, length: usize),
    /// Writes a line to the log of the program that has loaded the module, under the module's name.
    pub log: unsafe extern "C" fn(ctx: *mut RawContext, text: *const c_char, length: usize),
    /// Says that the callback has failed in a way that its author did not mean, as a panic. It is reported under the
    /// module's name, and the callback answers `-EIO` if it can.
    pub failed: unsafe extern "C" fn(ctx: *mut RawContext, text: *const c_char, length: usize),
}

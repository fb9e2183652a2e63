//! The binary interface between penfold and a module. `include/penfold.h` is generated from this file.
//!
//! A module is a shared object that exports one object, `penfold_module`, of type [`RawModule`]. The object holds
//! constants only, so that penfold can read it from the file without running any code of the module.
//!
//! The callbacks of a module run one at a time. Each runs on the thread of the loading program that needs it, which
//! may be another thread each time. A callback gets a [`RawContext`], valid until the callback returns, and calls
//! [`RawServices`] through it. A service that is called outside of a callback, or on another thread than the
//! callback's, refuses as it does without a context.
//!
//! A callback that can fail returns 0 or a negative errno. A callback that fails must have changed nothing.
//! [`RawServices::explain`] gives the reason in words. All text is UTF-8.

use core::ffi::{c_char, c_int, c_void};

/// The version of this interface. Penfold refuses a module of another version.
pub const ABI_VERSION: u32 = 1;

/// The name under which a module exports its [`RawModule`].
pub const SYMBOL: &str = "penfold_module";

/// The size of [`RawModule::name`] in bytes, with the NUL that ends the text.
pub const NAME_SIZE: usize = 33;
/// The size of [`RawModule::version`] in bytes, with the NUL.
pub const VERSION_SIZE: usize = 32;
/// The size of [`RawModule::summary`] in bytes, with the NUL.
pub const SUMMARY_SIZE: usize = 128;
/// The size of [`RawFile::name`], [`RawRule::limit_file`] and [`RawModule::refusing_file`], with the NUL.
pub const FILE_NAME_SIZE: usize = 64;

/// Returned by [`RawServices::parent`] for the root of a hierarchy.
pub const NO_CSS: u32 = u32::MAX;
/// [`RawCounter::limit`] of a counter without a limit.
pub const UNLIMITED: u64 = u64::MAX;

/// [`RawFile::place`]: the file is in every directory.
pub const EVERYWHERE: u32 = 0;
/// [`RawFile::place`]: the file is only in the root of a hierarchy.
pub const ROOT_ONLY: u32 = 1;
/// [`RawFile::place`]: the file is in every directory but the root.
pub const NOT_ON_ROOT: u32 = 2;

/// [`RawFile::flags`]: the content read is not the content written, such as a count that a write resets.
pub const FILE_COUNTS: u32 = 1;

/// [`RawRule::resource`]: living tasks. Charged before a fork, moved by an attach, given back at exit.
pub const TASKS: u32 = 0;
/// [`RawRule::resource`]: forks ever made. Charged before a fork, given back only if that fork fails.
pub const FORKS: u32 = 1;
/// [`RawRule::resource`]: CPU time in nanoseconds. A charge is never refused.
pub const CPU_TIME: u32 = 2;
/// [`RawRule::resource`]: sockets created. Only hosts that see socket(2) execute the rule.
pub const SOCKETS: u32 = 3;

/// [`RawServices::require`]: refuse a fork before the child exists.
pub const NEED_FORK_VETO: u32 = 0;
/// [`RawServices::require`]: set the CPU affinity of tasks, and clamp the affinity that they set themselves.
pub const NEED_AFFINITY: u32 = 1;
/// [`RawServices::require`]: bind the memory of tasks to nodes.
pub const NEED_MEMORY_NODES: u32 = 2;
/// [`RawServices::require`]: stop tasks so that neither they nor their parents notice.
pub const NEED_FREEZE: u32 = 3;
/// [`RawServices::require`]: mark the sockets of tasks with a class.
pub const NEED_SOCKET_CLASS: u32 = 4;

/// The subject of one callback. Valid until the callback returns. The module must not change any member.
#[repr(C)]
pub struct RawContext {
    /// The services that the callback can call.
    pub services: *const RawServices,
    /// For the loader only.
    pub engine: *mut c_void,
    /// The pointer that [`RawModule::load`] stored.
    pub module: *mut c_void,
    /// The pointer that [`RawModule::create`] stored for [`RawContext::css`]; NULL in `create` itself.
    pub state: *mut c_void,
    /// The css (the module's state in one cgroup) that the callback is about. In `can_attach`, `cancel_attach` and
    /// `attach`: the css that the first task goes to.
    pub css: u32,
    /// In a handler of a control file: the index of the file in [`RawModule::files`].
    pub file: u32,
    /// In a handler of a control file: [`RawFile::private_value`] of the file.
    pub private_value: u64,
}

/// One task that moves from one css to another.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RawMigration {
    /// The task, by its thread id (tid).
    pub task: i32,
    /// The css that the task is in.
    pub from: u32,
    /// The css that the task goes to.
    pub to: u32,
}

/// One control file. One write is one command.
///
/// At most one `read_...` member may be set, and at most one of the `write_...` members and `trigger`. A file without
/// a reader can't be read, and a file without a writer can't be written: both fail with `EINVAL`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawFile {
    /// The name of the file without the module's prefix.
    pub name: [c_char; FILE_NAME_SIZE],
    /// Permission bits as in chmod(2), at most 0777. 0 stands for the default, by the handlers: 0444 for a reader
    /// plus 0200 for a writer or trigger.
    pub mode: u32,
    /// The directories that have the file: [`EVERYWHERE`], [`ROOT_ONLY`] or [`NOT_ON_ROOT`].
    pub place: u32,
    /// The longest write in bytes; 0 for one page. A longer write fails with `E2BIG`.
    pub max_write: u32,
    /// Flags of the file: [`FILE_COUNTS`] or 0.
    pub flags: u32,
    /// A value that the handlers find in [`RawContext::private_value`], so that files can share a handler.
    pub private_value: u64,
    /// Reads the file as a number.
    pub read_u64: Option<unsafe extern "C" fn(ctx: *mut RawContext, value: *mut u64) -> c_int>,
    /// Reads the file as a signed number.
    pub read_s64: Option<unsafe extern "C" fn(ctx: *mut RawContext, value: *mut i64) -> c_int>,
    /// Reads the file as lines of `key value`. The handler gives each line to [`RawServices::put_line`].
    pub read_map: Option<unsafe extern "C" fn(ctx: *mut RawContext) -> c_int>,
    /// Reads the file as text. The handler gives the text to [`RawServices::put`] in any number of pieces.
    pub read_text: Option<unsafe extern "C" fn(ctx: *mut RawContext) -> c_int>,
    /// Takes a number, which the user wrote in decimal, with 0x or in octal.
    pub write_u64: Option<unsafe extern "C" fn(ctx: *mut RawContext, value: u64) -> c_int>,
    /// Takes a signed number, which the user wrote in decimal, with 0x or in octal.
    pub write_s64: Option<unsafe extern "C" fn(ctx: *mut RawContext, value: i64) -> c_int>,
    /// Takes a text without the white space at both ends. A NUL follows after `length` bytes.
    pub write_text:
        Option<unsafe extern "C" fn(ctx: *mut RawContext, text: *const c_char, length: usize) -> c_int>,
    /// Takes a write of any content, which the handler does not see.
    pub trigger: Option<unsafe extern "C" fn(ctx: *mut RawContext) -> c_int>,
}

/// A charge rule. The rule gives every css one counter, which is charged up the hierarchy. The engine executes the
/// rule, not the module.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawRule {
    /// The resource that the rule counts: [`TASKS`], [`FORKS`], [`CPU_TIME`] or [`SOCKETS`].
    pub resource: u32,
    /// The errno, as a positive number, of an operation that a limit refuses; 0 for `EAGAIN`.
    pub refusal: i32,
    /// The name of the control file that sets the limit, for messages; may be empty.
    pub limit_file: [c_char; FILE_NAME_SIZE],
}

/// The description of a module. `create` and `destroy` are mandatory. Every other callback may be NULL, and then
/// costs nothing.
#[repr(C)]
pub struct RawModule {
    /// The version of the interface that the module was compiled for: `PENFOLD_ABI_VERSION`.
    pub abi_version: u32,
    /// The size of the description in bytes: `sizeof(struct penfold_module)`.
    pub module_size: u32,
    /// The size of an entry of `files` in bytes: `sizeof(struct penfold_file)`.
    pub file_size: u32,
    /// The size of an entry of `rules` in bytes: `sizeof(struct penfold_rule)`.
    pub rule_size: u32,
    /// The size of a context in bytes: `sizeof(struct penfold_context)`.
    pub context_size: u32,
    /// The size of the table of services in bytes: `sizeof(struct penfold_services)`.
    pub services_size: u32,
    /// The name of the controller, and the prefix of its files: 1 to 32 letters, digits, `_` and `-`.
    pub name: [c_char; NAME_SIZE],
    /// The module's own version, for people.
    pub version: [c_char; VERSION_SIZE],
    /// The purpose of the module in one line.
    pub summary: [c_char; SUMMARY_SIZE],
    /// The name of the control file that makes `can_fork` refuse, for events; may be empty.
    pub refusing_file: [c_char; FILE_NAME_SIZE],
    /// The control files; may be NULL if there are none.
    pub files: *const RawFile,
    /// The number of control files.
    pub file_count: u32,
    /// The number of charge rules.
    pub rule_count: u32,
    /// The charge rules; may be NULL if there are none.
    pub rules: *const RawRule,

    /// Called before every other callback. Stores the data that all cgroups share; [`RawContext::module`] has the
    /// pointer.
    pub load: Option<unsafe extern "C" fn(module: *mut *mut c_void) -> c_int>,
    /// Called after every other callback, with the pointer that `load` stored.
    pub unload: Option<unsafe extern "C" fn(module: *mut c_void)>,
    /// Makes the state of a new cgroup. At load: makes the state of the root, which has no parent.
    pub create: Option<unsafe extern "C" fn(ctx: *mut RawContext, state: *mut *mut c_void) -> c_int>,
    /// Frees a state: after rmdir(2), after a mkdir(2) that failed elsewhere, and at unload.
    pub destroy: Option<unsafe extern "C" fn(ctx: *mut RawContext)>,
    /// Called before rmdir(2), and for the last state before unload. The operation fails with the error that is
    /// returned. May run more than once for a state.
    pub pre_destroy: Option<unsafe extern "C" fn(ctx: *mut RawContext) -> c_int>,
    /// Called before tasks move. 0 agrees, a negative errno refuses the whole move. An agreement stays valid until
    /// `attach` or `cancel_attach` is called. Not called for a fork.
    pub can_attach:
        Option<unsafe extern "C" fn(ctx: *mut RawContext, tasks: *const RawMigration, count: usize) -> c_int>,
    /// Called if a move that `can_attach` agreed to does not happen.
    pub cancel_attach:
        Option<unsafe extern "C" fn(ctx: *mut RawContext, tasks: *const RawMigration, count: usize)>,
    /// Called after tasks have moved. Can't refuse any more.
    ///
    /// A controller without `fork` also gets every task that the host launches or adopts, and at load those that the
    /// host supervises. Then `from` and `to` are the same css, and `can_attach` was not called. The child of a member
    /// inherits from its parent and is not reported.
    pub attach: Option<unsafe extern "C" fn(ctx: *mut RawContext, tasks: *const RawMigration, count: usize)>,
    /// Called before `parent` (a thread id) forks. 0 agrees, a negative errno refuses the fork. A module that may
    /// refuse announces that with [`RawServices::set_refusing`].
    pub can_fork: Option<unsafe extern "C" fn(ctx: *mut RawContext, parent: i32) -> c_int>,
    /// Called if a fork that `can_fork` agreed to does not happen.
    pub cancel_fork: Option<unsafe extern "C" fn(ctx: *mut RawContext)>,
    /// Called when `child` (a thread id) is a member of [`RawContext::css`] and has not run yet.
    ///
    /// Also called once at load for every task that the host supervises, and for a task that it launches or adopts.
    pub fork: Option<unsafe extern "C" fn(ctx: *mut RawContext, child: i32)>,
    /// Called when a task has died. `task` is its thread id at death.
    ///
    /// A thread that calls execve(2) takes over the thread id of the leader. `exit` has been called for the old
    /// leader, `fork` is not called again, and the former thread id is never reported.
    pub exit: Option<unsafe extern "C" fn(ctx: *mut RawContext, task: i32)>,
    /// Called after `create` where the parent has `cgroup.clone_children` set.
    pub post_clone: Option<unsafe extern "C" fn(ctx: *mut RawContext)>,
    /// Called when the controller has moved to another hierarchy, or back to where unbound controllers are.
    /// [`RawContext::css`] is the new root.
    pub bind: Option<unsafe extern "C" fn(ctx: *mut RawContext)>,
}

// SAFETY: a description is constant from the moment at which it is in memory.
unsafe impl Sync for RawModule {}

/// The counter of one css for one charge rule.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct RawCounter {
    /// The amount that is charged now, with the descendants' charges, in units of the rule's resource.
    pub usage: u64,
    /// The highest usage that a charge may reach; [`UNLIMITED`] for none.
    pub limit: u64,
    /// The highest usage ever seen.
    pub peak: u64,
    /// The number of charges that this counter's limit refused.
    pub failures: u64,
    /// The number of charges that began here and were refused, whichever ancestor's limit refused them.
    pub refused: u64,
}

/// CPU time in nanoseconds.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct RawCpuTime {
    /// The CPU time in user mode, in nanoseconds.
    pub user: u64,
    /// The CPU time in the kernel, in nanoseconds.
    pub system: u64,
}

/// The task that reads or writes a control file, makes a directory or attaches tasks.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct RawCaller {
    /// The thread id of the caller.
    pub task: i32,
    /// The effective user id of the caller.
    pub uid: u32,
    /// The effective group id of the caller.
    pub gid: u32,
    /// The umask of the caller: the permission bits that mkdir(2) clears.
    pub umask: u32,
    /// 1 if the caller has the administrator's capabilities.
    pub privileged: u32,
}

/// Facts of a living task.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct RawTaskFacts {
    /// The thread group (process) of the task, by the thread id of its leader.
    pub group: i32,
    /// The real user id of the task.
    pub real_uid: u32,
    /// The saved user id of the task.
    pub saved_uid: u32,
    /// 0 for a task that may never move.
    pub movable: u32,
    /// 1 while the task is exiting.
    pub exiting: u32,
    /// 1 while a fork of the task is in flight.
    pub forking: u32,
}

/// The services that a callback can call, always with the context that the callback was given.
///
/// A css may be none of the module's, or not alive any more. A service answers for such a css as if the css had
/// nothing, or with `-EINVAL`. A NULL for a pointer that the service needs is `-EFAULT`.
///
/// A service that gives a list writes at most `capacity` entries into `list` and returns the length of the whole
/// list.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawServices {
    /// The pointer that [`RawModule::create`] stored for a css.
    pub state: unsafe extern "C" fn(ctx: *mut RawContext, css: u32) -> *mut c_void,
    /// The parent of a css; [`NO_CSS`] for the root of a hierarchy.
    pub parent: unsafe extern "C" fn(ctx: *mut RawContext, css: u32) -> u32,
    /// The children of a css, in the order of their creation.
    pub children:
        unsafe extern "C" fn(ctx: *mut RawContext, css: u32, list: *mut u32, capacity: usize) -> usize,
    /// The tasks that are members of the css's cgroup itself, ascending.
    pub tasks: unsafe extern "C" fn(ctx: *mut RawContext, css: u32, list: *mut i32, capacity: usize) -> usize,
    /// 1 if the css's cgroup itself has any member.
    pub has_tasks: unsafe extern "C" fn(ctx: *mut RawContext, css: u32) -> c_int,
    /// The path of the css's cgroup from the root of the hierarchy, as bytes without a NUL.
    pub path:
        unsafe extern "C" fn(ctx: *mut RawContext, css: u32, text: *mut c_char, capacity: usize) -> usize,
    /// The mount flags of the hierarchy: 1 `noprefix`, 2 `xattr`, 4 `cpuset_v2_mode`, 8 `favordynmods`.
    pub hierarchy_flags: unsafe extern "C" fn(ctx: *mut RawContext, css: u32) -> u32,
    /// Stores the counter of a css for the module's rule number `rule`.
    pub counter:
        unsafe extern "C" fn(ctx: *mut RawContext, css: u32, rule: u32, counter: *mut RawCounter) -> c_int,
    /// Sets the limit of a css's counter for the rule number `rule`. The usage may already exceed the limit.
    /// `-EOPNOTSUPP` if the host can't enforce it.
    pub set_limit: unsafe extern "C" fn(ctx: *mut RawContext, css: u32, rule: u32, limit: u64) -> c_int,
    /// Sets the peak of a css's counter for the rule number `rule` back to its usage.
    pub reset_peak: unsafe extern "C" fn(ctx: *mut RawContext, css: u32, rule: u32) -> c_int,
    /// Announces whether the module's `can_fork` may refuse from now on; after load it may not. `-EOPNOTSUPP` if the
    /// host can't refuse forks.
    pub set_refusing: unsafe extern "C" fn(ctx: *mut RawContext, refusing: c_int) -> c_int,
    /// The CPU time charged to a css and its descendants, for each CPU.
    pub cpu_usage:
        unsafe extern "C" fn(ctx: *mut RawContext, css: u32, list: *mut RawCpuTime, capacity: usize) -> usize,
    /// Forgets the CPU time charged to a css. The times of its parent and children stay.
    pub reset_cpu_usage: unsafe extern "C" fn(ctx: *mut RawContext, css: u32) -> c_int,
    /// Stores the caller of the operation and returns 1. Returns 0 in `fork`, `exit` and `bind`: they have none.
    pub caller: unsafe extern "C" fn(ctx: *mut RawContext, caller: *mut RawCaller) -> c_int,
    /// The supplementary groups of the caller.
    pub caller_groups: unsafe extern "C" fn(ctx: *mut RawContext, list: *mut u32, capacity: usize) -> usize,
    /// Can the host do this (`PENFOLD_NEED_...`)? 0 if it can. Otherwise `-EOPNOTSUPP`, and the host's reason is the
    /// explanation of a callback that returns this error.
    pub require: unsafe extern "C" fn(ctx: *mut RawContext, need: u32) -> c_int,
    /// Stores the facts of a task. `-ESRCH` for a task that does not live.
    pub task: unsafe extern "C" fn(ctx: *mut RawContext, task: i32, facts: *mut RawTaskFacts) -> c_int,
    /// The threads of a process that are not exiting, the leader first.
    pub threads:
        unsafe extern "C" fn(ctx: *mut RawContext, group: i32, list: *mut i32, capacity: usize) -> usize,
    /// The time of a clock that never goes back, in nanoseconds.
    pub now: unsafe extern "C" fn(ctx: *mut RawContext) -> u64,
    /// The CPUs that are online, as words of a bit mask, lowest first.
    pub cpus: unsafe extern "C" fn(ctx: *mut RawContext, list: *mut u64, capacity: usize) -> usize,
    /// The memory nodes that are online, as words of a bit mask, lowest first.
    pub memory_nodes: unsafe extern "C" fn(ctx: *mut RawContext, list: *mut u64, capacity: usize) -> usize,
    /// One more than the highest CPU number that a list may name.
    pub cpu_limit: unsafe extern "C" fn(ctx: *mut RawContext) -> usize,
    /// One more than the highest node number that a list may name.
    pub node_limit: unsafe extern "C" fn(ctx: *mut RawContext) -> usize,
    /// Restricts a task to the CPUs of a mask of `words` words.
    pub set_affinity:
        unsafe extern "C" fn(ctx: *mut RawContext, task: i32, cpus: *const u64, words: usize) -> c_int,
    /// Binds the future memory of a task to the nodes `to`. With `migrate`, also moves the memory that the task has
    /// on the nodes `from`.
    pub set_memory_nodes: unsafe extern "C" fn(
        ctx: *mut RawContext,
        task: i32,
        from: *const u64,
        from_words: usize,
        to: *const u64,
        to_words: usize,
        migrate: c_int,
    ) -> c_int,
    /// Begins to stop a task. A second call for the same task is harmless.
    pub freeze: unsafe extern "C" fn(ctx: *mut RawContext, task: i32),
    /// Lets a frozen task go on.
    pub thaw: unsafe extern "C" fn(ctx: *mut RawContext, task: i32),
    /// 1 once a task that `freeze` was called for can't run any more.
    pub is_frozen: unsafe extern "C" fn(ctx: *mut RawContext, task: i32) -> c_int,
    /// Gives a class to the sockets of a task: those that exist and those that the task will make. Class 0 means
    /// unclassified.
    pub set_socket_class: unsafe extern "C" fn(ctx: *mut RawContext, task: i32, class_id: u32) -> c_int,
    /// Sends a signal to one task.
    pub signal: unsafe extern "C" fn(ctx: *mut RawContext, task: i32, signal: c_int) -> c_int,
    /// In `read_text`: adds text to the content of the file.
    pub put: unsafe extern "C" fn(ctx: *mut RawContext, text: *const c_char, length: usize),
    /// In `read_map`: adds a line to the content of the file. `key` ends with a NUL.
    pub put_line: unsafe extern "C" fn(ctx: *mut RawContext, key: *const c_char, value: u64),
    /// Gives the reason for the error that the callback is going to return.
    pub explain: unsafe extern "C" fn(ctx: *mut RawContext, text: *const c_char, length: usize),
    /// Writes a line to the log of the program that has loaded the module, under the module's name.
    pub log: unsafe extern "C" fn(ctx: *mut RawContext, text: *const c_char, length: usize),
    /// Reports a failure that the module's author did not intend, such as a panic. The log names the module, and the
    /// callback fails with `-EIO` if it can fail.
    pub failed: unsafe extern "C" fn(ctx: *mut RawContext, text: *const c_char, length: usize),
}

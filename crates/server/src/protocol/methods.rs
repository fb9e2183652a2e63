//! The methods of the interface.
//!
//! Generated from `org.penfold.Control.varlink` by `cargo xtask protocol`. Change that file, not this one.

use serde::{Deserialize, Serialize};

use super::Method;
use super::types::{
    CgroupInfo, CgroupUsageInfo, ControlFileInfo, EnvironmentInfo, EventInfo, HierarchyInfo, ModuleInfo,
    OwnerInfo, StillMappedInfo, SubsystemInfo, TaskInfo,
};

/// Describes the daemon that serves this socket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InfoCall {}

/// The reply to [`InfoCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InfoReply {
    /// Version of penfold.
    pub version: String,
    /// Process id of the daemon, in its own pid namespace.
    pub pid: i64,
    /// User id of the daemon.
    pub uid: i64,
    /// Name of the host, such as trace.
    pub host: String,
    /// True for the engine of one penfold run.
    pub embedded: bool,
    /// One sentence for each loss: state of an earlier daemon that was not restored, or a journal that can't be written.
    #[serde(default)]
    pub not_restored: Vec<String>,
}

impl Method for InfoCall {
    const NAME: &'static str = "org.penfold.Control.Info";
    type Reply = InfoReply;
}

/// Mounts a hierarchy to a name instead of a path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MountCall {
    /// Options as of mount -t cgroup -o, with bytes escaped as \ooo.
    pub options: String,
    /// cgroup (the default) or cpuset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<String>,
}

/// The reply to [`MountCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MountReply {
    /// The hierarchy after the mount.
    pub hierarchy: HierarchyInfo,
    /// False if the hierarchy existed before.
    pub created: bool,
}

impl Method for MountCall {
    const NAME: &'static str = "org.penfold.Control.Mount";
    type Reply = MountReply;
}

/// Mounts a hierarchy and serves it as files. The mount is taken away when the file system is unmounted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ViewCall {
    /// Options as of mount -t cgroup -o, with bytes escaped as \ooo.
    pub options: String,
    /// cgroup (the default), cpuset or proc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<String>,
    /// Absolute path of the mount point, not escaped.
    pub target: String,
    /// Index of the passed descriptor: an open /dev/fuse that the caller has mounted, or will mount, at target.
    pub device: i64,
}

/// The reply to [`ViewCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewReply {
    /// The hierarchy after the mount; null for proc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hierarchy: Option<HierarchyInfo>,
}

impl Method for ViewCall {
    const NAME: &'static str = "org.penfold.Control.View";
    type Reply = ViewReply;
}

/// Changes the subsystems or the release agent of a hierarchy, as mount -o remount does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemountCall {
    /// Number, name or subsystem of the hierarchy.
    pub hierarchy: String,
    /// Options as of mount -t cgroup -o, with bytes escaped as \ooo.
    pub options: String,
}

/// The reply to [`RemountCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemountReply {
    /// The hierarchy after the change.
    pub hierarchy: HierarchyInfo,
}

impl Method for RemountCall {
    const NAME: &'static str = "org.penfold.Control.Remount";
    type Reply = RemountReply;
}

/// Takes one mount of a hierarchy away. EBUSY if it is mounted as files only: that is for umount(8).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnmountCall {
    /// Number, name or subsystem of the hierarchy.
    pub hierarchy: String,
}

/// The reply to [`UnmountCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnmountReply {}

impl Method for UnmountCall {
    const NAME: &'static str = "org.penfold.Control.Unmount";
    type Reply = UnmountReply;
}

/// Lists the hierarchies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HierarchiesCall {}

/// The reply to [`HierarchiesCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HierarchiesReply {
    /// All hierarchies.
    #[serde(default)]
    pub hierarchies: Vec<HierarchyInfo>,
}

impl Method for HierarchiesCall {
    const NAME: &'static str = "org.penfold.Control.Hierarchies";
    type Reply = HierarchiesReply;
}

/// Lists the subsystems.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubsystemsCall {}

/// The reply to [`SubsystemsCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubsystemsReply {
    /// All loaded subsystems.
    #[serde(default)]
    pub subsystems: Vec<SubsystemInfo>,
    /// Names of subsystems that the administrator has disabled, which can't be loaded.
    #[serde(default)]
    pub disabled: Vec<String>,
}

impl Method for SubsystemsCall {
    const NAME: &'static str = "org.penfold.Control.Subsystems";
    type Reply = SubsystemsReply;
}

/// Loads a subsystem while everything runs.
///
/// Only for the daemon's owner, and only from a file that nobody else can change: EPERM otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadModuleCall {
    /// An absolute path, with bytes escaped as \ooo, or a name that the daemon looks for in its own search path.
    pub module: String,
}

/// The reply to [`LoadModuleCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadModuleReply {
    /// The loaded module.
    pub module: ModuleInfo,
}

impl Method for LoadModuleCall {
    const NAME: &'static str = "org.penfold.Control.LoadModule";
    type Reply = LoadModuleReply;
}

/// Unloads a module. Only for the daemon's owner: EPERM otherwise.
///
/// EBUSY while a hierarchy holds it; the message names the hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnloadModuleCall {
    /// Name of the subsystem.
    pub name: String,
}

/// The reply to [`UnloadModuleCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnloadModuleReply {}

impl Method for UnloadModuleCall {
    const NAME: &'static str = "org.penfold.Control.UnloadModule";
    type Reply = UnloadModuleReply;
}

/// Lists the subsystems that were loaded from files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListModulesCall {}

/// The reply to [`ListModulesCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListModulesReply {
    /// The modules that are loaded now, the oldest load first. A subsystem that is built in is not a module.
    #[serde(default)]
    pub modules: Vec<ModuleInfo>,
    /// The modules that were unloaded but stay mapped, in the order of their unloading.
    #[serde(default)]
    pub still_mapped: Vec<StillMappedInfo>,
}

impl Method for ListModulesCall {
    const NAME: &'static str = "org.penfold.Control.ListModules";
    type Reply = ListModulesReply;
}

/// Makes a cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MkdirCall {
    /// Address of the new cgroup, such as pids:/build.
    pub cgroup: String,
    /// Permission bits of the directory, from which the caller has taken its umask already; 0755 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<i64>,
    /// True: make missing parents too, and accept a cgroup that exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parents: Option<bool>,
}

/// The reply to [`MkdirCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MkdirReply {}

impl Method for MkdirCall {
    const NAME: &'static str = "org.penfold.Control.Mkdir";
    type Reply = MkdirReply;
}

/// Removes a cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RmdirCall {
    /// Address of the cgroup, such as pids:/build.
    pub cgroup: String,
    /// True: remove the cgroups below first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recursive: Option<bool>,
}

/// The reply to [`RmdirCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RmdirReply {}

impl Method for RmdirCall {
    const NAME: &'static str = "org.penfold.Control.Rmdir";
    type Reply = RmdirReply;
}

/// Gives a cgroup a new name in the same directory.
///
/// EBUSY for a root, which has no name. EEXIST if the new name is taken. ENOENT for a new name that is empty or has a
/// slash; EINVAL for one with a newline.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RenameCall {
    /// Address of the cgroup, such as pids:/build.
    pub cgroup: String,
    /// The new name without a slash, with bytes escaped as \ooo.
    pub name: String,
}

/// The reply to [`RenameCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenameReply {}

impl Method for RenameCall {
    const NAME: &'static str = "org.penfold.Control.Rename";
    type Reply = RenameReply;
}

/// Lists a cgroup and, if wanted, those below, each before its children.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListCall {
    /// Address of the cgroup, such as pids:/build.
    pub cgroup: String,
    /// True: list all cgroups below, except in directories that the caller may not list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recursive: Option<bool>,
    /// List this many levels below, whatever recursive says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<i64>,
}

/// The reply to [`ListCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListReply {
    /// The cgroups.
    #[serde(default)]
    pub cgroups: Vec<CgroupInfo>,
}

impl Method for ListCall {
    const NAME: &'static str = "org.penfold.Control.List";
    type Reply = ListReply;
}

/// Lists the control files of a cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FilesCall {
    /// Address of the cgroup, such as pids:/build.
    pub cgroup: String,
}

/// The reply to [`FilesCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilesReply {
    /// The control files.
    #[serde(default)]
    pub files: Vec<ControlFileInfo>,
}

impl Method for FilesCall {
    const NAME: &'static str = "org.penfold.Control.Files";
    type Reply = FilesReply;
}

/// Shows owner and mode of a cgroup's directory, or of one of its control files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatCall {
    /// Address of the cgroup, such as pids:/build.
    pub cgroup: String,
    /// Name of a control file of the cgroup, such as pids.max; null for the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// The reply to [`StatCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatReply {
    /// Owner and mode of the directory or the file.
    pub owner: OwnerInfo,
}

impl Method for StatCall {
    const NAME: &'static str = "org.penfold.Control.Stat";
    type Reply = StatReply;
}

/// Changes owner and mode of a cgroup's directory, or of one of its control files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetOwnerCall {
    /// Address of the cgroup, such as pids:/build.
    pub cgroup: String,
    /// Name of a control file of the cgroup, such as pids.max; null for the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The new user id; null leaves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<i64>,
    /// The new group id; null leaves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<i64>,
    /// The new permission bits; null leaves them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<i64>,
}

/// The reply to [`SetOwnerCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetOwnerReply {}

impl Method for SetOwnerCall {
    const NAME: &'static str = "org.penfold.Control.SetOwner";
    type Reply = SetOwnerReply;
}

/// Reads a control file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadCall {
    /// Address of the cgroup, such as pids:/build.
    pub cgroup: String,
    /// Name of the control file.
    pub file: String,
}

/// The reply to [`ReadCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadReply {
    /// The whole content, with bytes escaped as \ooo.
    pub content: String,
}

impl Method for ReadCall {
    const NAME: &'static str = "org.penfold.Control.Read";
    type Reply = ReadReply;
}

/// Writes to a control file. One call is one write(2), and so one command.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WriteCall {
    /// Address of the cgroup, such as pids:/build.
    pub cgroup: String,
    /// Name of the control file.
    pub file: String,
    /// The bytes to write, with bytes escaped as \ooo.
    pub content: String,
}

/// The reply to [`WriteCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteReply {}

impl Method for WriteCall {
    const NAME: &'static str = "org.penfold.Control.Write";
    type Reply = WriteReply;
}

/// Moves a task, or a whole process, into a cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttachCall {
    /// Address of the cgroup, such as pids:/build.
    pub cgroup: String,
    /// Number of the task in the caller's pid namespace; 0 for the caller.
    pub task: i64,
    /// True: move all threads of its process (cgroup.procs). False: move this one thread (tasks).
    pub process: bool,
}

/// The reply to [`AttachCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachReply {}

impl Method for AttachCall {
    const NAME: &'static str = "org.penfold.Control.Attach";
    type Reply = AttachReply;
}

/// Runs a command in cgroups, in a session of its own, with the caller's user, groups and resource limits.
///
/// Replies with the process id at once. If called with more, replies again with the wait status when the command and the
/// processes that it left behind have ended.
///
/// EPERM for a caller that is confined more than the daemon: by namespaces, another root directory, system call filters,
/// no new privileges or dropped capabilities.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecCall {
    /// Addresses of cgroups, each of another hierarchy. In all other hierarchies the command enters the caller's cgroup.
    #[serde(default)]
    pub cgroups: Vec<String>,
    /// The program and its arguments, with bytes escaped as \ooo.
    #[serde(default)]
    pub command: Vec<String>,
    /// The whole environment of the command.
    #[serde(default)]
    pub environment: Vec<EnvironmentInfo>,
    /// Absolute path of its working directory, with bytes escaped as \ooo; null for the caller's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Indexes of three passed descriptors for standard input, output and error. Empty for /dev/null.
    #[serde(default)]
    pub streams: Vec<i64>,
    /// True: the command gets a new session whose terminal is the first stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<bool>,
    /// File mode creation mask of the command; null for the caller's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub umask: Option<i64>,
    /// True: processes that the command leaves behind go on in their cgroups. By default its end kills them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave_running: Option<bool>,
}

/// The reply to [`ExecCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecReply {
    /// Process id in the caller's pid namespace; 0 if it has none there.
    pub pid: i64,
    /// Wait status as of wait(2); null in the first reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i64>,
}

impl Method for ExecCall {
    const NAME: &'static str = "org.penfold.Control.Exec";
    type Reply = ExecReply;
}

/// Sends a signal to every process of a cgroup, or to none if the caller may not signal one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignalCall {
    /// Address of the cgroup, which must not be a root.
    pub cgroup: String,
    /// Number of the signal, 0 to 64.
    pub signal: i64,
    /// True: also signal the processes of the cgroups below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recursive: Option<bool>,
}

/// The reply to [`SignalCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignalReply {
    /// Number of processes that were signalled.
    pub processes: i64,
}

impl Method for SignalCall {
    const NAME: &'static str = "org.penfold.Control.Signal";
    type Reply = SignalReply;
}

/// Kills every process of a cgroup and of those below, also those born meanwhile. Replies when all are dead.
///
/// EBUSY if some are still alive after a time, 10 s by default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KillCall {
    /// Address of the cgroup, which must not be a root.
    pub cgroup: String,
}

/// The reply to [`KillCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KillReply {
    /// Number of processes that were killed.
    pub processes: i64,
}

impl Method for KillCall {
    const NAME: &'static str = "org.penfold.Control.Kill";
    type Reply = KillReply;
}

/// Lists the tasks of a cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TasksCall {
    /// Address of the cgroup, such as pids:/build.
    pub cgroup: String,
    /// True: also list those of the cgroups below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recursive: Option<bool>,
}

/// The reply to [`TasksCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TasksReply {
    /// The tasks. Tasks without a number in the caller's pid namespace are left out.
    #[serde(default)]
    pub tasks: Vec<TaskInfo>,
}

impl Method for TasksCall {
    const NAME: &'static str = "org.penfold.Control.Tasks";
    type Reply = TasksReply;
}

/// Shows the resources in use and the limits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UsageCall {
    /// Address of the cgroup, such as pids:/build.
    pub cgroup: String,
    /// True: show every cgroup below too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recursive: Option<bool>,
}

/// The reply to [`UsageCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageReply {
    /// One entry for each cgroup.
    #[serde(default)]
    pub usages: Vec<CgroupUsageInfo>,
}

impl Method for UsageCall {
    const NAME: &'static str = "org.penfold.Control.Usage";
    type Reply = UsageReply;
}

/// Shows a text of /proc, with penfold's hierarchies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcCall {
    /// cgroups, cgroup or cpuset; the last two are of a task.
    pub file: String,
    /// Number of the task in the caller's pid namespace; 0, the default, for the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<i64>,
}

/// The reply to [`ProcCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcReply {
    /// The text, with bytes escaped as \ooo.
    pub content: String,
}

impl Method for ProcCall {
    const NAME: &'static str = "org.penfold.Control.Proc";
    type Reply = ProcReply;
}

/// Reports events until the client closes the connection. Must be called with more.
///
/// The first reply comes at once and is empty: from then on no event is missed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WatchCall {
    /// Address of a cgroup, for its events and those of the cgroups below. Null for all hierarchies and subsystems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
}

/// The reply to [`WatchCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchReply {
    /// The event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventInfo>,
    /// How many events were lost since the last reply, because the client was too slow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<i64>,
}

impl Method for WatchCall {
    const NAME: &'static str = "org.penfold.Control.Watch";
    type Reply = WatchReply;
}

//! The messages of the control socket, as `org.penfold.Control.varlink` describes them.
//!
//! Written by hand, since a generator would be a build dependency of everyone; a test holds it against the description.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The name of the interface.
pub const INTERFACE: &str = "org.penfold.Control";

/// Its description, as `org.varlink.service.GetInterfaceDescription` gives it.
pub const DESCRIPTION: &str = include_str!("org.penfold.Control.varlink");

/// The call of a method, with the reply that it has.
pub trait Method: Serialize + DeserializeOwned {
    /// Interface and method.
    const NAME: &'static str;
    /// What is answered.
    type Reply: Serialize + DeserializeOwned;
}

/// A `Hierarchy` of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hierarchy {
    /// `id`
    pub id: i64,
    /// `name`
    pub name: String,
    /// `subsystems`
    #[serde(default)]
    pub subsystems: Vec<String>,
    /// `options`
    pub options: String,
    /// `mounts`
    pub mounts: i64,
    /// `cgroups`
    pub cgroups: i64,
}

/// A `Subsystem` of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subsystem {
    /// `name`
    pub name: String,
    /// `hierarchy`
    pub hierarchy: i64,
    /// `cgroups`
    pub cgroups: i64,
}

/// A `Owner` of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// `uid`
    pub uid: i64,
    /// `gid`
    pub gid: i64,
    /// `mode`
    pub mode: i64,
}

/// A `Cgroup` of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cgroup {
    /// `cgroup`
    pub cgroup: String,
    /// `path`
    pub path: String,
    /// `hierarchy`
    pub hierarchy: i64,
    /// `owner`
    pub owner: Owner,
    /// `children`
    pub children: i64,
    /// `tasks`
    pub tasks: i64,
    /// `populated`
    pub populated: bool,
}

/// A `File` of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// `name`
    pub name: String,
    /// `owner`
    pub owner: Owner,
}

/// A `Task` of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// `task`
    pub task: i64,
    /// `process`
    pub process: i64,
    /// `command`
    pub command: String,
    /// `cgroup`
    pub cgroup: String,
}

/// A `Limit` of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// `file`
    pub file: String,
    /// `limit`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// `used`
    pub used: i64,
    /// `peak`
    pub peak: i64,
    /// `failures`
    pub failures: i64,
}

/// A `CgroupUsage` of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupUsage {
    /// `cgroup`
    pub cgroup: String,
    /// `tasks`
    pub tasks: i64,
    /// `processes`
    pub processes: i64,
    /// `user`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<i64>,
    /// `system`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<i64>,
    /// `frozen`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<bool>,
    /// `limits`
    #[serde(default)]
    pub limits: Vec<Limit>,
}

/// A `Event` of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// `kind`
    pub kind: String,
    /// `cgroup`
    pub cgroup: String,
    /// `file`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// `subsystem`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsystem: Option<String>,
}

/// A `Module` of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Module {
    /// `name`
    pub name: String,
    /// `version`
    pub version: String,
    /// `summary`
    pub summary: String,
    /// `path`
    pub path: String,
    /// `hierarchy`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hierarchy: Option<Hierarchy>,
    /// `references`
    pub references: i64,
    /// `holder`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// `overruns`
    pub overruns: i64,
}

/// A `Environment` of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// `name`
    pub name: String,
    /// `value`
    pub value: String,
}

/// Who serves this socket. embedded: the engine of one penfold run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InfoCall {}

/// What `Info` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InfoReply {
    /// `version`
    pub version: String,
    /// `pid`
    pub pid: i64,
    /// `uid`
    pub uid: i64,
    /// `host`
    pub host: String,
    /// `embedded`
    pub embedded: bool,
    /// `notRestored`
    #[serde(default)]
    pub not_restored: Vec<String>,
}

impl Method for InfoCall {
    const NAME: &'static str = "org.penfold.Control.Info";
    type Reply = InfoReply;
}

/// Mounts a hierarchy to a name instead of a path: options as of mount -t cgroup -o, bytes written as in names; filesystem
/// cgroup (default) or cpuset.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MountCall {
    /// `options`
    pub options: String,
    /// `filesystem`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<String>,
}

/// What `Mount` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MountReply {
    /// `hierarchy`
    pub hierarchy: Hierarchy,
    /// `created`
    pub created: bool,
}

impl Method for MountCall {
    const NAME: &'static str = "org.penfold.Control.Mount";
    type Reply = MountReply;
}

/// Mounts a hierarchy and serves it as files. device is the index of the passed descriptor, an open /dev/fuse that the
/// caller has mounted, or will mount, at target. filesystem: cgroup, cpuset or proc. The mount is taken away when the
/// file system is unmounted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ViewCall {
    /// `options`
    pub options: String,
    /// `filesystem`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<String>,
    /// `target`
    pub target: String,
    /// `device`
    pub device: i64,
}

/// What `View` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewReply {
    /// `hierarchy`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hierarchy: Option<Hierarchy>,
}

impl Method for ViewCall {
    const NAME: &'static str = "org.penfold.Control.View";
    type Reply = ViewReply;
}

/// What `Remount` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemountCall {
    /// `hierarchy`
    pub hierarchy: String,
    /// `options`
    pub options: String,
}

/// What `Remount` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemountReply {
    /// `hierarchy`
    pub hierarchy: Hierarchy,
}

impl Method for RemountCall {
    const NAME: &'static str = "org.penfold.Control.Remount";
    type Reply = RemountReply;
}

/// What `Unmount` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnmountCall {
    /// `hierarchy`
    pub hierarchy: String,
}

/// What `Unmount` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnmountReply {}

impl Method for UnmountCall {
    const NAME: &'static str = "org.penfold.Control.Unmount";
    type Reply = UnmountReply;
}

/// What `Hierarchies` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HierarchiesCall {}

/// What `Hierarchies` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HierarchiesReply {
    /// `hierarchies`
    #[serde(default)]
    pub hierarchies: Vec<Hierarchy>,
}

impl Method for HierarchiesCall {
    const NAME: &'static str = "org.penfold.Control.Hierarchies";
    type Reply = HierarchiesReply;
}

/// What `Subsystems` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubsystemsCall {}

/// What `Subsystems` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubsystemsReply {
    /// `subsystems`
    #[serde(default)]
    pub subsystems: Vec<Subsystem>,
}

impl Method for SubsystemsCall {
    const NAME: &'static str = "org.penfold.Control.Subsystems";
    type Reply = SubsystemsReply;
}

/// Loads a subsystem while everything runs. module: an absolute path, its bytes escaped as in addresses, or a name that
/// the daemon looks for. Only for the daemon's owner, and only from a file that nobody else can change: EPERM.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadModuleCall {
    /// `module`
    pub module: String,
}

/// What `LoadModule` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadModuleReply {
    /// `module`
    pub module: Module,
}

impl Method for LoadModuleCall {
    const NAME: &'static str = "org.penfold.Control.LoadModule";
    type Reply = LoadModuleReply;
}

/// EBUSY while a hierarchy holds it, which the message names. Only for the daemon's owner.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnloadModuleCall {
    /// `name`
    pub name: String,
}

/// What `UnloadModule` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnloadModuleReply {}

impl Method for UnloadModuleCall {
    const NAME: &'static str = "org.penfold.Control.UnloadModule";
    type Reply = UnloadModuleReply;
}

/// What `ListModules` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListModulesCall {}

/// What `ListModules` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListModulesReply {
    /// `modules`
    #[serde(default)]
    pub modules: Vec<Module>,
}

impl Method for ListModulesCall {
    const NAME: &'static str = "org.penfold.Control.ListModules";
    type Reply = ListModulesReply;
}

/// mode has the caller's umask taken off already; 0755 without. parents: make what is missing above, and take what is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MkdirCall {
    /// `cgroup`
    pub cgroup: String,
    /// `mode`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<i64>,
    /// `parents`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parents: Option<bool>,
}

/// What `Mkdir` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MkdirReply {}

impl Method for MkdirCall {
    const NAME: &'static str = "org.penfold.Control.Mkdir";
    type Reply = MkdirReply;
}

/// recursive: those below first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RmdirCall {
    /// `cgroup`
    pub cgroup: String,
    /// `recursive`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recursive: Option<bool>,
}

/// What `Rmdir` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RmdirReply {}

impl Method for RmdirCall {
    const NAME: &'static str = "org.penfold.Control.Rmdir";
    type Reply = RmdirReply;
}

/// A new name in the same directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RenameCall {
    /// `cgroup`
    pub cgroup: String,
    /// `name`
    pub name: String,
}

/// What `Rename` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenameReply {}

impl Method for RenameCall {
    const NAME: &'static str = "org.penfold.Control.Rename";
    type Reply = RenameReply;
}

/// The cgroup and, if recursive, all below, each before its children.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListCall {
    /// `cgroup`
    pub cgroup: String,
    /// `recursive`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recursive: Option<bool>,
    /// `depth`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<i64>,
}

/// What `List` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListReply {
    /// `cgroups`
    #[serde(default)]
    pub cgroups: Vec<Cgroup>,
}

impl Method for ListCall {
    const NAME: &'static str = "org.penfold.Control.List";
    type Reply = ListReply;
}

/// What `Files` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FilesCall {
    /// `cgroup`
    pub cgroup: String,
}

/// What `Files` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilesReply {
    /// `files`
    #[serde(default)]
    pub files: Vec<File>,
}

impl Method for FilesCall {
    const NAME: &'static str = "org.penfold.Control.Files";
    type Reply = FilesReply;
}

/// Of a directory or, with file, of one control file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatCall {
    /// `cgroup`
    pub cgroup: String,
    /// `file`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// What `Stat` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatReply {
    /// `owner`
    pub owner: Owner,
}

impl Method for StatCall {
    const NAME: &'static str = "org.penfold.Control.Stat";
    type Reply = StatReply;
}

/// What `SetOwner` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetOwnerCall {
    /// `cgroup`
    pub cgroup: String,
    /// `file`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// `uid`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<i64>,
    /// `gid`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<i64>,
    /// `mode`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<i64>,
}

/// What `SetOwner` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetOwnerReply {}

impl Method for SetOwnerCall {
    const NAME: &'static str = "org.penfold.Control.SetOwner";
    type Reply = SetOwnerReply;
}

/// What `Read` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadCall {
    /// `cgroup`
    pub cgroup: String,
    /// `file`
    pub file: String,
}

/// What `Read` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadReply {
    /// `content`
    pub content: String,
}

impl Method for ReadCall {
    const NAME: &'static str = "org.penfold.Control.Read";
    type Reply = ReadReply;
}

/// One write is one command. content: as cgroup addresses escape bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WriteCall {
    /// `cgroup`
    pub cgroup: String,
    /// `file`
    pub file: String,
    /// `content`
    pub content: String,
}

/// What `Write` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteReply {}

impl Method for WriteCall {
    const NAME: &'static str = "org.penfold.Control.Write";
    type Reply = WriteReply;
}

/// task 0 is the caller. process: all threads of it (cgroup.procs), otherwise the one thread (tasks).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttachCall {
    /// `cgroup`
    pub cgroup: String,
    /// `task`
    pub task: i64,
    /// `process`
    pub process: bool,
}

/// What `Attach` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachReply {}

impl Method for AttachCall {
    const NAME: &'static str = "org.penfold.Control.Attach";
    type Reply = AttachReply;
}

/// Runs a command in cgroups (each of another hierarchy; in the caller's own cgroups where none is named), as the caller:
/// streams are the indexes of three passed descriptors, none for /dev/null; directory is null for the caller's. terminal:
/// a new session whose terminal is stream 0. command, environment and directory escape bytes as addresses do. Answers the
/// pid at once; if called with more, then the wait status when it has ended. A caller that is confined more than the daemon
/// (namespaces, system call filters, dropped capabilities) is refused with EPERM.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecCall {
    /// `cgroups`
    #[serde(default)]
    pub cgroups: Vec<String>,
    /// `command`
    #[serde(default)]
    pub command: Vec<String>,
    /// `environment`
    #[serde(default)]
    pub environment: Vec<Environment>,
    /// `directory`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// `streams`
    #[serde(default)]
    pub streams: Vec<i64>,
    /// `terminal`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<bool>,
    /// `umask`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub umask: Option<i64>,
    /// `leaveRunning`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave_running: Option<bool>,
}

/// What `Exec` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecReply {
    /// `pid`
    pub pid: i64,
    /// `status`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i64>,
}

impl Method for ExecCall {
    const NAME: &'static str = "org.penfold.Control.Exec";
    type Reply = ExecReply;
}

/// Signals every process of the cgroup and, if recursive, of those below. Answers how many there were.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignalCall {
    /// `cgroup`
    pub cgroup: String,
    /// `signal`
    pub signal: i64,
    /// `recursive`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recursive: Option<bool>,
}

/// What `Signal` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignalReply {
    /// `processes`
    pub processes: i64,
}

impl Method for SignalCall {
    const NAME: &'static str = "org.penfold.Control.Signal";
    type Reply = SignalReply;
}

/// Kills every process of the cgroup and of those below, also those that are born meanwhile, and answers when all are dead.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KillCall {
    /// `cgroup`
    pub cgroup: String,
}

/// What `Kill` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KillReply {
    /// `processes`
    pub processes: i64,
}

impl Method for KillCall {
    const NAME: &'static str = "org.penfold.Control.Kill";
    type Reply = KillReply;
}

/// What `Tasks` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TasksCall {
    /// `cgroup`
    pub cgroup: String,
    /// `recursive`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recursive: Option<bool>,
}

/// What `Tasks` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TasksReply {
    /// `tasks`
    #[serde(default)]
    pub tasks: Vec<Task>,
}

impl Method for TasksCall {
    const NAME: &'static str = "org.penfold.Control.Tasks";
    type Reply = TasksReply;
}

/// What `Usage` takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UsageCall {
    /// `cgroup`
    pub cgroup: String,
    /// `recursive`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recursive: Option<bool>,
}

/// What `Usage` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageReply {
    /// `usages`
    #[serde(default)]
    pub usages: Vec<CgroupUsage>,
}

impl Method for UsageCall {
    const NAME: &'static str = "org.penfold.Control.Usage";
    type Reply = UsageReply;
}

/// file: cgroups, cgroup or cpuset; the last two of a task, 0 for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcCall {
    /// `file`
    pub file: String,
    /// `task`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<i64>,
}

/// What `Proc` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcReply {
    /// `content`
    pub content: String,
}

impl Method for ProcCall {
    const NAME: &'static str = "org.penfold.Control.Proc";
    type Reply = ProcReply;
}

/// Called with more: events of the cgroup and those below, of every hierarchy without. The first reply comes at once and
/// is empty: from then on nothing is missed. lost: how many events this client was too slow for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WatchCall {
    /// `cgroup`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
}

/// What `Watch` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchReply {
    /// `event`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
    /// `lost`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<i64>,
}

impl Method for WatchCall {
    const NAME: &'static str = "org.penfold.Control.Watch";
    type Reply = WatchReply;
}

/// errno and its name, as the system call would have answered; message names the object and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// `errno`
    pub errno: i64,
    /// `name`
    pub name: String,
    /// `message`
    pub message: String,
}

/// This caller asks for more than it may have at once: connections, length of a request, descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TooMuch {
    /// `message`
    pub message: String,
}

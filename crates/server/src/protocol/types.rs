//! The types of the interface.
//!
//! Generated from `org.penfold.Control.varlink` by `cargo xtask protocol`. Change that file, not this one.

use serde::{Deserialize, Serialize};

/// A hierarchy: a tree of cgroups with the subsystems bound to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HierarchyInfo {
    /// Number of the hierarchy; 0 belongs to the subsystems that are not bound.
    pub id: i64,
    /// Name given with the mount option name=; empty without one.
    pub name: String,
    /// Names of the bound subsystems.
    #[serde(default)]
    pub subsystems: Vec<String>,
    /// Options as /proc/mounts shows them after rw,relatime, with bytes escaped as \ooo.
    pub options: String,
    /// Number of mounts; 0 means unmounted, but kept by its children.
    pub mounts: i64,
    /// Number of cgroups, the root included.
    pub cgroups: i64,
}

/// A loaded subsystem, as /proc/cgroups shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubsystemInfo {
    /// Name of the subsystem.
    pub name: String,
    /// Number of the hierarchy that it is bound to; 0 if it is not bound.
    pub hierarchy: i64,
    /// Number of cgroups in that hierarchy; 1 if it is not bound.
    pub cgroups: i64,
    /// The file of the module, with bytes escaped as \ooo; absent for a built-in subsystem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

/// Owner and mode of a directory or a control file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerInfo {
    /// User id of the owner, in the daemon's user namespace.
    pub uid: i64,
    /// Group id, in the daemon's user namespace.
    pub gid: i64,
    /// The twelve permission bits of chmod(2).
    pub mode: i64,
}

/// A cgroup: a directory of a hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupInfo {
    /// Address: HIERARCHY:/path, the hierarchy by its number.
    pub cgroup: String,
    /// Path from the root of the hierarchy, with bytes escaped as \ooo.
    pub path: String,
    /// Number of the hierarchy.
    pub hierarchy: i64,
    /// Owner and mode of the directory.
    pub owner: OwnerInfo,
    /// Number of children, without their descendants.
    pub children: i64,
    /// Number of tasks (threads) in the cgroup itself, without those below. A root counts supervised tasks only.
    pub tasks: i64,
    /// True if the cgroup or one below has a task.
    pub populated: bool,
}

/// A control file of a cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlFileInfo {
    /// Name in its directory, such as pids.max.
    pub name: String,
    /// Owner and mode of the file.
    pub owner: OwnerInfo,
}

/// A task: one thread that is a member of a cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskInfo {
    /// Number of the thread, in the caller's pid namespace.
    pub task: i64,
    /// Number of its process (thread group), in the caller's pid namespace.
    pub process: i64,
    /// Name of the command: the field Name of /proc/PID/status, 15 bytes at most.
    pub command: String,
    /// Address of its cgroup: HIERARCHY:/path, the hierarchy by its number.
    pub cgroup: String,
}

/// A limit of a cgroup, and how near the cgroup is to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitInfo {
    /// Control file that sets the limit, such as pids.max.
    pub file: String,
    /// The limit in the unit of the file. Null means no limit, or one that only the file shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// Amount charged now, with the cgroups below; 0 for a limit that only the file shows.
    pub used: i64,
    /// The highest amount that was ever charged.
    pub peak: i64,
    /// How often the limit has refused.
    pub failures: i64,
}

/// Resources that a cgroup and those below use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupUsageInfo {
    /// Address: HIERARCHY:/path, the hierarchy by its number.
    pub cgroup: String,
    /// Number of supervised tasks, with the cgroups below.
    pub tasks: i64,
    /// Number of their processes, with the cgroups below.
    pub processes: i64,
    /// CPU time in user mode in nanoseconds, with the cgroups below. Null without cpuacct or the right to read its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<i64>,
    /// CPU time in system mode in nanoseconds, with the cgroups below. Null as for user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<i64>,
    /// True if the cgroup is frozen. Null without freezer.state or the right to read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<bool>,
    /// Limits of the cgroup whose files the caller may read.
    #[serde(default)]
    pub limits: Vec<LimitInfo>,
}

/// An event in a hierarchy, or a change of the subsystems.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventInfo {
    /// One of created, removed, populated, empty, limit, released, loaded and unloaded.
    pub kind: String,
    /// Address of the cgroup: HIERARCHY:/path. For loaded and unloaded it is 0:/.
    pub cgroup: String,
    /// For limit: the control file of the limit that refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// For loaded and unloaded: the name of the subsystem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsystem: Option<String>,
}

/// A subsystem that was loaded from a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleInfo {
    /// Name of the subsystem.
    pub name: String,
    /// Version, as the module states it.
    pub version: String,
    /// Purpose of the subsystem in one line.
    pub summary: String,
    /// Absolute path of the file, with bytes escaped as \ooo.
    pub path: String,
    /// Hierarchy that the subsystem is bound to. Null means that the module can be unloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hierarchy: Option<HierarchyInfo>,
    /// Number of references: 1 while the subsystem is bound, also to an unmounted hierarchy that still has cgroups.
    pub references: i64,
    /// Holder of the reference, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// How many callbacks took longer than their time.
    pub overruns: i64,
}

/// A module that was unloaded but stays mapped: its code is never called again, its memory is in use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StillMappedInfo {
    /// Name of the subsystem.
    pub name: String,
    /// Absolute path of the file, with bytes escaped as \ooo.
    pub path: String,
    /// Cause of the mapping, in words.
    pub reason: String,
}

/// A variable of a command's environment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentInfo {
    /// Name of the variable, with bytes escaped as \ooo.
    pub name: String,
    /// Value of the variable, with bytes escaped as \ooo.
    pub value: String,
}

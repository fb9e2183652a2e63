//! What the messages tell of.

use serde::{Deserialize, Serialize};

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

/// A `StillMapped` of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StillMapped {
    /// `name`
    pub name: String,
    /// `path`
    pub path: String,
    /// `reason`
    pub reason: String,
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

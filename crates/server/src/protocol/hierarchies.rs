//! Hierarchies, subsystems, and who serves them.

use serde::{Deserialize, Serialize};

use super::Method;
use super::things::{Hierarchy, Subsystem};

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

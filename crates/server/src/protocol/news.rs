//! What is used, where processes are, and what happens.

use serde::{Deserialize, Serialize};

use super::Method;
use super::things::{CgroupUsage, Event};

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

//! Tasks: moved, started, signalled, listed.

use serde::{Deserialize, Serialize};

use super::Method;
use super::things::{Environment, Task};

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

//! Directories and control files.

use serde::{Deserialize, Serialize};

use super::Method;
use super::things::{Cgroup, File, Owner};

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

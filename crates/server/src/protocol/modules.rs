//! Controllers that come and go.

use serde::{Deserialize, Serialize};

use super::Method;
use super::things::{Module, StillMapped};

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
    /// `stillMapped`
    #[serde(default)]
    pub still_mapped: Vec<StillMapped>,
}

impl Method for ListModulesCall {
    const NAME: &'static str = "org.penfold.Control.ListModules";
    type Reply = ListModulesReply;
}

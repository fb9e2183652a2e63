//! Loading and unloading subsystems.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::ask::Ask;
use super::confinement::{self, Operation};
use crate::escape::unescape;
use crate::failure::Failure;
use crate::modules::still_mapped;
use crate::protocol::{
    ListModulesCall, ListModulesReply, LoadModuleCall, LoadModuleReply, UnloadModuleCall, UnloadModuleReply,
};

pub(super) fn load(ask: &Ask<'_>, call: LoadModuleCall) -> Result<LoadModuleReply, Failure> {
    ask.desk().must_own(ask.client)?;
    let caller = &ask.client.caller;
    let supervised = ask.desk().glance(|_, host| host.task(caller.task).is_some())?;
    confinement::must_not_exceed_ours(Operation::Load, caller.task.0, caller.uid, supervised)?;
    let module = unescape(&call.module);
    let module = ask.desk().load_module(ask.client, Path::new(OsStr::from_bytes(&module)))?;
    Ok(LoadModuleReply { module })
}

pub(super) fn unload(ask: &Ask<'_>, call: UnloadModuleCall) -> Result<UnloadModuleReply, Failure> {
    ask.desk().unload_module(ask.client, &call.name)?;
    Ok(UnloadModuleReply {})
}

pub(super) fn list(ask: &Ask<'_>, _: ListModulesCall) -> Result<ListModulesReply, Failure> {
    Ok(ListModulesReply { modules: ask.desk().modules()?, still_mapped: still_mapped() })
}

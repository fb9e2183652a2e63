//! The methods that load, unload and list modules.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::context::{CallContext, about};
use super::restrictions::{self, Execution};
use crate::escape::unescape;
use crate::failure::Failure;
use crate::modules::still_mapped;
use crate::protocol::{
    ListModulesCall, ListModulesReply, LoadModuleCall, LoadModuleReply, UnloadModuleCall, UnloadModuleReply,
};

pub(super) fn load(context: &CallContext<'_>, call: LoadModuleCall) -> Result<LoadModuleReply, Failure> {
    let named = call.module.clone();
    context.service().must_own(context.client).map_err(about(named))?;
    let caller = &context.client.caller;
    let supervised = context.service().with_snapshot(|_, host| host.task(caller.task).is_some())?;
    restrictions::must_not_exceed_ours(Execution::Module, context.client, supervised)?;
    let module = unescape(&call.module);
    let module = context.service().load_module(context.client, Path::new(OsStr::from_bytes(&module)))?;
    Ok(LoadModuleReply { module })
}

pub(super) fn unload(
    context: &CallContext<'_>,
    call: UnloadModuleCall,
) -> Result<UnloadModuleReply, Failure> {
    context.service().unload_module(context.client, &call.name).map_err(about(&call.name))?;
    Ok(UnloadModuleReply {})
}

pub(super) fn list(context: &CallContext<'_>, _: ListModulesCall) -> Result<ListModulesReply, Failure> {
    Ok(ListModulesReply { modules: context.service().list_modules()?, still_mapped: still_mapped() })
}

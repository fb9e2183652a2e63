//! From the name of a method to what does it.

use std::io;

use varlink::{Call, CallTrait, ConnectionHandler, Interface, VarlinkService};

use serde_json::value::RawValue;

use super::ask::Ask;
use super::replies::Replies;
use super::{directories, exec, files, hierarchies, inspect, modules, signals, usage, watch};
use crate::failure::Failure;
use crate::protocol as p;
use crate::protocol::Method;

/// A call as it comes over the wire. What the parameters are depends on the method.
#[derive(serde::Deserialize)]
pub(super) struct Request<'a> {
    #[serde(borrow)]
    pub(super) method: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) parameters: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) more: Option<bool>,
    #[serde(default)]
    pub(super) oneway: Option<bool>,
    #[serde(default)]
    pub(super) upgrade: Option<bool>,
}

/// Answers one message.
///
/// # Errors
/// When the connection is of no more use.
pub(super) fn answer(ask: &Ask<'_>, message: &[u8], replies: &mut Replies<'_>) -> io::Result<()> {
    let request: Request<'_> = match serde_json::from_slice(message) {
        Ok(request) => request,
        Err(error) => {
            let wrong = format!("not a varlink call: {error}");
            replies.standard_error("InvalidParameter", "parameter", &wrong)?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, wrong));
        }
    };
    replies.more = request.more.unwrap_or(false);
    replies.oneway = request.oneway.unwrap_or(false);
    if request.upgrade.unwrap_or(false) {
        return replies.standard_error("InvalidParameter", "parameter", "upgrade");
    }
    tracing::debug!(uid = ask.client.caller.uid, pid = ask.client.caller.task.0, method = %request.method, "call");
    match request.method.strip_prefix(p::INTERFACE) {
        Some(rest) if rest.starts_with('.') => control(ask, &request, replies),
        _ => standard_call(ask, message, &request, replies),
    }
}

fn control(ask: &Ask<'_>, request: &Request<'_>, replies: &mut Replies<'_>) -> io::Result<()> {
    let parameters = request.parameters.map_or("{}", RawValue::get);
    match &*request.method {
        p::InfoCall::NAME => once(ask, parameters, replies, hierarchies::info),
        p::MountCall::NAME => once(ask, parameters, replies, hierarchies::mount),
        p::ViewCall::NAME => once(ask, parameters, replies, hierarchies::view),
        p::RemountCall::NAME => once(ask, parameters, replies, hierarchies::remount),
        p::UnmountCall::NAME => once(ask, parameters, replies, hierarchies::unmount),
        p::HierarchiesCall::NAME => once(ask, parameters, replies, hierarchies::hierarchies),
        p::SubsystemsCall::NAME => once(ask, parameters, replies, hierarchies::subsystems),
        p::LoadModuleCall::NAME => once(ask, parameters, replies, modules::load),
        p::UnloadModuleCall::NAME => once(ask, parameters, replies, modules::unload),
        p::ListModulesCall::NAME => once(ask, parameters, replies, modules::list),
        p::MkdirCall::NAME => once(ask, parameters, replies, directories::mkdir),
        p::RmdirCall::NAME => once(ask, parameters, replies, directories::rmdir),
        p::RenameCall::NAME => once(ask, parameters, replies, directories::rename),
        p::ListCall::NAME => once(ask, parameters, replies, directories::list),
        p::FilesCall::NAME => once(ask, parameters, replies, directories::files),
        p::StatCall::NAME => once(ask, parameters, replies, directories::stat),
        p::SetOwnerCall::NAME => once(ask, parameters, replies, directories::set_owner),
        p::ReadCall::NAME => once(ask, parameters, replies, files::read),
        p::WriteCall::NAME => once(ask, parameters, replies, files::write),
        p::AttachCall::NAME => once(ask, parameters, replies, files::attach),
        p::SignalCall::NAME => once(ask, parameters, replies, signals::signal),
        p::KillCall::NAME => once(ask, parameters, replies, signals::kill),
        p::TasksCall::NAME => once(ask, parameters, replies, inspect::tasks),
        p::UsageCall::NAME => once(ask, parameters, replies, usage::usage),
        p::ProcCall::NAME => once(ask, parameters, replies, inspect::proc),
        p::ExecCall::NAME => match parse(parameters) {
            Ok(call) => exec::exec(ask, call, replies),
            Err(wrong) => replies.standard_error("InvalidParameter", "parameter", &wrong),
        },
        p::WatchCall::NAME => match parse(parameters) {
            Ok(call) => watch::watch(ask, call, replies),
            Err(wrong) => replies.standard_error("InvalidParameter", "parameter", &wrong),
        },
        unknown => replies.standard_error("MethodNotFound", "method", unknown),
    }
}

fn once<M: Method>(
    ask: &Ask<'_>,
    parameters: &str,
    replies: &mut Replies<'_>,
    act: impl FnOnce(&Ask<'_>, M) -> Result<M::Reply, Failure>,
) -> io::Result<()> {
    match parse(parameters).map(|call| act(ask, call)) {
        Ok(Ok(reply)) => replies.reply(&reply),
        Ok(Err(failure)) => replies.refuse(&failure),
        Err(wrong) => replies.standard_error("InvalidParameter", "parameter", &wrong),
    }
}

/// The parameters of a call; otherwise the name of the one that is wrong or, where serde does not say, what is wrong.
fn parse<M: Method>(parameters: &str) -> Result<M, String> {
    serde_json::from_str(parameters).map_err(|error| {
        let text = error.to_string();
        let named = text.strip_prefix("missing field `").or(text.strip_prefix("unknown field `"));
        named.and_then(|rest| rest.split('`').next()).map_or_else(|| text.clone(), str::to_owned)
    })
}

fn standard_call(
    ask: &Ask<'_>,
    message: &[u8],
    request: &Request<'_>,
    replies: &mut Replies<'_>,
) -> io::Result<()> {
    let mut out = Vec::new();
    // the crate wants the NUL that its own reader would have found
    let message = [message, b"\0"].concat();
    match ask.service.standard.handle(&mut &message[..], &mut out, None) {
        Ok(_) => replies.send_bytes(&out),
        Err(error) => {
            tracing::debug!(method = %request.method, %error, "call");
            replies.standard_error("InvalidParameter", "parameter", "parameters")
        }
    }
}

/// What answers `org.varlink.service`.
pub(super) fn standard() -> VarlinkService {
    VarlinkService::new(
        "penfold",
        "penfold",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_REPOSITORY"),
        vec![Box::new(Described)],
    )
}

/// Our interface, as introspection sees it.
struct Described;

impl Interface for Described {
    fn get_description(&self) -> &'static str {
        p::DESCRIPTION
    }

    fn get_name(&self) -> &'static str {
        p::INTERFACE
    }

    /// Not reached: calls of this interface are answered where the caller and its descriptors are known.
    fn call(&self, call: &mut Call<'_>) -> varlink::Result<()> {
        let method = call.get_request().map(|request| request.method.to_string());
        call.reply_method_not_found(method.unwrap_or_default())
    }

    fn call_upgraded(&self, _: &mut Call<'_>, _: &mut dyn io::BufRead) -> varlink::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

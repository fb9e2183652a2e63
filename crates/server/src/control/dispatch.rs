//! From the name of a method to the function that implements it.

use std::io;

use serde_json::value::RawValue;
use varlink::ConnectionHandler;

use super::context::CallContext;
use super::parameters::{self, parse};
use super::replies::ReplyWriter;
use super::{directories, exec, files, hierarchies, inspect, modules, signals, usage, watch};
use crate::failure::Failure;
use crate::protocol as p;
use crate::protocol::Method;

/// The most entries of a reply that is written as JSON beside those of other calls.
const SHORT_REPLY: usize = 256;

/// A call as it comes over the wire. The method decides how the parameters are parsed.
#[derive(serde::Deserialize)]
pub(super) struct IncomingCall<'a> {
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
/// The connection is of no more use: it broke, or the message was no call.
pub(super) fn answer(
    context: &CallContext<'_>,
    message: &[u8],
    replies: &mut ReplyWriter<'_>,
) -> io::Result<()> {
    let request = serde_json::from_slice::<IncomingCall<'_>>(message);
    let Some(request) = request.ok().filter(|_| parameters::is_object(message)) else {
        let wrong = parameters::wrong_member(message);
        replies.invalid_parameter(&wrong)?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("no varlink call: {wrong}")));
    };
    replies.more = request.more.unwrap_or(false);
    replies.oneway = request.oneway.unwrap_or(false);
    if request.upgrade.unwrap_or(false) {
        return replies.invalid_parameter("upgrade");
    }
    tracing::debug!(uid = context.client.caller.uid, pid = context.client.caller.task.0, method = %request.method, "call");
    match request.method.strip_prefix(p::INTERFACE) {
        Some(rest) if rest.starts_with('.') => control(context, &request, replies),
        _ => standard_call(context, message, &request, replies),
    }
}

fn control(
    context: &CallContext<'_>,
    request: &IncomingCall<'_>,
    replies: &mut ReplyWriter<'_>,
) -> io::Result<()> {
    let parameters = request.parameters.map_or("{}", RawValue::get);
    let caller = &context.client.caller;
    let quota = (!caller.privileged && caller.uid != 0).then_some(context.server.limits.calls_of_user);
    // a watch lasts as long as its connection, and has a bound of its own
    let counted = request.method != p::WatchCall::NAME;
    let _call = match counted.then(|| context.server.calls.begin(caller.uid, quota)).transpose() {
        Ok(call) => call,
        Err(failure) => return replies.refuse(&failure),
    };
    match &*request.method {
        p::InfoCall::NAME => once(context, parameters, replies, hierarchies::info),
        p::MountCall::NAME => once(context, parameters, replies, hierarchies::mount),
        p::ViewCall::NAME => once(context, parameters, replies, hierarchies::view),
        p::RemountCall::NAME => once(context, parameters, replies, hierarchies::remount),
        p::UnmountCall::NAME => once(context, parameters, replies, hierarchies::unmount),
        p::HierarchiesCall::NAME => once(context, parameters, replies, hierarchies::hierarchies),
        p::SubsystemsCall::NAME => once(context, parameters, replies, hierarchies::subsystems),
        p::LoadModuleCall::NAME => once(context, parameters, replies, modules::load),
        p::UnloadModuleCall::NAME => once(context, parameters, replies, modules::unload),
        p::ListModulesCall::NAME => once(context, parameters, replies, modules::list),
        p::MkdirCall::NAME => once(context, parameters, replies, directories::mkdir),
        p::RmdirCall::NAME => once(context, parameters, replies, directories::rmdir),
        p::RenameCall::NAME => once(context, parameters, replies, directories::rename),
        p::ListCall::NAME => {
            many(context, parameters, replies, directories::list, |reply| reply.cgroups.len())
        }
        p::FilesCall::NAME => once(context, parameters, replies, directories::files),
        p::StatCall::NAME => once(context, parameters, replies, directories::stat),
        p::SetOwnerCall::NAME => once(context, parameters, replies, directories::set_owner),
        p::ReadCall::NAME => once(context, parameters, replies, files::read),
        p::WriteCall::NAME => once(context, parameters, replies, files::write),
        p::AttachCall::NAME => once(context, parameters, replies, files::attach),
        p::SignalCall::NAME => once(context, parameters, replies, signals::signal),
        p::KillCall::NAME => once(context, parameters, replies, signals::kill),
        p::TasksCall::NAME => many(context, parameters, replies, inspect::tasks, |reply| reply.tasks.len()),
        p::UsageCall::NAME => many(context, parameters, replies, usage::usage, |reply| reply.usages.len()),
        p::ProcCall::NAME => once(context, parameters, replies, inspect::proc),
        p::ExecCall::NAME => match parse(parameters) {
            Ok(call) => exec::exec(context, call, replies),
            Err(wrong) => replies.invalid_parameter(&wrong),
        },
        p::WatchCall::NAME => match parse(parameters) {
            Ok(call) => watch::watch(context, call, replies),
            Err(wrong) => replies.invalid_parameter(&wrong),
        },
        unknown => replies.standard_error("MethodNotFound", "method", unknown),
    }
}

/// Answers a call that has one reply.
fn once<M: Method>(
    context: &CallContext<'_>,
    parameters: &str,
    replies: &mut ReplyWriter<'_>,
    act: impl FnOnce(&CallContext<'_>, M) -> Result<M::Reply, Failure>,
) -> io::Result<()> {
    match parse(parameters).map(|call| act(context, call)) {
        Ok(Ok(reply)) => replies.reply(reply),
        Ok(Err(failure)) => replies.refuse(&failure),
        Err(wrong) => replies.invalid_parameter(&wrong),
    }
}

/// Answers a call as [`once`], whose reply can be very long. `entries` is the number of its entries.
fn many<M: Method>(
    context: &CallContext<'_>,
    parameters: &str,
    replies: &mut ReplyWriter<'_>,
    act: impl FnOnce(&CallContext<'_>, M) -> Result<M::Reply, Failure>,
    entries: impl FnOnce(&M::Reply) -> usize,
) -> io::Result<()> {
    match parse(parameters).map(|call| act(context, call)) {
        Ok(Ok(reply)) if entries(&reply) > SHORT_REPLY => {
            let place = context.service().long_work();
            let text = serde_json::value::to_raw_value(&reply)?;
            drop((reply, place));
            replies.reply(&text)
        }
        Ok(Ok(reply)) => replies.reply(&reply),
        Ok(Err(failure)) => replies.refuse(&failure),
        Err(wrong) => replies.invalid_parameter(&wrong),
    }
}

/// Answers a call of any other interface: `org.varlink.service`, or an error.
fn standard_call(
    context: &CallContext<'_>,
    message: &[u8],
    request: &IncomingCall<'_>,
    replies: &mut ReplyWriter<'_>,
) -> io::Result<()> {
    let mut out = Vec::new();
    // the crate varlink expects the NUL that its own reader would have found
    let message = [message, b"\0"].concat();
    match context.server.standard.handle(&mut &message[..], &mut out, None) {
        Ok(_) => replies.send_bytes(&out),
        Err(error) => {
            tracing::debug!(method = %request.method, %error, "call");
            // the one method of the two that takes something
            let takes = request.method.ends_with(".GetInterfaceDescription");
            replies.invalid_parameter(if takes { "interface" } else { "parameters" })
        }
    }
}

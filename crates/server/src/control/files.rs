//! The methods `Read`, `Write` and `Attach`.

use penfold_core::{Access, Error, MoveScope};

use super::context::{CallContext, about, file_address, number};
use crate::escape::{escape, unescape};
use crate::failure::Failure;
use crate::operation::Operation;
use crate::protocol::{AttachCall, AttachReply, ReadCall, ReadReply, WriteCall, WriteReply};

pub(super) fn read(context: &CallContext<'_>, call: ReadCall) -> Result<ReadReply, Failure> {
    let (cgroup, file) = context.file(&call.cgroup, &call.file, Access::READ)?;
    let content = context.service().read(context.client, cgroup, file);
    let content = content.map_err(about(file_address(&call.cgroup, &call.file)))?;
    Ok(ReadReply { content: escape(&content) })
}

pub(super) fn write(context: &CallContext<'_>, call: WriteCall) -> Result<WriteReply, Failure> {
    let (cgroup, file) = context.file(&call.cgroup, &call.file, Access::WRITE)?;
    let bytes = unescape(&call.content);
    let mut named = None;
    let operation = Operation::of_write(file, &bytes, |number| {
        named = Some(number);
        context.client.task(number)
    })?;
    let written = context.service().perform(context.client, None, cgroup, operation);
    let file = file_address(&call.cgroup, &call.file);
    written.map_err(|failure| match named {
        Some(number) => context.attaching(number, file)(failure),
        None => about(file)(failure),
    })?;
    Ok(WriteReply {})
}

/// Moves a task, with the permissions and errors of a write to `cgroup.procs` or `tasks`.
pub(super) fn attach(context: &CallContext<'_>, call: AttachCall) -> Result<AttachReply, Failure> {
    let number: i32 = number("task", call.task)?;
    let name = if call.process { "cgroup.procs" } else { "tasks" };
    let (cgroup, _) = context.file(&call.cgroup, name, Access::WRITE)?;
    if number < 0 {
        return Err(Failure::from(Error::task_number()).about(format!("task {number}")));
    }
    let operation = Operation::Attach {
        task: context.client.task(number)?,
        scope: if call.process { MoveScope::ThreadGroup } else { MoveScope::Task },
    };
    let attached = context.service().perform(context.client, None, cgroup, operation);
    attached.map_err(context.attaching(number, call.cgroup))?;
    Ok(AttachReply {})
}

//! The methods `Read`, `Write` and `Attach`.

use penfold_core::{Access, Error, MoveScope};

use super::context::{CallContext, number};
use crate::escape::{escape, unescape};
use crate::failure::Failure;
use crate::operation::Operation;
use crate::protocol::{AttachCall, AttachReply, ReadCall, ReadReply, WriteCall, WriteReply};

pub(super) fn read(context: &CallContext<'_>, call: ReadCall) -> Result<ReadReply, Failure> {
    let (cgroup, file) = context.file(&call.cgroup, &call.file, Access::READ)?;
    let content = context.service().read(context.client, cgroup, file)?;
    Ok(ReadReply { content: escape(&content) })
}

pub(super) fn write(context: &CallContext<'_>, call: WriteCall) -> Result<WriteReply, Failure> {
    let (cgroup, file) = context.file(&call.cgroup, &call.file, Access::WRITE)?;
    let bytes = unescape(&call.content);
    let operation = Operation::of_write(file, &bytes, |number| context.client.task(number))?;
    context.service().perform(context.client, None, cgroup, operation)?;
    Ok(WriteReply {})
}

/// Moves a task, with the permissions and errors of a write to `cgroup.procs` or `tasks`.
pub(super) fn attach(context: &CallContext<'_>, call: AttachCall) -> Result<AttachReply, Failure> {
    let number: i32 = number("task", call.task)?;
    let name = if call.process { "cgroup.procs" } else { "tasks" };
    let (cgroup, _) = context.file(&call.cgroup, name, Access::WRITE)?;
    if number < 0 {
        return Err(Error::task_number().in_file(name).into());
    }
    let operation = Operation::Attach {
        task: context.client.task(number)?,
        scope: if call.process { MoveScope::ThreadGroup } else { MoveScope::Task },
    };
    context.service().perform(context.client, None, cgroup, operation)?;
    Ok(AttachReply {})
}

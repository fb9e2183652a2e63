//! Reading, writing, attaching.

use penfold_core::FileId;

use super::ask::{Ask, number};
use crate::escape::{escape, unescape};
use crate::failure::Failure;
use crate::protocol::{AttachCall, AttachReply, ReadCall, ReadReply, WriteCall, WriteReply};

const READ: u32 = 4;
const WRITE: u32 = 2;

pub(super) fn read(ask: &Ask<'_>, call: ReadCall) -> Result<ReadReply, Failure> {
    let (cgroup, file) = ask.file(&call.cgroup, &call.file, READ)?;
    let content = ask.desk().read(ask.client, cgroup, file)?;
    Ok(ReadReply { content: escape(&content) })
}

pub(super) fn write(ask: &Ask<'_>, call: WriteCall) -> Result<WriteReply, Failure> {
    let (cgroup, file) = ask.file(&call.cgroup, &call.file, WRITE)?;
    ask.desk().write(ask.client, None, cgroup, file, &unescape(&call.content))?;
    Ok(WriteReply {})
}

/// What a write to `cgroup.procs` or `tasks` does.
pub(super) fn attach(ask: &Ask<'_>, call: AttachCall) -> Result<AttachReply, Failure> {
    let task: i32 = number("task", call.task)?;
    let (name, expected) =
        if call.process { ("cgroup.procs", FileId::Procs) } else { ("tasks", FileId::Tasks) };
    let (cgroup, file) = ask.file(&call.cgroup, name, WRITE)?;
    debug_assert_eq!(file, expected, "names of generic files are no subsystem's");
    ask.desk().write(ask.client, None, cgroup, file, task.to_string().as_bytes())?;
    Ok(AttachReply {})
}

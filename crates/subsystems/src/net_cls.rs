//! # `net_cls`: a class for the network traffic of a cgroup
//!
//! Marks the sockets of a cgroup's tasks with a number, by which traffic control and packet filters tell them from
//! others. The host decides how the mark appears on the wire or in the kernel: as a socket mark, a priority or a
//! DSCP.
//!
//! * `net_cls.classid`: the class in decimal; 0 is "unclassified". Takes a number in decimal, with `0x` or in octal,
//!   and one newline after it. Only the low 32 bits count (`4294967297` is 1). By convention `0xAAAABBBB` stands for
//!   the traffic control class `AAAA:BBBB`, so `0x100001` is `10:1`. `EINVAL` for anything else, `ERANGE` above 64
//!   bits. `EOPNOTSUPP` for another class than 0 where the host can't mark sockets. Where the host can't mark the
//!   sockets of one member, the write fails with the host's errno, and all members keep the old class.
//!
//! A new cgroup starts with its parent's class. Later changes of the parent do not reach it. The root has a class
//! too, and keeps the class while it is not mounted. A write gives the class to the sockets that the members have. A
//! move does so for the task that moves, and so does the first place of a task that is launched or adopted. Neither is
//! ever refused: sockets of the task that can't be marked keep their class.
//!
//! There is no fork callback. A socket takes its class from the cgroup of the task that makes it, and a child is born
//! in the cgroup of its parent. So the host carries the class from parent to child, and a fork costs nothing more.
//!
//! The rules are those of Linux 6.x cgroup v1 (`net/core/netclassid_cgroup.c`); F5 of docs/history.md.

use alloc::format;

use penfold_core::{
    Errno, Error, Result,
    control_file::ControlFile,
    host::Capability,
    subsystem::{Callbacks, Context, Migration, Subsystem},
};

/// The controller `net_cls`: marks the sockets of a cgroup's tasks with a class, a number for traffic control.
///
/// The state of a cgroup is its class; 0 stands for unclassified. The page of this module is the manual of the control files.
#[derive(Debug, Default)]
pub struct NetCls;

type Ctx<'a> = Context<'a, NetCls>;

fn classid_read(_: &mut NetCls, ctx: &mut Ctx<'_>) -> Result<u64> {
    Ok(u64::from(*ctx.state()))
}

fn classid_write(_: &mut NetCls, ctx: &mut Ctx<'_>, value: u64) -> Result<()> {
    let class = value as u32;
    if class != 0 {
        ctx.require(Capability::SocketClass)?;
    }
    mark_members(ctx, class)?;
    *ctx.state_mut() = class;
    Ok(())
}

/// Marks the sockets of all members, or of none if the sockets of one member can't be marked.
fn mark_members(ctx: &mut Ctx<'_>, class: u32) -> Result<()> {
    let old = *ctx.state();
    let members = ctx.tasks_of(ctx.css());
    for (index, &task) in members.iter().enumerate() {
        match ctx.host().set_socket_class(task, class) {
            // ESRCH: the task died a moment ago, and the host has not reported the death yet. It has no socket any
            // more.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => {
                for &marked in &members[..=index] {
                    let _ = ctx.host().set_socket_class(marked, old);
                }
                let reason = format!("the sockets of task {task} can't get class {class:#x}");
                return Err(Error::value(errno, reason));
            }
        }
    }
    Ok(())
}

impl Subsystem for NetCls {
    type State = u32;

    const NAME: &'static str = "net_cls";
    const CALLBACKS: Callbacks = Callbacks::ATTACH;
    const FILES: &'static [ControlFile<Self>] =
        &[ControlFile::new("classid").read_u64(classid_read).write_u64(classid_write)];

    fn create(&mut self, ctx: &mut Ctx<'_>) -> Result<u32> {
        Ok(ctx.parent().map_or(0, |parent| *ctx.state_of(parent)))
    }

    /// At unload the members of the root are still marked, and nothing could unmark them later.
    fn destroy(&mut self, ctx: &mut Ctx<'_>) {
        if *ctx.state() != 0 {
            for task in ctx.tasks_of(ctx.css()) {
                let _ = ctx.host().set_socket_class(task, 0);
            }
        }
    }

    fn attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) {
        for migration in tasks {
            let (from, to) = (*ctx.state_of(migration.from), *ctx.state_of(migration.to));
            if from != 0 || to != 0 {
                let _ = ctx.host().set_socket_class(migration.task, to);
            }
        }
    }
}

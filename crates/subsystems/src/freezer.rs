//! # freezer: stops and continues the tasks of a cgroup
//!
//! Stops every task of a cgroup and of everything below it, and lets the tasks go on. Neither the tasks nor their
//! parents or debuggers notice. All files are in every cgroup but the root, which can't be frozen.
//!
//! * `freezer.state`: `THAWED`; `FREEZING` while some task has still to stop; `FROZEN` when no task can run any more.
//!   A read checks the tasks. A cgroup without tasks is `FROZEN` at once. Takes `FROZEN` or `THAWED`; white space
//!   around it is ignored. `EINVAL` for anything else. `EOPNOTSUPP` for `FROZEN` where the host can't freeze. Another
//!   write of `FROZEN` stops the tasks again that have not stopped. `THAWED` is always accepted, but below a frozen
//!   cgroup tasks go on only when that cgroup is thawed too.
//! * `freezer.self_freezing`: `1` if `FROZEN` was written here.
//! * `freezer.parent_freezing`: `1` if some cgroup above is to be frozen.
//!
//! A task that moves in is stopped, and a task that moves out goes on. A cgroup made below a frozen cgroup is frozen.
//! A child whose birth is under way when its cgroup is frozen is stopped too: the controller has a fork callback for
//! this case.
//!
//! The rules are those of Linux 6.x cgroup v1 (`kernel/cgroup/legacy_freezer.c`); F4 of docs/history.md.

use alloc::string::String;

use penfold_core::{
    Errno, Error, Result, Tid,
    control_file::ControlFile,
    host::Capability,
    subsystem::{Callbacks, Context, Css, Migration, Subsystem},
};

/// The controller `freezer`: stops all tasks of a cgroup and of the cgroups below it, and lets them go on.
///
/// This type holds no state: each cgroup keeps the reasons why it is to be frozen. The page of this module is the manual of the control files.
#[derive(Debug, Default)]
pub struct Freezer;

/// The reasons why a cgroup is to be frozen. Kept for every cgroup, so that a fork need not look at the ancestors.
#[derive(Debug, Clone, Copy, Default)]
pub struct FreezerState {
    by_itself: bool,
    by_ancestor: bool,
}

impl FreezerState {
    fn is_freezing(self) -> bool {
        self.by_itself || self.by_ancestor
    }
}

type Ctx<'a> = Context<'a, Freezer>;

fn is_frozen(ctx: &mut Ctx<'_>) -> bool {
    ctx.subtree_of(ctx.css()).into_iter().all(|css| {
        let tasks = ctx.tasks_of(css);
        tasks.into_iter().all(|task| ctx.host().is_frozen(task))
    })
}

fn state_read(_: &mut Freezer, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    out.push_str(match ctx.state().is_freezing() {
        false => "THAWED\n",
        true if is_frozen(ctx) => "FROZEN\n",
        true => "FREEZING\n",
    });
    Ok(())
}

fn state_write(_: &mut Freezer, ctx: &mut Ctx<'_>, text: &str) -> Result<()> {
    let freeze = match text {
        "FROZEN" => true,
        "THAWED" => false,
        _ => return Err(Error::value(Errno::EINVAL, "takes FROZEN or THAWED")),
    };
    if freeze {
        ctx.require(Capability::Freeze)?;
    }
    let here = ctx.css();
    update(ctx, here, |state| state.by_itself = freeze);
    // Parents come before their children, so the state that a child inherits is already settled.
    for css in ctx.subtree_of(here).into_iter().skip(1) {
        let inherited = inherited(ctx, css);
        update(ctx, css, |state| state.by_ancestor = inherited);
    }
    Ok(())
}

fn inherited(ctx: &Ctx<'_>, css: Css) -> bool {
    ctx.parent_of(css).is_some_and(|parent| ctx.state_of(parent).is_freezing())
}

/// Changes a cgroup's state, then stops its own tasks or lets them go on. The tasks of a frozen cgroup are stopped
/// again: a task may have failed to stop, or may have been continued from elsewhere.
fn update(ctx: &mut Ctx<'_>, css: Css, change: impl FnOnce(&mut FreezerState)) {
    let before = *ctx.state_of(css);
    change(ctx.state_of_mut(css));
    if ctx.state_of(css).is_freezing() {
        ctx.tasks_of(css).into_iter().for_each(|task| ctx.host().freeze(task));
    } else if before.is_freezing() {
        ctx.tasks_of(css).into_iter().for_each(|task| ctx.host().thaw(task));
    }
}

fn self_read(_: &mut Freezer, ctx: &mut Ctx<'_>) -> Result<u64> {
    Ok(ctx.state().by_itself.into())
}

fn parent_read(_: &mut Freezer, ctx: &mut Ctx<'_>) -> Result<u64> {
    Ok(ctx.state().by_ancestor.into())
}

impl Subsystem for Freezer {
    type State = FreezerState;

    const NAME: &'static str = "freezer";
    const CALLBACKS: Callbacks = Callbacks::ATTACH.union(Callbacks::FORK);
    const FILES: &'static [ControlFile<Self>] = &[
        // it shows the state that the ancestors cause, too
        ControlFile::new("state").not_a_setting().not_on_root().read_text(state_read).write_text(state_write),
        ControlFile::new("self_freezing").not_on_root().read_u64(self_read),
        ControlFile::new("parent_freezing").not_on_root().read_u64(parent_read),
    ];

    fn create(&mut self, ctx: &mut Ctx<'_>) -> Result<FreezerState> {
        Ok(FreezerState { by_itself: false, by_ancestor: inherited(ctx, ctx.css()) })
    }

    fn destroy(&mut self, _: &mut Ctx<'_>) {}

    fn attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) {
        for migration in tasks {
            if ctx.state_of(migration.to).is_freezing() {
                ctx.host().freeze(migration.task);
            } else if ctx.state_of(migration.from).is_freezing() {
                ctx.host().thaw(migration.task);
            }
        }
    }

    fn fork(&mut self, ctx: &mut Ctx<'_>, child: Tid) {
        if ctx.state().is_freezing() {
            ctx.host().freeze(child);
        }
    }
}

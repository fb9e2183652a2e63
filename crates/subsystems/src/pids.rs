//! # pids: limits the number of tasks in a cgroup
//!
//! Counts the tasks of a cgroup and of everything below it. Threads count, zombies do not. A fork that would exceed
//! the limit of the cgroup or of any ancestor is refused: fork(2) and clone(2) fail with `EAGAIN`.
//!
//! * `pids.max` (not in the root): the limit; `max` for none. Takes `max`, or a number from 0 to 4194304 in decimal,
//!   with `0x` or in octal. White space around it is ignored. A limit below the present number is allowed and ends no
//!   task. `EINVAL` for anything else, `ERANGE` above 63 bits.
//! * `pids.current`: the number of tasks now. An attach is never refused, so the number may exceed `pids.max`.
//! * `pids.peak`: the highest `pids.current` so far. A refused fork may raise the peak where its charge passed, as in
//!   Linux.
//! * `pids.events`: `max N`. N is the number of refused forks that were tried *in this cgroup*, whichever limit
//!   refused them.
//!
//! The rules are those of Linux 6.x cgroup v1 (`kernel/cgroup/pids.c`); F3.16 of docs/history.md.

use core::fmt::Write as _;

use alloc::format;
use alloc::string::String;

use penfold_core::{
    Errno, Error, Result,
    control_file::ControlFile,
    control_file::parse_s64,
    subsystem::{Context, Resource, Rule, Subsystem, UNLIMITED},
};

/// The highest limit: `PID_MAX_LIMIT` of a 64-bit kernel.
const HIGHEST: i64 = 4_194_304;
const TASKS: usize = 0;

/// The controller `pids`: limits the number of tasks in a cgroup. A fork above the limit fails with `EAGAIN`.
///
/// This type holds no state: core counts the tasks by one charge rule. The page of this module is the manual of the control files.
#[derive(Debug, Default)]
pub struct Pids;

type Ctx<'a> = Context<'a, Pids>;

fn max_read(_: &mut Pids, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    let limit = ctx.counter(ctx.css(), TASKS).limit;
    let text = if limit == UNLIMITED { String::from("max") } else { format!("{limit}") };
    let _ = writeln!(out, "{text}");
    Ok(())
}

fn max_write(_: &mut Pids, ctx: &mut Ctx<'_>, text: &str) -> Result<()> {
    let limit = if text == "max" {
        UNLIMITED
    } else {
        let takes = |errno| Error::value(errno, format!("takes 'max' or a number from 0 to {HIGHEST}"));
        let number = parse_s64(text).map_err(|error| takes(error.errno()))?;
        if !(0..=HIGHEST).contains(&number) {
            return Err(takes(Errno::EINVAL));
        }
        number.unsigned_abs()
    };
    ctx.set_limit(ctx.css(), TASKS, limit)
}

fn current_read(_: &mut Pids, ctx: &mut Ctx<'_>) -> Result<u64> {
    Ok(ctx.counter(ctx.css(), TASKS).usage)
}

fn peak_read(_: &mut Pids, ctx: &mut Ctx<'_>) -> Result<u64> {
    Ok(ctx.counter(ctx.css(), TASKS).peak)
}

fn events_read(_: &mut Pids, ctx: &mut Ctx<'_>, line: &mut dyn FnMut(&str, u64)) -> Result<()> {
    line("max", ctx.counter(ctx.css(), TASKS).refused);
    Ok(())
}

impl Subsystem for Pids {
    type State = ();

    const NAME: &'static str = "pids";
    const RULES: &'static [Rule] = &[Rule::limited_by(Resource::Tasks, "max")];
    const FILES: &'static [ControlFile<Self>] = &[
        ControlFile::new("max").not_on_root().read_text(max_read).write_text(max_write),
        ControlFile::new("current").not_on_root().read_u64(current_read),
        ControlFile::new("peak").not_on_root().read_u64(peak_read),
        ControlFile::new("events").not_on_root().read_map(events_read),
    ];

    fn create(&mut self, _: &mut Ctx<'_>) -> Result<()> {
        Ok(())
    }

    fn destroy(&mut self, _: &mut Ctx<'_>) {}
}

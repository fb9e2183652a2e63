//! # debug: shows the framework's own structures
//!
//! Read-only files, in every directory. A `css_set` is the tuple of cgroups that a task is in; tasks with the same
//! tuple share a `css_set`. The files show `css_sets` as numbers that stay the same while the `css_sets` exist.
//!
//! * `debug.cgroup_refcount`: the number of `css_sets` linked to this cgroup.
//! * `debug.taskcount`: the number of tasks in this cgroup itself.
//! * `debug.current_css_set`: the reader's `css_set`. A reader that the host does not supervise is in every root, here
//!   and in the next two files.
//! * `debug.current_css_set_refcount`: the number of references to it: tasks, forks under way, and one reference for
//!   ever to the `css_set` of all roots.
//! * `debug.current_css_set_cg_links`: the cgroups of the reader's `css_set`, a line `Root ID group NAME` for each
//!   hierarchy, oldest first. ID 0 is the dummy hierarchy, where unbound subsystems live. Its only cgroup has no name
//!   and is shown as `?`. A root's name is `/`.
//! * `debug.cgroup_css_links`: the `css_sets` linked to this cgroup, newest first: a line `css_set NUMBER`, then up
//!   to 26 lines `  task TID`, then `  ...` if there are more tasks.
//! * `debug.releasable`: `1` if nothing keeps the release agent away: `notify_on_release` is set, and the cgroup has
//!   neither tasks nor children. The root's is always `0`.
//!
//! The rules are those of Linux 2.6.34 (`kernel/cgroup.c`); F7.2 of docs/history.md. There the numbers were
//! addresses in the kernel, and `releasable` was a flag that was set only after a task or child had left.

use core::fmt::Write as _;

use alloc::string::String;
use alloc::vec::Vec;

use penfold_core::{
    CssSetId, Errno, Error, Result, Tid,
    control_file::ControlFile,
    subsystem::{Context, EngineView, Subsystem},
    tree::CssSet,
};

/// The number of tasks of one `css_set` that are listed.
const SHOWN: usize = 26;

/// The controller `debug`: read-only files that show the `css_set`s and reference counts of the framework.
///
/// This type holds no state: each read looks at the engine. The page of this module is the manual of the control files.
#[derive(Debug, Default)]
pub struct Debug;

type Ctx<'a> = Context<'a, Debug>;

fn engine_view_of<'a>(ctx: &'a Ctx<'_>) -> Result<EngineView<'a>> {
    ctx.engine_view()
        .ok_or_else(|| Error::refused(Errno::EOPNOTSUPP, "the framework can be seen only from within it"))
}

/// The `css_set` of the reading task. A task without one is in every root, as in `tasks`.
fn current(ctx: &Ctx<'_>) -> Result<CssSetId> {
    let EngineView { tree, host, .. } = engine_view_of(ctx)?;
    let supervised = ctx.caller().and_then(|caller| host.css_set(caller.task));
    Ok(supervised.unwrap_or_else(|| tree.initial_css_set()))
}

fn cgroup_refcount_read(_: &mut Debug, ctx: &mut Ctx<'_>) -> Result<u64> {
    let EngineView { tree, cgroup, .. } = engine_view_of(ctx)?;
    Ok(tree.css_sets_of(cgroup).count() as u64)
}

fn taskcount_read(_: &mut Debug, ctx: &mut Ctx<'_>) -> Result<u64> {
    let EngineView { tree, cgroup, .. } = engine_view_of(ctx)?;
    Ok(tree.task_count(cgroup) as u64)
}

fn current_css_set_read(_: &mut Debug, ctx: &mut Ctx<'_>) -> Result<u64> {
    Ok(current(ctx)?.number())
}

fn current_css_set_refcount_read(_: &mut Debug, ctx: &mut Ctx<'_>) -> Result<u64> {
    let set = current(ctx)?;
    Ok(engine_view_of(ctx)?.tree.css_set(set).map_or(0, CssSet::references) as u64)
}

fn current_css_set_cg_links_read(_: &mut Debug, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    let set = current(ctx)?;
    let tree = engine_view_of(ctx)?.tree;
    let cgroups = tree.css_set(set).into_iter().flat_map(CssSet::cgroups);
    let mut links: Vec<_> = cgroups.map(|cgroup| (tree.hierarchy_of(cgroup).id, cgroup)).collect();
    links.sort_unstable();
    for (hierarchy, cgroup) in links {
        let cgroup = &tree[cgroup];
        let name = match cgroup.parent() {
            None if hierarchy == 0 => "?".into(),
            None => "/".into(),
            Some(_) => String::from_utf8_lossy(cgroup.name()),
        };
        let _ = writeln!(out, "Root {hierarchy} group {name}");
    }
    Ok(())
}

fn cgroup_css_links_read(_: &mut Debug, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    let EngineView { tree, host, cgroup, .. } = engine_view_of(ctx)?;
    for set in tree.css_sets_of(cgroup) {
        let _ = writeln!(out, "css_set {}", set.number());
        let mut tasks: Vec<Tid> = Vec::new();
        host.for_each_task(set, &mut |task| tasks.push(task));
        tasks.sort_unstable();
        for task in tasks.iter().take(SHOWN) {
            let _ = writeln!(out, "  task {task}");
        }
        if tasks.len() > SHOWN {
            out.push_str("  ...\n");
        }
    }
    Ok(())
}

fn releasable_read(_: &mut Debug, ctx: &mut Ctx<'_>) -> Result<u64> {
    let EngineView { tree, cgroup, .. } = engine_view_of(ctx)?;
    let cgroup = &tree[cgroup];
    let releasable = cgroup.parent().is_some()
        && cgroup.notifies_on_release()
        && !cgroup.has_tasks()
        && cgroup.child_count() == 0;
    Ok(releasable.into())
}

impl Subsystem for Debug {
    type State = ();

    const NAME: &'static str = "debug";
    const FILES: &'static [ControlFile<Self>] = &[
        ControlFile::new("cgroup_refcount").read_u64(cgroup_refcount_read),
        ControlFile::new("taskcount").read_u64(taskcount_read),
        ControlFile::new("current_css_set").read_u64(current_css_set_read),
        ControlFile::new("current_css_set_refcount").read_u64(current_css_set_refcount_read),
        ControlFile::new("current_css_set_cg_links").read_text(current_css_set_cg_links_read),
        ControlFile::new("cgroup_css_links").read_text(cgroup_css_links_read),
        ControlFile::new("releasable").read_u64(releasable_read),
    ];

    fn create(&mut self, _: &mut Ctx<'_>) -> Result<()> {
        Ok(())
    }

    fn destroy(&mut self, _: &mut Ctx<'_>) {}
}

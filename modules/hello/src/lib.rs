//! `hello`: greets every task of a cgroup. The smallest controller that has something of everything.
//!
//! * `hello.name`: the name in the greeting; `world` unless written otherwise. A new cgroup starts with its parent's.
//!   `EINVAL` for an empty name.
//! * `hello.loudness`: the number of exclamation marks. `EINVAL` below 0 and above 9.
//! * `hello.greeting`: the greeting.
//! * `hello.tasks`: the number of tasks to be greeted, those below included.
//! * `hello.stat`: the numbers of tasks that `moved` in, and that were `born` here.
//! * `hello.reset`: sets these counts to 0. Takes any content.
#![forbid(unsafe_code)]

use penfold_module::{
    Callbacks, Context, ControlFile, Errno, Error, Migration, Resource, Result, Rule, Subsystem, Tid,
};

/// The controller. HelloState that all cgroups share would be here.
#[derive(Default)]
pub struct Hello;

/// The state of one cgroup.
pub struct HelloState {
    name: String,
    loudness: i64,
    moved: u64,
    born: u64,
}

type Ctx<'a> = Context<'a, Hello>;

fn name_read(_: &mut Hello, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    *out = format!("{}\n", ctx.state().name);
    Ok(())
}

fn name_write(_: &mut Hello, ctx: &mut Ctx<'_>, name: &str) -> Result<()> {
    if name.is_empty() {
        // write(2) fails with the errno. The text is for people; the message has the file's name before it.
        return Err(Error::value(Errno::EINVAL, "the name must not be empty"));
    }
    ctx.state_mut().name = name.to_owned();
    Ok(())
}

fn loudness_read(_: &mut Hello, ctx: &mut Ctx<'_>) -> Result<i64> {
    Ok(ctx.state().loudness)
}

fn loudness_write(_: &mut Hello, ctx: &mut Ctx<'_>, loudness: i64) -> Result<()> {
    if !(0..=9).contains(&loudness) {
        return Err(Error::value(Errno::EINVAL, "the loudness is a number from 0 to 9"));
    }
    ctx.state_mut().loudness = loudness;
    Ok(())
}

fn greeting_read(_: &mut Hello, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    let HelloState { name, loudness, .. } = ctx.state();
    *out = format!("Hello, {name}{}\n", "!".repeat(*loudness as usize));
    Ok(())
}

fn stat_read(_: &mut Hello, ctx: &mut Ctx<'_>, line: &mut dyn FnMut(&str, u64)) -> Result<()> {
    line("moved", ctx.state().moved);
    line("born", ctx.state().born);
    Ok(())
}

fn reset(_: &mut Hello, ctx: &mut Ctx<'_>) -> Result<()> {
    let state = ctx.state_mut();
    (state.moved, state.born) = (0, 0);
    Ok(())
}

impl Subsystem for Hello {
    type State = HelloState;

    const NAME: &'static str = "hello";

    // A callback that is not named here is never called, and costs nothing.
    const CALLBACKS: Callbacks = Callbacks::ATTACH.union(Callbacks::FORK);

    // Penfold counts the tasks itself: a rule gives each cgroup a counter, which could have a limit.
    const RULES: &'static [Rule] = &[Rule::new(Resource::Tasks)];

    const FILES: &'static [ControlFile<Self>] = &[
        ControlFile::new("name").read_text(name_read).write_text(name_write),
        ControlFile::new("loudness").read_s64(loudness_read).write_s64(loudness_write),
        ControlFile::new("greeting").read_text(greeting_read),
        ControlFile::new("tasks").read_u64(|_, ctx| Ok(ctx.counter(ctx.css(), 0).usage)),
        ControlFile::new("stat").read_map(stat_read),
        ControlFile::new("reset").trigger(reset),
    ];

    // Called for a mkdir, and at load for the root. A create that fails must leave nothing behind.
    fn create(&mut self, ctx: &mut Ctx<'_>) -> Result<HelloState> {
        let name = ctx.parent().map_or("world".to_owned(), |parent| ctx.state_of(parent).name.clone());
        Ok(HelloState { name, loudness: 1, moved: 0, born: 0 })
    }

    // Called for an rmdir, and at unload. The state is dropped afterwards.
    fn destroy(&mut self, _: &mut Ctx<'_>) {}

    fn attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) {
        for migration in tasks {
            ctx.state_of_mut(migration.to).moved += 1;
        }
    }

    // Also called for every task that exists at load.
    fn fork(&mut self, ctx: &mut Ctx<'_>, _child: Tid) {
        ctx.state_mut().born += 1;
    }
}

// This line makes it a module. `engine.load(&mut host, Hello)` would build it in instead.
penfold_module::export!(Hello);

//! A panic ends in the module: the callback answers `EIO` where it can, and everything goes on.

use std::panic::panic_any;

use penfold_module::loader::Controller;
use penfold_module::{
    Callbacks, Context, ControlFile, Errno, Error, Migration, MoveScope, Result, Subsystem, Tid, abi,
    simulated::ChildKind,
};

use super::transcript::TranscribedWorld;

/// Panics in every callback whose name was written to `panics.when`.
#[derive(Default)]
struct PanickingSubsystem {
    when: String,
}

/// Panics in its drop if `bomb` is set.
struct PanicState {
    bomb: bool,
}

impl Drop for PanicState {
    fn drop(&mut self) {
        assert!(!self.bomb, "the state goes off");
    }
}

type Ctx<'a> = Context<'a, PanickingSubsystem>;

/// A payload of a panic. A payload may be anything, and panic once more in its drop.
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic_any(7);
    }
}

impl PanickingSubsystem {
    fn pass(&self, callback: &str) {
        assert!(self.when != callback, "{callback} is unhappy");
    }
}

fn when_write(panicking: &mut PanickingSubsystem, _: &mut Ctx<'_>, callback: &str) -> Result<()> {
    panicking.when = callback.into();
    Ok(())
}

fn number_read(panicking: &mut PanickingSubsystem, _: &mut Ctx<'_>) -> Result<u64> {
    panicking.pass("read");
    Ok(5)
}

fn number_write(panicking: &mut PanickingSubsystem, ctx: &mut Ctx<'_>, number: u64) -> Result<()> {
    panicking.pass("write");
    ctx.state_mut().bomb = number == 13;
    Ok(())
}

fn map_read(
    panicking: &mut PanickingSubsystem,
    _: &mut Ctx<'_>,
    line: &mut dyn FnMut(&str, u64),
) -> Result<()> {
    line("before", 1);
    panicking.pass("map");
    line("after\0wards", 2);
    Ok(())
}

fn grenade(_: &mut PanickingSubsystem, _: &mut Ctx<'_>) -> Result<()> {
    panic_any(PanicsOnDrop)
}

fn other_rule(_: &mut PanickingSubsystem, ctx: &mut Ctx<'_>) -> Result<()> {
    let _ = ctx.counter(ctx.css(), 3);
    Err(Error::value(Errno::EPERM, "there is no such rule, so this is not reached"))
}

impl Subsystem for PanickingSubsystem {
    type State = PanicState;

    const NAME: &'static str = "panics";
    const CALLBACKS: Callbacks = Callbacks::all();
    const FILES: &'static [ControlFile<Self>] = &[
        ControlFile::new("when").write_text(when_write),
        ControlFile::new("number").read_u64(number_read).write_u64(number_write),
        ControlFile::new("map").read_map(map_read),
        ControlFile::new("grenade").trigger(grenade),
        ControlFile::new("rule").trigger(other_rule),
    ];

    fn create(&mut self, _: &mut Ctx<'_>) -> Result<PanicState> {
        self.pass("create");
        Ok(PanicState { bomb: false })
    }

    fn destroy(&mut self, _: &mut Ctx<'_>) {
        self.pass("destroy");
    }

    fn pre_destroy(&mut self, _: &mut Ctx<'_>) -> Result<()> {
        self.pass("pre_destroy");
        Ok(())
    }

    fn can_attach(&mut self, _: &mut Ctx<'_>, _: &[Migration]) -> Result<()> {
        self.pass("can_attach");
        Ok(())
    }

    fn cancel_attach(&mut self, _: &mut Ctx<'_>, _: &[Migration]) {
        self.pass("cancel_attach");
    }

    fn attach(&mut self, _: &mut Ctx<'_>, _: &[Migration]) {
        self.pass("attach");
    }

    fn can_fork(&mut self, _: &mut Ctx<'_>, _: Tid) -> Result<()> {
        self.pass("can_fork");
        Ok(())
    }

    fn cancel_fork(&mut self, _: &mut Ctx<'_>) {
        self.pass("cancel_fork");
    }

    fn fork(&mut self, _: &mut Ctx<'_>, _: Tid) {
        self.pass("fork");
    }

    fn exit(&mut self, _: &mut Ctx<'_>, _: Tid) {
        self.pass("exit");
    }

    fn post_clone(&mut self, _: &mut Ctx<'_>) {
        self.pass("post_clone");
    }

    fn bind(&mut self, _: &mut Ctx<'_>) {
        self.pass("bind");
    }
}

static MODULE: abi::RawModule = penfold_module::describe!(PanickingSubsystem);

fn world() -> TranscribedWorld {
    TranscribedWorld::of(Controller::from_static(&MODULE).unwrap())
}

/// Plays a script while one callback panics, and checks that everything works afterwards.
fn while_panicking(callback: &str, script: impl FnOnce(&mut TranscribedWorld)) -> String {
    let mut world = world();
    world.write(world.top, "when", callback).unwrap();
    script(&mut world);
    world.write(world.top, "when", "never").unwrap();
    assert_eq!(world.read(world.top, "number"), "5\n", "{callback}");
    let group = world.mkdir(world.top, "afterwards").expect("nobody minds");
    world.attach(group, Tid(2), MoveScope::Task);
    let child = world.fork(Tid(2), ChildKind::Process).expect("nobody minds");
    world.sim.exit(child);
    world.attach(world.top, Tid(2), MoveScope::Task);
    world.rmdir(group);
    assert_eq!(world.sim.engine.tree().children(world.top).count(), 0, "{callback}");
    world.unload()
}

#[test]
fn panic_is_an_eio_that_says_so() {
    let transcript = while_panicking("create", |world| assert_eq!(world.mkdir(world.top, "never"), None));
    assert!(
        transcript.contains("mkdir never -> Err(\"panics: the module failed: a panic: create is unhappy")
    );
    let transcript = while_panicking("pre_destroy", |world| {
        let group = world.mkdir(world.top, "group").unwrap();
        world.rmdir(group);
        world.write(world.top, "when", "never").unwrap();
        world.rmdir(group);
    });
    assert!(transcript.contains("rmdir -> Err(\"panics: the module failed: a panic: pre_destroy is unhappy"));
    let transcript = while_panicking("can_attach", |world| {
        let group = world.mkdir(world.top, "group").unwrap();
        world.attach(group, Tid(1), MoveScope::Task);
        world.rmdir(group);
    });
    assert!(
        transcript.contains("attach 1 -> Err(\"panics: the module failed: a panic: can_attach is unhappy")
    );
    while_panicking("can_fork", |world| assert_eq!(world.fork(Tid(1), ChildKind::Process), None));
}

#[test]
fn panic_in_an_infallible_callback_changes_nothing_else() {
    while_panicking("attach", |world| {
        let group = world.mkdir(world.top, "group").unwrap();
        world.attach(group, Tid(1), MoveScope::Task);
        assert_eq!(world.sim.engine.tree().tasks(&world.sim.host, group), [Tid(1)]);
        world.attach(world.top, Tid(1), MoveScope::Task);
        world.rmdir(group);
    });
    while_panicking("cancel_attach", |world| {
        let group = world.mkdir(world.top, "blocked").unwrap();
        world.attach(group, Tid(1), MoveScope::Task);
        assert!(world.sim.engine.tree().tasks(&world.sim.host, group).is_empty());
        world.rmdir(group);
    });
    while_panicking("fork", |world| {
        let child = world.fork(Tid(1), ChildKind::Process).expect("it has happened");
        world.sim.exit(child);
    });
    while_panicking("exit", |world| world.sim.exit(Tid(3)));
    while_panicking("cancel_fork", |world| {
        let set = world.sim.engine.initial_css_set();
        let charge = world.sim.engine.charge_fork(&mut world.sim.host, Tid(2), set).expect("nobody minds");
        world.sim.engine.cancel_fork(&mut world.sim.host, charge);
    });
    while_panicking("post_clone", |world| {
        world.write(world.top, "cgroup.clone_children", "1").unwrap();
        let group = world.mkdir(world.top, "clone").expect("it is made");
        world.write(world.top, "cgroup.clone_children", "0").unwrap();
        world.rmdir(group);
    });
    while_panicking("bind", |world| {
        world.sim.unmount(world.top);
        world.top = world.sim.mount("panics,blocker");
    });
}

#[test]
fn cgroup_is_gone_after_a_panic_in_its_destroy() {
    while_panicking("destroy", |world| {
        let group = world.mkdir(world.top, "group").unwrap();
        world.rmdir(group);
    });
    while_panicking("never", |world| {
        let group = world.mkdir(world.top, "group").unwrap();
        world.write(group, "number", "13").unwrap();
        world.rmdir(group);
    });
    // a panic in the unload itself
    let mut world = world();
    world.write(world.top, "number", "13").unwrap();
    world.unload();
}

#[test]
fn panic_in_a_handler_is_an_eio() {
    while_panicking("read", |world| assert_eq!(world.read(world.top, "number"), ""));
    while_panicking("write", |world| assert_eq!(world.write(world.top, "number", "1"), Err(Errno::EIO)));
    let transcript = while_panicking("map", |world| {
        world.read(world.top, "map");
        world.write(world.top, "when", "never").unwrap();
        world.read(world.top, "map");
    });
    assert!(transcript.contains("panics.map: the module failed: a panic: map is unhappy"), "{transcript}");
    assert!(transcript.contains("the key of a line has a NUL in it"), "{transcript}");
    let transcript = while_panicking("never", |world| {
        assert_eq!(world.write(world.top, "grenade", "x"), Err(Errno::EIO));
        assert_eq!(world.write(world.top, "rule", "x"), Err(Errno::EIO));
    });
    assert!(transcript.contains("panics.grenade: the module failed: a panic without a message"));
    assert!(transcript.contains("has no counter for rule 3"));
}

/// A subsystem whose expression in `describe!` panics.
struct FailsToMake;

impl Subsystem for FailsToMake {
    type State = ();

    const NAME: &'static str = "stillborn";

    fn create(&mut self, _: &mut Context<'_, Self>) -> Result<()> {
        Ok(())
    }

    fn destroy(&mut self, _: &mut Context<'_, Self>) {}
}

#[test]
fn panic_at_load_is_an_eio() {
    static FAILS_TO_MAKE: abi::RawModule = penfold_module::describe!(FailsToMake, panic!("it can't be made"));
    let error = Controller::from_static(&FAILS_TO_MAKE).err().expect("it panics");
    assert_eq!(error.errno(), Errno::EIO, "{error}");
}

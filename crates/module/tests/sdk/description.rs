//! The description that is made of a subsystem.

use penfold_module::loader::Controller;
use penfold_module::{
    Callbacks, Context, Errno, PAGE_SIZE, Resource, Result, Subsystem, UNLIMITED, Visibility, abi,
};

use super::MODULE;

/// The smallest subsystem.
struct BareSubsystem(u64);

impl Subsystem for BareSubsystem {
    type State = ();

    const NAME: &'static str = "nothing";

    fn create(&mut self, _: &mut Context<'_, Self>) -> Result<()> {
        assert_eq!(self.0, UNLIMITED, "made by the expression");
        Ok(())
    }

    fn destroy(&mut self, _: &mut Context<'_, Self>) {}
}

static NOTHING: abi::RawModule = penfold_module::describe!(BareSubsystem, BareSubsystem(UNLIMITED));

#[test]
fn callbacks_that_a_subsystem_does_not_have_are_null() {
    assert!(NOTHING.create.is_some() && NOTHING.destroy.is_some());
    assert!(NOTHING.pre_destroy.is_none() && NOTHING.can_attach.is_none() && NOTHING.cancel_attach.is_none());
    assert!(NOTHING.attach.is_none() && NOTHING.can_fork.is_none() && NOTHING.cancel_fork.is_none());
    assert!(NOTHING.fork.is_none() && NOTHING.exit.is_none());
    assert!(NOTHING.post_clone.is_none() && NOTHING.bind.is_none());
    let controller = Controller::from_static(&NOTHING).unwrap();
    assert_eq!(controller.description().callbacks, Callbacks::empty());
    assert!(controller.description().files.is_empty() && controller.description().rules.is_empty());
    super::transcript::TranscribedWorld::of(controller).unload();
}

#[test]
fn description_has_the_constants_of_the_subsystem() {
    let controller = Controller::from_static(&MODULE).unwrap();
    let info = controller.description();
    assert_eq!((&*info.name, &*info.version), ("every-thing_1", env!("CARGO_PKG_VERSION")));
    assert_eq!(info.summary, env!("CARGO_PKG_DESCRIPTION"));
    assert_eq!((info.abi_version, &*info.refusing_file), (abi::ABI_VERSION, "event"));
    assert_eq!(info.callbacks, Callbacks::all());

    let rules: Vec<_> =
        info.rules.iter().map(|rule| (rule.resource, rule.refusal, &*rule.limit_file)).collect();
    let wanted = [
        (Resource::Tasks, Errno::EAGAIN, ""),
        (Resource::Forks, Errno::ENOSPC, "act"),
        (Resource::CpuTime, Errno::EAGAIN, ""),
    ];
    assert_eq!(rules, wanted);

    let files: Vec<_> = info
        .files
        .iter()
        .map(|file| {
            (
                &*file.name,
                file.mode,
                file.visibility,
                file.max_write,
                file.not_a_setting,
                file.read,
                file.write,
            )
        })
        .collect();
    let everywhere = Visibility::Everywhere;
    let wanted = [
        ("number", 0o644, everywhere, 20, false, "u64", "u64"),
        ("signed", 0o644, everywhere, PAGE_SIZE, true, "s64", "s64"),
        ("text", 0o644, everywhere, 2 * PAGE_SIZE, false, "text", "text"),
        ("twin", 0o640, everywhere, PAGE_SIZE, false, "text", "text"),
        ("map", 0o444, Visibility::NotRoot, PAGE_SIZE, false, "map", "none"),
        ("event", 0o200, everywhere, PAGE_SIZE, false, "none", "trigger"),
        ("log", 0o400, Visibility::RootOnly, PAGE_SIZE, false, "text", "none"),
        ("facts", 0o444, everywhere, PAGE_SIZE, false, "text", "none"),
        ("act", 0o200, everywhere, PAGE_SIZE, false, "none", "text"),
        ("neither", 0, everywhere, PAGE_SIZE, false, "none", "none"),
    ];
    assert_eq!(files, wanted);
}

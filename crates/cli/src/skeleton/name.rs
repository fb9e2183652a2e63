//! Which names a new controller can have.

use penfold_core::simulated::SimulatedHost;
use penfold_core::{
    Engine, Errno, Result,
    subsystem::{Context, Subsystem},
};

use crate::failure::Failure;

/// Is it a name that a controller can be loaded by, beside those that penfold brings along?
///
/// Fewer names than the engine takes: it begins with a letter, so that no command takes it for an option, and has no
/// capital letters, as crates and all controllers that there ever were.
pub(super) fn check(name: &str) -> Result<(), Failure> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(legal) {
        let reason =
            "a name begins with a lower-case letter; lower-case letters, digits, '_' and '-' may follow";
        return Err(Failure::new(format!("{name:?}: {reason}")));
    }
    // What else is wrong the engine knows best.
    let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(1));
    penfold_subsystems::load_all(&mut engine, &mut host).map_err(Failure::new)?;
    // Built in or a module: the name is taken.
    let _ = engine.load(&mut host, penfold_subsystems::NetCls);
    engine.load(&mut host, Named(name.to_owned())).map_err(|error| match error.errno() {
        Errno::EEXIST => Failure::new(format!("{name:?}: penfold has a controller of this name")),
        _ => Failure::new(error),
    })
}

/// A subsystem that has nothing but a name.
struct Named(String);

impl Subsystem for Named {
    type State = ();
    const NAME: &'static str = "";

    fn name(&self) -> &str {
        &self.0
    }

    fn create(&mut self, _: &mut Context<'_, Self>) -> Result<()> {
        Ok(())
    }

    fn destroy(&mut self, _: &mut Context<'_, Self>) {}
}

//! The names that a new controller can have.

use penfold_core::simulated::SimulatedHost;
use penfold_core::{
    Engine, ErrorKind, Result,
    subsystem::{Context, Subsystem},
};

use crate::failure::{Failure, invalid};

/// Checks that a controller of this name can be loaded beside all controllers of penfold.
///
/// Fewer names pass than the engine takes. A name begins with a letter, so that no command takes the name for an
/// option. Capital letters are refused: crates, and all controllers that there ever were, have none.
pub(super) fn check(name: &str) -> Result<(), Failure> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(legal) {
        let reason =
            "a name begins with a lower-case letter; lower-case letters, digits, '_' and '-' may follow";
        let subject = if name.is_empty() { "NAME" } else { name };
        return Err(invalid(nix::errno::Errno::EINVAL, subject, reason));
    }
    // The engine checks everything else, and reports the right errno.
    let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(1));
    penfold_subsystems::load_all(&mut engine, &mut host)?;
    // The name is taken, whether the controller is built in or a module.
    let _ = engine.load(&mut host, penfold_subsystems::NetCls);
    engine.load(&mut host, NameOnly(name.to_owned())).map_err(|error| {
        let failure = Failure::from(error);
        match failure.kind {
            ErrorKind::AlreadyExists => {
                Failure { detail: "penfold has a controller of this name".to_owned(), ..failure }
            }
            _ => failure,
        }
    })
}

/// A subsystem that has nothing but a name.
struct NameOnly(String);

impl Subsystem for NameOnly {
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

//! `net_cls` on the simulated host, from the file of the module. `crates/subsystems` runs the same tests with the
//! controller built in.

#[path = "../../tests/net_cls/rules.rs"]
mod rules;

use std::env;

use penfold_core::{Errno, host::Capability, subsystem::Subsystem};
use penfold_module::loader::Controller;
use penfold_subsystems::NetCls;
use penfold_testkit::{SimWorld, TempFile};

/// The module from a copy of its file: a file can be loaded once at a time, and tests run in parallel. Cargo builds the
/// library of a package in all its forms before the package's tests.
fn subject() -> Controller {
    let built = env::current_exe().expect("it runs").with_file_name("libpenfold_net_cls.so");
    // the module is mapped and does not need the file
    let copy = TempFile::unmade(".so");
    std::fs::copy(built, copy.path()).expect("a copy");
    Controller::open(copy.path()).unwrap_or_else(|error| panic!("{}: {error}", copy.path().display()))
}

#[test]
fn module_has_the_description_of_the_built_in() {
    let (module, linked) = (subject(), Controller::from_static(&penfold_net_cls::penfold_module).unwrap());
    assert_eq!(module.description(), linked.description());
    assert_eq!(module.description().name, NetCls::NAME);
    assert_eq!(module.description().callbacks, NetCls::CALLBACKS);
    let names: Vec<_> = module.description().files.iter().map(|file| &*file.name).collect();
    assert_eq!(names, ["classid"]);
}

#[test]
fn hosts_reason_comes_through_the_module() {
    let mut world = SimWorld::with_controller(subject());
    world.host.cannot.push(Capability::SocketClass);
    assert_eq!(world.try_write(world.top, "classid", "5"), Err(Errno::EOPNOTSUPP));
    let text =
        "net_cls.classid: the simulated host can't give classes on sockets here: switched off for a test";
    assert_eq!(world.last_error().to_string(), text);
}

//! `net_cls` on the simulated host, from the file of the module. `crates/subsystems` runs the same tests with the
//! controller built in.

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/net_cls/rules.rs"]
mod rules;

use std::env;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use penfold_core::{Errno, host::Capability, subsystem::Subsystem};
use penfold_module::loader::Controller;
use penfold_subsystems::NetCls;

/// A copy of the module's file: a file can be loaded once at a time, and tests run in parallel. Cargo builds the
/// library of a package in all its forms before the package's tests.
fn file() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let built = env::current_exe().expect("it runs").with_file_name("libpenfold_net_cls.so");
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let copy = env::temp_dir().join(format!("penfold-net-cls-{}-{number}.so", std::process::id()));
    std::fs::copy(built, &copy).expect("a copy");
    copy
}

fn subject() -> Controller {
    let file = file();
    let controller = Controller::open(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    // the module is mapped and does not need the file
    std::fs::remove_file(file).expect("the copy is ours");
    controller
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
    let mut world = common::World::of(2, subject());
    world.host.cannot.push(Capability::SocketClass);
    let file = world.file(world.top, "classid");
    let error = world.engine.session(&mut world.host, &world.root).write(world.top, file, b"5").unwrap_err();
    assert_eq!(error.errno(), Errno::EOPNOTSUPP);
    let text = "the simulated host can't give classes on sockets here: switched off for a test";
    assert_eq!(error.to_string(), text);
}

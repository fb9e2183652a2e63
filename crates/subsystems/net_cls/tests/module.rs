//! `net_cls` on the simulated host, from the file of the module. `crates/subsystems` runs the same tests with it built
//! in.

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

/// A copy of the module's file: one file is one module, and tests run at once. Cargo builds the library of a package, in
/// all its forms, before the tests of it.
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
    // mapped is enough
    std::fs::remove_file(file).expect("the copy is ours");
    controller
}

#[test]
fn the_module_says_what_the_built_in_says() {
    let (module, linked) = (subject(), Controller::from_static(&penfold_net_cls::penfold_module).unwrap());
    assert_eq!(module.description(), linked.description());
    assert_eq!(module.description().name, NetCls::NAME);
    assert_eq!(module.description().callbacks, NetCls::CALLBACKS);
    let names: Vec<_> = module.description().files.iter().map(|file| &*file.name).collect();
    assert_eq!(names, ["classid"]);
}

#[test]
fn a_host_that_can_not_mark_says_why_through_the_module() {
    let mut world = common::World::of(2, subject());
    world.host.cannot.push(Capability::SocketClass);
    let file = world.file(world.top, "classid");
    let error = world.engine.session(&mut world.host, &world.root).write(world.top, file, b"5").unwrap_err();
    assert_eq!(error.errno(), Errno::EOPNOTSUPP);
    let text = "the simulated host can't give classes on sockets here: switched off for a test";
    assert_eq!(error.to_string(), text);
}

//! A module that returns garbage: the engine goes on and names the fault.

use penfold_core::Errno;
use penfold_testkit::{SimWorld, c_module};

use super::account::{Modules as _, is_mapped};

const NO_ERRNOS: [&str; 7] = ["1", "5", "77", "-4096", "-100000", "-2147483648", "2147483647"];

#[test]
fn answers_that_are_no_errnos_are_errors() {
    let object = c_module("garbage", &[]);
    let mut world = SimWorld::new();
    world.load_file(object.path());
    let (task, top) = (world.spawn(), world.mount("garbage"));
    let g = world.mkdir(top, "g");
    world.attach(g, task);
    for answer in NO_ERRNOS {
        world.write(top, "garbage.answer", answer);
        let sets = world.engine.css_set_count();
        let words = format!("garbage: the module answered {answer}, which is neither 0 nor a negative errno");
        assert_eq!(world.try_mkdir(top, "h"), Err(Errno::EINVAL));
        assert!(world.last_error().to_string().starts_with(&words), "{}", world.last_error());
        assert_eq!(world.try_attach(top, task), Err(Errno::EINVAL));
        assert!(world.last_error().to_string().starts_with(&words), "{}", world.last_error());
        assert_eq!(world.try_fork(task), Err(Errno::EINVAL));
        assert_eq!(world.engine.css_set_count(), sets);
        assert_eq!(world.engine.tree()[top].child_count(), 1);
        assert_eq!(world.try_read(g, "garbage.text"), Err(Errno::EINVAL));
        let child = world.spawn();
        world.exit(child);
    }
    world.write(top, "garbage.answer", "0");
    let child = world.fork(task);
    world.exit(child);
    world.attach(top, task);
    world.rmdir(g);
    world.unmount(top);
    world.unload("garbage");
    assert!(!is_mapped(object.path()));
    assert_eq!(world.engine.css_set_count(), 1);
}

#[test]
fn refused_rmdir_and_unload_change_nothing() {
    let object = c_module("garbage", &[]);
    let mut world = SimWorld::new();
    world.load_file(object.path());
    let top = world.mount("garbage");
    let g = world.mkdir(top, "g");
    world.write(top, "garbage.answer", "77");
    assert_eq!(world.try_rmdir(g), Err(Errno::EINVAL));
    world.write(top, "garbage.answer", "-16");
    assert_eq!(world.try_rmdir(g), Err(Errno::EBUSY));
    world.write(top, "garbage.answer", "0");
    world.rmdir(g);
    world.write(top, "garbage.answer", "77");
    world.unmount(top);
    assert_eq!(world.try_unload("garbage"), Err(Errno::EINVAL), "it is asked before, and has not agreed");
    let top = world.mount("garbage");
    world.write(top, "garbage.answer", "0");
    world.unmount(top);
    world.unload("garbage");
}

#[test]
fn invalid_utf8_is_an_error() {
    let object = c_module("garbage", &[]);
    let mut world = SimWorld::new();
    world.load_file(object.path());
    let top = world.mount("garbage");
    for file in ["garbage.text", "garbage.map"] {
        assert_eq!(world.try_read(top, file), Err(Errno::EIO));
        let error = world.last_error().to_string();
        assert_eq!(error, format!("{file}: the module gave a text that is not UTF-8"));
    }
    assert_eq!(world.read(top, "garbage.many"), "\0".repeat(409_600), "a NUL is a character");
    world.write(top, "garbage.answer", "1");
    assert_eq!(world.try_read(top, "garbage.many"), Err(Errno::EIO));
    let error = world.last_error().to_string();
    assert!(error.starts_with("garbage.many: the module failed: fell \u{fffd} over"), "{error}");
}

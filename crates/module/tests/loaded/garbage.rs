//! A module that returns garbage: the engine goes on and names the fault.

use penfold_core::{Errno, MoveScope};

use super::compile::module;
use super::world::{World, is_mapped};

const NO_ERRNOS: [&str; 7] = ["1", "5", "77", "-4096", "-100000", "-2147483648", "2147483647"];

#[test]
fn answers_that_are_no_errnos_are_errors() {
    let object = module("garbage", &[]);
    let mut world = World::new();
    world.load(object.path());
    let (task, top) = (world.spawn(), world.mount("garbage").unwrap());
    let g = world.mkdir(top, "g").unwrap();
    world.attach(g, task).unwrap();
    for answer in NO_ERRNOS {
        world.write(top, "garbage.answer", answer).unwrap();
        let sets = world.engine.css_set_count();
        let World { engine, host, root } = &mut world;
        let refusals = [
            engine.session(host, root).mkdir(top, b"h", 0o755).unwrap_err(),
            engine.session(host, root).attach(top, task, MoveScope::Task).unwrap_err(),
        ];
        for refused in refusals {
            assert_eq!(refused.errno(), Errno::EINVAL);
            let words =
                format!("garbage: the module answered {answer}, which is neither 0 nor a negative errno");
            assert!(refused.to_string().starts_with(&words), "{refused}");
        }
        assert_eq!(world.fork(task), Err(Errno::EINVAL));
        assert_eq!(world.engine.css_set_count(), sets);
        assert_eq!(world.engine.tree()[top].child_count(), 1);
        assert!(world.read(g, "garbage.text").unwrap_err().starts_with("EINVAL"));
        let child = world.spawn();
        world.exit(child);
    }
    world.write(top, "garbage.answer", "0").unwrap();
    let child = world.fork(task).unwrap();
    world.exit(child);
    world.attach(top, task).unwrap();
    world.rmdir(g).unwrap();
    world.unmount(top);
    world.unload("garbage").unwrap();
    assert!(!is_mapped(object.path()));
    assert_eq!(world.engine.css_set_count(), 1);
}

#[test]
fn refused_rmdir_and_unload_change_nothing() {
    let object = module("garbage", &[]);
    let mut world = World::new();
    world.load(object.path());
    let top = world.mount("garbage").unwrap();
    let g = world.mkdir(top, "g").unwrap();
    world.write(top, "garbage.answer", "77").unwrap();
    assert_eq!(world.rmdir(g), Err(Errno::EINVAL));
    world.write(top, "garbage.answer", "-16").unwrap();
    assert_eq!(world.rmdir(g), Err(Errno::EBUSY));
    world.write(top, "garbage.answer", "0").unwrap();
    world.rmdir(g).unwrap();
    world.write(top, "garbage.answer", "77").unwrap();
    world.unmount(top);
    assert_eq!(world.unload("garbage"), Err(Errno::EINVAL), "it is asked before, and has not agreed");
    let top = world.mount("garbage").unwrap();
    world.write(top, "garbage.answer", "0").unwrap();
    world.unmount(top);
    world.unload("garbage").unwrap();
}

#[test]
fn invalid_utf8_is_an_error() {
    let object = module("garbage", &[]);
    let mut world = World::new();
    world.load(object.path());
    let top = world.mount("garbage").unwrap();
    for file in ["garbage.text", "garbage.map"] {
        let error = world.read(top, file).unwrap_err();
        assert_eq!(error, format!("EIO {file}: the module gave a text that is not UTF-8"));
    }
    assert_eq!(world.read(top, "garbage.many").unwrap(), "\0".repeat(409_600), "a NUL is a character");
    world.write(top, "garbage.answer", "1").unwrap();
    let error = world.read(top, "garbage.many").unwrap_err();
    assert!(error.starts_with("EIO garbage.many: the module failed: fell \u{fffd} over"), "{error}");
}

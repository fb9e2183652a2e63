//! mkdir, rmdir, rename (B1, T8), with the errors that Linux 6.18 was measured to give.

mod common;

use common::{Desk, Probe, World};
use penfold_core::{Callbacks, Caller, Errno, Owner};

#[test]
fn a_new_name_must_be_one_name() {
    let mut world = World::new();
    let top = world.mount("none,name=x").unwrap();
    world.mkdir(top, "a").unwrap();
    for name in ["", "b/c", "/", "b\0c"] {
        assert_eq!(world.rename(top, "a", top, name), Err(Errno::ENOENT), "{name:?}");
        assert_eq!(world.mkdir(top, name), Err(Errno::ENOENT), "{name:?}");
    }
    assert_eq!(world.children(top), ["a"]);
}

/// A6.1: its top can be found through any css_set, but nothing can be made there.
#[test]
fn the_dummy_hierarchy_has_one_cgroup_for_ever() {
    let (probe, desk) = Probe::new("p", Callbacks::BIND, &[]);
    let mut world = World::new();
    world.load(probe).unwrap();
    let initial = world.engine.tree().css_set(world.engine.initial_css_set()).unwrap();
    let dummy = initial.cgroups().next().unwrap();
    assert_eq!(world.mkdir(dummy, "a"), Err(Errno::EPERM));
    assert_eq!(world.remount(dummy, "all"), Err(Errno::ENODEV));
    assert_eq!(world.rmdir(dummy), Err(Errno::EBUSY));
    assert_eq!((desk.counts().create, desk.counts().bind), (1, 0));
    assert!(world.mount("p").is_ok());
}

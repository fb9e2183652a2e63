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

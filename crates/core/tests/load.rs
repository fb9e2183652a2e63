//! Loading and unloading (E1 to E6, T10), with the bugs that the kernel had left out.

mod common;

use common::{Probe, World};
use penfold_core::{Callbacks, Errno, Interest, Resource, SLOTS};

#[test]
fn a_failed_load_leaves_no_limit_behind() {
    let (probe, desk) = Probe::new("p", Callbacks::empty(), &[Resource::Tasks]);
    desk.records().knobs.limit_at_create = Some(3);
    desk.records().knobs.fail_create = 1;
    let mut world = World::new();
    assert_eq!(world.load(probe).unwrap_err().errno(), Errno::ENOMEM);
    assert!(!world.engine.can_refuse_fork());
    assert_eq!(desk.counts().alive, 0);
    world.load(Probe::at(&desk, "p", Callbacks::empty(), &[Resource::Tasks])).unwrap();
    assert!(world.engine.can_refuse_fork());
    world.unload("p").unwrap();
    assert!(!world.engine.can_refuse_fork());
}

#[test]
fn a_name_that_mount_would_take_for_an_option_is_refused() {
    let mut world = World::new();
    let words = "none all name noprefix release_agent clone_children xattr cpuset_v2_mode favordynmods \
        nofavordynmods ro rw sync async dirsync lazytime nolazytime mand nomand";
    for word in words.split_whitespace() {
        let refused = world.load(Probe::plain(word)).unwrap_err();
        assert_eq!(refused.errno(), Errno::EINVAL, "{word}");
    }
}

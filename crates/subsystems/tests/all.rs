//! The controllers that are built in, and those of the whole tree.

use penfold_core::{Engine, Result, host::Host};
use penfold_subsystems::{load_all, load_tree};
use penfold_testkit::SimWorld;

fn names(load: impl Fn(&mut Engine, &mut dyn Host) -> Result<()>) -> String {
    let mut world = SimWorld::new();
    load(&mut world.engine, &mut world.host).unwrap();
    world.engine.subsystems().collect::<Vec<_>>().join(" ")
}

#[test]
fn net_cls_is_built_in_with_its_feature_only() {
    let all = "cpuset cpuacct freezer net_cls pids numtasks debug";
    assert_eq!(names(load_tree), all);
    let built_in = if cfg!(feature = "net_cls") { all.to_owned() } else { all.replace(" net_cls", "") };
    assert_eq!(names(load_all), built_in);
}

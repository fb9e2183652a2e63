//! The controllers that are built in, and those of the whole tree.

use penfold_core::{Engine, Result, host::Host};
use penfold_subsystems::{NAMES, is_built_in, load_all, load_those, load_tree};
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

#[test]
fn those_that_are_wanted_load_in_the_usual_order() {
    assert_eq!(names(load_tree), NAMES.join(" "));
    let some = names(|engine, host| load_those(engine, host, |name| ["pids", "cpuset"].contains(&name)));
    assert_eq!(some, "cpuset pids");
    let built_in: Vec<&str> = NAMES.into_iter().filter(|name| is_built_in(name)).collect();
    assert_eq!(names(load_all), built_in.join(" "));
    assert!(!is_built_in("memory"));
}

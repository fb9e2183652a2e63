//! The controller in C on the crate's front page does what its first line says.

use penfold_core::Errno;

use super::compile::module;
use super::world::World;

#[test]
fn example_of_the_front_page_limits_forks() {
    let file = module("example", &[]);
    let mut world = World::new();
    let task = world.spawn();
    world.load(file.path());
    let top = world.mount("forkbudget").unwrap();
    let group = world.mkdir(top, "group").unwrap();
    world.attach(group, task).unwrap();
    world.write(group, "forkbudget.max", "1").unwrap();
    let child = world.fork(task).unwrap();
    assert_eq!(world.read(group, "forkbudget.newest").unwrap(), format!("{child}\n"));
    assert_eq!(world.fork(task), Err(Errno::EAGAIN));
    assert_eq!(world.read(group, "forkbudget.used").unwrap(), "1\n");
    let error = world.write(group, "forkbudget.max", "1000001").unwrap_err();
    assert_eq!(error, "EINVAL forkbudget.max: takes a number up to 1000000");
}

//! The controller in C on the crate's front page does what its first line says.

use penfold_core::Errno;
use penfold_testkit::{SimWorld, c_module};

use super::account::Modules as _;

#[test]
fn example_of_the_front_page_limits_forks() {
    let file = c_module("example", &[]);
    let mut world = SimWorld::new();
    let task = world.spawn();
    world.load_file(file.path());
    let top = world.mount("forkbudget");
    let group = world.mkdir(top, "group");
    world.attach(group, task);
    world.write(group, "forkbudget.max", "1");
    let child = world.fork(task);
    assert_eq!(world.read(group, "forkbudget.newest"), format!("{child}\n"));
    assert_eq!(world.try_fork(task), Err(Errno::EAGAIN));
    assert_eq!(world.read(group, "forkbudget.used"), "1\n");
    assert_eq!(world.try_write(group, "forkbudget.max", "1000001"), Err(Errno::EINVAL));
    assert_eq!(world.last_error().to_string(), "forkbudget.max: takes a number up to 1000000");
}

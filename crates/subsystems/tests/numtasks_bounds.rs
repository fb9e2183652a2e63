//! The bounds of numtasks' shares and parameters (F3): the last value that is accepted, and the first that is not.

use crate::subject::numtasks;
use penfold_core::{CgroupId, Errno};
use penfold_testkit::SimWorld;

/// The controller under test, built in. `crates/subsystems/modules` runs the same tests with a module of that name.
#[allow(dead_code)]
mod subject {
    pub(crate) fn numtasks() -> penfold_subsystems::Numtasks {
        penfold_subsystems::Numtasks::default()
    }
}

fn world() -> SimWorld {
    SimWorld::with_controller(numtasks())
}

fn child(w: &mut SimWorld) -> CgroupId {
    w.mkdir(w.top, "child")
}

#[test]
fn removed_child_gives_back_a_guarantee_or_a_bound_alone() {
    let mut w = world();
    let top = w.top;
    for share in ["min_shares=60", "max_shares=60", "min_shares=0,max_shares=60"] {
        let child = child(&mut w);
        w.write(child, "shares", share);
        assert_eq!(w.try_write(top, "shares", "child_shares_divisor=59"), Err(Errno::EINVAL), "{share}");
        assert_eq!(w.try_write(top, "shares", "child_shares_divisor=60"), Ok(()), "{share}: just enough");
        w.rmdir(child);
        assert_eq!(w.try_write(top, "shares", "child_shares_divisor=59"), Ok(()), "{share}");
        w.write(top, "shares", "child_shares_divisor=100");
    }
}

#[test]
fn child_may_have_all_that_its_parent_divides() {
    let mut w = world();
    let child = child(&mut w);
    assert_eq!(w.try_write(child, "shares", "max_shares=101"), Err(Errno::EINVAL));
    assert_eq!(w.try_write(child, "shares", "min_shares=100,max_shares=100"), Ok(()));
    assert_eq!(w.try_write(child, "shares", "min_shares=101"), Err(Errno::EINVAL));
}

/// A divisor of -1 is "leave it as it is"; -2 is below every divisor.
#[test]
fn parent_may_divide_nothing_but_not_less() {
    let mut w = world();
    let top = w.top;
    assert_eq!(w.try_write(top, "shares", "child_shares_divisor=0"), Ok(()));
    assert_eq!(w.try_write(top, "shares", "child_shares_divisor=-2"), Err(Errno::EINVAL));
    assert!(w.read(top, "shares").ends_with("child_shares_divisor=0\n"));
}

#[test]
fn parameters_are_read_as_they_were_written() {
    let mut w = world();
    let top = w.top;
    for file in ["total_numtasks", "forkrate", "forkrate_interval"] {
        w.write(top, file, "12");
        assert_eq!(w.read(top, file), "12\n", "{file}");
    }
}

#[test]
fn texts_are_shorter_than_a_page() {
    let mut w = world();
    let child = child(&mut w);
    for file in ["shares", "stats"] {
        assert_eq!(w.try_write(child, file, "a".repeat(4095)), Err(Errno::EINVAL), "{file}");
        assert_eq!(w.try_write(child, file, "a".repeat(4096)), Err(Errno::E2BIG), "{file}");
    }
}

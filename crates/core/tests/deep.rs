//! Deep trees, walks in pieces, and the number of cgroups that each user has made.

use penfold_core::tree::{ChildCursor, DepthFirst};
use penfold_core::{Caller, CgroupId, Errno, Tid};
use penfold_testkit::SimWorld;

fn user(uid: u32) -> Caller {
    Caller { uid, gid: uid, privileged: false, ..Caller::root(Tid(1)) }
}

/// Makes a chain of directories of this name until one is refused. Returns the depth and the errno.
fn chain(world: &mut SimWorld, top: CgroupId, name: &str) -> (Vec<CgroupId>, Errno) {
    let mut made = vec![top];
    loop {
        match world.try_mkdir(made[made.len() - 1], name) {
            Ok(next) => made.push(next),
            Err(errno) => return (made, errno),
        }
    }
}

#[test]
fn path_ends_at_the_length_that_a_system_call_takes() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    // `d/d/…/d` of 4095 bytes has 2048 names
    let (made, errno) = chain(&mut world, top, "d");
    assert_eq!((made.len() - 1, errno), (2048, Errno::ENAMETOOLONG));
    let deepest = made[made.len() - 1];
    assert_eq!(world.engine.tree().path(deepest).len(), 4096, "with the slash at the beginning");
    let above = made[made.len() - 2];
    assert_eq!(world.try_rename(above, "d", above, "dd"), Err(Errno::ENAMETOOLONG));
    assert_eq!(world.try_rename(above, "d", above, "e"), Ok(()));
}

#[test]
fn rename_counts_in_the_paths_below() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    let a = world.mkdir(top, "a");
    let b = world.mkdir(a, "b");
    let long = "n".repeat(4000);
    assert_eq!(world.try_rename(top, "a", top, &long), Ok(()));
    assert_eq!(world.try_mkdir(b, "c".repeat(93)), Err(Errno::ENAMETOOLONG), "4000 + 1 + 1 + 1 + 93");
    assert!(world.try_mkdir(b, "c".repeat(92)).is_ok());
    assert_eq!(world.try_rename(top, &long, top, "a"), Ok(()));
    assert!(world.try_mkdir(b, "d".repeat(4000)).is_ok());
}

#[test]
fn walk_survives_removals_between_its_steps() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    let children: Vec<CgroupId> = (0..6).map(|n| world.mkdir(top, n.to_string())).collect();
    let below: Vec<CgroupId> = children.iter().map(|child| world.mkdir(*child, "below")).collect();
    let mut walk = DepthFirst::new(top);
    let mut step = |world: &SimWorld| walk.next(world.engine.tree());
    let seen: Vec<_> = std::iter::from_fn(|| step(&world)).take(4).collect();
    assert_eq!(seen, [(top, 0), (children[0], 1), (below[0], 2), (children[1], 1)]);
    // the last two that were visited, the next one, and everything below
    for gone in 0..3 {
        world.try_rmdir(below[gone]).expect("no children");
        world.try_rmdir(children[gone]).expect("no children");
    }
    let young = world.mkdir(top, "young");
    let rest: Vec<_> = std::iter::from_fn(|| step(&world)).map(|(at, _)| at).collect();
    assert_eq!(
        rest,
        [children[3], below[3], children[4], below[4], children[5], below[5], young],
        "each that lives once, and none that is gone"
    );
}

#[test]
fn cursor_of_a_removed_parent_is_at_its_end() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    let a = world.mkdir(top, "a");
    let mut cursor = ChildCursor::new(a);
    let b = world.mkdir(a, "b");
    assert_eq!(cursor.next(world.engine.tree()), Some(b));
    world.try_rmdir(b).expect("empty");
    world.try_rmdir(a).expect("empty");
    assert_eq!(cursor.next(world.engine.tree()), None);
}

#[test]
fn skipped_subtree_is_left_out_of_a_walk() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    let a = world.mkdir(top, "a");
    world.mkdir(a, "below");
    let b = world.mkdir(top, "b");
    let mut walk = DepthFirst::new(top);
    let tree = world.engine.tree();
    assert_eq!((walk.next(tree), walk.next(tree)), (Some((top, 0)), Some((a, 1))));
    walk.skip_below();
    assert_eq!((walk.next(tree), walk.next(tree)), (Some((b, 1)), None));
}

#[test]
fn quota_counts_the_makers_cgroups_and_spares_root() {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    world.engine.set_quota(Some(2));
    let open = world.mkdir(top, "open");
    let mut owner = world.engine.tree()[open].owner();
    owner.mode = 0o777;
    world.engine.set_owner(&Caller::root(Tid(1)), open, owner).expect("root may");
    let mut mkdir = |caller: &Caller, name: &str| {
        let made = world.engine.session(&mut world.host, caller).mkdir(open, name.as_bytes(), 0o755);
        made.map_err(|error| error.errno())
    };
    let first = mkdir(&user(7), "a").expect("within the quota");
    mkdir(&user(7), "b").expect("within the quota");
    assert_eq!(mkdir(&user(7), "c"), Err(Errno::EDQUOT));
    assert_eq!(mkdir(&user(7), "a"), Err(Errno::EEXIST), "the name comes first");
    assert!(mkdir(&user(8), "c").is_ok(), "another user");
    for name in ["d", "e", "f"] {
        assert!(mkdir(&Caller::root(Tid(1)), name).is_ok());
    }
    // given away, it counts all the same
    let given = penfold_core::Owner { uid: 8, gid: 8, mode: 0o755 };
    world.engine.set_owner(&Caller::root(Tid(1)), first, given).expect("root may");
    assert_eq!(world.engine.tree().made_by(7), 2);
    world.try_rmdir(first).expect("empty");
    assert_eq!(world.engine.tree().made_by(7), 1);
}

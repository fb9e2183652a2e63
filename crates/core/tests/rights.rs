//! Permissions to remove, rename, chmod and chown: the rules of every Unix directory (B1), as Linux 6.18 applies them.

mod common;

use penfold_core::{Access, Caller, CgroupId, Errno, Owner, Tid};
use penfold_testkit::SimWorld;

fn user(uid: u32) -> Caller {
    Caller::user(Tid(1), uid, uid)
}

fn rename(
    world: &mut SimWorld,
    caller: &Caller,
    from: (CgroupId, &str),
    to: (CgroupId, &str),
) -> Result<(), Errno> {
    world.as_caller(caller, |world| world.try_rename(from.0, from.1, to.0, to.1))
}

fn own(world: &mut SimWorld, cgroup: CgroupId, uid: u32, mode: u32) {
    world.set_owner(cgroup, Owner { uid, gid: uid, mode });
}

/// `/d/x` and `/e`, all owned by root, in a hierarchy without subsystems.
fn tree() -> (SimWorld, [CgroupId; 4]) {
    let mut world = SimWorld::new();
    let top = world.mount("none,name=x");
    let d = world.mkdir(top, "d");
    let x = world.mkdir(d, "x");
    let e = world.mkdir(top, "e");
    (world, [top, d, x, e])
}

#[test]
fn rename_needs_write_permission_on_the_directory() {
    let (mut world, [_, d, ..]) = tree();
    let stranger = user(7);
    assert_eq!(rename(&mut world, &stranger, (d, "x"), (d, "y")), Err(Errno::EACCES));
    own(&mut world, d, 0, 0o775);
    assert_eq!(rename(&mut world, &stranger, (d, "x"), (d, "y")), Err(Errno::EACCES));
    own(&mut world, d, 7, 0o700);
    assert_eq!(rename(&mut world, &stranger, (d, "x"), (d, "y")), Ok(()));
    assert_eq!(world.children(d), ["y"]);
}

#[test]
fn sticky_directory_lets_only_owners_rename_and_remove() {
    let (mut world, [_, d, x, _]) = tree();
    own(&mut world, d, 1, 0o1777);
    own(&mut world, x, 2, 0o755);
    let refused = |world: &mut SimWorld, uid| {
        let removed = world.as_caller(&user(uid), |world| world.try_rmdir(x));
        (rename(world, &user(uid), (d, "x"), (d, "y")), removed)
    };
    assert_eq!(refused(&mut world, 7), (Err(Errno::EPERM), Err(Errno::EPERM)));
    assert_eq!(rename(&mut world, &user(1), (d, "x"), (d, "y")), Ok(()), "the directory's owner");
    assert_eq!(rename(&mut world, &user(2), (d, "y"), (d, "x")), Ok(()), "the entry's owner");
    assert_eq!(rename(&mut world, &Caller::root(Tid(1)), (d, "x"), (d, "y")), Ok(()), "the administrator");
    own(&mut world, d, 1, 0o777);
    assert_eq!(rename(&mut world, &user(7), (d, "y"), (d, "x")), Ok(()), "every user where it is not sticky");
}

#[test]
fn control_file_in_a_sticky_directory_has_its_own_owner() {
    let (mut world, [_, d, ..]) = tree();
    own(&mut world, d, 1, 0o1777);
    world.set_file_owner(d, "tasks", Owner { uid: 3, gid: 3, mode: 0o644 });
    assert_eq!(rename(&mut world, &user(7), (d, "tasks"), (d, "y")), Err(Errno::EPERM));
    assert_eq!(
        rename(&mut world, &user(3), (d, "tasks"), (d, "y")),
        Err(Errno::ENOTDIR),
        "permissions come first"
    );
}

#[test]
fn rename_onto_an_entry_needs_the_right_to_remove_it() {
    let (mut world, [_, d, _, e]) = tree();
    for name in ["y", "z"] {
        world.mkdir(d, name);
    }
    let y = world.engine.tree().child(d, b"y").unwrap();
    own(&mut world, d, 1, 0o1777);
    own(&mut world, y, 2, 0o755);
    let x = world.engine.tree().child(d, b"x").unwrap();
    own(&mut world, x, 7, 0o755);
    assert_eq!(rename(&mut world, &user(7), (d, "x"), (d, "y")), Err(Errno::EPERM), "another's entry");
    own(&mut world, y, 7, 0o755);
    assert_eq!(rename(&mut world, &user(7), (d, "x"), (d, "y")), Err(Errno::EEXIST));
    world.mkdir(e, "x");
    assert_eq!(rename(&mut world, &user(7), (d, "x"), (e, "x")), Err(Errno::EACCES), "another's directory");
}

#[test]
fn rename_elsewhere_needs_write_on_both_and_on_itself() {
    let (mut world, [_, d, x, e]) = tree();
    own(&mut world, d, 7, 0o755);
    own(&mut world, x, 0, 0o755);
    assert_eq!(rename(&mut world, &user(7), (d, "x"), (e, "new")), Err(Errno::EACCES), "the new directory");
    own(&mut world, e, 7, 0o755);
    assert_eq!(rename(&mut world, &user(7), (d, "x"), (e, "new")), Err(Errno::EACCES), "its own `..`");
    own(&mut world, x, 7, 0o755);
    assert_eq!(rename(&mut world, &user(7), (d, "x"), (e, "new")), Err(Errno::EIO));
    own(&mut world, x, 0, 0o755);
    assert_eq!(rename(&mut world, &user(7), (d, "x"), (d, "new")), Ok(()), "`..` stays as it is");
}

#[test]
fn rename_knows_ancestors_from_other_directories() {
    let (mut world, [top, d, x, e]) = tree();
    let below = world.mkdir(x, "below");
    for (from, to, expected) in [
        ((top, "d"), (below, "new"), Errno::EINVAL),
        ((top, "d"), (d, "new"), Errno::EINVAL),
        ((x, "below"), (top, "d"), Errno::ENOTEMPTY),
        ((x, "below"), (d, "x"), Errno::ENOTEMPTY),
        ((x, "below"), (top, "e"), Errno::EIO),
        ((top, "e"), (d, "x"), Errno::EIO),
        ((e, "tasks"), (top, "d"), Errno::EISDIR),
    ] {
        assert_eq!(world.try_rename(from.0, from.1, to.0, to.1), Err(expected), "{} to {}", from.1, to.1);
    }
    world.rmdir(below);
    for (parent, new_parent) in [(below, top), (top, below)] {
        assert_eq!(
            world.try_rename(parent, "e", new_parent, "new"),
            Err(Errno::ENOENT),
            "a removed directory"
        );
    }
}

#[test]
fn longest_name_has_4095_bytes() {
    let (mut world, [top, ..]) = tree();
    let longest = "n".repeat(4095);
    let longer = "n".repeat(4096);
    assert_eq!(world.try_rename(top, "e", top, &longer), Err(Errno::ENAMETOOLONG));
    assert_eq!(world.try_mkdir(top, &longer), Err(Errno::ENAMETOOLONG));
    assert_eq!(world.try_rename(top, "e", top, &longest), Ok(()));
    assert_eq!(world.try_mkdir(top, &longest), Err(Errno::EEXIST));
    let other = "m".repeat(4095);
    assert!(world.try_mkdir(top, &other).is_ok());
}

#[test]
fn owner_may_change_the_mode_and_nobody_else() {
    let (mut world, [_, d, ..]) = tree();
    own(&mut world, d, 7, 0o755);
    let given = Owner { uid: 7, gid: 7, mode: 0o711 };
    let mut change = |caller: &Caller, owner| world.as_caller(caller, |world| world.try_set_owner(d, owner));
    assert_eq!(change(&user(8), given), Err(Errno::EPERM));
    let same_group = Caller { groups: vec![7], ..Caller::user(Tid(1), 8, 7) };
    assert_eq!(change(&same_group, given), Err(Errno::EPERM), "a member of the group is no owner");
    assert_eq!(change(&user(7), given), Ok(()));
    assert_eq!(world.engine.tree()[d].owner(), given);
}

#[test]
fn owner_may_give_a_directory_only_to_its_own_groups() {
    let (mut world, [_, d, ..]) = tree();
    own(&mut world, d, 7, 0o755);
    let owner = Caller { groups: vec![50, 51], ..Caller::user(Tid(1), 7, 40) };
    let mut change = |caller: &Caller, uid, gid| {
        world.as_caller(caller, |world| world.try_set_owner(d, Owner { uid, gid, mode: 0o755 }))
    };
    assert_eq!(change(&owner, 7, 51), Ok(()), "a supplementary group");
    assert_eq!(change(&owner, 7, 40), Ok(()), "the effective group");
    assert_eq!(change(&owner, 7, 99), Err(Errno::EPERM));
    assert_eq!(change(&owner, 8, 40), Err(Errno::EPERM), "no gift");
    assert_eq!(change(&owner, 8, 50), Err(Errno::EPERM));
    let thief = Caller { groups: vec![51], ..Caller::user(Tid(1), 8, 51) };
    assert_eq!(change(&thief, 8, 51), Err(Errno::EPERM), "no theft");
    assert_eq!(change(&thief, 7, 51), Err(Errno::EPERM));
    assert_eq!(change(&Caller::root(Tid(1)), 8, 99), Ok(()));
}

#[test]
fn removed_directory_can_not_be_given_away() {
    let (mut world, [_, _, _, e]) = tree();
    world.rmdir(e);
    assert_eq!(world.try_set_owner(e, Owner::default()), Err(Errno::ENODEV));
    assert_eq!(world.try_rmdir(e), Err(Errno::ENODEV));
}

/// The first class of owner, group and others that fits decides, even if a later one would allow more.
#[test]
fn permission_is_that_of_the_first_class_that_fits() {
    let owner = Owner { uid: 1, gid: 10, mode: 0o421 };
    let mut member = user(2);
    member.groups = vec![9, 10];
    let in_group = Caller { gid: 10, ..user(3) };
    let owner_in_group = Caller { gid: 10, ..user(1) };
    for (caller, read, write, execute) in [
        (&user(1), true, false, false),
        (&owner_in_group, true, false, false),
        (&in_group, false, true, false),
        (&member, false, true, false),
        (&user(4), false, false, true),
        (&Caller::root(Tid(1)), true, true, true),
    ] {
        let may = |want| caller.may(&owner, want);
        assert_eq!(
            (may(Access::READ), may(Access::WRITE), may(Access::SEARCH)),
            (read, write, execute),
            "{caller:?}"
        );
        assert_eq!(may(Access::READ | Access::WRITE), read && write, "{caller:?} both");
    }
    assert!(!user(4).may(&Owner { mode: 0o666, ..owner }, Access::all()));
}

#[test]
fn refusals_name_the_operation_the_object_and_the_reason() {
    let (mut world, [top, d, ..]) = tree();
    let refused = |world: &SimWorld| world.last_error().to_string();
    rename(&mut world, &user(7), (d, "x"), (d, "y")).unwrap_err();
    assert_eq!(refused(&world), "x: rename is not permitted: owner and mode do not allow it to this user");
    world.try_rmdir(d).unwrap_err();
    assert_eq!(refused(&world), "d: has child cgroups; remove them first");
    world.as_caller(&user(7), |world| world.try_set_owner(d, Owner::default())).unwrap_err();
    let text = refused(&world);
    assert!(
        text.starts_with("a cgroup's directory or file: chmod or chown is not permitted: only its owner"),
        "{text}"
    );
    world.as_caller(&user(7), |world| world.try_mount("none,name=y")).unwrap_err();
    assert_eq!(refused(&world), "none,name=y: mount is not permitted: that takes the administrator's rights");
    world.as_caller(&user(7), |world| world.try_open(top, "nothing", Access::READ)).unwrap_err();
    assert_eq!(refused(&world), "nothing: no such control file");
}

//! The differential harness notices what it should: the right side of two hierarchies of the kernel is made to lie. And
//! it leaves nothing behind.

use penfold_tests::differential::{
    Act, At, Call, Difference, Failure, NOTHING, Operation, Operator, Outcome, Perturbation, Place, Plan,
    Profile, Text, campaign, is_disturbance, kernel_pair, left_by, replay,
};
use penfold_tests::kernel::{missing, take_turn};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Says why a test can't run here; with CI=true that is a failure. If it can it is this process's turn.
fn is_skipped() -> bool {
    let Some(reason) = missing() else {
        take_turn().expect("the others end some time");
        return false;
    };
    println!("skipped: {reason}");
    assert!(std::env::var("CI").map_or(true, |ci| ci != "true"), "{reason}");
    true
}

/// The one failure that is found when the right side lies; it must come again when its steps are played again, and
/// must not without the lie.
fn find(perturbation: Perturbation) -> Option<Failure> {
    let helper = Path::new(env!("CARGO_BIN_EXE_differential"));
    let mut pair = kernel_pair(Profile::Named, helper).expect("two sides");
    assert_eq!(pair.allowed.len(), NOTHING.len());
    pair.perturbation = Some(perturbation);
    let plan = Plan { operations: 5000, length: 250, seed: 7, failures: 1 };
    let failure = campaign(&mut pair, &plan).expect("it works").failures.pop()?;
    assert!(failure.again, "{failure}");
    let printed = failure.to_string();
    let json = printed.lines().last().expect("the steps as JSON");
    let steps: Vec<Operation> = serde_json::from_str(json).expect("steps can be read back");
    assert_eq!(steps, failure.steps);
    assert!(replay(&mut pair, steps.clone()).expect("it works").is_some(), "{failure}");
    pair.perturbation = None;
    assert!(replay(&mut pair, steps).expect("it works").is_none(), "{failure}");
    Some(failure)
}

#[test]
fn another_errno_is_noticed_and_cut_down() {
    if is_skipped() {
        return;
    }
    let failure = find(|operation, outcome| {
        if let Operation::Call(_, Call::Rmdir { .. }) = operation
            && *outcome == Outcome::Failed("EBUSY".into())
        {
            *outcome = Outcome::Failed("ENOTEMPTY".into());
        }
    });
    // a group, something in it, the attempt
    let failure = failure.expect("it is found");
    assert!(failure.steps.len() <= 6, "{failure}");
    assert!(matches!(failure.steps.last(), Some(Operation::Call(_, Call::Rmdir { .. }))), "{failure}");
}

#[test]
fn one_byte_of_a_file_is_noticed() {
    if is_skipped() {
        return;
    }
    let failure = find(|operation, outcome| {
        if let Operation::Call(_, Call::Read { place, .. }) = operation
            && place.path.0.ends_with(b"clone_children")
            && let Outcome::Bytes(pieces) = outcome
            && let Some(piece) = pieces.first_mut()
            && piece.0[0] == b'1'
        {
            piece.0[0] = b'0';
        }
    });
    let failure = failure.expect("it is found");
    assert!(failure.steps.len() <= 6, "{failure}");
}

#[test]
fn a_member_that_is_missing_in_a_list_is_noticed() {
    if is_skipped() {
        return;
    }
    let failure = find(|operation, outcome| {
        if let (Operation::Call(_, Call::Tree), Outcome::Tree(nodes)) = (operation, outcome) {
            for node in nodes.iter_mut().filter(|node| node.path.0 != b"/tasks") {
                if let Outcome::Names { names, .. } = &mut *node.content {
                    names.retain(|name| !name.contains(".t"));
                }
            }
        }
    });
    let failure = failure.expect("it is found");
    let threads = failure.steps.iter().filter(|s| matches!(s, Operation::Act(_, Act::Thread { .. }))).count();
    assert!(threads == 1 && failure.steps.len() <= 8, "{failure}");
}

#[test]
fn a_mode_and_a_count_of_links_are_noticed() {
    if is_skipped() {
        return;
    }
    let failure = find(|operation, outcome| {
        if let (Operation::Call(_, Call::Stat { .. }), Outcome::Status(status)) = (operation, outcome)
            && status.nlink > 2
        {
            status.nlink -= 1;
        }
    });
    let failure = failure.expect("it is found");
    assert!(failure.steps.len() <= 6, "{failure}");
}

#[test]
fn disturbance_is_the_kernel_alone_and_once() {
    if is_skipped() {
        return;
    }
    let helper = Path::new(env!("CARGO_BIN_EXE_differential"));
    let mut pair = kernel_pair(Profile::Named, helper).expect("two sides");
    let place = Place { at: At::Root, path: Text(b"nothing".to_vec()) };
    let operation = Operation::Call(Operator::Root, Call::Rmdir { place });
    let usual = Outcome::Failed("ENOENT".into());
    let other = Outcome::Failed("EBUSY".into());
    let steps = [operation.clone()];
    let mut disturbed = |left: &Outcome, right: &Outcome| {
        let (left, right) = (left.clone(), right.clone());
        let difference = Difference { operation: operation.clone(), left, right };
        is_disturbance(&mut pair, &steps, &difference).expect("it works")
    };
    assert!(disturbed(&other, &usual));
    assert!(!disturbed(&usual, &other), "the right side is the one to be judged");
    pair.perturbation = Some(|_, outcome| *outcome = Outcome::Failed("EBUSY".into()));
    let difference = Difference { operation, left: other, right: usual };
    assert!(!is_disturbance(&mut pair, &steps, &difference).expect("it works"), "it comes again");
}

#[test]
fn leftovers_of_a_killed_run_are_removed() {
    if is_skipped() {
        return;
    }
    let helper = Path::new(env!("CARGO_BIN_EXE_differential"));
    let child = Command::new(helper).arg("die").stdout(Stdio::piped()).spawn().expect("it starts");
    let owner = child.id();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.signal(), Some(9), "{output:?}");
    let left = String::from_utf8_lossy(&output.stdout).into_owned();
    // a home and a group on both sides
    assert_eq!(left.matches(&format!("pfdiff{owner}x")).count(), 4, "{left}");
    let end = Instant::now() + Duration::from_secs(20);
    while !left_by(owner).is_empty() {
        assert!(Instant::now() < end, "{:?}", left_by(owner));
        sleep(Duration::from_millis(20));
    }
    let mounts = std::fs::read("/proc/self/mounts").expect("it can be read");
    let mounts = String::from_utf8_lossy(&mounts);
    assert!(!mounts.contains(&format!("pfdiff{owner}x")), "{mounts}");
}

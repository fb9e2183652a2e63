//! The differential harness notices a difference, here a lie of the right side of two hierarchies of the kernel. The
//! harness leaves nothing behind.

use penfold_testkit::{skip, wait_for};
use penfold_tests::differential::{
    Act, BaseDir, ByteString, CampaignPlan, DifferentialFailure, FileCall, NOTHING, OperationOutcome,
    Operator, OutcomeDifference, PathAt, Perturbation, Profile, SideOperation, campaign, is_disturbance,
    kernel_pair, left_by, replay,
};
use penfold_tests::kernel::{missing, take_turn};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Skips the test if it can't run here. If it can run, waits for this process's turn.
fn is_skipped() -> bool {
    let Some(reason) = missing() else {
        take_turn().expect("the others end some time");
        return false;
    };
    skip(reason);
    true
}

/// The one failure that is found when the right side lies.
///
/// The failure must come again when its steps are played again, and must not come without the lie.
fn find(perturbation: Perturbation) -> Option<DifferentialFailure> {
    let helper = Path::new(env!("CARGO_BIN_EXE_differential"));
    let mut pair = kernel_pair(Profile::Named, helper).expect("two sides");
    assert_eq!(pair.allowed.len(), NOTHING.len());
    pair.perturbation = Some(perturbation);
    let plan = CampaignPlan { operations: 5000, length: 250, seed: 7, failures: 1 };
    let failure = campaign(&mut pair, &plan).expect("it works").failures.pop()?;
    assert!(failure.again, "{failure}");
    let printed = failure.to_string();
    let json = printed.lines().last().expect("the steps as JSON");
    let steps: Vec<SideOperation> = serde_json::from_str(json).expect("steps can be read back");
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
        if let SideOperation::Call(_, FileCall::Rmdir { .. }) = operation
            && *outcome == OperationOutcome::Failed("EBUSY".into())
        {
            *outcome = OperationOutcome::Failed("ENOTEMPTY".into());
        }
    });
    // a group, something in it, the attempt
    let failure = failure.expect("it is found");
    assert!(failure.steps.len() <= 6, "{failure}");
    assert!(
        matches!(failure.steps.last(), Some(SideOperation::Call(_, FileCall::Rmdir { .. }))),
        "{failure}"
    );
}

#[test]
fn one_byte_of_a_file_is_noticed() {
    if is_skipped() {
        return;
    }
    let failure = find(|operation, outcome| {
        if let SideOperation::Call(_, FileCall::Read { place, .. }) = operation
            && place.path.0.ends_with(b"clone_children")
            && let OperationOutcome::Bytes(pieces) = outcome
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
        if let (SideOperation::Call(_, FileCall::Tree), OperationOutcome::Tree(nodes)) = (operation, outcome)
        {
            for node in nodes.iter_mut().filter(|node| node.path.0 != b"/tasks") {
                if let OperationOutcome::Names { names, .. } = &mut *node.content {
                    names.retain(|name| !name.contains(".t"));
                }
            }
        }
    });
    let failure = failure.expect("it is found");
    let threads =
        failure.steps.iter().filter(|s| matches!(s, SideOperation::Act(_, Act::Thread { .. }))).count();
    assert!(threads == 1 && failure.steps.len() <= 8, "{failure}");
}

#[test]
fn a_mode_and_a_count_of_links_are_noticed() {
    if is_skipped() {
        return;
    }
    let failure = find(|operation, outcome| {
        if let (SideOperation::Call(_, FileCall::Stat { .. }), OperationOutcome::Status(status)) =
            (operation, outcome)
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
    let place = PathAt { at: BaseDir::Root, path: ByteString(b"nothing".to_vec()) };
    let operation = SideOperation::Call(Operator::Root, FileCall::Rmdir { place });
    let usual = OperationOutcome::Failed("ENOENT".into());
    let other = OperationOutcome::Failed("EBUSY".into());
    let steps = [operation.clone()];
    let mut disturbed = |left: &OperationOutcome, right: &OperationOutcome| {
        let (left, right) = (left.clone(), right.clone());
        let difference = OutcomeDifference { operation: operation.clone(), left, right };
        is_disturbance(&mut pair, &steps, &difference).expect("it works")
    };
    assert!(disturbed(&other, &usual));
    assert!(!disturbed(&usual, &other), "the right side is the one to be judged");
    pair.perturbation = Some(|_, outcome| *outcome = OperationOutcome::Failed("EBUSY".into()));
    let difference = OutcomeDifference { operation, left: other, right: usual };
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
    // a work directory and a group on both sides
    assert_eq!(left.matches(&format!("pfdiff{owner}x")).count(), 4, "{left}");
    wait_for("nothing is left", || left_by(owner), Vec::is_empty);
    let mounts = std::fs::read("/proc/self/mounts").expect("it can be read");
    let mounts = String::from_utf8_lossy(&mounts);
    assert!(!mounts.contains(&format!("pfdiff{owner}x")), "{mounts}");
}

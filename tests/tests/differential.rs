//! Random sequences on the kernel's cgroup v1 and on a second side, compared step by step.
//!
//! There are 100,000 steps on penfold with CI=true, otherwise fewer. Variables choose others:
//!
//! * `PENFOLD_DIFFERENTIAL_OPERATIONS`: the number of steps of each profile
//! * `PENFOLD_DIFFERENTIAL_LENGTH`: the number of steps of each sequence
//! * `PENFOLD_DIFFERENTIAL_SEED`: the first seed
//! * `PENFOLD_DIFFERENTIAL_PROFILE`: the only profile
//! * `PENFOLD_DIFFERENTIAL_FAILURES`: the number of different failures after which to stop
//! * `PENFOLD_DIFFERENTIAL_REPLAY`: a file of steps to play instead

use penfold_testkit::{is_ci, skip};
use penfold_tests::differential::{
    CampaignPlan, DifferentialFailure, PROFILES, Profile, SidePair, campaign, kernel_pair, penfold_pair,
    program, replay,
};
use penfold_tests::kernel::{in_use, missing, take_turn};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(format!("PENFOLD_DIFFERENTIAL_{name}")) {
        Err(_) => default,
        Ok(text) => {
            text.parse().unwrap_or_else(|_| panic!("PENFOLD_DIFFERENTIAL_{name}={text} can't be read"))
        }
    }
}

fn helper() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_differential"))
}

/// Skips the test for a reason. If there is none, waits for this process's turn.
fn is_skipped(reason: Option<&str>) -> bool {
    let Some(reason) = reason else {
        take_turn().expect("the others end some time");
        return false;
    };
    skip(reason);
    true
}

/// Held by each test of a profile that must be alone: the tests of this program run at the same time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone(profile: Profile) -> Option<MutexGuard<'static, ()>> {
    profile.must_be_alone().then(|| ALONE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether another program uses a hierarchy in which penfold's other side must be alone. If so, the test is skipped.
fn is_in_use(profile: Profile) -> bool {
    let controller = profile.controller().filter(|_| profile.must_be_alone());
    let hindrance = controller.and_then(|controller| in_use(controller, "pfdiff"));
    if let Some(hindrance) = &hindrance {
        hindrance.skip(profile.name());
    }
    hindrance.is_some()
}

fn is_wanted(profile: Profile) -> bool {
    let wanted = setting("PROFILE", String::new());
    wanted.is_empty() || wanted == profile.name()
}

/// The number of operations on penfold. In CI all profiles together have 100,000.
fn operations(profile: Profile) -> usize {
    match profile {
        _ if !is_ci() => 3000,
        Profile::Named => 20_000,
        _ => 16_000,
    }
}

fn plan(operations: usize) -> CampaignPlan {
    CampaignPlan {
        operations: setting("OPERATIONS", operations),
        length: setting("LENGTH", 250),
        seed: setting("SEED", 1),
        failures: setting("FAILURES", 1),
    }
}

/// Sets the flag on drop, also by a panic.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Plays a campaign, prints its counts and fails if anything differed.
fn compare(mut pair: SidePair, operations: usize) {
    let own = pair.profile;
    let profile = own.name();
    if let Ok(path) = std::env::var("PENFOLD_DIFFERENTIAL_REPLAY") {
        let steps = std::fs::read_to_string(path).expect("the file of steps can be read");
        let steps = serde_json::from_str(&steps).expect("it holds steps");
        let found = replay(&mut pair, steps).expect("it can be played");
        assert!(found.is_none(), "{:#?}", found.map(|(_, difference)| difference));
        return;
    }
    let plan = plan(operations);
    let begin = Instant::now();
    // a program that comes meanwhile may be gone again at the end
    let (over, came) = (AtomicBool::new(false), AtomicBool::new(false));
    let tally = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) && !came.load(Ordering::Relaxed) {
                came.store(is_in_use(own), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
        });
        let _over = SetOnDrop(&over);
        campaign(&mut pair, &plan)
    });
    let tally = tally.expect("the harness works");
    let seconds = begin.elapsed().as_secs_f64();
    println!("{profile}: {} operations in {seconds:.1} s", tally.operations);
    for (kind, times) in &tally.kinds {
        println!("  {times:7} {kind}");
    }
    let failures: Vec<String> = tally.failures.iter().map(DifferentialFailure::signature).collect();
    if !failures.is_empty() && came.load(Ordering::Relaxed) {
        return println!("{profile}: somebody came meanwhile, after {} operations", tally.operations);
    }
    assert!(tally.disturbances <= 1, "{profile}: the kernel was disturbed {} times", tally.disturbances);
    assert!(failures.is_empty(), "{profile}: told above in full:\n{}", failures.join("\n"));
    assert!(tally.operations >= plan.operations, "{profile}: only {} operations", tally.operations);
}

/// Tests the harness itself, which must not see a difference where there is none.
fn kernel_is_like_itself(profile: Profile) {
    if is_wanted(profile) && !is_skipped(missing()) {
        let _alone = alone(profile);
        compare(kernel_pair(profile, helper()).expect("two sides"), 3000);
    }
}

fn penfold_is_like_the_kernel(profile: Profile) {
    let program = program();
    let reason = missing().or(program.as_ref().err().map(String::as_str));
    if is_wanted(profile) && !is_skipped(reason) {
        let _alone = alone(profile);
        if is_in_use(profile) {
            return;
        }
        compare(penfold_pair(profile, helper()).expect("two sides"), operations(profile));
    }
}

/// Makes a test for each profile, so that they run at the same time.
macro_rules! profiles {
    ($($name:ident: $profile:ident),*) => {
        mod two_hierarchies_of_the_kernel_are_alike {
            $(#[test] fn $name() { super::kernel_is_like_itself(super::Profile::$profile); })*
        }

        mod penfold_and_the_kernel_are_alike {
            $(#[test] fn $name() { super::penfold_is_like_the_kernel(super::Profile::$profile); })*
        }

        #[test]
        fn every_profile_is_played() {
            assert_eq!([$(Profile::$profile),*], PROFILES);
        }
    };
}

profiles!(
    named: Named,
    release: Release,
    pids: Pids,
    freezer: Freezer,
    cpuset: Cpuset,
    cpuacct: Cpuacct
);

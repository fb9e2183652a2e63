//! A campaign of many sequences.

use super::generator::Generator;
use super::operation::SideOperation;
use super::outcome::OperationOutcome;
use super::report::DifferentialFailure;
use super::shrink::{is_disturbance, shrink};
use super::side_pair::{SidePair, StepSource};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// The size of a campaign.
#[derive(Debug, Clone)]
pub struct CampaignPlan {
    /// Steps in all.
    pub operations: usize,
    /// Steps of a sequence.
    pub length: usize,
    /// Seed of the first sequence; the others have the next numbers.
    pub seed: u64,
    /// Ends after this many failures of different kinds.
    pub failures: usize,
}

/// The result of a campaign.
#[derive(Debug, Default)]
pub struct CampaignTally {
    /// The number of steps taken.
    pub operations: usize,
    /// How often each kind of step gave each kind of outcome.
    pub kinds: BTreeMap<String, usize>,
    /// One failure of each kind.
    pub failures: Vec<DifferentialFailure>,
    /// Differences in which the left side alone was out of the ordinary, see [`is_disturbance`].
    pub disturbances: usize,
}

struct GeneratedSteps<'a> {
    generator: Generator,
    left: usize,
    kinds: &'a mut BTreeMap<String, usize>,
}

impl StepSource for GeneratedSteps<'_> {
    fn next(&mut self) -> Option<SideOperation> {
        self.left = self.left.checked_sub(1)?;
        Some(self.generator.step())
    }

    fn learn(&mut self, operation: &SideOperation, outcome: &OperationOutcome) {
        *self.kinds.entry(kind(operation, outcome)).or_default() += 1;
        self.generator.learn(operation, outcome);
    }
}

fn kind(operation: &SideOperation, outcome: &OperationOutcome) -> String {
    let name = |debug: String| debug.split([' ', '{']).next().unwrap_or_default().to_owned();
    let operation = match operation {
        SideOperation::Call(_, call) => name(format!("{call:?}")),
        SideOperation::Act(_, act) => name(format!("{act:?}")),
        other => name(format!("{other:?}")),
    };
    let outcome = match outcome {
        OperationOutcome::Failed(errno) => errno.clone(),
        OperationOutcome::Skipped => "skipped".into(),
        OperationOutcome::Stuck => "stuck".into(),
        _ => "ok".into(),
    };
    format!("{operation} {outcome}")
}

/// Plays sequences until the plan is fulfilled. Every difference is played again and cut down.
pub fn campaign(pair: &mut SidePair, plan: &CampaignPlan) -> io::Result<CampaignTally> {
    let mut tally = CampaignTally::default();
    let mut seen = BTreeSet::new();
    let mut seed = plan.seed;
    while tally.operations < plan.operations && tally.failures.len() < plan.failures {
        let left = plan.length.min(plan.operations - tally.operations);
        let mut generator = Generator::new(pair.profile, seed);
        if !pair.allowed.is_empty() {
            generator = generator.for_penfold();
        }
        let played = pair
            .play(&mut GeneratedSteps { generator, left, kinds: &mut tally.kinds })
            .map_err(|e| io::Error::other(format!("seed {seed}: {e}")))?;
        tally.operations += played.steps.len().min(left);
        if let Some(difference) = played.difference {
            let sides = [pair.left.name().to_owned(), pair.right.name().to_owned()];
            let profile = pair.profile;
            let mut failure =
                DifferentialFailure { profile, seed, sides, steps: played.steps, again: false, difference };
            if seen.insert(failure.signature()) {
                // shrinking may end in another difference, and then this one would be lost
                println!("first seen as\n{failure}");
                if let Some((steps, difference)) = shrink(pair, failure.steps.clone())? {
                    failure = DifferentialFailure { steps, difference, again: true, ..failure };
                    seen.insert(failure.signature());
                } else if pair.profile.must_be_alone()
                    && is_disturbance(pair, &failure.steps, &failure.difference)?
                {
                    println!(
                        "disturbed: the {} alone differed, and never again\n{failure}",
                        pair.left.name()
                    );
                    tally.disturbances += 1;
                    seed += 1;
                    continue;
                }
                println!("{failure}");
                tally.failures.push(failure);
            }
        }
        seed += 1;
    }
    Ok(tally)
}

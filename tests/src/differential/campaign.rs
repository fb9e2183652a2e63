//! Many sequences.

use super::generator::Generator;
use super::operation::Operation;
use super::outcome::Outcome;
use super::pair::{Pair, Source};
use super::report::Failure;
use super::shrink::{is_disturbance, shrink};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// How much to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Steps in all.
    pub operations: usize,
    /// Steps of a sequence.
    pub length: usize,
    /// Seed of the first sequence; the others have the next numbers.
    pub seed: u64,
    /// Ends after this many failures of different kinds.
    pub failures: usize,
}

/// What it came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Steps taken.
    pub operations: usize,
    /// How often each kind of step gave each kind of outcome.
    pub kinds: BTreeMap<String, usize>,
    /// One of each kind.
    pub failures: Vec<Failure>,
    /// Differences in which the left side alone was out of the ordinary, see [`is_disturbance`].
    pub disturbances: usize,
}

struct Generated<'a> {
    generator: Generator,
    left: usize,
    kinds: &'a mut BTreeMap<String, usize>,
}

impl Source for Generated<'_> {
    fn next(&mut self) -> Option<Operation> {
        self.left = self.left.checked_sub(1)?;
        Some(self.generator.step())
    }

    fn learn(&mut self, operation: &Operation, outcome: &Outcome) {
        *self.kinds.entry(kind(operation, outcome)).or_default() += 1;
        self.generator.learn(operation, outcome);
    }
}

fn kind(operation: &Operation, outcome: &Outcome) -> String {
    let name = |debug: String| debug.split([' ', '{']).next().unwrap_or_default().to_owned();
    let operation = match operation {
        Operation::Call(_, call) => name(format!("{call:?}")),
        Operation::Act(_, act) => name(format!("{act:?}")),
        other => name(format!("{other:?}")),
    };
    let outcome = match outcome {
        Outcome::Failed(errno) => errno.clone(),
        Outcome::Skipped => "skipped".into(),
        Outcome::Stuck => "stuck".into(),
        _ => "ok".into(),
    };
    format!("{operation} {outcome}")
}

/// Plays sequences until enough is done. Every difference is played again and cut down.
pub fn campaign(pair: &mut Pair, plan: &Plan) -> io::Result<Tally> {
    let mut tally = Tally::default();
    let mut seen = BTreeSet::new();
    let mut seed = plan.seed;
    while tally.operations < plan.operations && tally.failures.len() < plan.failures {
        let left = plan.length.min(plan.operations - tally.operations);
        let mut generator = Generator::new(pair.profile, seed);
        if !pair.allowed.is_empty() {
            generator = generator.for_penfold();
        }
        let played = pair
            .play(&mut Generated { generator, left, kinds: &mut tally.kinds })
            .map_err(|e| io::Error::other(format!("seed {seed}: {e}")))?;
        tally.operations += played.steps.len().min(left);
        if let Some(difference) = played.difference {
            let sides = [pair.left.name().to_owned(), pair.right.name().to_owned()];
            let profile = pair.profile;
            let mut failure = Failure { profile, seed, sides, steps: played.steps, again: false, difference };
            if seen.insert(failure.signature()) {
                // shrinking may end in another difference, and then this one would be lost
                println!("first seen as\n{failure}");
                if let Some((steps, difference)) = shrink(pair, failure.steps.clone())? {
                    failure = Failure { steps, difference, again: true, ..failure };
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

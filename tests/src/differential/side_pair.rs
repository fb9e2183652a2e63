//! Two sides, and sequences that are played on both at once.

use super::actor_pool::MOMENT;
use super::allowed_differences::AllowedDifference;
use super::compare::{SideFacts, agree};
use super::operation::{Act, FileCall, Operator, SideOperation};
use super::outcome::OperationOutcome;
use super::process;
use super::profile::Profile;
use super::side::Side;
use std::collections::{HashMap, HashSet};
use std::io;
use std::thread;

/// A source of steps.
pub trait StepSource {
    /// The next step; `None` at the end.
    fn next(&mut self) -> Option<SideOperation>;
    /// Called with each step and its outcome on the left side.
    fn learn(&mut self, operation: &SideOperation, outcome: &OperationOutcome);
}

/// A fixed list of steps.
impl StepSource for std::vec::IntoIter<SideOperation> {
    fn next(&mut self) -> Option<SideOperation> {
        Iterator::next(self)
    }

    fn learn(&mut self, _: &SideOperation, _: &OperationOutcome) {}
}

/// A step whose outcomes differ.
#[derive(Debug, Clone)]
pub struct OutcomeDifference {
    /// The step.
    pub operation: SideOperation,
    /// The outcome on the left side.
    pub left: OperationOutcome,
    /// The outcome on the right side.
    pub right: OperationOutcome,
}

/// The result of a sequence.
#[derive(Debug)]
pub struct PlayedSequence {
    /// Every step that was taken.
    pub steps: Vec<SideOperation>,
    /// The difference at which the sequence ended.
    pub difference: Option<OutcomeDifference>,
}

/// Changes an outcome of the right side, for tests of the harness.
pub type Perturbation = fn(&SideOperation, &mut OperationOutcome);

/// Two sides that should be alike.
#[derive(Debug)]
pub struct SidePair {
    /// The side that is right.
    pub left: Side,
    /// The side that is compared with the left one.
    pub right: Side,
    /// The profile of the sequences.
    pub profile: Profile,
    /// Whether every zombie is reaped at once (L1).
    pub reaps_at_once: bool,
    /// The allowed differences.
    pub allowed: &'static [AllowedDifference],
    /// For tests of this harness.
    pub perturbation: Option<Perturbation>,
}

impl SidePair {
    /// Plays a sequence in fresh directories. An error is an error of the test itself, on both sides or while cleaning
    /// up.
    pub fn play(&mut self, source: &mut dyn StepSource) -> io::Result<PlayedSequence> {
        let (left, right) = both(&mut self.left, &mut self.right, Side::begin);
        left?;
        right?;
        let played = Sequence::new(self).play(source);
        // a difference is worth more than a later error while cleaning up
        let (left, right) = both(&mut self.left, &mut self.right, Side::end);
        let played = played?;
        match &played.difference {
            None => {
                left?;
                right?;
            }
            Some(_) => {
                for left_over in [left, right].into_iter().filter_map(Result::err) {
                    println!("a directory is left over, and may change what is played next: {left_over}");
                }
            }
        }
        Ok(played)
    }
}

/// Calls `f` on both sides at the same time.
fn both<T: Send>(left: &mut Side, right: &mut Side, f: impl Fn(&mut Side) -> T + Sync) -> (T, T) {
    thread::scope(|scope| {
        let right = scope.spawn(|| f(right));
        let left = f(left);
        (left, right.join().expect("a side does not panic"))
    })
}

/// A sequence that is being played.
struct Sequence<'a> {
    pair: &'a mut SidePair,
    /// Grows with every step that may change a list of members.
    epoch: u32,
    /// Open files whose offsets differ, since only one side allowed a seek or a listing ended half-way. Reads from
    /// these can't be compared.
    astray: HashSet<u32>,
    /// The epoch in which a file was first read.
    first_read: HashMap<u32, u32>,
}

impl<'a> Sequence<'a> {
    fn new(pair: &'a mut SidePair) -> Self {
        Self { pair, epoch: 0, astray: HashSet::new(), first_read: HashMap::new() }
    }

    fn play(mut self, source: &mut dyn StepSource) -> io::Result<PlayedSequence> {
        let mut steps = Vec::new();
        let last = [SideOperation::Releases, SideOperation::Call(Operator::Root, FileCall::Tree)];
        let mut last = last.into_iter();
        while let Some(operation) = source.next().or_else(|| last.next()) {
            let (left, right) = self.step(&operation)?;
            steps.push(operation.clone());
            if !agree(&left, &right) {
                return Ok(PlayedSequence {
                    steps,
                    difference: Some(OutcomeDifference { operation, left, right }),
                });
            }
            source.learn(&operation, &left);
        }
        Ok(PlayedSequence { steps, difference: None })
    }

    fn step(&mut self, operation: &SideOperation) -> io::Result<(OperationOutcome, OperationOutcome)> {
        self.note(operation);
        if *operation == SideOperation::Releases {
            return Ok(self.releases());
        }
        let (left, right) = both(&mut self.pair.left, &mut self.pair.right, |side| side.perform(operation));
        if let (Err(left), Err(_)) = (&left, &right) {
            return Err(io::Error::other(format!("{operation:?}: {left}")));
        }
        if let SideOperation::Act(name, Act::Exit) = operation
            && self.pair.reaps_at_once
        {
            let reap = SideOperation::Act(name.clone(), Act::Reap);
            let (left, right) = both(&mut self.pair.left, &mut self.pair.right, |side| side.perform(&reap));
            left?;
            right?;
        }
        let broken = |e: io::Error| OperationOutcome::Lines(vec![format!("{e}")]);
        let (mut left, mut right) = (left.unwrap_or_else(broken), right.unwrap_or_else(broken));
        if self.pair.profile == Profile::Freezer && agree(&left, &right) {
            let (l, r) = both(&mut self.pair.left, &mut self.pair.right, Side::catch_up);
            let (l, r) = (l?, r?);
            if l != r {
                return Ok((OperationOutcome::Lines(l), OperationOutcome::Lines(r)));
            }
        }
        let names = (self.pair.left.names(), self.pair.right.names());
        let digits: HashSet<usize> =
            names.0.keys().chain(names.1.keys()).map(|n| n.to_string().len()).collect();
        let handle = part_of(operation);
        let stale = handle.is_some_and(|handle| self.is_stale(handle, digits.len() > 1));
        let times = self.pair.profile == Profile::Cpuacct;
        let shared = self.pair.left.root_is_shared() || self.pair.right.root_is_shared();
        let known = |names| SideFacts { names, shared, stale, times, part_of_file: handle.is_some() };
        left = known(names.0).normalise(left);
        right = known(names.1).normalise(right);
        if let Some(perturb) = self.pair.perturbation {
            perturb(operation, &mut right);
        }
        if let SideOperation::Call(_, FileCall::HandleSeek { handle, .. }) = operation
            && matches!((&left, &right), (OperationOutcome::Failed(_), other) if !matches!(other, OperationOutcome::Failed(_)))
        {
            self.astray.insert(*handle);
        }
        let listed = match operation {
            SideOperation::Call(_, FileCall::HandleList { handle, .. }) => Some(*handle),
            _ => None,
        };
        // the offset depends on the order of the names (L12)
        self.astray.extend(listed.filter(|_| matches!(left, OperationOutcome::Failed(_)) && left == right));
        for allowed in self.pair.allowed {
            (allowed.relax)(operation, &mut left, &mut right);
        }
        if handle.or(listed).is_some_and(|handle| self.astray.contains(&handle)) {
            return Ok((OperationOutcome::Done, OperationOutcome::Done));
        }
        Ok((left, right))
    }

    /// Begins a new epoch if the step may change a list of members.
    fn note(&mut self, operation: &SideOperation) {
        match operation {
            SideOperation::Act(_, act) if *act != Act::Look => self.epoch += 1,
            SideOperation::Call(_, FileCall::Write { place, .. }) if place.is_membership() => self.epoch += 1,
            SideOperation::Call(
                _,
                FileCall::HandleWrite { .. } | FileCall::HandlePwrite { .. } | FileCall::HandleWritev { .. },
            ) => self.epoch += 1,
            _ => {}
        }
    }

    /// Whether a read may give an earlier content, or has once, so that offsets differ.
    fn is_stale(&mut self, handle: u32, differ: bool) -> bool {
        let first = self.first_read.entry(handle).or_insert(self.epoch);
        if *first != self.epoch || differ {
            *first = u32::MAX;
        }
        *first == u32::MAX
    }

    /// The calls of the release agents, when both sides have the same for a moment, or after the longest time.
    fn releases(&self) -> (OperationOutcome, OperationOutcome) {
        let calls = |side: &Side| side.agent_calls().into_iter().collect::<Vec<_>>();
        if self.pair.profile != Profile::Release {
            return (OperationOutcome::Done, OperationOutcome::Done);
        }
        let mut last = (vec![], vec![]);
        process::comes(|| {
            last = (calls(&self.pair.left), calls(&self.pair.right));
            thread::sleep(MOMENT);
            last.0 == last.1 && last == (calls(&self.pair.left), calls(&self.pair.right))
        });
        (OperationOutcome::Lines(last.0), OperationOutcome::Lines(last.1))
    }
}

/// The open file of a step that reads a part of it or seeks in it.
fn part_of(operation: &SideOperation) -> Option<u32> {
    match operation {
        SideOperation::Call(
            _,
            FileCall::HandleRead { handle, .. }
            | FileCall::HandlePread { handle, .. }
            | FileCall::HandleSeek { handle, .. },
        ) => Some(*handle),
        _ => None,
    }
}

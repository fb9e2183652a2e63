//! Two sides, and the playing of a sequence on both at once.

use super::allowed::Allowed;
use super::cast::MOMENT;
use super::compare::{Known, agree};
use super::operation::{Act, Call, Operation, Operator};
use super::outcome::Outcome;
use super::process;
use super::profile::Profile;
use super::side::Side;
use std::collections::{HashMap, HashSet};
use std::io;
use std::thread;

/// Where steps come from.
pub trait Source {
    /// The next step; none at the end.
    fn next(&mut self) -> Option<Operation>;
    /// What came of it on the left side.
    fn learn(&mut self, operation: &Operation, outcome: &Outcome);
}

/// Steps that are known beforehand.
impl Source for std::vec::IntoIter<Operation> {
    fn next(&mut self) -> Option<Operation> {
        Iterator::next(self)
    }

    fn learn(&mut self, _: &Operation, _: &Outcome) {}
}

/// A step whose outcomes differ.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The step.
    pub operation: Operation,
    /// What the left side gave.
    pub left: Outcome,
    /// What the right side gave.
    pub right: Outcome,
}

/// What a sequence came to.
#[derive(Debug)]
pub struct Played {
    /// Every step that was taken.
    pub steps: Vec<Operation>,
    /// What differed; the sequence ended there.
    pub difference: Option<Difference>,
}

/// Changes an outcome of the right side, to see whether that is noticed.
pub type Perturbation = fn(&Operation, &mut Outcome);

/// Two sides that should be alike.
#[derive(Debug)]
pub struct Pair {
    /// The authority.
    pub left: Side,
    /// What is compared with it.
    pub right: Side,
    /// What the sequences are about.
    pub profile: Profile,
    /// Is every zombie reaped when it comes to be (L1)?
    pub reaps_at_once: bool,
    /// What may differ.
    pub allowed: &'static [Allowed],
    /// For tests of this harness.
    pub perturbation: Option<Perturbation>,
}

impl Pair {
    /// Plays a sequence in fresh directories. An error is one of the test's own, on both sides or in cleaning up.
    pub fn play(&mut self, source: &mut dyn Source) -> io::Result<Played> {
        let (left, right) = both(&mut self.left, &mut self.right, Side::begin);
        left?;
        right?;
        let played = Sequence::new(self).play(source);
        // what can't be cleaned up is worth less than what was found before
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

/// Does the same on both sides at the same time.
fn both<T: Send>(left: &mut Side, right: &mut Side, f: impl Fn(&mut Side) -> T + Sync) -> (T, T) {
    thread::scope(|scope| {
        let right = scope.spawn(|| f(right));
        let left = f(left);
        (left, right.join().expect("a side does not panic"))
    })
}

/// A sequence that is being played.
struct Sequence<'a> {
    pair: &'a mut Pair,
    /// Grows with everything that may change a list of members.
    epoch: u32,
    /// Files whose offsets differ, since only one side allowed a seek or a listing ended half-way: what is read there
    /// can't be compared.
    astray: HashSet<u32>,
    /// When a file was first read.
    first_read: HashMap<u32, u32>,
}

impl<'a> Sequence<'a> {
    fn new(pair: &'a mut Pair) -> Self {
        Self { pair, epoch: 0, astray: HashSet::new(), first_read: HashMap::new() }
    }

    fn play(mut self, source: &mut dyn Source) -> io::Result<Played> {
        let mut steps = Vec::new();
        let last = [Operation::Releases, Operation::Call(Operator::Root, Call::Tree)];
        let mut last = last.into_iter();
        while let Some(operation) = source.next().or_else(|| last.next()) {
            let (left, right) = self.step(&operation)?;
            steps.push(operation.clone());
            if !agree(&left, &right) {
                return Ok(Played { steps, difference: Some(Difference { operation, left, right }) });
            }
            source.learn(&operation, &left);
        }
        Ok(Played { steps, difference: None })
    }

    fn step(&mut self, operation: &Operation) -> io::Result<(Outcome, Outcome)> {
        self.note(operation);
        if *operation == Operation::Releases {
            return Ok(self.releases());
        }
        let (left, right) = both(&mut self.pair.left, &mut self.pair.right, |side| side.perform(operation));
        if let (Err(left), Err(_)) = (&left, &right) {
            return Err(io::Error::other(format!("{operation:?}: {left}")));
        }
        if let Operation::Act(name, Act::Exit) = operation
            && self.pair.reaps_at_once
        {
            let reap = Operation::Act(name.clone(), Act::Reap);
            let (left, right) = both(&mut self.pair.left, &mut self.pair.right, |side| side.perform(&reap));
            left?;
            right?;
        }
        let broken = |e: io::Error| Outcome::Lines(vec![format!("{e}")]);
        let (mut left, mut right) = (left.unwrap_or_else(broken), right.unwrap_or_else(broken));
        if self.pair.profile == Profile::Freezer && agree(&left, &right) {
            let (l, r) = both(&mut self.pair.left, &mut self.pair.right, Side::catch_up);
            let (l, r) = (l?, r?);
            if l != r {
                return Ok((Outcome::Lines(l), Outcome::Lines(r)));
            }
        }
        let names = (self.pair.left.names(), self.pair.right.names());
        let digits: HashSet<usize> =
            names.0.keys().chain(names.1.keys()).map(|n| n.to_string().len()).collect();
        let handle = part_of(operation);
        let stale = handle.is_some_and(|handle| self.is_stale(handle, digits.len() > 1));
        let times = self.pair.profile == Profile::Cpuacct;
        let shared = self.pair.left.root_is_shared() || self.pair.right.root_is_shared();
        let known = |names| Known { names, shared, stale, times, part_of_file: handle.is_some() };
        left = known(names.0).normalise(left);
        right = known(names.1).normalise(right);
        if let Some(perturb) = self.pair.perturbation {
            perturb(operation, &mut right);
        }
        if let Operation::Call(_, Call::HandleSeek { handle, .. }) = operation
            && matches!((&left, &right), (Outcome::Failed(_), other) if !matches!(other, Outcome::Failed(_)))
        {
            self.astray.insert(*handle);
        }
        let listed = match operation {
            Operation::Call(_, Call::HandleList { handle, .. }) => Some(*handle),
            _ => None,
        };
        // how far it came depends on the order of the names (L12)
        self.astray.extend(listed.filter(|_| matches!(left, Outcome::Failed(_)) && left == right));
        for allowed in self.pair.allowed {
            (allowed.relax)(operation, &mut left, &mut right);
        }
        if handle.or(listed).is_some_and(|handle| self.astray.contains(&handle)) {
            return Ok((Outcome::Done, Outcome::Done));
        }
        Ok((left, right))
    }

    /// Notes what a step may change.
    fn note(&mut self, operation: &Operation) {
        match operation {
            Operation::Act(_, act) if *act != Act::Look => self.epoch += 1,
            Operation::Call(_, Call::Write { place, .. }) if place.is_membership() => self.epoch += 1,
            Operation::Call(
                _,
                Call::HandleWrite { .. } | Call::HandlePwrite { .. } | Call::HandleWritev { .. },
            ) => self.epoch += 1,
            _ => {}
        }
    }

    /// May what is read there be of earlier, or was it once, so that offsets differ?
    fn is_stale(&mut self, handle: u32, differ: bool) -> bool {
        let first = self.first_read.entry(handle).or_insert(self.epoch);
        if *first != self.epoch || differ {
            *first = u32::MAX;
        }
        *first == u32::MAX
    }

    /// The calls of the release agents, when nothing new comes and both have the same, or nothing more will come.
    fn releases(&self) -> (Outcome, Outcome) {
        let calls = |side: &Side| side.agent_calls().into_iter().collect::<Vec<_>>();
        if self.pair.profile != Profile::Release {
            return (Outcome::Done, Outcome::Done);
        }
        let mut last = (vec![], vec![]);
        process::wait_until(|| {
            last = (calls(&self.pair.left), calls(&self.pair.right));
            thread::sleep(MOMENT);
            last.0 == last.1 && last == (calls(&self.pair.left), calls(&self.pair.right))
        });
        (Outcome::Lines(last.0), Outcome::Lines(last.1))
    }
}

/// The open file that a step reads a part of, or seeks in.
fn part_of(operation: &Operation) -> Option<u32> {
    match operation {
        Operation::Call(
            _,
            Call::HandleRead { handle, .. }
            | Call::HandlePread { handle, .. }
            | Call::HandleSeek { handle, .. },
        ) => Some(*handle),
        _ => None,
    }
}

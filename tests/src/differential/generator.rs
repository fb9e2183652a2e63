//! Random steps, most of which have a chance to do something.

use super::calls;
use super::dice::Dice;
use super::operation::{Act, Call, OPERATORS, Operation, Operator};
use super::outcome::Outcome;
use super::profile::Profile;
use super::shadow::Shadow;

/// A source of steps. What came of a step is to be told before the next is taken.
#[derive(Debug)]
pub struct Generator {
    pub(super) dice: Dice,
    pub(super) profile: Profile,
    pub(super) shadow: Shadow,
    pub(super) handles: u32,
    actors: u32,
    threads: u32,
    steps: u32,
    /// Is the second side penfold?
    pub(super) penfold: bool,
}

/// How many actors at least, and at most, a sequence has.
const ACTORS: (usize, usize) = (3, 10);
/// A tree is looked at whole after this many steps.
const TREE_EVERY: u32 = 30;

impl Generator {
    /// A generator whose steps depend on the seed and on what it is told only.
    pub fn new(profile: Profile, seed: u64) -> Self {
        let (dice, shadow) = (Dice::new(seed), Shadow::default());
        Self { dice, profile, shadow, handles: 0, actors: 0, threads: 0, steps: 0, penfold: false }
    }

    /// Leaves out what a difference that is meant would make all that follows different by: offsets from the end of a
    /// file (files have a size). Knows that no zombies are left where they are charged (L1).
    #[must_use]
    pub fn for_penfold(self) -> Self {
        Self { penfold: true, ..self }
    }

    /// Takes in what came of the last step.
    pub fn learn(&mut self, operation: &Operation, outcome: &Outcome) {
        self.shadow.learn(operation, outcome);
        if let Operation::Act(name, Act::Exit) = operation
            && self.penfold
            && self.profile.charges_zombies()
        {
            self.shadow.learn(&Operation::Act(name.clone(), Act::Reap), outcome);
        }
    }

    /// The next step.
    pub fn step(&mut self) -> Operation {
        self.steps += 1;
        if self.steps.is_multiple_of(TREE_EVERY) {
            return Operation::Call(Operator::Root, Call::Tree);
        }
        let living = self.shadow.actors.iter().filter(|actor| !actor.dead).count();
        if living < ACTORS.0 {
            return self.start();
        }
        let acts = match self.profile {
            Profile::Named => 12,
            Profile::Release => 25,
            Profile::Pids | Profile::Freezer | Profile::Cpuset | Profile::Cpuacct => 30,
        };
        if self.dice.roll(100) < acts {
            return self.act();
        }
        if self.profile == Profile::Release && self.dice.once_in(12) {
            return Operation::Releases;
        }
        if self.dice.once_in(40)
            && let Some(held) = self.held()
        {
            self.shadow
                .held
                .push(super::shadow::Held { by: OPERATORS[1 - held.by as usize], ..held.clone() });
            return Operation::Pass(held.by, held.handle);
        }
        let by = if self.dice.once_in(3) { Operator::User } else { Operator::Root };
        calls::call(self, by)
    }

    pub(super) fn held(&mut self) -> Option<super::shadow::Held> {
        let held = &self.shadow.held;
        (!held.is_empty()).then(|| held[self.dice.roll(held.len())].clone())
    }

    fn start(&mut self) -> Operation {
        self.actors += 1;
        let user = self.dice.once_in(3);
        Operation::Act(format!("a{}", self.actors), Act::Start { user })
    }

    /// The name of an actor or of one of its threads; sometimes of one that was.
    pub(super) fn member(&mut self) -> String {
        if self.shadow.actors.is_empty() || self.dice.once_in(20) {
            return format!("a{}", 1 + self.dice.roll(self.actors.max(1) as usize));
        }
        let actor = self.dice.pick(&self.shadow.actors).clone();
        if !actor.threads.is_empty() && self.dice.once_in(2) {
            return format!("{}.{}", actor.name, self.dice.pick(&actor.threads));
        }
        actor.name
    }

    fn act(&mut self) -> Operation {
        let living: Vec<_> = self.shadow.actors.iter().filter(|a| !a.dead).cloned().collect();
        let dead: Vec<_> = self.shadow.actors.iter().filter(|a| a.dead).cloned().collect();
        let actor = self.dice.pick(&living).clone();
        let full = living.len() >= ACTORS.1;
        let act = match self.dice.roll(20) {
            0..5 if !full => {
                self.actors += 1;
                Act::Fork { child: format!("a{}", self.actors) }
            }
            5..8 if actor.threads.len() < 4 => {
                self.threads += 1;
                Act::Thread { thread: format!("t{}", self.threads) }
            }
            8..10 if !actor.threads.is_empty() => {
                Act::EndThread { thread: self.dice.pick(&actor.threads).clone() }
            }
            10 => {
                let from = !actor.threads.is_empty() && self.dice.once_in(2);
                Act::Exec { thread: from.then(|| self.dice.pick(&actor.threads).clone()) }
            }
            11..14 if full || self.dice.once_in(2) => Act::Exit,
            14 if self.profile == Profile::Cpuset => {
                Act::SetAffinity { cpus: [vec![0], vec![1], vec![0, 1]][self.dice.roll(3)].clone() }
            }
            15 if self.profile == Profile::Cpuacct && self.dice.once_in(4) => Act::Burn,
            16..20 if !dead.is_empty() => {
                return Operation::Act(self.dice.pick(&dead).name.clone(), Act::Reap);
            }
            _ => Act::Look,
        };
        Operation::Act(actor.name, act)
    }
}

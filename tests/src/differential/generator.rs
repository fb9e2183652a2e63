//! Random steps, most of which have a chance to do something.

use super::calls;
use super::operation::{Act, FileCall, OPERATORS, Operator, SideOperation};
use super::outcome::OperationOutcome;
use super::profile::Profile;
use super::rng::Rng;
use super::side_model::SideModel;

/// A source of random steps. Each outcome must be passed to [`Generator::learn`] before the next step.
#[derive(Debug)]
pub struct Generator {
    pub(super) rng: Rng,
    pub(super) profile: Profile,
    pub(super) model: SideModel,
    pub(super) handles: u32,
    actors: u32,
    threads: u32,
    steps: u32,
    /// Whether the second side is penfold.
    pub(super) penfold: bool,
}

/// The least and the most actors of a sequence.
const ACTORS: (usize, usize) = (3, 10);
/// The number of steps after which the whole tree is compared.
const TREE_EVERY: u32 = 30;

impl Generator {
    /// A generator whose steps depend on the seed and the learned outcomes only.
    pub fn new(profile: Profile, seed: u64) -> Self {
        let (rng, model) = (Rng::new(seed), SideModel::default());
        Self { rng, profile, model, handles: 0, actors: 0, threads: 0, steps: 0, penfold: false }
    }

    /// Leaves out steps after which an intended difference would make everything different: seeks from the end of a
    /// file, since files have a size. Expects that no zombies are left where zombies are charged (L1).
    #[must_use]
    pub fn for_penfold(self) -> Self {
        Self { penfold: true, ..self }
    }

    /// Updates the model by the outcome of the last step.
    pub fn learn(&mut self, operation: &SideOperation, outcome: &OperationOutcome) {
        self.model.learn(operation, outcome);
        if let SideOperation::Act(name, Act::Exit) = operation
            && self.penfold
            && self.profile.charges_zombies()
        {
            self.model.learn(&SideOperation::Act(name.clone(), Act::Reap), outcome);
        }
    }

    /// The next step.
    pub fn step(&mut self) -> SideOperation {
        self.steps += 1;
        if self.steps.is_multiple_of(TREE_EVERY) {
            return SideOperation::Call(Operator::Root, FileCall::Tree);
        }
        let living = self.model.actors.iter().filter(|actor| !actor.dead).count();
        if living < ACTORS.0 {
            return self.start();
        }
        let acts = match self.profile {
            Profile::Named => 12,
            Profile::Release => 25,
            Profile::Pids | Profile::Freezer | Profile::Cpuset | Profile::Cpuacct => 30,
        };
        if self.rng.below(100) < acts {
            return self.act();
        }
        if self.profile == Profile::Release && self.rng.once_in(12) {
            return SideOperation::Releases;
        }
        if self.rng.once_in(40)
            && let Some(held) = self.held()
        {
            self.model
                .held
                .push(super::side_model::ModelHandle { by: OPERATORS[1 - held.by as usize], ..held.clone() });
            return SideOperation::Pass(held.by, held.handle);
        }
        let by = if self.rng.once_in(3) { Operator::User } else { Operator::Root };
        calls::call(self, by)
    }

    pub(super) fn held(&mut self) -> Option<super::side_model::ModelHandle> {
        let held = &self.model.held;
        (!held.is_empty()).then(|| held[self.rng.below(held.len())].clone())
    }

    fn start(&mut self) -> SideOperation {
        self.actors += 1;
        let user = self.rng.once_in(3);
        SideOperation::Act(format!("a{}", self.actors), Act::Start { user })
    }

    /// The name of an actor or of one of its threads, sometimes of a former actor.
    pub(super) fn member(&mut self) -> String {
        if self.model.actors.is_empty() || self.rng.once_in(20) {
            return format!("a{}", 1 + self.rng.below(self.actors.max(1) as usize));
        }
        let actor = self.rng.pick(&self.model.actors).clone();
        if !actor.threads.is_empty() && self.rng.once_in(2) {
            return format!("{}.{}", actor.name, self.rng.pick(&actor.threads));
        }
        actor.name
    }

    fn act(&mut self) -> SideOperation {
        let living: Vec<_> = self.model.actors.iter().filter(|a| !a.dead).cloned().collect();
        let dead: Vec<_> = self.model.actors.iter().filter(|a| a.dead).cloned().collect();
        let actor = self.rng.pick(&living).clone();
        let full = living.len() >= ACTORS.1;
        let act = match self.rng.below(20) {
            0..5 if !full => {
                self.actors += 1;
                Act::Fork { child: format!("a{}", self.actors) }
            }
            5..8 if actor.threads.len() < 4 => {
                self.threads += 1;
                Act::Thread { thread: format!("t{}", self.threads) }
            }
            8..10 if !actor.threads.is_empty() => {
                Act::EndThread { thread: self.rng.pick(&actor.threads).clone() }
            }
            10 => {
                let from = !actor.threads.is_empty() && self.rng.once_in(2);
                Act::Exec { thread: from.then(|| self.rng.pick(&actor.threads).clone()) }
            }
            11..14 if full || self.rng.once_in(2) => Act::Exit,
            14 if self.profile == Profile::Cpuset => {
                Act::SetAffinity { cpus: [vec![0], vec![1], vec![0, 1]][self.rng.below(3)].clone() }
            }
            15 if self.profile == Profile::Cpuacct && self.rng.once_in(4) => Act::Burn,
            16..20 if !dead.is_empty() => {
                return SideOperation::Act(self.rng.pick(&dead).name.clone(), Act::Reap);
            }
            _ => Act::Look,
        };
        SideOperation::Act(actor.name, act)
    }
}

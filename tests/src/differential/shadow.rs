//! What a generator believes to be there. It may be wrong: that only makes a step less interesting.

use super::operation::{Act, At, Call, Operation, Operator, Place};
use super::outcome::Outcome;

/// An open file.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) handle: u32,
    pub(super) by: Operator,
    pub(super) place: Place,
    pub(super) directory: bool,
}

/// An actor.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) threads: Vec<String>,
    pub(super) dead: bool,
}

/// Directories, open files and actors.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    /// Paths below the root; without the root itself.
    pub(super) directories: Vec<Vec<u8>>,
    pub(super) held: Vec<Held>,
    pub(super) actors: Vec<Known>,
}

impl Shadow {
    /// Takes in what came of a step.
    pub(super) fn learn(&mut self, operation: &Operation, outcome: &Outcome) {
        match operation {
            Operation::Call(by, call) => self.learn_call(*by, call, outcome),
            Operation::Act(name, act) if *outcome == Outcome::Done => self.learn_act(name, act),
            _ => {}
        }
    }

    fn learn_call(&mut self, by: Operator, call: &Call, outcome: &Outcome) {
        if let Outcome::Tree(nodes) = outcome {
            self.directories = nodes
                .iter()
                .filter(|n| matches!(*n.content, Outcome::Entries(_)))
                .map(|n| n.path.0.clone())
                .collect();
            self.directories.retain(|path| !path.is_empty());
            for path in &mut self.directories {
                path.remove(0); // the slash
            }
        }
        if *outcome != Outcome::Done {
            return;
        }
        match call {
            Call::Mkdir { place: Place { at: At::Root, path }, .. } if is_plain(&path.0) => {
                self.directories.push(path.0.clone());
            }
            Call::Rmdir { place: Place { at: At::Root, path } } => self.directories.retain(|d| *d != path.0),
            Call::Rename { from, to, .. } if from.at == At::Root && to.at == At::Root => {
                for directory in &mut self.directories {
                    if *directory == from.path.0 {
                        directory.clone_from(&to.path.0);
                    } else if directory.starts_with(&[&from.path.0[..], b"/"].concat()) {
                        *directory = [&to.path.0, &directory[from.path.0.len()..]].concat();
                    }
                }
            }
            Call::Open { handle, place, .. } => {
                let directory = self.directories.contains(&place.path.0) || place.path.0 == b".";
                self.held.push(Held { handle: *handle, by, place: place.clone(), directory });
            }
            Call::Close { handle } => self.held.retain(|held| held.handle != *handle || held.by != by),
            _ => {}
        }
    }

    fn learn_act(&mut self, name: &str, act: &Act) {
        let new = |name: &str| Known { name: name.to_owned(), threads: vec![], dead: false };
        match act {
            Act::Start { .. } => self.actors.push(new(name)),
            Act::Fork { child } => self.actors.push(new(child)),
            Act::Reap => self.actors.retain(|actor| actor.name != name),
            _ => {}
        }
        let Some(actor) = self.actors.iter_mut().find(|actor| actor.name == name) else { return };
        match act {
            Act::Thread { thread } => actor.threads.push(thread.clone()),
            Act::EndThread { thread } => actor.threads.retain(|t| t != thread),
            Act::Exec { .. } => actor.threads.clear(),
            Act::Exit => actor.dead = true,
            _ => {}
        }
    }
}

fn is_plain(path: &[u8]) -> bool {
    !path.split(|b| *b == b'/').any(|name| name.is_empty() || name == b"." || name == b"..")
}

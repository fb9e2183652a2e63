//! A generator's model of a side. An error in the model only makes a step less interesting.

use super::operation::{Act, BaseDir, FileCall, Operator, PathAt, SideOperation};
use super::outcome::OperationOutcome;

/// An open file.
#[derive(Debug, Clone)]
pub(super) struct ModelHandle {
    pub(super) handle: u32,
    pub(super) by: Operator,
    pub(super) place: PathAt,
    pub(super) directory: bool,
}

/// An actor.
#[derive(Debug, Clone)]
pub(super) struct ModelActor {
    pub(super) name: String,
    pub(super) threads: Vec<String>,
    pub(super) dead: bool,
}

/// Directories, open files and actors.
#[derive(Debug, Default)]
pub(super) struct SideModel {
    /// Paths below the root; without the root itself.
    pub(super) directories: Vec<Vec<u8>>,
    pub(super) held: Vec<ModelHandle>,
    pub(super) actors: Vec<ModelActor>,
}

impl SideModel {
    /// Updates the model by the outcome of a step.
    pub(super) fn learn(&mut self, operation: &SideOperation, outcome: &OperationOutcome) {
        match operation {
            SideOperation::Call(by, call) => self.learn_call(*by, call, outcome),
            SideOperation::Act(name, act) if *outcome == OperationOutcome::Done => self.learn_act(name, act),
            _ => {}
        }
    }

    fn learn_call(&mut self, by: Operator, call: &FileCall, outcome: &OperationOutcome) {
        if let OperationOutcome::Tree(nodes) = outcome {
            self.directories = nodes
                .iter()
                .filter(|n| matches!(*n.content, OperationOutcome::Entries(_)))
                .map(|n| n.path.0.clone())
                .collect();
            self.directories.retain(|path| !path.is_empty());
            for path in &mut self.directories {
                path.remove(0); // the slash
            }
        }
        if *outcome != OperationOutcome::Done {
            return;
        }
        match call {
            FileCall::Mkdir { place: PathAt { at: BaseDir::Root, path }, .. } if is_plain(&path.0) => {
                self.directories.push(path.0.clone());
            }
            FileCall::Rmdir { place: PathAt { at: BaseDir::Root, path } } => {
                self.directories.retain(|d| *d != path.0);
            }
            FileCall::Rename { from, to, .. } if from.at == BaseDir::Root && to.at == BaseDir::Root => {
                for directory in &mut self.directories {
                    if *directory == from.path.0 {
                        directory.clone_from(&to.path.0);
                    } else if directory.starts_with(&[&from.path.0[..], b"/"].concat()) {
                        *directory = [&to.path.0, &directory[from.path.0.len()..]].concat();
                    }
                }
            }
            FileCall::Open { handle, place, .. } => {
                let directory = self.directories.contains(&place.path.0) || place.path.0 == b".";
                self.held.push(ModelHandle { handle: *handle, by, place: place.clone(), directory });
            }
            FileCall::Close { handle } => self.held.retain(|held| held.handle != *handle || held.by != by),
            _ => {}
        }
    }

    fn learn_act(&mut self, name: &str, act: &Act) {
        let new = |name: &str| ModelActor { name: name.to_owned(), threads: vec![], dead: false };
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

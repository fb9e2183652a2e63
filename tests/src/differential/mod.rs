//! Random sequences of operations on two sides at once: the kernel's own cgroup v1, and a mount of penfold's or a
//! second hierarchy of the kernel's. Everything that can be seen must be the same after every step.
//!
//! A [`Side`] has a directory, two *operators* (processes that perform file operations as root and as another user)
//! and *actors* (processes that are moved, fork, exec, exit). A [`Generator`] gives steps as plain data. A [`Pair`]
//! performs each on both sides and compares; what differs is played again and cut down to the shortest sequence.

pub mod actor;
mod allowed;
mod calls;
mod campaign;
mod cast;
mod compare;
mod data;
mod dice;
mod generator;
mod kernel_side;
mod operation;
pub mod operator;
mod outcome;
mod pair;
mod passing;
mod penfold_side;
mod process;
mod profile;
mod reading;
mod report;
mod setup;
mod shadow;
mod shrink;
mod side;
mod sweep;
mod text;
mod wire;

pub use allowed::{Allowed, MEANT, NOTHING};
pub use campaign::{Plan, Tally, campaign};
pub use generator::Generator;
pub use kernel_side::{KernelController, KernelNamed};
pub use operation::{Act, At, Call, NodeKind, OPERATORS, Operation, Operator, Place};
pub use outcome::{Node, Outcome, Status};
pub use pair::{Difference, Pair, Perturbation, Played, Source};
pub use penfold_side::{PenfoldMount, program};
pub use profile::{PROFILES, Profile};
pub use report::Failure;
pub use setup::{Home, Kind, kernel_pair, penfold_pair, side};
pub use shrink::{is_disturbance, replay, shrink};
pub use side::{Mounted, Side};
pub use sweep::{left_by, warden};
pub use text::Text;

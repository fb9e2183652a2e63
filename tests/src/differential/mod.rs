//! Random sequences of operations on two sides at once. Everything visible must be the same on both after every step.
//!
//! One side is the kernel's own cgroup v1. The other is a mount of penfold, or a second hierarchy of the kernel.
//!
//! * A [`Side`] has a directory, two *operators* and some *actors*. Operators are processes that perform file
//!   operations, as root and as another user. Actors are processes that are moved, fork, exec and exit.
//! * A [`Generator`] gives steps as plain data.
//! * A [`SidePair`] performs each step on both sides and compares the outcomes. A sequence with a difference is played
//!   again and cut down to the shortest one.

pub mod actor;
mod actor_pool;
mod allowed_differences;
mod byte_string;
mod calls;
mod campaign;
mod compare;
mod data;
mod fd_relay;
mod generator;
mod kernel_side;
mod operation;
pub mod operator;
mod outcome;
mod penfold_side;
mod process;
mod profile;
mod reading;
mod report;
mod rng;
mod setup;
mod shrink;
mod side;
mod side_model;
mod side_pair;
mod sweep;
mod wire;

pub use allowed_differences::{AllowedDifference, MEANT, NOTHING};
pub use byte_string::ByteString;
pub use campaign::{CampaignPlan, CampaignTally, campaign};
pub use generator::Generator;
pub use kernel_side::{KernelController, KernelNamedHierarchy};
pub use operation::{Act, BaseDir, FileCall, NodeKind, OPERATORS, Operator, PathAt, SideOperation};
pub use outcome::{OperationOutcome, Status, TreeNode};
pub use penfold_side::{PenfoldMount, program};
pub use profile::{PROFILES, Profile};
pub use report::DifferentialFailure;
pub use setup::{SideKind, WorkDir, kernel_pair, penfold_pair, side};
pub use shrink::{is_disturbance, replay, shrink};
pub use side::{Side, SideMount};
pub use side_pair::{OutcomeDifference, Perturbation, PlayedSequence, SidePair, StepSource};
pub use sweep::{left_by, reaper};

//! The one reader of `/proc`, for this crate, the server and the program.
//!
//! Each file of `/proc` has one parser here, with typed results. No other source of these three crates opens a file
//! below `/proc`: `tests/proc_readers.rs` would fail. The modules and the preloaded library can't depend on this crate
//! and have readers of their own.
//!
//! # What an answer means
//!
//! - Task numbers are those of the pid namespace of the mounted `/proc`, which is this process's own.
//! - A number can be reused as soon as the task is reaped. So every answer may be about another task by the time it is
//!   used. Two exceptions: a traced task keeps its number until its tracer reaps it. A number together with its
//!   [`start_time`] names one task for ever.
//! - Facts from two calls can be of two moments.
//! - `None` means that the task does not exist, that this process may not read the file, or that the kernel lacks the
//!   fact. This process may not read a file of another user's task under `hidepid` or without `PTRACE_MODE_READ`. Where
//!   a caller has to distinguish these cases, the function returns an errno.
//! - Text that is no UTF-8, as a command name can be, is read with replacement characters and never refused.
//!
//! # Why not the crate `procfs`
//!
//! Its version 0.18 brings two more crates and does most of this. But its `Status` fails where a command name is no
//! UTF-8, and its `MountInfos` where any mount point is: any user can choose such names. It lacks `Seccomp_filters`,
//! `Kthread` and `uid_map`. It converts every field of a status, and a listing reads the status of every task of the
//! machine.

mod cgroups;
mod id_map;
mod inherited;
mod limits;
mod links;
#[cfg(target_arch = "x86_64")]
mod machine_time;
mod maps;
mod mounts;
mod namespaces;
mod stat;
mod status;
mod syscall;
mod system;
mod tasks;

use std::fs::{self, File};
use std::io::{self, Read as _};

#[cfg(test)]
use penfold_core::Tid;

pub use cgroups::{KernelCgroup, kernel_cgroups};
pub use id_map::{IdExtent, gid_map, has_all_user_ids, uid_map};
pub use limits::{ResourceLimit, limits_of};
pub use links::{descriptor_path, open_working_directory, owner_of, root_of};
pub use machine_time::machine_time;
pub use mounts::{MountEntry, mounts};
pub use namespaces::{
    Namespace, in_initial_user_namespace, namespace_of, own_namespace, user_namespace_owner,
};
pub use stat::{parent_of, start_time};
pub(crate) use status::has_no_filter;
pub use status::{SeccompMode, StatusFile, TaskStatus, command_name};
pub use system::{LoadAverage, boot_id, load_average};
pub use tasks::{all_tasks, children_of_process, processes, threads_of};

pub(crate) use inherited::{OwnFile, fresh_files, inherited_files, inherited_text};
pub(crate) use links::{open_descriptors, read_program_start, sockets_of};
#[cfg(target_arch = "x86_64")]
pub(crate) use maps::executable_mappings;
pub(crate) use namespaces::in_own_pid_namespace;
pub(crate) use stat::{
    cpu_ticks, is_exiting, is_kernel_thread, is_worker, last_cpu, run_time, state, stops_before_program,
};
pub(crate) use syscall::blocked_call;
pub(crate) use system::yama_ptrace_scope;
pub(crate) use tasks::{children_of, own_children, thread_count};

/// Bytes; a status has about 1,500.
const LONGER_THAN_MOST: usize = 4096;

/// The whole content of a file.
fn bytes(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(LONGER_THAN_MOST);
    // the limit hides the file's size, which is 0: `fs::read` believes it, and makes three times as many system calls
    File::open(path)?.take(u64::MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The whole content of a file as text.
fn text(path: &str) -> Option<String> {
    let text = String::from_utf8(bytes(path).ok()?);
    Some(text.unwrap_or_else(|text| String::from_utf8_lossy(text.as_bytes()).into_owned()))
}

/// The entries of a directory whose names are numbers, in the kernel's order.
fn numbers(directory: &str) -> io::Result<impl Iterator<Item = i32> + use<>> {
    let entries = fs::read_dir(directory)?.flatten();
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// This process.
#[cfg(test)]
fn own() -> Tid {
    Tid(std::process::id().cast_signed())
}

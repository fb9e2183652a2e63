//! The program `penfold` as a library, so that `cargo xtask dist` can make its manual from its arguments.
//!
//! [`main`] is the program, [`command`] returns its arguments.
//!
//! * `run` runs one command with an engine in this process, or in the tree of the engine around it.
//! * `serve` is the daemon.
//! * `verbs` and `mount` work on a daemon's engine, by an `engine_connection`. `libcgroup` does so under other names.
//! * `shim`, `skeleton`, `doctor` and `install_helpers` need no engine.
#![forbid(unsafe_code)]

mod address;
mod completions;
mod containment;
mod doctor;
mod end_status;
mod engine_connection;
mod failure;
mod install_helpers;
mod interrupted;
mod libcgroup;
mod modules;
mod mount;
mod mount_helper;
mod mount_options;
mod number_arguments;
mod output;
mod progress;
mod relay;
mod report;
mod run;
mod serve;
mod settings;
mod shim;
mod skeleton;
mod umount;
mod verbs;
mod wrong_arguments;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::engine_connection::GlobalOptions;
use crate::failure::{Outcome, VerbPurpose, exit_status, report};
use crate::verbs::{
    attach, events, exec, freeze, get, kill, list, mkdir, module, mv, overview, owner, proc, ps, rmdir, set,
    top, tree,
};

/// Groups Linux processes into containers (control groups) in user space, on a stock kernel, with or without root.
///
/// `penfold run` needs nothing else. The other verbs ask a daemon, `penfold serve`, whose cgroups outlive one command.
///
/// A cgroup's ADDRESS is [HIERARCHY:]/path. HIERARCHY is one of the hierarchy's subsystems, its name or its number; it
/// may be left out while there is only one hierarchy.
#[derive(Debug, Parser)]
#[command(name = "penfold", version, arg_required_else_help = true)]
struct PenfoldArguments {
    #[command(flatten)]
    global: GlobalOptions,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::RunArguments),
    Serve(serve::ServeArguments),
    Exec(exec::ExecArguments),
    Attach(attach::AttachArguments),
    Kill(kill::KillArguments),
    Freeze(freeze::FreezeArguments),
    Thaw(freeze::ThawArguments),
    Mkdir(mkdir::MkdirArguments),
    Rmdir(rmdir::RmdirArguments),
    Mv(mv::MvArguments),
    Ls(list::LsArguments),
    Tree(tree::TreeArguments),
    Mount(mount::MountArguments),
    Umount(umount::UmountArguments),
    InstallHelpers(install_helpers::InstallHelpersArguments),
    #[command(visible_alias = "get")]
    Cat(get::CatArguments),
    #[command(visible_alias = "write")]
    Set(set::SetArguments),
    Chown(owner::ChownArguments),
    Chmod(owner::ChmodArguments),
    Ps(ps::PsArguments),
    Top(top::TopArguments),
    Events(events::EventsArguments),
    Subsystems(overview::SubsystemsArguments),
    Hierarchies(overview::HierarchiesArguments),
    Module(module::ModuleArguments),
    Proc(proc::ProcArguments),
    Doctor(doctor::DoctorArguments),
    Shim(shim::ShimArguments),
    #[command(hide = true)]
    Completions(completions::CompletionsArguments),
    #[command(flatten)]
    Libcgroup(libcgroup::LibcgroupVerb),
}

impl Verb {
    fn purpose(&self) -> VerbPurpose {
        match self {
            Verb::Run(_) | Verb::Exec(_) | Verb::Shim(_) => VerbPurpose::RunsCommand,
            Verb::Libcgroup(verb) => verb.purpose(),
            _ => VerbPurpose::Other,
        }
    }

    fn act(&self, global: &GlobalOptions) -> Outcome {
        match self {
            Verb::Run(arguments) => run::run(arguments, global),
            Verb::Serve(arguments) => serve::run(arguments, global),
            Verb::Exec(arguments) => exec::run(arguments, global),
            Verb::Attach(arguments) => attach::run(arguments, global),
            Verb::Kill(arguments) => kill::run(arguments, global),
            Verb::Freeze(arguments) => freeze::freeze(arguments, global),
            Verb::Thaw(arguments) => freeze::thaw(arguments, global),
            Verb::Mkdir(arguments) => mkdir::run(arguments, global),
            Verb::Rmdir(arguments) => rmdir::run(arguments, global),
            Verb::Mv(arguments) => mv::run(arguments, global),
            Verb::Ls(arguments) => list::run(arguments, global),
            Verb::Tree(arguments) => tree::run(arguments, global),
            Verb::Mount(arguments) => mount::run(arguments, global),
            Verb::Umount(arguments) => umount::run(arguments, global),
            Verb::InstallHelpers(arguments) => install_helpers::run(arguments),
            Verb::Cat(arguments) => get::run(arguments, global),
            Verb::Set(arguments) => set::run(arguments, global),
            Verb::Chown(arguments) => owner::chown(arguments, global),
            Verb::Chmod(arguments) => owner::chmod(arguments, global),
            Verb::Ps(arguments) => ps::run(arguments, global),
            Verb::Top(arguments) => top::run(arguments, global),
            Verb::Events(arguments) => events::run(arguments, global),
            Verb::Subsystems(arguments) => overview::subsystems(arguments, global),
            Verb::Hierarchies(arguments) => overview::hierarchies(arguments, global),
            Verb::Module(arguments) => module::run(arguments, global),
            Verb::Proc(arguments) => proc::run(arguments, global),
            Verb::Doctor(arguments) => doctor::run(arguments),
            Verb::Shim(arguments) => shim::shim(arguments),
            Verb::Completions(arguments) => completions::run(arguments),
            Verb::Libcgroup(verb) => verb.act(global),
        }
    }
}

/// Runs the program `penfold` with the arguments of this process, and returns the exit status of the process.
///
/// The arguments name the *verb* to perform, such as `run` or `mkdir`. A program name of libcgroup's, such as `cgexec`,
/// stands for that verb. Messages go to standard error.
///
/// The exit status is
/// * 0 for success, or the status of the command that the verb ran, or 128+N if signal N killed the command;
/// * 1 for an operation that was refused or failed;
/// * 125 for wrong arguments, or if penfold failed before the command ran;
/// * 126 for a command that can't be executed, 127 for a command that was not found.
///
/// A verb that waits for a daemon which does not answer is ended by SIGINT, SIGTERM and SIGHUP, after one line.
///
/// Called as a helper of mount(8), such as `mount.cgroup`, the program mounts, with the exit status of mount(8).
pub fn main() -> ExitCode {
    if let Some(filesystem) = mount_helper::called_as() {
        return mount_helper::main(filesystem);
    }
    let words = program_words();
    let PenfoldArguments { global, verb } = match PenfoldArguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(error) => return wrong_arguments::report(&error, &words),
    };
    verb.act(&global).unwrap_or_else(|failure| {
        report(&failure);
        if let Some(signal) = interrupted::ended_by() {
            interrupted::die(signal);
        }
        ExitCode::from(exit_status(failure.kind, verb.purpose()))
    })
}

/// Returns the command line of the program as data: every verb and option with its help. Parses nothing.
///
/// `cargo xtask dist` makes the manual pages and the completions of shells from this data.
pub fn command() -> clap::Command {
    PenfoldArguments::command()
}

/// The arguments of this process. A program name that is one of libcgroup's tools becomes the verb.
fn program_words() -> Vec<OsString> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let name = words.first().and_then(|word| Path::new(word).file_name()?.to_str().map(str::to_owned));
    if let Some(name) = name.filter(|name| libcgroup::NAMES.contains(&name.as_str())) {
        words.splice(0..1, ["penfold".into(), name.into()]);
    }
    words
}

//! The tools of libcgroup, for those who know them: same names, same flags, same output.
//!
//! Each works as a verb, `penfold cgcreate …`, and when penfold is called by its name, as through a symbolic link.

mod classify;
mod create;
mod delete;
mod exec;
mod exit_status;
mod get;
mod lscgroup;
mod lssubsys;
mod set;
mod spec;

use clap::Subcommand;

use crate::failure::Outcome;
use crate::remote::Global;

/// The names that these verbs have as programs.
pub(crate) const NAMES: [&str; 8] =
    ["cgcreate", "cgdelete", "cgset", "cgget", "cgexec", "cgclassify", "lscgroup", "lssubsys"];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    #[command(hide = true)]
    Cgcreate(create::Arguments),
    #[command(hide = true)]
    Cgdelete(delete::Arguments),
    #[command(hide = true)]
    Cgset(set::Arguments),
    #[command(hide = true)]
    Cgget(get::Arguments),
    #[command(hide = true)]
    Cgexec(exec::Arguments),
    #[command(hide = true)]
    Cgclassify(classify::Arguments),
    #[command(hide = true)]
    Lscgroup(lscgroup::Arguments),
    #[command(hide = true)]
    Lssubsys(lssubsys::Arguments),
}

impl Verb {
    pub(crate) fn act(&self, global: &Global) -> Outcome {
        let mut remote = global.connect()?;
        match self {
            Verb::Cgcreate(arguments) => create::run(arguments, &mut remote),
            Verb::Cgdelete(arguments) => delete::run(arguments, &mut remote),
            Verb::Cgset(arguments) => set::run(arguments, &mut remote),
            Verb::Cgget(arguments) => get::run(arguments, &mut remote),
            Verb::Cgexec(arguments) => exec::run(arguments, &mut remote),
            Verb::Cgclassify(arguments) => classify::run(arguments, &mut remote),
            Verb::Lscgroup(arguments) => lscgroup::run(arguments, &mut remote),
            Verb::Lssubsys(arguments) => lssubsys::run(arguments, &mut remote),
        }
    }
}

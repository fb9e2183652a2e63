//! The tools of libcgroup: same names, same flags, same output.
//!
//! Each tool is a verb, `penfold cgcreate …`, and a program if penfold has its name, as by a symbolic link.

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

use crate::engine_connection::GlobalOptions;
use crate::failure::{Outcome, VerbPurpose};

/// The names that these verbs have as programs.
pub(crate) const NAMES: [&str; 8] =
    ["cgcreate", "cgdelete", "cgset", "cgget", "cgexec", "cgclassify", "lscgroup", "lssubsys"];

/// The tools, as verbs of penfold.
#[derive(Debug, Subcommand)]
pub(crate) enum LibcgroupVerb {
    #[command(hide = true)]
    Cgcreate(create::CgcreateArguments),
    #[command(hide = true)]
    Cgdelete(delete::CgdeleteArguments),
    #[command(hide = true)]
    Cgset(set::CgsetArguments),
    #[command(hide = true)]
    Cgget(get::CggetArguments),
    #[command(hide = true)]
    Cgexec(exec::CgexecArguments),
    #[command(hide = true)]
    Cgclassify(classify::CgclassifyArguments),
    #[command(hide = true)]
    Lscgroup(lscgroup::LscgroupArguments),
    #[command(hide = true)]
    Lssubsys(lssubsys::LssubsysArguments),
}

impl LibcgroupVerb {
    pub(crate) fn purpose(&self) -> VerbPurpose {
        match self {
            LibcgroupVerb::Cgexec(_) => VerbPurpose::RunsCommand,
            _ => VerbPurpose::Other,
        }
    }

    pub(crate) fn act(&self, global: &GlobalOptions) -> Outcome {
        let mut remote = global.connect()?;
        match self {
            LibcgroupVerb::Cgcreate(arguments) => create::run(arguments, &mut remote),
            LibcgroupVerb::Cgdelete(arguments) => delete::run(arguments, &mut remote),
            LibcgroupVerb::Cgset(arguments) => set::run(arguments, &mut remote),
            LibcgroupVerb::Cgget(arguments) => get::run(arguments, &mut remote),
            LibcgroupVerb::Cgexec(arguments) => exec::run(arguments, &mut remote),
            LibcgroupVerb::Cgclassify(arguments) => classify::run(arguments, &mut remote),
            LibcgroupVerb::Lscgroup(arguments) => lscgroup::run(arguments, &mut remote),
            LibcgroupVerb::Lssubsys(arguments) => lssubsys::run(arguments, &mut remote),
        }
    }
}

//! The errors of the layers below, as failures of the edge.

use nix::errno::Errno;
use penfold_core::ErrorKind;
use penfold_linux::fuse_mount::MountError;
use penfold_linux::trace::{AdoptError, ExecError, Gone, JobError, StartError};
use penfold_module::loader::LoadError;

use super::Failure;

impl From<penfold_core::Error> for Failure {
    fn from(error: penfold_core::Error) -> Failure {
        let errno = Errno::from_raw(error.errno().number());
        let (subject, detail) = match &error {
            // only the front end knows the name of the object
            penfold_core::Error::Subsystem { subsystem, reason, .. } => {
                ("".into(), format!("refused by {subsystem}: {reason}").into())
            }
            _ => (error.subject(), error.detail()),
        };
        Failure::new(error.kind(), errno, subject, detail)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Failure {
        let errno = Errno::from_raw(error.errno().number());
        let failure = Failure::new(error.kind(), errno, error.subject(), error.detail());
        match error {
            LoadError::System { source, .. } => {
                let errno = source.raw_os_error().map_or(errno, Errno::from_raw);
                Failure { errno, ..failure }.caused_by(source)
            }
            _ => failure,
        }
    }
}

impl From<AdoptError> for Failure {
    fn from(error: AdoptError) -> Failure {
        let failure = Failure::new(error.kind(), error.errno(), error.subject(), error.detail());
        match error {
            AdoptError::Gone => Gone.into(),
            AdoptError::Refused { errno, .. } => failure.caused_by(errno),
            _ => failure,
        }
    }
}

impl From<Gone> for Failure {
    fn from(gone: Gone) -> Failure {
        Failure::new(ErrorKind::Ending, Errno::ESHUTDOWN, "daemon", "is ending").caused_by(gone)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        let failure = Failure::new(error.kind(), error.errno(), error.subject(), error.detail());
        match error {
            StartError::Command | StartError::Traced { .. } | StartError::StatusUnknown => failure,
            StartError::System { errno, .. }
            | StartError::Exec { errno, .. }
            | StartError::Seize(errno)
            | StartError::Filter(errno)
            | StartError::Limits(errno)
            | StartError::KernelCgroups(errno)
            | StartError::User(errno)
            | StartError::Session(errno)
            | StartError::Streams(errno)
            | StartError::Directory(errno) => failure.caused_by(errno),
        }
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Failure {
        match error {
            JobError::Start(error) => error.into(),
            JobError::Attach(error) => error.into(),
        }
    }
}

impl From<ExecError> for Failure {
    fn from(error: ExecError) -> Failure {
        match error {
            ExecError::Start(error) => error.into(),
            ExecError::Attach(error) => error.into(),
            ExecError::Gone(gone) => gone.into(),
        }
    }
}

impl From<MountError> for Failure {
    fn from(error: MountError) -> Failure {
        let failure = Failure::new(error.kind(), error.errno(), error.subject(), error.detail());
        match error {
            MountError::Device(errno) | MountError::Refused { errno, .. } => failure.caused_by(errno),
            MountError::NotMounted(_) | MountError::NoHelper(_) | MountError::Helper(_) => failure,
        }
    }
}

//! The operations on hierarchies, cgroups and control files: each in a form that panics and in a form that is refused.

use penfold_core::{
    Access, CgroupId, Errno, MoveScope, Owner, Result, Tid, control_file::FileId, host::Host,
    subsystem::Subsystem,
};

use super::SimWorld;
use super::calls::done;

impl<H: Host> SimWorld<H> {
    /// Loads a subsystem.
    #[track_caller]
    pub fn load(&mut self, subsystem: impl Subsystem) {
        done(self.loaded(subsystem));
    }

    /// Loads a subsystem, or is refused.
    ///
    /// # Errors
    /// The engine's errno.
    pub fn try_load(&mut self, subsystem: impl Subsystem) -> Result<(), Errno> {
        let outcome = self.loaded(subsystem);
        self.noted(outcome)
    }

    /// Unloads a subsystem.
    #[track_caller]
    pub fn unload(&mut self, name: &str) {
        done(self.unloaded(name));
    }

    /// Unloads a subsystem, or is refused.
    ///
    /// # Errors
    /// The engine's errno.
    pub fn try_unload(&mut self, name: &str) -> Result<(), Errno> {
        let outcome = self.unloaded(name);
        self.noted(outcome)
    }

    /// Mounts a hierarchy, and returns its root.
    #[track_caller]
    pub fn mount(&mut self, options: impl AsRef<[u8]>) -> CgroupId {
        done(self.mounted(options.as_ref()))
    }

    /// Mounts a hierarchy, or is refused.
    ///
    /// # Errors
    /// The errno that mount(2) gives.
    pub fn try_mount(&mut self, options: impl AsRef<[u8]>) -> Result<CgroupId, Errno> {
        let outcome = self.mounted(options.as_ref());
        self.noted(outcome)
    }

    /// Mounts with the file system type `cpuset`, or is refused.
    ///
    /// # Errors
    /// The errno that mount(2) gives.
    pub fn try_mount_cpuset(&mut self, options: impl AsRef<[u8]>) -> Result<CgroupId, Errno> {
        let outcome = self.mounted_cpuset(options.as_ref());
        self.noted(outcome)
    }

    /// Mounts a hierarchy once more with other options.
    #[track_caller]
    pub fn remount(&mut self, root: CgroupId, options: impl AsRef<[u8]>) {
        done(self.remounted(root, options.as_ref()));
    }

    /// Mounts a hierarchy once more with other options, or is refused.
    ///
    /// # Errors
    /// The errno that mount(2) gives.
    pub fn try_remount(&mut self, root: CgroupId, options: impl AsRef<[u8]>) -> Result<(), Errno> {
        let outcome = self.remounted(root, options.as_ref());
        self.noted(outcome)
    }

    /// Unmounts a hierarchy once.
    #[track_caller]
    pub fn unmount(&mut self, root: CgroupId) {
        done(self.unmounted(root));
    }

    /// Unmounts a hierarchy once, or is refused.
    ///
    /// # Errors
    /// The errno that umount(2) gives.
    pub fn try_unmount(&mut self, root: CgroupId) -> Result<(), Errno> {
        let outcome = self.unmounted(root);
        self.noted(outcome)
    }

    /// Makes a cgroup with the mode 0755.
    #[track_caller]
    pub fn mkdir(&mut self, parent: CgroupId, name: impl AsRef<[u8]>) -> CgroupId {
        done(self.made(parent, name.as_ref(), 0o755))
    }

    /// Makes a cgroup with the mode 0755, or is refused.
    ///
    /// # Errors
    /// The errno that mkdir(2) gives.
    pub fn try_mkdir(&mut self, parent: CgroupId, name: impl AsRef<[u8]>) -> Result<CgroupId, Errno> {
        self.try_mkdir_with_mode(parent, name, 0o755)
    }

    /// Makes a cgroup with a mode, of which the caller's umask takes bits, or is refused.
    ///
    /// # Errors
    /// The errno that mkdir(2) gives.
    pub fn try_mkdir_with_mode(
        &mut self,
        parent: CgroupId,
        name: impl AsRef<[u8]>,
        mode: u32,
    ) -> Result<CgroupId, Errno> {
        let outcome = self.made(parent, name.as_ref(), mode);
        self.noted(outcome)
    }

    /// Removes a cgroup.
    #[track_caller]
    pub fn rmdir(&mut self, cgroup: CgroupId) {
        done(self.removed(cgroup));
    }

    /// Removes a cgroup, or is refused.
    ///
    /// # Errors
    /// The errno that rmdir(2) gives.
    pub fn try_rmdir(&mut self, cgroup: CgroupId) -> Result<(), Errno> {
        let outcome = self.removed(cgroup);
        self.noted(outcome)
    }

    /// Renames a cgroup.
    #[track_caller]
    pub fn rename(&mut self, parent: CgroupId, name: &str, new_parent: CgroupId, new_name: &str) {
        done(self.renamed(parent, name, new_parent, new_name));
    }

    /// Renames a cgroup, or is refused.
    ///
    /// # Errors
    /// The errno that rename(2) gives.
    pub fn try_rename(
        &mut self,
        parent: CgroupId,
        name: &str,
        new_parent: CgroupId,
        new_name: &str,
    ) -> Result<(), Errno> {
        let outcome = self.renamed(parent, name, new_parent, new_name);
        self.noted(outcome)
    }

    /// Changes owner and mode of a cgroup's directory.
    #[track_caller]
    pub fn set_owner(&mut self, cgroup: CgroupId, owner: Owner) {
        done(self.given(cgroup, owner));
    }

    /// Changes owner and mode of a cgroup's directory, or is refused.
    ///
    /// # Errors
    /// The errno that chown(2) or chmod(2) gives.
    pub fn try_set_owner(&mut self, cgroup: CgroupId, owner: Owner) -> Result<(), Errno> {
        let outcome = self.given(cgroup, owner);
        self.noted(outcome)
    }

    /// Changes owner and mode of a control file.
    #[track_caller]
    pub fn set_file_owner(&mut self, cgroup: CgroupId, name: &str, owner: Owner) {
        done(self.file_given(cgroup, name, owner));
    }

    /// Changes owner and mode of a control file, or is refused.
    ///
    /// # Errors
    /// The errno that chown(2) or chmod(2) gives.
    pub fn try_set_file_owner(&mut self, cgroup: CgroupId, name: &str, owner: Owner) -> Result<(), Errno> {
        let outcome = self.file_given(cgroup, name, owner);
        self.noted(outcome)
    }

    /// Moves one thread.
    #[track_caller]
    pub fn attach(&mut self, cgroup: CgroupId, task: Tid) {
        done(self.attached(cgroup, task, MoveScope::Task));
    }

    /// Moves one thread, or is refused.
    ///
    /// # Errors
    /// The errno that a write to `tasks` gives.
    pub fn try_attach(&mut self, cgroup: CgroupId, task: Tid) -> Result<(), Errno> {
        let outcome = self.attached(cgroup, task, MoveScope::Task);
        self.noted(outcome)
    }

    /// Moves a whole process.
    #[track_caller]
    pub fn attach_group(&mut self, cgroup: CgroupId, task: Tid) {
        done(self.attached(cgroup, task, MoveScope::ThreadGroup));
    }

    /// Moves a whole process, or is refused.
    ///
    /// # Errors
    /// The errno that a write to `cgroup.procs` gives.
    pub fn try_attach_group(&mut self, cgroup: CgroupId, task: Tid) -> Result<(), Errno> {
        let outcome = self.attached(cgroup, task, MoveScope::ThreadGroup);
        self.noted(outcome)
    }

    /// Opens and reads a control file, which is text.
    #[track_caller]
    pub fn read(&mut self, cgroup: CgroupId, name: &str) -> String {
        done(self.content(cgroup, name))
    }

    /// Opens and reads a control file, or is refused.
    ///
    /// # Errors
    /// The errno that open(2) or read(2) gives.
    pub fn try_read(&mut self, cgroup: CgroupId, name: &str) -> Result<String, Errno> {
        let outcome = self.content(cgroup, name);
        self.noted(outcome)
    }

    /// Opens a control file and writes it in one piece.
    #[track_caller]
    pub fn write(&mut self, cgroup: CgroupId, name: &str, content: impl AsRef<[u8]>) {
        done(self.written(cgroup, name, content.as_ref()));
    }

    /// Opens a control file and writes it in one piece, or is refused.
    ///
    /// # Errors
    /// The errno that open(2) or write(2) gives.
    pub fn try_write(
        &mut self,
        cgroup: CgroupId,
        name: &str,
        content: impl AsRef<[u8]>,
    ) -> Result<(), Errno> {
        let outcome = self.written(cgroup, name, content.as_ref());
        self.noted(outcome)
    }

    /// Reads a file that was opened before, or is refused. The content may be any bytes.
    ///
    /// # Errors
    /// The errno that read(2) gives.
    pub fn try_read_opened(&mut self, cgroup: CgroupId, file: FileId) -> Result<Vec<u8>, Errno> {
        let outcome = self.opened_content(cgroup, file);
        self.noted(outcome)
    }

    /// Writes a file that was opened before, or is refused.
    ///
    /// # Errors
    /// The errno that write(2) gives.
    pub fn try_write_opened(
        &mut self,
        cgroup: CgroupId,
        file: FileId,
        content: impl AsRef<[u8]>,
    ) -> Result<(), Errno> {
        let outcome = self.written_opened(cgroup, file, content.as_ref());
        self.noted(outcome)
    }

    /// Opens a file, or is refused.
    ///
    /// # Errors
    /// The errno that open(2) gives.
    pub fn try_open(&mut self, cgroup: CgroupId, name: &str, access: Access) -> Result<FileId, Errno> {
        let outcome = self.opened(cgroup, name, access);
        self.noted(outcome)
    }
}

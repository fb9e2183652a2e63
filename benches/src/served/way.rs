//! The ways to work on cgroups: files, or calls over a socket.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use nix::sys::statfs::statfs;
use penfold_server::connection::Connection;
use penfold_server::protocol::{AttachCall, InfoCall, ListCall, Method, MkdirCall, ReadCall, RmdirCall};

/// Which hierarchy: both are there in each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BenchHierarchy {
    /// Without a controller.
    Named,
    /// With `pids`.
    Pids,
}

/// One way. Names are of cgroups in the benchmark's own directory.
pub trait Way {
    /// Makes a cgroup.
    ///
    /// # Errors
    /// As mkdir(2), or the daemon's reply.
    fn mkdir(&mut self, hierarchy: BenchHierarchy, name: &str) -> io::Result<()>;

    /// Removes a cgroup.
    ///
    /// # Errors
    /// As rmdir(2), or the daemon's reply.
    fn rmdir(&mut self, hierarchy: BenchHierarchy, name: &str) -> io::Result<()>;

    /// How many cgroups are in a cgroup.
    ///
    /// # Errors
    /// As readdir(3), or the daemon's reply.
    fn list(&mut self, hierarchy: BenchHierarchy, name: &str) -> io::Result<usize>;

    /// Moves a thread, or a whole process, in `pids`.
    ///
    /// # Errors
    /// As open(2) and write(2), or the daemon's reply.
    fn attach(&mut self, name: &str, task: u32, process: bool) -> io::Result<()>;

    /// How many bytes a control file has, in `pids`.
    ///
    /// # Errors
    /// As open(2) and read(2), or the daemon's reply.
    fn read(&mut self, name: &str, file: &str) -> io::Result<usize>;

    /// Makes a call that looks at no cgroup: its time is the price of the way itself.
    ///
    /// # Errors
    /// As statfs(2), or the daemon's reply.
    fn ask_nothing(&mut self) -> io::Result<()>;
}

/// Files, of the kernel's or of penfold's. Control files are opened for each use, as a shell does.
#[derive(Debug)]
pub struct FileWay {
    named: PathBuf,
    pids: PathBuf,
    buffer: Vec<u8>,
}

impl FileWay {
    /// In a directory of each hierarchy.
    pub fn in_directories(named: &Path, pids: &Path) -> FileWay {
        FileWay { named: named.to_owned(), pids: pids.to_owned(), buffer: vec![0; 64 << 10] }
    }

    fn path(&self, hierarchy: BenchHierarchy, name: &str) -> PathBuf {
        match hierarchy {
            BenchHierarchy::Named => self.named.join(name),
            BenchHierarchy::Pids => self.pids.join(name),
        }
    }
}

impl Way for FileWay {
    fn mkdir(&mut self, hierarchy: BenchHierarchy, name: &str) -> io::Result<()> {
        fs::create_dir(self.path(hierarchy, name))
    }

    fn rmdir(&mut self, hierarchy: BenchHierarchy, name: &str) -> io::Result<()> {
        fs::remove_dir(self.path(hierarchy, name))
    }

    fn list(&mut self, hierarchy: BenchHierarchy, name: &str) -> io::Result<usize> {
        let mut found = 0;
        for entry in fs::read_dir(self.path(hierarchy, name))? {
            found += usize::from(entry?.file_type()?.is_dir());
        }
        Ok(found)
    }

    fn attach(&mut self, name: &str, task: u32, process: bool) -> io::Result<()> {
        let file = if process { "cgroup.procs" } else { "tasks" };
        let mut file = File::options().write(true).open(self.pids.join(name).join(file))?;
        file.write_all(task.to_string().as_bytes())
    }

    fn ask_nothing(&mut self) -> io::Result<()> {
        Ok(statfs(&self.pids).map(drop)?)
    }

    fn read(&mut self, name: &str, file: &str) -> io::Result<usize> {
        let mut file = File::open(self.pids.join(name).join(file))?;
        let mut bytes = 0;
        loop {
            match file.read(&mut self.buffer)? {
                0 => return Ok(bytes),
                read => bytes += read,
            }
        }
    }
}

/// Calls on one connection to a daemon.
#[derive(Debug)]
pub struct SocketWay {
    connection: Connection,
    named: String,
    pids: String,
}

impl SocketWay {
    /// In a directory of each hierarchy, by its address.
    pub fn at_addresses(connection: Connection, named: String, pids: String) -> SocketWay {
        SocketWay { connection, named, pids }
    }

    fn address(&self, hierarchy: BenchHierarchy, name: &str) -> String {
        match hierarchy {
            BenchHierarchy::Named => format!("{}/{name}", self.named),
            BenchHierarchy::Pids => format!("{}/{name}", self.pids),
        }
    }

    fn call<M: Method>(&mut self, call: &M) -> io::Result<M::Reply> {
        self.connection.call(call).map_err(io::Error::other)
    }
}

impl Way for SocketWay {
    fn mkdir(&mut self, hierarchy: BenchHierarchy, name: &str) -> io::Result<()> {
        let cgroup = self.address(hierarchy, name);
        self.call(&MkdirCall { cgroup, mode: None, parents: None }).map(drop)
    }

    fn rmdir(&mut self, hierarchy: BenchHierarchy, name: &str) -> io::Result<()> {
        let cgroup = self.address(hierarchy, name);
        self.call(&RmdirCall { cgroup, recursive: None }).map(drop)
    }

    fn list(&mut self, hierarchy: BenchHierarchy, name: &str) -> io::Result<usize> {
        let cgroup = self.address(hierarchy, name);
        let listed = self.call(&ListCall { cgroup, recursive: None, depth: Some(1) })?;
        // the first is the cgroup itself
        Ok(listed.cgroups.len() - 1)
    }

    fn attach(&mut self, name: &str, task: u32, process: bool) -> io::Result<()> {
        let cgroup = self.address(BenchHierarchy::Pids, name);
        self.call(&AttachCall { cgroup, task: i64::from(task), process }).map(drop)
    }

    fn ask_nothing(&mut self) -> io::Result<()> {
        self.call(&InfoCall {}).map(drop)
    }

    fn read(&mut self, name: &str, file: &str) -> io::Result<usize> {
        let cgroup = self.address(BenchHierarchy::Pids, name);
        self.call(&ReadCall { cgroup, file: file.to_owned() }).map(|reply| reply.content.len())
    }
}

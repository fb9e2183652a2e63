//! Names on pages that are not penfold's, although they look like it.

/// A name that a page may use without its being in the repository.
#[derive(Debug)]
pub(crate) struct AllowedName {
    /// The page, or the end of its path.
    pub(crate) page: &'static str,
    pub(crate) name: &'static str,
    #[expect(dead_code, reason = "for readers of the list")]
    pub(crate) reason: &'static str,
}

pub(crate) const ALLOWED_NAMES: &[AllowedName] = &[
    AllowedName {
        page: "SPECIFICATION.md",
        name: "org.varlink.service",
        reason: "an interface of varlink, no unit of systemd",
    },
    AllowedName { page: "docs/architecture.md", name: "dash", reason: "the shell of the example" },
    AllowedName { page: "docs/architecture.md", name: "ls", reason: "the program of the example" },
    AllowedName { page: "docs/architecture.svg", name: "dash", reason: "the shell of the example" },
    AllowedName { page: "docs/modules.md", name: "gear.c", reason: "a file that the reader writes" },
];

//! Things of the engine as the protocol shows them.

use penfold_core::{CgroupId, Engine};

use crate::escape::escape;
use crate::protocol::Hierarchy;

/// A living hierarchy.
pub(crate) fn hierarchy(engine: &Engine, root: CgroupId) -> Hierarchy {
    let found = engine.tree().hierarchy_of(root);
    Hierarchy {
        id: i64::from(found.id),
        name: found.name.clone(),
        subsystems: engine.subsystems_of(root).map(str::to_owned).collect(),
        options: escape(&engine.show_options(root).unwrap_or_default()),
        mounts: found.mounts as i64,
        cgroups: found.cgroups as i64,
    }
}

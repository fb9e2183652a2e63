//! The description of a hierarchy in replies.

use penfold_core::{CgroupId, Engine};

use crate::escape::escape;
use crate::protocol::HierarchyInfo;

/// The description of the living hierarchy with this root.
pub(crate) fn describe(engine: &Engine, root: CgroupId) -> HierarchyInfo {
    let hierarchy = engine.tree().hierarchy_of(root);
    HierarchyInfo {
        id: i64::from(hierarchy.id),
        name: hierarchy.name.clone(),
        subsystems: engine.subsystems_of(root).map(str::to_owned).collect(),
        options: escape(&engine.show_options(root).unwrap_or_default()),
        mounts: hierarchy.mounts as i64,
        cgroups: hierarchy.cgroups as i64,
    }
}

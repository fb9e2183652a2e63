//! The interface that every varlink service has: introspection.

use std::io;

use varlink::{Call, CallTrait, Interface, VarlinkService};

use crate::protocol as p;

/// What answers `org.varlink.service`.
pub(super) fn standard() -> VarlinkService {
    VarlinkService::new(
        "penfold",
        "penfold",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_REPOSITORY"),
        vec![Box::new(ControlInterface)],
    )
}

/// Our interface, as introspection sees it.
struct ControlInterface;

impl Interface for ControlInterface {
    fn get_description(&self) -> &'static str {
        p::DESCRIPTION
    }

    fn get_name(&self) -> &'static str {
        p::INTERFACE
    }

    /// Not reached: calls of this interface are answered where the caller and its descriptors are known.
    fn call(&self, call: &mut Call<'_>) -> varlink::Result<()> {
        let method = call.get_request().map(|request| request.method.to_string());
        call.reply_method_not_found(method.unwrap_or_default())
    }

    fn call_upgraded(&self, _: &mut Call<'_>, _: &mut dyn io::BufRead) -> varlink::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

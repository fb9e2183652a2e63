//! `org.varlink.service`: the introspection that every varlink service offers.

use std::io;

use varlink::{Call, CallTrait, Interface, VarlinkService};

use crate::protocol as p;

/// The implementation of `org.varlink.service`.
pub(super) fn standard() -> VarlinkService {
    VarlinkService::new(
        "penfold",
        "penfold",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_REPOSITORY"),
        vec![Box::new(ControlInterface)],
    )
}

/// The name and the description of penfold's interface, for introspection.
struct ControlInterface;

impl Interface for ControlInterface {
    fn get_description(&self) -> &'static str {
        p::DESCRIPTION
    }

    fn get_name(&self) -> &'static str {
        p::INTERFACE
    }

    /// Never called: `dispatch.rs` answers the calls of this interface, because it knows the caller and the
    /// descriptors.
    fn call(&self, call: &mut Call<'_>) -> varlink::Result<()> {
        let method = call.get_request().map(|request| request.method.to_string());
        call.reply_method_not_found(method.unwrap_or_default())
    }

    fn call_upgraded(&self, _: &mut Call<'_>, _: &mut dyn io::BufRead) -> varlink::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

//! `[sources]`: external interfaces and internal prefixes for ingress source filtering.

use serde::{Deserialize, Serialize};

/// `[sources]`: ingress source filtering (BCP 38). Both lists are empty, or neither is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sources {
    /// External interfaces, by name; each is one of `interfaces`.
    pub external: Vec<String>,
    /// Internal prefixes: no packet from them arrives on an external interface. At most
    /// `INTERNAL_MAX`.
    #[serde(with = "crate::prefix::many")]
    pub internal: Vec<ipnet::IpNet>,
}

impl Sources {
    /// Checks the lists against the names of the configured interfaces.
    pub(crate) fn check(&self, interfaces: &[&str]) -> Result<(), String> {
        const INTERNAL_MAX: usize = bailey_bpf::abi::INTERNAL_MAX as usize;
        let Self { external, internal } = self;
        if internal.len() > INTERNAL_MAX {
            let prefixes = internal.len();
            return Err(format!(
                "sources.internal: {prefixes} prefixes, at most {INTERNAL_MAX} fit"
            ));
        }
        if external.is_empty() != internal.is_empty() {
            return Err(
                "sources: external and internal belong together; one of them is empty".into(),
            );
        }
        let unknown = |name: &&String| !interfaces.contains(&name.as_str());
        match external.iter().find(unknown) {
            Some(name) => Err(format!(
                "sources.external: {name:?} is not one of `interfaces`"
            )),
            None => Ok(()),
        }
    }
}

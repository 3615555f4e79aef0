use serde::{Deserialize, Serialize};

/// `[inventory]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Inventory {
    #[serde(with = "crate::prefix::many")]
    pub isolated: Vec<ipnet::IpNet>,
    pub pod_cidrs: bool,
}

impl Default for Inventory {
    fn default() -> Self {
        let declared = bailey_source::Declared::default();
        Self {
            isolated: declared.isolated,
            pod_cidrs: declared.pod_cidrs,
        }
    }
}

impl Inventory {
    /// As the reader wants it.
    pub fn declared(&self) -> bailey_source::Declared {
        bailey_source::Declared {
            isolated: self.isolated.clone(),
            pod_cidrs: self.pod_cidrs,
        }
    }
}

/// `[sources]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Sources {
    pub outside: Vec<String>,
    #[serde(with = "crate::prefix::many")]
    pub inside: Vec<ipnet::IpNet>,
}

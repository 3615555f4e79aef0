//! Emergency blocks as answers of the control API.

use bailey_control::api;
use bailey_datapath::DatapathError;
use bailey_datapath::blocks::{self, Blocks};
use ipnet::IpNet;

use crate::live_state::LiveState;

impl LiveState {
    /// All emergency blocks.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub fn blocks(&self) -> Result<api::Blocks, DatapathError> {
        let blocks = Blocks::open(&self.pins)?.list()?;
        Ok(api::Blocks {
            stamp: self.stamp()?,
            blocks: blocks.iter().map(block_to_api).collect(),
        })
    }
}

/// A block as an API value.
pub(crate) fn block_to_api(block: &blocks::Block) -> api::Block {
    api::Block {
        prefix: short_prefix(&block.prefix),
        remaining_seconds: block.remaining_seconds,
        added: block.added,
        reason: block.note.clone(),
    }
}

/// A prefix as text; a full-length prefix as its address alone.
pub fn short_prefix(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

//! The objects that share maps with each other, and their loading.

use aya::{Ebpf, EbpfLoader};
use bailey_bpf::object;

use crate::error::DatapathError;
use crate::maps::values::SharedValues;
use crate::program::direct;

/// A compiled object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object {
    file: &'static str,
    bytes: &'static [u8],
}

impl Object {
    /// The attached programs and the probe.
    pub(crate) fn entry() -> Self {
        Self {
            file: "entry.bpf.o",
            bytes: object::ENTRY,
        }
    }

    /// The policy programs, loaded once per generation.
    pub(crate) fn policy() -> Self {
        Self {
            file: "policy.bpf.o",
            bytes: object::POLICY,
        }
    }

    /// Creates the object's other maps, or opens them by their pins, and prepares its programs. The
    /// programs hold descriptors of `values`, which must stay open until the programs are loaded.
    ///
    /// # Errors
    /// If the object addresses a value that does not exist, or the kernel refuses a map.
    pub(crate) fn load(
        self,
        loader: &mut EbpfLoader<'_>,
        values: &SharedValues,
    ) -> Result<Ebpf, DatapathError> {
        let resolved = direct::resolve(self.bytes, &values.list());
        let image = resolved.map_err(|message| DatapathError::Object {
            object: self.file,
            message,
        })?;
        let loaded = loader.load(image.bytes());
        loaded.map_err(|error| DatapathError::Load {
            object: self.file,
            source: Box::new(error),
        })
    }
}

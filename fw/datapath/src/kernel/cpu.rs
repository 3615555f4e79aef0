//! The number of CPUs.

use crate::error::DatapathError;

/// Number of possible CPUs, which is the number of values in per-CPU maps.
///
/// # Errors
/// If sysfs cannot be read.
pub(crate) fn cpus() -> Result<u32, DatapathError> {
    aya::util::nr_cpus()
        .map(|count| count as u32)
        .map_err(|(path, source)| DatapathError::Map {
            name: path.to_owned(),
            operation: "count CPUs",
            source,
        })
}

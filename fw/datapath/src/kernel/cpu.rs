use crate::error::DatapathError;

/// How many CPUs the machine may have: per-CPU maps have as many values.
pub(crate) fn cpus() -> Result<u32, DatapathError> {
    aya::util::nr_cpus()
        .map(|count| count as u32)
        .map_err(|(path, source)| DatapathError::Map {
            name: path.to_owned(),
            operation: "count CPUs",
            source,
        })
}

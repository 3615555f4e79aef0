//! Sizes of storms: short in CI, full under `make soak`.

/// Size of a storm: `full` under `make soak` (`BAILEY_SOAK`), else `short`, the size that shows a defect of
/// every round. Full sizes show races that need many rounds.
pub fn sized<T>(full: T, short: T) -> T {
    if std::env::var_os("BAILEY_SOAK").is_some() {
        full
    } else {
        short
    }
}

//! Caches the output of a compile stage until the input of the stage changes.

use std::sync::Arc;

/// The last output of a pure function, and its input.
#[derive(Debug)]
pub(crate) struct Memo<K, V>(Option<(K, Arc<V>)>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K: PartialEq, V> Memo<K, V> {
    /// Returns the cached output if the input is equal to the last one, else calls `make`.
    pub(crate) fn get_or_make(&mut self, input: K, make: impl FnOnce(&K) -> V) -> Arc<V> {
        if let Some((known, output)) = &self.0
            && *known == input
        {
            return Arc::clone(output);
        }
        // Frees the old output before `make` allocates the new one.
        self.0 = None;
        let output = Arc::new(make(&input));
        self.0 = Some((input, Arc::clone(&output)));
        output
    }
}

/// Compared by pointer: the output of a stage as an input of the next one.
#[derive(Debug)]
pub(crate) struct ById<T>(pub(crate) Arc<T>);

impl<T> PartialEq for ById<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Whether two lists have the same length and each pair is the same object or equal by `equal`.
pub(crate) fn all_equal_by<T>(a: &[Arc<T>], b: &[Arc<T>], equal: impl Fn(&T, &T) -> bool) -> bool {
    let mut pairs = a.iter().zip(b);
    a.len() == b.len() && pairs.all(|(a, b)| Arc::ptr_eq(a, b) || equal(a, b))
}

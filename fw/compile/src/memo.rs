use std::sync::Arc;

/// The last output of a pure function, and the input that it belongs to.
#[derive(Debug)]
pub(crate) struct Memo<K, V>(Option<(K, Arc<V>)>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K: PartialEq, V> Memo<K, V> {
    /// The output for this input.
    pub(crate) fn get_or_make(&mut self, input: K, make: impl FnOnce(&K) -> V) -> Arc<V> {
        if let Some((known, output)) = &self.0
            && *known == input
        {
            return Arc::clone(output);
        }
        // What is not needed any more makes room first.
        self.0 = None;
        let output = Arc::new(make(&input));
        self.0 = Some((input, Arc::clone(&output)));
        output
    }
}

/// Equal to itself alone: an output that is an input of the next stage.
#[derive(Debug)]
pub(crate) struct ById<T>(pub(crate) Arc<T>);

impl<T> PartialEq for ById<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Are these the same objects, or all_equal_by in what somebody reads of them, one by one?
pub(crate) fn all_equal_by<T>(a: &[Arc<T>], b: &[Arc<T>], read: impl Fn(&T, &T) -> bool) -> bool {
    let mut pairs = a.iter().zip(b);
    a.len() == b.len() && pairs.all(|(a, b)| Arc::ptr_eq(a, b) || read(a, b))
}

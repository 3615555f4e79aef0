//! Interning: distinct values are stored once and identified by a small integer.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Stores each distinct value once. Ids count from 0 in the order of arrival, so a deterministic
/// caller gets deterministic ids.
#[derive(Debug, Clone)]
pub(crate) struct Interner<T> {
    ids: FxHashMap<T, u32>,
    values: Vec<T>,
}

impl<T: Hash + Eq + Clone> Interner<T> {
    pub(crate) fn new() -> Self {
        Self {
            ids: FxHashMap::default(),
            values: Vec::new(),
        }
    }

    pub(crate) fn intern(&mut self, value: T) -> u32 {
        if let Some(&id) = self.ids.get(&value) {
            return id;
        }
        let id = self.values.len() as u32;
        self.values.push(value.clone());
        self.ids.insert(value, id);
        id
    }

    pub(crate) fn id(&self, value: &T) -> Option<u32> {
        self.ids.get(value).copied()
    }

    pub(crate) fn value(&self, id: u32) -> &T {
        &self.values[id as usize]
    }

    pub(crate) fn values(&self) -> &[T] {
        &self.values
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }
}

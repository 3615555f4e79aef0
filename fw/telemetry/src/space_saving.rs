//! The keys with the greatest counts of a stream, in bounded memory: the Space-Saving algorithm of
//! Metwally, Agrawal and El Abbadi ("Efficient Computation of Frequent and Top-k Elements in Data
//! Streams", 2005).

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Counts of at most `capacity` keys. A key that is not among them takes the place of the key with the
/// smallest count, and inherits that count as its possible error.
#[derive(Debug, Clone)]
pub struct SpaceSaving<K> {
    capacity: usize,
    /// A binary heap: no entry has a smaller count than its parent.
    heap: Vec<Entry<K>>,
    /// Places in the heap.
    places: FxHashMap<K, usize>,
}

/// A key with its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<K> {
    /// The key.
    pub key: K,
    /// At least the true count.
    pub count: u64,
    /// The true count is at least `count - error`.
    pub error: u64,
}

impl<K: Copy + Eq + Hash> SpaceSaving<K> {
    /// No keys yet.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            heap: Vec::new(),
            places: FxHashMap::default(),
        }
    }

    /// Adds to the count of a key. Returns the key whose place it took, if it took one.
    pub fn add(&mut self, key: K, count: u64) -> Option<K> {
        if let Some(&place) = self.places.get(&key) {
            self.heap[place].count += count;
            self.sift_down(place);
        } else if self.heap.len() < self.capacity {
            let place = self.heap.len();
            self.heap.push(Entry {
                key,
                count,
                error: 0,
            });
            self.places.insert(key, place);
            self.sift_up(place);
        } else {
            let least = self.heap[0];
            self.places.remove(&least.key);
            self.heap[0] = Entry {
                key,
                count: least.count + count,
                error: least.count,
            };
            self.places.insert(key, 0);
            self.sift_down(0);
            return Some(least.key);
        }
        None
    }

    /// All keys, in no order.
    pub fn entries(&self) -> &[Entry<K>] {
        &self.heap
    }

    /// Whether every count is exact: no key was replaced.
    pub fn is_exact(&self) -> bool {
        self.heap.iter().all(|entry| entry.error == 0)
    }

    /// The keys with the greatest counts, greatest first.
    pub fn top(&self, number: usize) -> Vec<Entry<K>> {
        let mut entries = self.heap.clone();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.count));
        entries.truncate(number);
        entries
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let children = [2 * place + 1, 2 * place + 2];
            let children = children.into_iter().filter(|&at| at < self.heap.len());
            let least = children.min_by_key(|&at| self.heap[at].count);
            match least.filter(|&at| self.heap[at].count < self.heap[place].count) {
                Some(child) => self.swap(place, child),
                None => return,
            }
            place = least.unwrap_or(place);
        }
    }

    fn sift_up(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.heap[parent].count <= self.heap[place].count {
                return;
            }
            self.swap(place, parent);
            place = parent;
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        for place in [one, other] {
            self.places.insert(self.heap[place].key, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A stream without a library: each key `k` of 1..=keys comes `keys / k` times, mixed.
    fn stream(keys: u64) -> Vec<u64> {
        let mut stream: Vec<(u64, u64)> = (1..=keys)
            .flat_map(|key| {
                (0..keys / key).map(move |at| (at.wrapping_mul(0x9e37_79b9) ^ key, key))
            })
            .collect();
        stream.sort_unstable();
        stream.into_iter().map(|(_, key)| key).collect()
    }

    #[test]
    fn few_keys_are_counted_exactly() {
        let mut sketch = SpaceSaving::new(100);
        let mut exact = BTreeMap::new();
        for key in stream(100) {
            sketch.add(key, 3);
            *exact.entry(key).or_insert(0) += 3;
        }
        assert!(sketch.is_exact());
        let found: BTreeMap<u64, u64> = sketch.entries().iter().map(|e| (e.key, e.count)).collect();
        assert_eq!(found, exact);
    }

    #[test]
    fn counts_of_many_keys_stay_within_their_errors() {
        let mut sketch = SpaceSaving::new(64);
        let mut exact = BTreeMap::new();
        let stream = stream(5000);
        for &key in &stream {
            sketch.add(key, 1);
            *exact.entry(key).or_insert(0) += 1;
        }
        assert!(!sketch.is_exact());
        for entry in sketch.entries() {
            let truth = exact[&entry.key];
            assert!(
                entry.count >= truth && entry.count - entry.error <= truth,
                "{entry:?} {truth}"
            );
        }
        // The paper's guarantee: each key above total / capacity is among them.
        for (key, &count) in &exact {
            if count > stream.len() as u64 / 64 {
                assert!(
                    sketch.entries().iter().any(|entry| entry.key == *key),
                    "{key}"
                );
            }
        }
        let top: Vec<u64> = sketch.top(3).iter().map(|entry| entry.key).collect();
        assert_eq!(top, [1, 2, 3]);
    }
}

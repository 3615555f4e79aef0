//! Where each object was read, and which objects two files define. Large files share their index
//! with the cache instead of copying it.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::parse::node::Pos;

/// Where an object was read.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) file: Arc<Path>,
    pub(crate) pos: Pos,
    /// Position of the object's name.
    pub(crate) name: Pos,
}

/// Origins of objects, by title. The index of a large file is shared with the file's own collector;
/// otherwise an edit of any file would copy the index of a whole cluster.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    own: Arc<HashMap<Arc<str>, Origin>>,
    large: Vec<Arc<HashMap<Arc<str>, Origin>>>,
}

/// An object that two files define.
#[derive(Debug)]
pub(crate) struct Duplicate {
    pub(crate) title: Arc<str>,
    pub(crate) first: Origin,
    pub(crate) again: Origin,
}

/// A file with at least this many objects is large. A lookup searches every large file.
const LARGE_FILE_OBJECTS: usize = 4096;

impl Origins {
    /// The first origin of an object.
    pub(crate) fn get(&self, title: &str) -> Option<&Origin> {
        let mut large = self.large.iter();
        self.own
            .get(title)
            .or_else(|| large.find_map(|origins| origins.get(title)))
    }

    /// Adds an object that has no origin yet.
    pub(crate) fn insert(&mut self, title: &str, origin: Origin) {
        Arc::make_mut(&mut self.own).insert(title.into(), origin);
    }

    /// Adds the origins of one file. Returns the objects that already have an origin and keeps
    /// their first one.
    pub(crate) fn merge(&mut self, part: &Self) -> Vec<Duplicate> {
        debug_assert!(part.large.is_empty(), "it is one file's");
        if part.own.len() >= LARGE_FILE_OBJECTS {
            let duplicates = self.find_duplicates_of_large(&part.own);
            self.large.push(Arc::clone(&part.own));
            return duplicates;
        }
        let mut duplicates = Vec::new();
        for (title, again) in part.own.iter() {
            if let Some(first) = self.get(title) {
                duplicates.push(Duplicate {
                    title: Arc::clone(title),
                    first: first.clone(),
                    again: again.clone(),
                });
            } else {
                Arc::make_mut(&mut self.own).insert(Arc::clone(title), again.clone());
            }
        }
        duplicates
    }

    /// Finds the titles of a large file that already have an origin.
    fn find_duplicates_of_large(&self, part: &HashMap<Arc<str>, Origin>) -> Vec<Duplicate> {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut duplicates = Vec::new();
        for known in std::iter::once(&self.own).chain(&self.large) {
            let (less, more) = if known.len() < part.len() {
                (&**known, part)
            } else {
                (part, &**known)
            };
            for (title, _) in less.iter().filter(|(title, _)| more.contains_key(*title)) {
                if seen.insert(title) {
                    duplicates.push(Duplicate {
                        title: Arc::clone(title),
                        first: known[title].clone(),
                        again: part[title].clone(),
                    });
                }
            }
        }
        duplicates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, titles: impl IntoIterator<Item = usize>) -> Origins {
        let mut origins = Origins::default();
        for number in titles {
            let origin = Origin {
                file: Path::new(name).into(),
                pos: Pos::default(),
                name: Pos::default(),
            };
            origins.insert(&format!("Pod ns/{number}"), origin);
        }
        origins
    }

    /// (title, first, again), in the order of titles.
    fn read(files: &[&Origins]) -> Vec<(String, String, String)> {
        let mut all = Origins::default();
        let mut found: Vec<_> = files
            .iter()
            .flat_map(|part| all.merge(part))
            .map(|duplicates| {
                let [first, again] =
                    [&duplicates.first, &duplicates.again].map(|at| at.file.display().to_string());
                (duplicates.title.to_string(), first, again)
            })
            .collect();
        found.sort();
        found
    }

    #[test]
    fn duplicate_is_found_in_small_and_large_files() {
        for (a, b) in [
            (2, 3),
            (LARGE_FILE_OBJECTS, 3),
            (3, LARGE_FILE_OBJECTS),
            (LARGE_FILE_OBJECTS, LARGE_FILE_OBJECTS + 1),
        ] {
            let (one, two) = (file("a", 0..a), file("b", a - 1..a + b));
            let title = format!("Pod ns/{}", a - 1);
            let wanted = vec![(title, "a".to_owned(), "b".to_owned())];
            assert_eq!(read(&[&one, &two]), wanted, "{a}, {b}");
        }
    }

    #[test]
    fn first_of_three_origins_is_kept() {
        for large in 0..8 {
            let size = |bit: usize| {
                if large >> bit & 1 == 1 {
                    LARGE_FILE_OBJECTS
                } else {
                    1
                }
            };
            let [a, b, c] = [("a", 0), ("b", 1), ("c", 2)].map(|(name, bit)| {
                let own = (1..size(bit)).map(|n| (bit + 1) * 100_000 + n);
                file(name, std::iter::once(0).chain(own))
            });
            let places: Vec<_> = read(&[&a, &b, &c]);
            let title = "Pod ns/0".to_owned();
            let wanted = ["b", "c"].map(|again| (title.clone(), "a".to_owned(), again.to_owned()));
            assert_eq!(places, wanted, "{large:b}");
        }
    }

    #[test]
    fn index_of_large_file_is_shared() {
        let part = file("a", 0..LARGE_FILE_OBJECTS);
        let mut all = Origins::default();
        assert!(all.merge(&part).is_empty());
        assert_eq!(Arc::strong_count(&part.own), 2);
        assert!(all.get("Pod ns/7").is_some());
    }
}

//! The file cache: loading only the changed files gives the same result as loading all files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bailey_source::{DeclaredPrefixes, FileCache, FileSet, ReadLimits, Strictness, load_snapshot};
use tempfile::TempDir;

const FILES: u64 = 6;
const ROUNDS: u32 = 400;

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % end
    }
}

/// A random object. There are few names and addresses, so that some objects are defined twice and
/// some addresses have two owners.
fn object(random: &mut Random) -> String {
    let n = random.below(60);
    let label = random.below(3);
    match random.below(7) {
        0 => format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: ns{n}, labels: {{l: a{label}}}}}\n"
        ),
        1 | 2 => format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: pod{n}, namespace: ns1, labels: {{l: a{label}}}}}\n\
             status: {{podIP: 10.0.0.{}}}\n",
            n + 60 * random.below(3)
        ),
        3 => format!(
            "apiVersion: v1\nkind: Node\nmetadata: {{name: node{n}}}\n\
             status: {{addresses: [{{type: InternalIP, address: 10.1.0.{n}}}]}}\n"
        ),
        4 | 5 => format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
             metadata: {{name: p{n}, namespace: ns1}}\n\
             spec: {{podSelector: {{matchLabels: {{l: a{label}}}}}, ingress: [{{ports: [{{port: {}}}]}}]}}\n",
            1 + random.below(12) / 11 * 80_000
        ),
        _ => "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n".to_owned(),
    }
}

/// Writes or removes a random file.
fn change(directory: &Path, random: &mut Random) {
    let path = directory.join(format!("{}.yaml", random.below(FILES)));
    if random.below(6) == 0 {
        let _ = fs::remove_file(path);
        return;
    }
    let objects: Vec<String> = (0..1 + random.below(3)).map(|_| object(random)).collect();
    let text = match random.below(60) {
        0 => "kind: [".to_owned(),
        _ => objects.join("---\n"),
    };
    // A new inode each time, because the clock that stamps files is slower than this test.
    let new = directory.join("new");
    fs::write(&new, text).unwrap();
    let _ = fs::remove_file(&path);
    fs::hard_link(&new, &path).unwrap();
    fs::rename(
        new,
        directory.join(format!("old{}", random.below(u64::MAX))),
    )
    .unwrap();
}

fn described(
    found: &(
        Option<bailey_policy::Snapshot>,
        bailey_source::Diagnostics,
        bailey_source::ObjectCounts,
    ),
) -> Vec<String> {
    let (_, diagnostics, _) = found;
    let all = diagnostics.errors().chain(diagnostics.warnings());
    all.map(ToString::to_string).collect()
}

#[test]
fn cached_load_equals_full_load_after_random_changes() {
    let directory = TempDir::new().unwrap();
    let paths: [PathBuf; 1] = [directory.path().to_owned()];
    let mut random = Random(3);
    let limits = ReadLimits::default();
    let mut cache = FileCache::new(Strictness::Strict, limits, DeclaredPrefixes::default());
    let (mut good, mut bad) = (0, 0);
    for round in 0..ROUNDS {
        change(directory.path(), &mut random);
        let files = FileSet::list(&paths, false).unwrap();
        // A time long after the files were written, so that unchanged files come from the cache.
        let later = SystemTime::now() + Duration::from_secs(60);
        let cached = cache.load_snapshot(&files, later);
        let whole = load_snapshot(
            &files,
            Strictness::Strict,
            limits,
            &DeclaredPrefixes::default(),
        );
        assert_eq!(cached.0, whole.0, "round {round}");
        assert_eq!(cached.2, whole.2, "round {round}");
        let (mut a, mut b) = (described(&cached), described(&whole));
        a.sort();
        b.sort();
        assert_eq!(a, b, "round {round}");
        if whole.0.is_some() {
            good += 1
        } else {
            bad += 1
        }
    }
    assert!(good > 50 && bad > 50, "{good} {bad}");
}

/// The second write has the same size and falls into the same clock tick, so the stamps are equal.
#[test]
fn recently_written_file_is_read_again() {
    let directory = TempDir::new().unwrap();
    let paths: [PathBuf; 1] = [directory.path().to_owned()];
    let file = directory.path().join("a.yaml");
    let text =
        |name: &str| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n");
    let mut cache = FileCache::new(
        Strictness::Strict,
        ReadLimits::default(),
        DeclaredPrefixes::default(),
    );
    for round in 0..200 {
        let name = ["one", "two"][round % 2];
        fs::write(&file, text(name)).unwrap();
        let files = FileSet::list(&paths, false).unwrap();
        let (snapshot, ..) = cache.load_snapshot(&files, SystemTime::now());
        let snapshot = snapshot.unwrap();
        assert!(snapshot.namespaces().contains_key(name), "round {round}");
    }
}

#[test]
fn file_that_becomes_readable_is_read() {
    let directory = TempDir::new().unwrap();
    let paths: [PathBuf; 1] = [directory.path().to_owned()];
    let file = directory.path().join("a.yaml");
    fs::write(&file, [0xff, b'\n']).unwrap();
    let mut cache = FileCache::new(
        Strictness::Strict,
        ReadLimits::default(),
        DeclaredPrefixes::default(),
    );
    let later = SystemTime::now() + Duration::from_secs(60);
    let mut is_loaded = || {
        let files = FileSet::list(&paths, false).unwrap();
        cache.load_snapshot(&files, later).0.is_some()
    };
    assert!(!is_loaded());
    fs::write(&file, "#\n").unwrap();
    assert!(is_loaded());
}

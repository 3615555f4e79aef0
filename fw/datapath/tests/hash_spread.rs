//! The hash distributes flows of any pattern evenly, under any secret.

mod harness;

use bailey_bpf::abi::{FLOW_NH_WORDS, flow_key, flow_keys};
use bailey_datapath::flows::hash::FlowHash;
use harness::Random;

const BUCKET_BITS: u32 = 14;
const BUCKETS: usize = 1 << BUCKET_BITS;
const SECRETS: u64 = 200;
const FLOWS: usize = 8 * BUCKETS;

fn hash(secret: u64) -> FlowHash {
    let mut random = Random(secret);
    let mut nh = [0; FLOW_NH_WORDS as usize];
    nh.fill_with(|| random.next() as u32);
    let keys = flow_keys {
        nh,
        mul: [random.next() | 1, random.next() | 1],
        proof: [0; 2],
        pass_epoch: 0,
        pad: [0; 5],
        abi: 0,
    };
    FlowHash::new(keys, BUCKET_BITS)
}

/// An IPv4 TCP flow.
fn v4(low: u32, high: u32, port_low: u16, port_high: u16) -> flow_key {
    let mapped = |address: u32| u64::from(address.to_be()) << 32 | 0xffff_0000;
    flow_key {
        tuple: u64::from(port_low) | u64::from(port_high) << 16 | 6 << 32 | 4 << 56,
        addr_lo_be: [0, mapped(low)],
        addr_hi_be: [0, mapped(high)],
    }
}

fn v6(low: u128, high: u128, port_low: u16, port_high: u16) -> flow_key {
    let words = |address: u128| {
        let octets = address.to_be_bytes();
        let word = |at: usize| u64::from_ne_bytes(octets[at..at + 8].try_into().unwrap());
        [word(0), word(8)]
    };
    flow_key {
        tuple: u64::from(port_low) | u64::from(port_high) << 16 | 6 << 32 | 6 << 56,
        addr_lo_be: words(low),
        addr_hi_be: words(high),
    }
}

type Pattern = (&'static str, fn(u32) -> flow_key);

const PATTERNS: [Pattern; 10] = [
    ("one client, sequential ports", |n| {
        v4(0x0a00_0001, 0x0a00_0002, n as u16, (n >> 16) as u16)
    }),
    ("sequential clients", |n| {
        v4(0x0a00_0000 + n, 0xc0a8_0001, 40000, 80)
    }),
    ("clients in steps of 256", |n| {
        v4(n << 8, 0xc0a8_0001, 40000, 80)
    }),
    ("clients in steps of 65536", |n| {
        v4(n.rotate_right(16), 0xc0a8_0001, 40000, 80)
    }),
    ("ports in steps of 2", |n| {
        v4(0x0a00_0001, 0x0a00_0002 + (n >> 15), (n << 1) as u16, 443)
    }),
    // Differences in the same bits of both ports, which the hash combines in one product.
    ("chosen port differences", |n| {
        let port = (n & 0xff) as u16;
        v4(
            0x0a00_0001,
            0x0a00_0002 + (n >> 16),
            port * 0x0101,
            !(port << 8) ^ (n >> 8) as u16,
        )
    }),
    ("address and port alike", |n| {
        v4(n, n ^ 0xffff, n as u16, n as u16)
    }),
    ("few bits anywhere", |n| {
        let bits = n & 0x5555 | (n & 0xaaaa) << 15;
        v4(bits, !bits, (n >> 16) as u16, 0x0101)
    }),
    ("IPv6 interface ids", |n| {
        v6(0xfd00 << 112 | u128::from(n), 0xfd01 << 112 | 1, 40000, 443)
    }),
    ("IPv6 networks", |n| {
        v6(
            0x2001 << 112 | u128::from(n) << 64 | 1,
            0xfd01 << 112 | 1,
            40000,
            443,
        )
    }),
];

/// Index of dispersion of the bucket fill; 1 for random keys.
fn dispersion(counts: &[u32]) -> f64 {
    let mean = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    let squares = counts
        .iter()
        .map(|&count| (f64::from(count) - mean).powi(2));
    squares.sum::<f64>() / counts.len() as f64 / mean
}

/// The fill that no bucket reaches under any secret, except with a probability of 2^-30: of buckets
/// with a binomial number of flows, here a Poisson number, since each bucket is improbable.
fn greatest_fill() -> u32 {
    let mean = FLOWS as f64 / BUCKETS as f64;
    let draws = PATTERNS.len() as f64 * 2.0 * SECRETS as f64 * BUCKETS as f64;
    let mut term = (-mean).exp();
    let mut terms = vec![term];
    for fill in 1..200 {
        term *= mean / f64::from(fill);
        terms.push(term);
    }
    let mut tail = 0.0;
    while draws * tail < 0.5_f64.powi(30) {
        tail += terms.pop().unwrap();
    }
    terms.len() as u32
}

fn counts(bucket: impl Fn(u32) -> u32) -> Vec<u32> {
    let mut counts = vec![0; BUCKETS];
    for n in 0..FLOWS as u32 {
        counts[bucket(n) as usize] += 1;
    }
    counts
}

#[test]
fn flow_patterns_spread_like_random_keys() {
    let greatest = greatest_fill();
    for (name, key) in PATTERNS {
        for which in [0, 1] {
            let values: Vec<f64> = (0..SECRETS)
                .map(|secret| {
                    let hash = hash(secret);
                    let counts = counts(|n| hash.locate(&key(n)).buckets[which]);
                    let fill = *counts.iter().max().unwrap();
                    assert!(fill <= greatest, "{name}: {fill}, secret {secret}");
                    dispersion(&counts)
                })
                .collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            assert!((mean - 1.0).abs() < 0.02, "{name}: {mean}");
            let off = values.iter().filter(|value| (*value - 1.0).abs() > 0.1);
            assert!(off.count() <= SECRETS as usize / 50, "{name}: {values:?}");
            assert!(
                values.iter().all(|&value| value < 1.5),
                "{name}: {values:?}"
            );
        }
    }
    // The index of a bad hash, for comparison.
    let low_bits = dispersion(&counts(|n| (n << 4) % BUCKETS as u32));
    assert!(low_bits > 10.0, "{low_bits}");
}

/// Key differences that an attacker can choose, knowing the hash but not the secret.
#[test]
fn chosen_key_differences_cause_no_collisions() {
    let mut differences: Vec<[u64; 5]> = Vec::new();
    for bit in (0..32).chain(64..128).step_by(5) {
        let mut words = [0_u64; 5];
        words[bit / 64] = 1 << (bit % 64);
        differences.push(words);
    }
    // Differences known to defeat multiplicative mixing, and differences in several words.
    differences.push([0x1124_5000, 0, 0, 0, 0]);
    differences.push([0x8000_8000, 0, 0x8000_0000_0000_0000, 0, 0]);
    differences.push([0xffff_ffff, 0, 0, 0, 0]);
    const FEW: u32 = 8;
    const KEYS: u64 = 1 << 16;
    let ideal = KEYS as f64 / f64::from(1 << FEW);
    for difference in differences {
        let mut rates = Vec::new();
        for secret in 0..100 {
            let keys = hash(secret).with_bucket_bits(FEW);
            let mut random = Random(!secret);
            let mut met = 0;
            for _ in 0..KEYS {
                let a: [u64; 5] = std::array::from_fn(|_| random.next());
                let b: [u64; 5] = std::array::from_fn(|word| a[word] ^ difference[word]);
                let place = |words: [u64; 5]| keys.locate(&bytemuck::cast(words)).buckets[0];
                met += u32::from(place(a) == place(b));
            }
            rates.push(f64::from(met) / ideal);
        }
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        assert!((mean - 1.0).abs() < 0.1, "{difference:x?}: {mean}");
        assert!(
            rates.iter().all(|&rate| rate < 1.5),
            "{difference:x?}: {rates:?}"
        );
    }
}

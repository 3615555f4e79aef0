//! Builds the LRU-hash/LPM baseline of the benchmarks.

fn main() {
    bailey_bpf_clang::build("../../../bench/bpf", &["reference"]);
}

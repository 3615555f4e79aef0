//! Builds the program that benchmarks compare with.

fn main() {
    bailey_bpf_clang::build("../../../bench/bpf", &["reference"]);
}

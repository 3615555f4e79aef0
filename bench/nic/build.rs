//! Builds the BPF programs of the tester, and of its tests.

fn main() {
    bailey_bpf_clang::build("bpf", &["arrive", "police"]);
}

//! Builds the BPF programs of the bench.

fn main() {
    bailey_bpf_clang::build(
        "bpf",
        &[
            "floor",
            "generate",
            "mutate",
            "pace",
            "reference",
            "verdicts",
        ],
    );
}

//! Compiles the BPF programs if the feature `object` is on.

fn main() {
    println!("cargo::rerun-if-changed=abi.h");
    if std::env::var_os("CARGO_FEATURE_OBJECT").is_some() {
        bailey_bpf_clang::build("c", &["clock_probe", "entry", "policy", "noop"]);
    }
}

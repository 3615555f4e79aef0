//! Writes the Rust bindings of `bpf/abi.h` to standard output. Requires libclang.

use std::io::{self, Write};

use bindgen::callbacks::{DeriveInfo, ParseCallbacks, TypeKind};

/// Derives plain-data traits: every struct of the ABI is bytes in a map.
#[derive(Debug)]
struct PlainData;

impl ParseCallbacks for PlainData {
    fn add_derives(&self, info: &DeriveInfo<'_>) -> Vec<String> {
        match info.kind {
            TypeKind::Struct => [
                "bytemuck::Zeroable",
                "bytemuck::Pod",
                "PartialEq",
                "Eq",
                "Hash",
            ]
            .map(String::from)
            .into(),
            _ => Vec::new(),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let header = concat!(env!("CARGO_MANIFEST_DIR"), "/../abi.h");
    let bindings = bindgen::Builder::default()
        .header(header)
        .use_core()
        .layout_tests(true)
        .derive_default(false)
        .parse_callbacks(Box::new(PlainData))
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .allowlist_file(".*/abi\\.h")
        .raw_line("//! Generated from `abi.h` by `make abi`; do not edit.")
        .raw_line("#![allow(clippy::all, clippy::use_self, non_camel_case_types)]")
        .disable_header_comment()
        .generate()?;
    io::stdout().write_all(bindings.to_string().as_bytes())?;
    Ok(())
}
